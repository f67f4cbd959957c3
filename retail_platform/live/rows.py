"""Events of a live table as typed rows, or as refused rows with every reason.

Belongs here: what one batch of received rows becomes. Reading a topic is `extract`'s, merging is
`micro_batch`'s.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa

from retail_platform.extract.event_rows import EVENT_META
from retail_platform.extract.event_values import reader_of
from retail_platform.extract.offsets import OffsetRange
from retail_platform.metadata.live import LiveTable

Row = dict[str, Any]
Key = tuple[Any, ...]
_HASH_BYTES = 16


@dataclass
class Typed:
    """What the events of a micro-batch have become so far.

    Attributes:
        newest: The newest good event of each key, as a row of the table.
        refused: Rows of the quarantine by their hash.
        read: Number of events.
        duplicates: Events that a newer one of the same key has replaced, or that the cluster
            delivered twice.
        arrived: When the newest event arrived, aware UTC; None before the first one.
    """

    newest: dict[Key, Row] = field(default_factory=dict)
    refused: dict[str, Row] = field(default_factory=dict)
    read: int = 0
    duplicates: int = 0
    arrived: datetime | None = None


class LiveRows:
    """Types the events of one live table.

    Args:
        table: Its metadata.
        run_id: Run that refused rows name.
    """

    def __init__(self, table: LiveTable, *, run_id: str) -> None:
        self.table = table
        self.run_id = run_id
        self._readers = {
            column.name: reader_of(column.physicalType, table.connection.timezone)
            for column in table.contract.columns
        }
        self._types = {column.name: column.physicalType for column in table.contract.columns}

    def take(self, batch: pa.RecordBatch, typed: Typed) -> None:
        """Adds the rows of a batch, as `extract.event_rows` gives them."""
        for received in batch.to_pylist():
            typed.read += 1
            arrived = received["_arrived_at"]
            typed.arrived = max(typed.arrived or arrived, arrived)
            row, reasons = self._row(received)
            if reasons:
                refused = self._refused(received, reasons)
                typed.duplicates += refused["row_hash"] in typed.refused
                typed.refused[refused["row_hash"]] = refused
                continue
            key = tuple(row[name] for name in self.table.row.key)
            stored = typed.newest.get(key)
            typed.duplicates += stored is not None
            if stored is None or self.sequence(row) > self.sequence(stored):
                typed.newest[key] = row

    def sequence(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """What orders the events of a key: the event's own sequence, then its place."""
        return row[self.table.row.sequence], row["_partition"], row["_offset"]

    def _row(self, received: Row) -> tuple[Row, list[str]]:
        """The typed row, and why it is refused; no reason where it is good."""
        if received["_parse_error"] is not None:
            return {}, [received["_parse_error"]]
        row: Row = {name: received[name] for name in ("_partition", "_offset", "_arrived_at")}
        reasons: list[str] = []
        for member, name in self.table.members.items():
            value = received.get(member)
            if isinstance(value, str):
                try:
                    value = self._readers[name](value.strip())
                except ValueError:
                    reasons.append(f"{name}: cannot read {value} as {self._types[name]}")
                    continue
            row[name] = value
        missing = [
            f"{column.name} is missing"
            for column in self.table.contract.columns
            if column.required and column.name in row and row[column.name] is None
        ]
        return row, [*reasons, *missing]

    def incident(self, offsets: OffsetRange, reasons: list[str], *, at: datetime) -> Row:
        """A row of the quarantine for what happened to a partition, and not to one of its events.

        It stays open until a person settles it: a minute later nothing else would tell.

        Args:
            offsets: What was read of the partition afterwards.
            reasons: What happened, and what to do.
            at: The source's present, aware UTC.
        """
        topic = self.table.row.topic
        place = f"topic {topic}, partition {offsets.partition}, up to offset {offsets.end}"
        told = {"_topic": topic, "_partition": offsets.partition, "lost_offsets": offsets.lost}
        return self._quarantined(place, at, told, reasons)

    def _refused(self, received: Row, reasons: list[str]) -> Row:
        place = (
            f"topic {received['_topic']}, partition {received['_partition']}, offset "
            f"{received['_offset']}"
        )
        members = {
            name: value
            for name, value in received.items()
            if name not in EVENT_META.names and value is not None
        }
        # The event's own time, not the read's: read again it is the same row.
        return self._quarantined(
            place, received["_arrived_at"], {**members, "_raw": received["_raw"]}, reasons
        )

    def _quarantined(
        self, place: str, at: datetime, payload: Mapping[str, object], reasons: list[str]
    ) -> Row:
        return {
            "row_hash": hashlib.blake2b(place.encode(), digest_size=_HASH_BYTES).hexdigest(),
            "hour": at.replace(minute=0, second=0, microsecond=0),
            "reasons": "; ".join(reasons),
            "payload": json.dumps(payload, ensure_ascii=False),
            "place": place,
            "contract_version": self.table.contract.version,
            "first_seen": at,
            "last_seen": at,
            "run_id": self.run_id,
            "reason_list": json.dumps(reasons, ensure_ascii=False),
            "accepted_run": None,
        }
