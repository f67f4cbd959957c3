"""A lake of Silver tables for the tests of Gold, the engine over it, and dbt on that engine.

Real parts: Silver tables of the platform's own contracts written by delta-rs, Sail as the engine,
dbt in a process of its own. Not here: the tests, and how Silver comes to its rows; a test states
them.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from retail_platform.bronze.ledger_copy import LEDGER_SCHEMA, NAME, ensure_ledger_copy
from retail_platform.gold.runner import NOT_HOURLY, hour_variable
from retail_platform.gold.stored_partitions import STORED_PARTITIONS, stored_partitions
from retail_platform.lakehouse.engine import EngineSession, open_engine
from retail_platform.lakehouse.tables import Lakehouse
from retail_platform.metadata.loader import Catalog, load_catalog
from retail_platform.settings import PACKAGE, Engine
from retail_platform.silver.standardise import silver_schema
from retail_platform.silver.stored import ensure_stored
from retail_platform_tests.gold.dbt_process import DbtProcess

Row = Mapping[str, Any]


@cache
def catalog() -> Catalog:
    """The platform's own tables."""
    return load_catalog(PACKAGE / "catalog")


@dataclass
class SilverLake:
    """A temporary lake with an engine of its own; use it as a context manager.

    Attributes:
        root: Folder of the lake.
        dbt_process: The dbt process; lakes may share it.
        session: The open session.
    """

    root: Path
    dbt_process: DbtProcess
    session: EngineSession = field(init=False)
    _engine: ExitStack = field(default_factory=ExitStack, init=False)

    @property
    def gold_root(self) -> str:
        """Folder of the Gold tables."""
        return str(self.root / "gold")

    @property
    def remote_url(self) -> str:
        """``sc://`` URL of the open session."""
        return self.session.remote_url

    def __enter__(self) -> Self:
        """Start the engine over the lake; Silver tables that are missing are made, empty."""
        self.session = self._engine.enter_context(open_engine(Engine.EMBEDDED))
        lakehouse = Lakehouse(self.session.spark, str(self.root))
        for table in catalog().tables:
            ensure_stored(lakehouse, table)
        ensure_ledger_copy(lakehouse)
        lakehouse.ensure_database("gold")
        for name in lakehouse.tables("gold"):
            lakehouse.register("gold", name)
        return self

    def __exit__(self, *_: object) -> None:
        """Close the session and stop the engine."""
        self._engine.close()

    def open_again(self) -> None:
        """Start another engine, which reads the tables as they are now."""
        self._engine.close()
        self.__enter__()

    def drop(self, layer: str, name: str) -> None:
        """Remove a table from the session's catalogue."""
        self.session.spark.sql(f"drop table {layer}.{name}")

    def write(self, entity: str, rows: Iterable[Row]) -> None:
        """Replace a Silver table by `rows`; what a row leaves out is NULL, flags are false."""
        self._write(entity, rows, "overwrite")

    def add(self, entity: str, rows: Iterable[Row]) -> None:
        """Append `rows` to a Silver table, as a file of their own."""
        self._write(entity, rows, "append")

    def _write(
        self, entity: str, rows: Iterable[Row], mode: Literal["overwrite", "append"]
    ) -> None:
        schema = silver_schema(catalog().by_entity[entity])
        filled = [
            {name: row.get(name) for name in schema.names}
            | {
                "_deleted": row.get("_deleted", False),
                "_inferred": row.get("_inferred", False),
            }
            for row in rows
        ]
        path = self.root / "silver" / entity
        write_deltalake(path, pa.Table.from_pylist(filled, schema=schema), mode=mode)

    def write_ledger(self, rows: Iterable[Row]) -> None:
        """Replace the copy of the load ledger by `rows`; what a row leaves out is NULL."""
        filled = [{name: row.get(name) for name in LEDGER_SCHEMA.names} for row in rows]
        table = pa.Table.from_pylist(filled, schema=LEDGER_SCHEMA)
        write_deltalake(self.root / "bronze" / NAME, table, mode="overwrite")

    def dbt(self, *arguments: str, hours: Iterable[datetime] = (), succeeds: bool = True) -> str:
        """Run dbt on this lake and return what it printed; check that it ends as expected."""
        success, output = self.dbt_process.run(
            arguments,
            {
                "SPARK_REMOTE": self.remote_url,
                "RETAIL_GOLD_ROOT": self.gold_root,
                "RETAIL_STAGING": str(self.root / "_staging" / "test"),
                "RETAIL_HOUR": hour_variable(list(hours)),
                STORED_PARTITIONS: stored_partitions(self.gold_root),
            },
        )
        assert success is succeeds, output[-6000:]
        return output

    def build(self, *hours: datetime) -> str:
        """Build and test the hours of Gold as the hourly asset does."""
        return self.dbt("build", "--exclude", *NOT_HOURLY.split(), hours=hours)

    def run(self, *hours: datetime) -> str:
        """Build the models of the hours, without tests and snapshots."""
        return self.dbt("run", hours=hours)

    def rebuild(self) -> str:
        """Rebuild every model whole from Silver."""
        return self.dbt("run", "--full-refresh")

    def gold(self, model: str, *, technical: bool = False) -> list[dict[str, Any]]:
        """The rows of a Gold table, in a fixed order; columns that begin with `_` on demand."""
        table = pa.table(DeltaTable(f"{self.gold_root}/{model}").to_pyarrow_table())
        names = [name for name in table.column_names if technical or not name.startswith("_")]
        return sorted(table.select(names).to_pylist(), key=lambda row: str(row[names[0]]))

    def models(self) -> list[str]:
        """Names of the models that are built, without snapshots."""
        folders = sorted((self.root / "gold").iterdir())
        return [folder.name for folder in folders if not folder.name.startswith("snap_")]

    def all_gold(self) -> dict[str, list[dict[str, Any]]]:
        """The rows of every model."""
        return {model: self.gold(model) for model in self.models()}

    def versions(self) -> dict[str, int]:
        """The number of every model's last commit."""
        return {model: self.version(model) for model in self.models()}

    def version(self, model: str) -> int:
        """The number of a Gold table's last commit."""
        return DeltaTable(f"{self.gold_root}/{model}").version()


NewLake = Callable[[], SilverLake]
"""Makes a lake in a fresh folder, to be opened by `with`."""


def utc(text: str) -> datetime:
    """An aware UTC instant from ISO text."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
