"""One micro-batch: what a consumer group has not read yet is merged into its table, exactly once.

The steps in order, so that a killed process may be repeated: quarantine, merge, offsets, and last
the ledger, which had opened a row before the first message was read (`record`). The group keeps an
offset only after what lies before it is in the lake, so a message may be read twice and never be
left out; read twice it changes nothing, because a row is replaced only by an event that comes after
its own. No engine is started.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from retail_platform.extract.event_rows import EventRows
from retail_platform.extract.kafka_group import GroupOffsets
from retail_platform.extract.kafka_topic import KafkaTopic
from retail_platform.extract.offsets import OffsetRange, expired, total_lost
from retail_platform.lakehouse.merges import Matched, Merge
from retail_platform.lakehouse.places import Layer, table_location
from retail_platform.lakehouse.storing import ensure_table, merge_rows
from retail_platform.live.record import MicroBatchRecord, recorded
from retail_platform.live.rows import LiveRows, Row, Typed
from retail_platform.metadata.live import LiveTable
from retail_platform.quality.quarantine_table import QUARANTINE_SCHEMA, REFUSED

if TYPE_CHECKING:
    # Minutes in which nothing came do without the control database and its client.
    from retail_platform.control.ledger import Ledger

PROPERTIES = {"delta.logRetentionDuration": "interval 7 days"}
"""A commit a minute would fill the log with the 43,000 files that Delta keeps by default."""


@dataclass(frozen=True, kw_only=True)
class MicroBatch:
    """What one micro-batch did.

    Attributes:
        ranges: The offsets that it read, by partition, with what was lost of each.
        restarted: Partitions that end before the offset up to which they had been read: made anew,
            and read from their beginning.
        read: Events read: quarantined, duplicates, stale and applied together.
        quarantined: Events that cannot be read, or lack what the contract requires.
        duplicates: Events that a newer one of the same micro-batch has replaced, or that came
            twice in it.
        stale: Events that come before the stored one of their key, or are that very one.
        applied: Rows inserted or replaced.
        waiting: Offsets after those that it read.
        behind: How far the newest event lies behind the source's clock while others wait.
        arrived: When the newest event arrived, aware UTC; None where there was none.
    """

    ranges: tuple[OffsetRange, ...]
    restarted: tuple[int, ...]
    read: int
    quarantined: int
    duplicates: int
    stale: int
    applied: int
    waiting: int
    behind: timedelta
    arrived: datetime | None

    @property
    def lost(self) -> int:
        """Offsets that were gone before they were read."""
        return total_lost(self.ranges)


class MicroBatchLoader:
    """Loads micro-batches of one live table.

    Args:
        table: Its metadata.
        topic: Its topic, opened as its consumer group.
        lake_url: Root of the lake.
        open_ledger: Gives the load ledger, where there is something to write into it.
        run_id: Run that refused rows and the ledger name.
    """

    def __init__(
        self,
        *,
        table: LiveTable,
        topic: KafkaTopic,
        lake_url: str,
        open_ledger: Callable[[], "Ledger"],
        run_id: str,
    ) -> None:
        self.table = table
        self.topic = topic
        self.group = GroupOffsets(topic.client)
        self.lake_url = lake_url
        self.rows = LiveRows(table, run_id=run_id)
        self.open_ledger = open_ledger
        self.run_id = run_id

    def load(self) -> MicroBatch:
        """Reads what waits, at most as much as the metadata allows, and merges it.

        Raises:
            TransientFailure: the cluster does not answer, or other writers came first; what was
                read is read again by the next micro-batch, and changes nothing twice.
            PermanentFailure: the cluster refuses, the stored table has other types, or the counts
                do not balance.
        """
        record = MicroBatchRecord(
            self.table,
            location=self._location("silver"),
            open_ledger=self.open_ledger,
            run_id=self.run_id,
        )
        with recorded(record):
            return self._load(record)

    def _load(self, record: MicroBatchRecord) -> MicroBatch:
        self._ensure()
        partitions = self.topic.client.partitions(self.table.row.topic)
        committed = self.group.committed(partitions)
        planned, restarted = self._planned(partitions, committed)
        if restarted or any(r.lost or r.end > r.start for r in planned):
            record.begin()
        typed = self._read(planned)
        ranges = tuple(
            replace(r, lost=r.lost + self.topic.lost.get(r.partition, 0)) for r in planned
        )
        incidents = self._incidents(ranges, restarted)
        refused = [*typed.refused.values(), *incidents]
        self._merge("quarantine", QUARANTINE_SCHEMA, REFUSED, refused)
        newest = list(typed.newest.values())
        applied = self._merge("silver", self.table.schema, self._newer(), newest)
        record.merged(typed, applied=applied)
        ends = {r.partition: r.end for r in ranges if committed.get(r.partition) != r.end}
        if ends:
            self.group.commit(ends)
        waiting = sum(max(0, self.topic.bounds(r.partition)[1] - r.end) for r in ranges)
        batch = MicroBatch(
            ranges=ranges,
            restarted=restarted,
            read=typed.read,
            quarantined=len(typed.refused),
            duplicates=typed.duplicates,
            stale=len(newest) - applied,
            applied=applied,
            waiting=waiting,
            behind=self._behind(typed) if waiting else timedelta(0),
            arrived=typed.arrived,
        )
        record.succeed("; ".join(f"{row['place']}: {row['reasons']}" for row in incidents) or None)
        return batch

    def _planned(
        self, partitions: Sequence[int], committed: dict[int, int]
    ) -> tuple[list[OffsetRange], tuple[int, ...]]:
        """The offsets to read, from where the group stands, and what is lost of them already.

        A group that is new begins with what the topic still holds.
        """
        planned: list[OffsetRange] = []
        restarted: list[int] = []
        for partition in partitions:
            low, high = self.topic.bounds(partition)
            start = committed.get(partition, low)
            if start > high:
                restarted.append(partition)
                start = low
            lost = expired(OffsetRange(partition=partition, start=start, end=high), low)
            begin = max(start, low)
            end = min(high, begin + self.table.row.most_messages)
            planned.append(OffsetRange(partition=partition, start=begin, end=end, lost=lost))
        return planned, tuple(restarted)

    def _incidents(self, ranges: Sequence[OffsetRange], restarted: Sequence[int]) -> list[Row]:
        rows: list[Row] = []
        for offsets in ranges:
            reasons: list[str] = []
            if offsets.partition in restarted:
                reasons.append(
                    "the partition ended before the offset up to which it had been read: it was "
                    "made anew, and is read from its beginning"
                )
            if offsets.lost:
                reasons.append(
                    f"{offsets.lost} offsets had expired before they were read: ask the producer "
                    "for their events"
                )
            if reasons:
                rows.append(self.rows.incident(offsets, reasons, at=self.topic.clock()))
        return rows

    def _read(self, planned: Sequence[OffsetRange]) -> Typed:
        events = EventRows(
            self.table.row.stream,
            [name for name in self.table.members if not name.startswith("_")],
            place=f"silver.{self.table.entity}",
        )
        typed = Typed()
        for messages in self.topic.messages(planned):
            self.rows.take(events.batch(messages, self.topic.arrived_at), typed)
        return typed

    def _ensure(self) -> None:
        for layer, schema in self._schemas().items():
            ensure_table(
                self._location(layer),
                schema,
                table=f"{layer}.{self.table.entity}",
                configuration=PROPERTIES,
            )

    def _schemas(self) -> dict[Layer, pa.Schema]:
        return {"silver": self.table.schema, "quarantine": QUARANTINE_SCHEMA}

    def _merge(self, layer: Layer, schema: pa.Schema, merge: Merge, rows: Sequence[Row]) -> int:
        """Merges rows; returns how many were inserted or replaced."""
        if not rows:
            # Most minutes: Arrow's way from Python values would load pandas, more than a second.
            return 0
        metrics = merge_rows(
            self._location(layer),
            merge,
            pa.Table.from_pylist(list(rows), schema=schema),
            table=f"{layer}.{self.table.entity}",
        )
        return int(metrics.get("num_target_rows_inserted", 0)) + int(
            metrics.get("num_target_rows_updated", 0)
        )

    def _newer(self) -> Merge:
        """Replaces a row by an event that comes after its own, and adds the rows of new keys."""
        sequence = self.table.row.sequence
        newer = (
            f"s.`{sequence}` > t.`{sequence}` OR (s.`{sequence}` = t.`{sequence}` AND "
            "(s.`_partition` > t.`_partition` OR "
            "(s.`_partition` = t.`_partition` AND s.`_offset` > t.`_offset`)))"
        )
        names = self.table.schema.names
        return Merge(
            on=self.table.row.key, matched=[Matched.replaced(names, when=newer)], insert=names
        )

    def _behind(self, typed: Typed) -> timedelta:
        if typed.arrived is None:
            return timedelta(0)
        return max(self.topic.clock() - typed.arrived, timedelta(0))

    def _location(self, layer: Layer) -> str:
        return table_location(self.lake_url, layer, self.table.entity)
