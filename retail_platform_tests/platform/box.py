"""A whole small platform in a folder: lake, control database, catalog, and a session of its own.

Belongs here: driving the real loaders hour by hour. Not here: sources (`sources`), catalogs
(`catalogs`), and what any test expects.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from retail_platform.bronze.load import BronzeLoad, BronzeLoader
from retail_platform.control.calls import ApiCalls
from retail_platform.control.database import open_control
from retail_platform.control.decisions import QuarantineDecisions
from retail_platform.control.files import FileRegistry
from retail_platform.control.ledger import Ledger
from retail_platform.control.loads import LoadRow
from retail_platform.extract.opening import open_reader
from retail_platform.extract.reader import SourceReader
from retail_platform.lakehouse.engine import open_engine
from retail_platform.lakehouse.tables import Lakehouse
from retail_platform.metadata.loader import Catalog
from retail_platform.quality.quarantined import QuarantinedRow, quarantined_rows
from retail_platform.settings import Engine
from retail_platform.silver.load import SilverLoad, SilverLoader
from retail_platform.silver.pii import pii_table
from retail_platform.silver.replay import QuarantineReplay, Replay
from retail_platform.silver.stored import ensure_stored

PII_KEY = "a key that only the tests know"
FIRST_HOUR = datetime(2026, 1, 5, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
Row = dict[str, Any]


def hour_at(number: int) -> datetime:
    """The start of a test's hour, counted from 0."""
    return FIRST_HOUR + number * HOUR


class Box:
    """One small platform.

    Args:
        lakehouse: Lake in the box's folder, through the box's own session.
        catalog: Tables of the box.
        control_url: URL of its control database.
    """

    def __init__(self, lakehouse: Lakehouse, catalog: Catalog, control_url: str) -> None:
        self.lake = lakehouse
        self.catalog = catalog
        self.control = open_control(control_url)
        self.ledger = Ledger(self.control)
        self.files = FileRegistry(self.control)
        self.calls = ApiCalls(self.control)
        self.decisions = QuarantineDecisions(self.control)
        for table in catalog.tables:
            ensure_stored(lakehouse, table)

    def bronze_from(self, entity: str, number: int, reader: SourceReader) -> BronzeLoad:
        """Loads one Bronze hour from an open reader."""
        return BronzeLoader(
            table=self.catalog.by_entity[entity],
            reader=reader,
            lakehouse=self.lake,
            ledger=self.ledger,
            run_id="run",
            engine="embedded",
        ).load(hour_at(number))

    def bronze(self, entity: str, number: int, environ: Mapping[str, str]) -> BronzeLoad:
        """Loads one Bronze hour from the source that ``environ`` names, as the asset does."""
        table = self.catalog.by_entity[entity]
        with open_reader(table, self.files, environ, self.calls) as reader:
            return self.bronze_from(entity, number, reader)

    def silver(self, entity: str, number: int) -> SilverLoad:
        """Loads one Silver hour."""
        return self.silver_loader(entity).load(hour_at(number))

    def silver_loader(self, entity: str) -> SilverLoader:
        """The loader of a Silver table."""
        return SilverLoader(
            catalog=self.catalog,
            table=self.catalog.by_entity[entity],
            lakehouse=self.lake,
            ledger=self.ledger,
            pii_key=PII_KEY,
            run_id="run",
            engine="embedded",
        )

    def replay(self, entity: str, **chosen: Any) -> Replay:
        """Replays open quarantined rows of a table; all of them unless ``chosen`` says which."""
        return QuarantineReplay(
            catalog=self.catalog,
            table=self.catalog.by_entity[entity],
            lakehouse=self.lake,
            ledger=self.ledger,
            pii_key=PII_KEY,
            run_id="replay",
            engine="embedded",
        ).replay(self.decisions, person="Ada", because="the rule was wrong", **chosen)

    def refused(self, entity: str, **chosen: Any) -> list[QuarantinedRow]:
        """Rows of the quarantine as people see them."""
        return quarantined_rows(self.lake.root, entity, self.decisions, **chosen)

    def clear(self, entity: str) -> list[Row]:
        """Rows of the restricted table of a Silver table."""
        name = pii_table(self.catalog.by_entity[entity])
        return self.lake.delta("pii", name).to_pyarrow_table().to_pylist()

    def both(self, entity: str, number: int, environ: Mapping[str, str]) -> SilverLoad:
        """Loads one hour into Bronze and Silver."""
        self.bronze(entity, number, environ)
        return self.silver(entity, number)

    def stored_silver(self, entity: str) -> list[Row]:
        """Every Silver row with its technical columns, in no order."""
        return self.lake.read("silver", entity).toArrow().to_pylist()

    def live(self, entity: str) -> list[Row]:
        """Live Silver rows without technical columns, in a fixed order."""
        return in_order(
            without_technical(row) for row in self.stored_silver(entity) if not row["_deleted"]
        )

    def stored_bronze(self, entity: str) -> list[Row]:
        """Every Bronze row with its technical columns; none where there is no table yet."""
        name = self.catalog.by_entity[entity].bronze
        if not self.lake.exists("bronze", name):
            return []
        return self.lake.delta("bronze", name).to_pyarrow_table().to_pylist()

    def quarantined(self, entity: str) -> list[Row]:
        """Rows of the quarantine."""
        return self.lake.delta("quarantine", entity).to_pyarrow_table().to_pylist()

    def loads(self, entity: str) -> list[LoadRow]:
        """The ledger of a Silver table."""
        return self.ledger.loads(asset=f"silver/{entity}")


@contextmanager
def open_box(home: Path, catalog: Catalog, address: str) -> Iterator[Box]:
    """Opens a box in ``home``, with a session of its own on a running engine.

    Args:
        home: Folder of lake and control database; opened again, it goes on from there.
        catalog: Tables of the box.
        address: ``sc://host:port`` of the engine.
    """
    home.mkdir(parents=True, exist_ok=True)
    with open_engine(Engine.EMBEDDED, address) as session:
        lake = Lakehouse(session.spark, str(home / "lake"))
        box = Box(lake, catalog, f"sqlite:///{home / 'control.db'}")
        try:
            yield box
        finally:
            box.control.dispose()


def without_technical(row: Row) -> Row:
    """A row without the columns that begin with an underscore."""
    return {name: value for name, value in row.items() if not name.startswith("_")}


def in_order(rows: Any) -> list[Row]:
    """Rows sorted by their text, so that lists can be compared."""
    return sorted(rows, key=lambda row: str(sorted(row.items())))
