"""An hour of positions: they are recorded once, then read, and what is lost is told.

Offsets of a topic, or positions of a database's changes as its partition 0. Not here: how they are
found (`extract.offsets`), and the commit (`load`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pyarrow as pa

from retail_platform.control.offsets import StreamOffsets
from retail_platform.extract.offsets import OffsetRange, RecordedHours, total_lost
from retail_platform.extract.reader import OffsetReader
from retail_platform.extract.window import HOUR, Window
from retail_platform.metadata.loader import Table


@dataclass(frozen=True, kw_only=True)
class StreamState:
    """How an hour's read stands to its topic, or to its database's changes.

    Attributes:
        ranges: The hour's offsets, with what was lost of each when they were first read.
        waiting: Offsets after the latest recorded hour: what no hour has read yet.
        behind: How far the end of the latest recorded hour lies behind the source's clock.
    """

    ranges: tuple[OffsetRange, ...]
    waiting: int
    behind: timedelta

    @property
    def lost(self) -> int:
        """Offsets of the hour that were gone before they were read."""
        return total_lost(self.ranges)

    @property
    def offsets(self) -> str:
        """The ranges, for people."""
        return ", ".join(f"{r.partition}: {r.start}-{r.end}" for r in self.ranges)

    @property
    def told_losses(self) -> str:
        """The losses by partition, for people; empty without any."""
        return ", ".join(
            f"{r.lost} of {r.end - r.start} offsets of partition {r.partition} from {r.start} on"
            for r in self.ranges
            if r.lost
        )


def stream_read(
    table: Table,
    window: Window,
    clock: datetime,
    *,
    reader: OffsetReader,
    offsets: StreamOffsets,
    stored: bool,
    lost: int = 0,
) -> tuple[pa.RecordBatchReader, StreamState]:
    """Reads an hour: its recorded offsets, which are planned and recorded where they are not.

    Args:
        table: The table's metadata.
        window: The hour; without a start it is all that the source holds up to its end.
        clock: The source's present, aware UTC.
        reader: The source.
        offsets: The recorded offsets.
        stored: Whether an earlier read of the hour is in the lake: what has expired since is no
            loss.
        lost: How many positions of the hour had expired, where this read of everything stands in
            for them.

    Raises:
        Expired: changes of the hour are gone from the source.
        TransientFailure: the source cannot be reached.
        PermanentFailure: the source lacks what was read of it before, or is not what the metadata
            says.
    """
    topic = _positions(table)
    ranges = offsets.of_hour(table.bronze, topic, window.hour)
    anew = window.start is None and not window.initial
    if anew or not ranges:
        around = RecordedHours() if anew else offsets.around(table.bronze, topic, window.hour)
        first = around.before is None and around.after is None
        planned = reader.plan(
            table, window, around, from_earliest=anew or (window.initial and first)
        )
        planned = [replace(planned_range, lost=lost) for planned_range in planned]
        ranges = offsets.record(table.bronze, window.hour, topic, planned, anew=anew)
    received, found = reader.read_ranges(table, ranges)
    if not stored:
        # Before the commit: a read that is repeated after it finds its rows, and no loss.
        offsets.lose(table.bronze, topic, window.hour, found)
    return received, stream_state(table, window, clock, reader=reader, offsets=offsets)


def stream_state(
    table: Table,
    window: Window,
    clock: datetime,
    *,
    reader: OffsetReader,
    offsets: StreamOffsets,
) -> StreamState:
    """How a recorded hour stands.

    Args:
        table: The table's metadata.
        window: The hour.
        clock: The source's present, aware UTC.
        reader: The source.
        offsets: The recorded offsets.

    Raises:
        TransientFailure: the source cannot be reached.
    """
    topic = _positions(table)
    latest = offsets.latest_hour(table.bronze, topic) or window.hour
    ends: Sequence[OffsetRange] = offsets.of_hour(table.bronze, topic, latest)
    return StreamState(
        ranges=tuple(offsets.of_hour(table.bronze, topic, window.hour)),
        waiting=reader.waiting(ends),
        behind=max(clock - (latest + HOUR), timedelta(0)),
    )


def _positions(table: Table) -> str:
    assert table.row.positions is not None, "a load by positions"
    return table.row.positions
