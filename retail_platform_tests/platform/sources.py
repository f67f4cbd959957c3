"""Sources that tests fill by hand: SQLite files, landing folders, and Arrow batches in memory."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa

from retail_platform.extract.coverage import Bounds
from retail_platform.extract.local_time import local_hour
from retail_platform.extract.window import Window
from retail_platform.metadata.loader import Table
from retail_platform_tests.platform.box import HOUR, hour_at


class ArrowReader:
    """Rows in memory as a source, for histories of many small hours.

    Args:
        rows: What the source delivers, by column name; empty values are None.
        columns: Its columns, all text but ``_line``.
        clock: Its present; the end of the hour that is read, by default.
    """

    def __init__(
        self,
        rows: Sequence[Mapping[str, object]],
        columns: Sequence[str],
        *,
        clock: datetime | None = None,
    ) -> None:
        self.rows = [dict(row) for row in rows]
        self.schema = pa.schema(
            [(name, pa.int64() if name == "_line" else pa.string()) for name in columns]
        )
        self.present = clock

    @classmethod
    def at(
        cls, number: int, rows: Sequence[Mapping[str, object]], columns: Sequence[str]
    ) -> "ArrowReader":
        """A source whose clock has just closed hour ``number``."""
        return cls(rows, columns, clock=hour_at(number) + HOUR)

    def clock(self) -> datetime:
        """The source's present."""
        assert self.present is not None
        return self.present

    def read(self, table: Table, window: Window) -> pa.RecordBatchReader:
        """All rows, whatever the window."""
        return pa.Table.from_pylist(self.rows, schema=self.schema).to_reader()

    def committed(self) -> None:
        """Nothing to remember."""


class CoveringReader(ArrowReader):
    """The same, whose reads bring a range whole."""

    def __init__(
        self,
        rows: Sequence[Mapping[str, object]],
        columns: Sequence[str],
        *,
        clock: datetime | None = None,
        bounds: Bounds,
    ) -> None:
        super().__init__(rows, columns, clock=clock)
        self.bounds = bounds

    def covered(self, table: Table, window: Window) -> Bounds:
        """The range, whatever the window."""
        return self.bounds


class Database:
    """A SQLite file as a source, with the clock table that the catalogs ask.

    Args:
        path: Where the file is or will be.
        zone: IANA zone of its naive timestamps.
    """

    def __init__(self, path: Path, zone: str = "UTC") -> None:
        self.path = path
        self.zone = ZoneInfo(zone)

    @property
    def url(self) -> str:
        """SQLAlchemy URL."""
        return f"sqlite:///{self.path}"

    def execute(self, statement: str, rows: Sequence[Sequence[object]] | None = None) -> None:
        """Runs one statement, once or for each of ``rows``, and commits."""
        connection = sqlite3.connect(self.path)
        with connection:
            if rows is None:
                connection.execute(statement)
            else:
                connection.executemany(statement, rows)
        connection.close()

    def create(self, table: str, columns: str) -> None:
        """Creates an empty table."""
        self.execute(f"CREATE TABLE {table} ({columns})")

    def create_like(self, *tables: Table) -> None:
        """Creates an empty table of text columns for each platform table, named as its contract."""
        for table in tables:
            renamed = {target: source for source, target in table.row.columns.items()}
            names = [renamed.get(column.name, column.name) for column in table.contract.columns]
            self.create(table.row.table, ", ".join(f"{name} TEXT" for name in names))

    def put(self, table: str, **values: object) -> None:
        """Adds one row; columns that are not named are NULL."""
        marks = ", ".join("?" for _ in values)
        self.execute(
            f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})",
            [list(values.values())],
        )

    def insert(self, table: str, *rows: Sequence[object]) -> None:
        """Adds rows."""
        marks = ", ".join("?" for _ in rows[0])
        self.execute(f"INSERT INTO {table} VALUES ({marks})", rows)

    def set_clock(self, number: int) -> None:
        """Lets the source's clock close hour ``number`` and no later one."""
        self.execute("CREATE TABLE IF NOT EXISTS clock (now TEXT)")
        self.execute("DELETE FROM clock")
        self.insert("clock", [self.local(hour_at(number) + HOUR)])

    def local(self, moment: datetime) -> str:
        """A moment as the naive local text that the source stores."""
        return moment.astimezone(self.zone).strftime("%Y-%m-%d %H:%M:%S.%f")


POS_HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


class Landing:
    """A landing folder of the till files."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def environ(self) -> dict[str, str]:
        """The variable that names the folder."""
        return {"POS_LANDING": str(self.root)}

    def stem(self, number: int) -> str:
        """Path of an hour's file below the root, without extension."""
        local, suffix = local_hour(hour_at(number), ZoneInfo("Europe/London"))
        return local.strftime("pos/retail/transactions/%Y-%m-%d/transactions_%Y%m%dT%H") + suffix

    def deliver(self, number: int, content: bytes | str | None, *, addition: str = "") -> str:
        """Writes the file of an hour (none for an hour without trade) and its done marker.

        Returns:
            The file's path below the root.
        """
        stem = self.root / self.stem(number)
        stem.parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            data = content if isinstance(content, bytes) else content.encode()
            stem.with_name(f"{stem.name}{addition}.csv").write_bytes(data)
        stem.with_name(f"{stem.name}.done").touch()
        return f"{self.stem(number)}{addition}.csv"


def pos_file(*lines: str, header: str = POS_HEADER) -> str:
    """The text of a till file."""
    return "".join(f"{line}\n" for line in (header, *lines))
