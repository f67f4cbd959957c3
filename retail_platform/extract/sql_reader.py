"""A table of a SQL source as Bronze reads it: by watermark, or whole."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pyarrow as pa

from retail_platform.extract.reader import Expected
from retail_platform.extract.sql import SqlSource
from retail_platform.extract.sql_partitioned import Partitioning
from retail_platform.extract.window import HOUR, Window
from retail_platform.metadata.loader import Table

_WIDE = timedelta(days=1)


class SqlReader:
    """A SQL table by watermark, or whole; close it after use."""

    def __init__(self, source: SqlSource) -> None:
        self.source = source

    def close(self) -> None:
        """Ends what is still being read."""
        self.source.close()

    def clock(self) -> datetime:
        """The source's present, aware UTC."""
        return self.source.clock()

    def read(self, table: Table, window: Window) -> pa.RecordBatchReader:
        """Streams the rows of a window as received."""
        return self.source.read(
            table=table.row.name_in_source,
            columns=list(self.source.columns(table.row.name_in_source)),
            watermark=_asked_watermark(table),
            window=window,
            partitioned=partitioning_of(table) if _is_wide(table, window) else None,
        )

    def expect(self, table: Table, window: Window) -> Expected:
        """What `read` of the same window would give."""
        columns = self.source.columns(table.row.name_in_source)
        keys = [table.row.in_source(name) for name in table.row.key]
        rows, ranges = self.source.extent(
            table.row.name_in_source, keys, _asked_watermark(table), window
        )
        return Expected(rows=rows, text=f"{rows:,} rows", columns=columns, ranges=ranges)

    def hourly(
        self, table: Table, hours: Sequence[datetime]
    ) -> dict[datetime, tuple[int, datetime | None]]:
        """Rows and greatest watermark of each of these hours."""
        return self.source.hourly(table.row.name_in_source, _watermark(table) or "", hours)

    def greatest(self, table: Table, before: Sequence[datetime]) -> list[datetime | None]:
        """The greatest watermark before each of these moments."""
        return self.source.greatest(table.row.name_in_source, _watermark(table) or "", before)

    def keys_since(self, table: Table, start: datetime) -> pa.Table:
        """Keys and watermarks of all rows stamped at or after ``start``."""
        watermark = _watermark(table)
        clock = self.source.clock()
        names = [table.row.in_source(name) for name in table.row.key]
        return self.source.read(
            table=table.row.name_in_source,
            columns=list(dict.fromkeys([*names, *([watermark] if watermark else [])])),
            watermark=watermark,
            window=Window(
                hour=start, start=start, end=max(clock, start + HOUR), initial=False, latest=True
            ),
            clock=clock,
        ).read_all()

    def committed(self) -> None:
        """Nothing to remember: the ledger has the window."""


def partitioning_of(table: Table) -> Partitioning | None:
    """How the table is read over several connections, in the source's names; None: over one."""
    read = table.row.read
    if read is None:
        return None
    return Partitioning(
        column=table.row.in_source(read.partition_by),
        connections=read.connections,
        ranges=read.ranges_wanted,
    )


def _is_wide(table: Table, window: Window) -> bool:
    """Whether so much is read that several connections are worth their opening."""
    if _asked_watermark(table) is None or window.start is None:
        return True
    return window.end - window.start > _WIDE


def _watermark(table: Table) -> str | None:
    return table.row.in_source(table.row.watermark.column) if table.row.watermark else None


def _asked_watermark(table: Table) -> str | None:
    """The source's column that a window is about; None where the table is read whole."""
    if table.row.watermark is None or table.row.load != "incremental":
        return None
    return table.row.in_source(table.row.watermark.column)
