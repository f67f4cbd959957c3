"""A table of a SQL database by the positions of its changes, as Bronze reads it.

An hour is a range of positions. They tell no time, so an hour has what changed between the read
before and its own, and an hour that is loaded after a later one has nothing. A range from position
0 is the whole table. Which range is recorded is the load's to say
(`retail_platform.bronze.streams`).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

import pyarrow as pa

from retail_platform.extract.offsets import (
    Expired,
    OffsetRange,
    PartitionState,
    RecordedHours,
    Truncated,
    expired,
    planned_ranges,
)
from retail_platform.extract.reader import Expected
from retail_platform.extract.sql import SqlSource
from retail_platform.extract.sql_positions import Tracking
from retail_platform.extract.sql_reader import partitioning_of
from retail_platform.extract.window import Window
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.metadata.loader import Table


class ChangesReader:
    """One table by the positions of its changes; close it after use."""

    def __init__(self, source: SqlSource, table: Table) -> None:
        self.source = source
        self._tracking = tracking_of(table)

    def close(self) -> None:
        """Ends what is still being read."""
        self.source.close()

    def clock(self) -> datetime:
        """The source's present, aware UTC."""
        return self.source.clock()

    def plan(
        self, table: Table, window: Window, recorded: RecordedHours, *, from_earliest: bool
    ) -> list[OffsetRange]:
        """The positions of an hour: from the end of the last recorded one to where changes stand.

        Raises:
            TransientFailure: the database cannot be reached.
            PermanentFailure: its positions end before what was read, or it has none.
        """
        _, high = self.source.positions(self._tracking)
        # Nothing tells when a position was reached: all that is not read yet is of this hour.
        state = PartitionState(low=0, high=high, first_of_hour=0, first_after=None)
        try:
            return planned_ranges(window.hour, {0: state}, recorded, from_earliest=from_earliest)
        except Truncated as cut:
            raise PermanentFailure(
                f"bronze.{table.bronze}: {table.row.positions} was read up to position "
                f"{cut.recorded} and now ends at {cut.high}: the database was restored from a copy "
                "or set up anew. If that is right, begin anew with what it holds: "
                f"retail-platform reprocess {table.entity} --full --reason WHY"
            ) from cut

    def read_ranges(
        self, table: Table, ranges: Sequence[OffsetRange]
    ) -> tuple[pa.RecordBatchReader, list[OffsetRange]]:
        """The rows whose last change lies in the range, and the range.

        Raises:
            Expired: changes of it are gone from the database.
            TransientFailure: the database cannot be reached, or drops changes meanwhile.
            PermanentFailure: the table is not what the metadata says.
        """
        (range_,) = ranges
        lost = self._gone(range_)
        if lost:
            raise Expired(range_, lost=lost)
        received = self.source.read_changes(
            self._tracking, range_.start, range_.end, partitioned=partitioning_of(table)
        )
        return self._complete(table, range_, received), [range_]

    def waiting(self, ends: Sequence[OffsetRange]) -> int:
        """Positions beyond the ends of these ranges, those of other tables among them."""
        _, high = self.source.positions(self._tracking)
        return sum(max(0, high - range_.end) for range_ in ends)

    def read(self, table: Table, window: Window) -> pa.RecordBatchReader:
        """The whole table, at the positions of this moment."""
        return self.read_ranges(
            table, self.plan(table, window, RecordedHours(), from_earliest=True)
        )[0]

    def expect(self, table: Table, window: Window) -> Expected:
        """What an hour would give: which positions, of all that is there."""
        (range_,) = self.plan(table, window, RecordedHours(), from_earliest=True)
        return Expected(
            rows=None,
            text=f"{table.row.positions} up to position {range_.end - 1:,}",
            columns=self.source.columns(table.row.name_in_source),
        )

    def committed(self) -> None:
        """Nothing to remember: the positions were recorded before they were read."""

    def _gone(self, range_: OffsetRange) -> int:
        """How many positions of a range the database does not keep any more."""
        if self._tracking.by == "rowversion" or not 0 < range_.start < range_.end:
            return 0
        low, _ = self.source.positions(self._tracking)
        return expired(range_, low)

    def _complete(
        self, table: Table, range_: OffsetRange, received: pa.RecordBatchReader
    ) -> pa.RecordBatchReader:
        """The stream, which fails at its end if changes were dropped while it was read."""

        def batches() -> Iterator[pa.RecordBatch]:
            yield from received
            if self._gone(range_):
                raise TransientFailure(
                    f"bronze.{table.bronze}: {table.row.positions}: the database dropped changes "
                    f"from position {range_.start} on while they were read. It is tried again, and "
                    "then reads the whole table; lengthen the database's CHANGE_RETENTION"
                )

        return pa.RecordBatchReader.from_batches(received.schema, batches())


def tracking_of(table: Table) -> Tracking:
    """What orders the changes of a table, in the source's names."""
    changes = table.row.changes
    assert changes is not None, "a load by changes"
    return Tracking(
        by=changes.by,
        table=table.row.name_in_source,
        column=table.row.in_source(changes.column) if changes.column else "",
        key=tuple(table.row.in_source(name) for name in table.row.key),
    )
