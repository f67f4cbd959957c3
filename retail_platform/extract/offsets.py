"""Which offsets of a topic belong to an hour: pure arithmetic over what broker and records say.

Hours must part a topic without gap and overlap, whatever the order in which they are loaded and
however clocks differ. So an hour begins where the recorded hour before it ended, and only where
there is none does arrival time alone decide. Not here: asking brokers (`kafka_topic`), recording
(`retail_platform.control.offsets`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from retail_platform.extract.window import HOUR

OFFSETS_COMPLETE = "offsets_complete"
CONSUMER_LAG = "consumer_lag"
"""Checks of every table that is read by offsets, by the hour or beside it."""


@dataclass(frozen=True, kw_only=True)
class OffsetRange:
    """The offsets ``[start, end)`` of one partition that belong to an hour.

    Attributes:
        partition: Its number.
        start: First offset.
        end: The offset after the last one.
        lost: How many of them were gone from the broker when the hour was read.
    """

    partition: int
    start: int
    end: int
    lost: int = 0


@dataclass(frozen=True, kw_only=True)
class PartitionState:
    """What a broker says of one partition.

    Attributes:
        low: The oldest offset that it still holds.
        high: The offset after the newest one that readers may see.
        first_of_hour: The first offset that arrived at or after the start of the hour; None where
            nothing did.
        first_after: The same for the end of the hour.
    """

    low: int
    high: int
    first_of_hour: int | None
    first_after: int | None


@dataclass(frozen=True, kw_only=True)
class RecordedHours:
    """The recorded hours next to the one that is planned.

    Attributes:
        before: The latest recorded hour before it; None where there is none.
        ends: Ends of that hour by partition.
        after: The earliest recorded hour after it; None where there is none.
        starts: Starts of that hour by partition.
    """

    before: datetime | None = None
    ends: Mapping[int, int] = field(default_factory=dict)
    after: datetime | None = None
    starts: Mapping[int, int] = field(default_factory=dict)


class Truncated(Exception):
    """A partition ends before an offset up to which it was read.

    Attributes:
        partition: Its number.
        recorded: The offset up to which it was read.
        high: Where it ends now.
    """

    def __init__(self, *, partition: int, recorded: int, high: int) -> None:
        """Keep the numbers."""
        super().__init__(f"partition {partition} ends at {high}, before {recorded}")
        self.partition = partition
        self.recorded = recorded
        self.high = high


class Expired(Exception):
    """Positions of an hour that the source does not keep any more, found before the hour is read.

    Attributes:
        range: The hour's positions.
        lost: How many of them are gone.
    """

    def __init__(self, range_: OffsetRange, *, lost: int) -> None:
        """Keep the numbers."""
        super().__init__(f"{lost} of the positions {range_.start} to {range_.end} are gone")
        self.range = range_
        self.lost = lost


def planned_ranges(
    hour: datetime,
    states: Mapping[int, PartitionState],
    recorded: RecordedHours,
    *,
    from_earliest: bool,
) -> list[OffsetRange]:
    """The ranges of an hour, by partition.

    Args:
        hour: Its start, aware UTC.
        states: What the broker says, by partition.
        recorded: What is recorded of the hours around it.
        from_earliest: Whether everything that the broker holds up to its end belongs to it.

    Raises:
        Truncated: a partition ends before the recorded end of the hour before.
    """
    return [
        _planned(hour, partition, state, recorded, from_earliest=from_earliest)
        for partition, state in sorted(states.items())
    ]


def _planned(
    hour: datetime,
    partition: int,
    state: PartitionState,
    recorded: RecordedHours,
    *,
    from_earliest: bool,
) -> OffsetRange:
    end = state.high if state.first_after is None else state.first_after
    if from_earliest:
        return OffsetRange(partition=partition, start=min(state.low, end), end=end)
    start = _start(hour, partition, state, recorded)
    if partition in recorded.starts:
        next_start = recorded.starts[partition]
        # Beside a recorded hour there is no room for a message that neither of the two reads.
        end = next_start if recorded.after == hour + HOUR else min(end, next_start)
        start = min(start, next_start)
    return OffsetRange(partition=partition, start=start, end=max(start, end))


def _start(hour: datetime, partition: int, state: PartitionState, recorded: RecordedHours) -> int:
    by_time = state.high if state.first_of_hour is None else state.first_of_hour
    if recorded.before is None:
        return by_time
    if partition not in recorded.ends:
        # Added to the topic since: no hour has read any of it.
        return state.low
    end_before = recorded.ends[partition]
    if state.high < end_before:
        raise Truncated(partition=partition, recorded=end_before, high=state.high)
    if recorded.before == hour - HOUR or by_time <= state.low:
        # In the second case nothing older than the hour is left: what is missing since the last
        # recorded hour is missing here.
        return end_before
    return max(end_before, by_time)


def expired(offsets: OffsetRange, low: int) -> int:
    """How many offsets of a range lie before the oldest one that the broker still holds.

    Offsets without a message (compacted ones, markers of transactions) inside of what it holds are
    no losses; of those before it nobody can tell any more, so they count.
    """
    return max(0, min(low, offsets.end) - offsets.start)


def total_lost(ranges: Sequence[OffsetRange]) -> int:
    """Lost offsets of all partitions."""
    return sum(offsets.lost for offsets in ranges)
