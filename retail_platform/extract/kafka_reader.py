"""A topic as Bronze reads it: an hour is a range of offsets of each partition.

Which range is recorded, and what of a loss becomes known, is the load's to say
(`retail_platform.bronze.streams`).
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pyarrow as pa

from retail_platform.extract.event_rows import EVENT_META, EventRows
from retail_platform.extract.kafka_topic import KafkaTopic
from retail_platform.extract.nested import POSITION, Flattener
from retail_platform.extract.offsets import (
    OffsetRange,
    RecordedHours,
    Truncated,
    expired,
    planned_ranges,
)
from retail_platform.extract.reader import Expected
from retail_platform.extract.spool import Spool
from retail_platform.extract.window import HOUR, Window
from retail_platform.failures import PermanentFailure
from retail_platform.metadata.loader import Table


class KafkaReader:
    """One topic for one table; close it after use."""

    def __init__(self, topic: KafkaTopic) -> None:
        self.topic = topic
        self._spool = Spool()
        self._rows: EventRows | None = None

    def close(self) -> None:
        """Leaves the cluster, and drops what was not handed on."""
        self._spool.close()
        self.topic.close()

    def clock(self) -> datetime:
        """The source's present, aware UTC."""
        return self.topic.clock()

    def plan(
        self, table: Table, window: Window, recorded: RecordedHours, *, from_earliest: bool
    ) -> list[OffsetRange]:
        """The offsets of an hour, see `offsets.planned_ranges`.

        Raises:
            TransientFailure: the cluster does not answer.
            PermanentFailure: the topic ends before what was read of it, or is not there.
        """
        states = self.topic.states(window.hour, window.hour + HOUR)
        try:
            return planned_ranges(window.hour, states, recorded, from_earliest=from_earliest)
        except Truncated as cut:
            raise PermanentFailure(
                f"bronze.{table.bronze}: topic {self.topic.topic}, partition {cut.partition} was "
                f"read up to offset {cut.recorded} and now ends at {cut.high}: it was made anew or "
                "cut off. If that is right, begin anew with what it holds: "
                f"retail-platform reprocess {table.entity} --full --reason WHY"
            ) from cut

    def read_ranges(
        self, table: Table, ranges: Sequence[OffsetRange]
    ) -> tuple[pa.RecordBatchReader, list[OffsetRange]]:
        """The messages of these ranges as rows, and the ranges with what is lost of them.

        Everything is fetched before the first batch is handed on: only then are columns and losses
        known. Memory holds a few thousand messages, the disk the rest.

        Raises:
            TransientFailure: the cluster does not answer.
            PermanentFailure: a message is not what the metadata says.
        """
        lost = {}
        held = []
        for offsets in ranges:
            low, _ = self.topic.bounds(offsets.partition)
            lost[offsets.partition] = expired(offsets, low)
            held.append(replace(offsets, start=min(max(offsets.start, low), offsets.end)))
        rows = self._rows = event_rows(table)
        for messages in self.topic.messages(held):
            self._spool.add(rows.batch(messages, self.topic.arrived_at))
        for partition, more in self.topic.lost.items():
            lost[partition] += more
        found = [replace(offsets, lost=lost[offsets.partition]) for offsets in ranges]
        return self._spool.reader(rows.schema), found

    def waiting(self, ends: Sequence[OffsetRange]) -> int:
        """Offsets beyond the ends of these ranges: what is there and not yet read."""
        return sum(
            max(0, self.topic.bounds(offsets.partition)[1] - offsets.end) for offsets in ends
        )

    def read(self, table: Table, window: Window) -> pa.RecordBatchReader:
        """The messages that arrived in the hour, or before its end where the window is open."""
        ranges = self.plan(table, window, RecordedHours(), from_earliest=window.start is None)
        return self.read_ranges(table, ranges)[0]

    def expect(self, table: Table, window: Window) -> Expected:
        """What `read` of the same window would give, by arrival time alone."""
        from_earliest = window.initial and table.row.stream is not None
        ranges = self.plan(table, window, RecordedHours(), from_earliest=from_earliest)
        total = sum(offsets.end - offsets.start for offsets in ranges)
        return Expected(
            rows=None,
            text=f"up to {total:,} messages of {len(ranges)} partitions of {self.topic.topic}",
            columns=None,
        )

    def unknown_members(self) -> list[str]:
        """Members of the elements of the last read that no column takes."""
        return self._rows.unknown if self._rows else []

    def committed(self) -> None:
        """Nothing to remember: the offsets were recorded before they were read."""


def event_rows(table: Table) -> EventRows:
    """What turns the messages of a table into rows."""
    row = table.row
    assert row.stream is not None, "a stream"
    flattener = Flattener.of(table, also=[POSITION], without=EVENT_META.names)
    return EventRows(
        row.stream,
        [name for name in table.columns_in_source if name not in EVENT_META.names],
        place=f"bronze.{table.bronze}",
        tombstones="_tombstone" in row.columns,
        lists=row.lists,
        flattener=flattener if row.elements else None,
    )
