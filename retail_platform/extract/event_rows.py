"""Messages as rows: the members of a JSON object as columns of text, beside where they came from.

What cannot be read as such an object is kept as it came, with the reason: one poisoned message
stops no other. Not here: the topic (`kafka_topic`), elements of lists (`nested`), types (Silver).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import pyarrow as pa

from retail_platform.extract.json_lines import object_members, record_of
from retail_platform.extract.nested import Flattener
from retail_platform.failures import PermanentFailure
from retail_platform.metadata.streams import Stream

EVENT_META = pa.schema(
    [
        ("_topic", pa.string()),
        ("_partition", pa.int32()),
        ("_offset", pa.int64()),
        ("_key", pa.string()),
        ("_arrived_at", pa.timestamp("us", "UTC")),
        ("_tombstone", pa.bool_()),
        ("_raw", pa.string()),
        ("_parse_error", pa.string()),
    ]
)
"""What every row has beside the members of its event, see `metadata.streams.Stream`."""
MOST_COLUMNS = 1_000
_RESERVED = frozenset([*EVENT_META.names, "_hour", "_extracted_at", "_row_hash", "_source_clock"])
_UNUSABLE = re.compile(r"[\s,;{}()=`.\"'\\/]")
_SHOWN = 40
_TOMBSTONE = "no payload: a tombstone, which the table does not take (columns: {_tombstone: ...})"


class ReceivedMessage(Protocol):
    """What is used of a client's message."""

    def topic(self) -> str | None: ...  # noqa: D102 - the client's own words
    def partition(self) -> int | None: ...  # noqa: D102
    def offset(self) -> int | None: ...  # noqa: D102
    def key(self) -> Any: ...  # noqa: ANN401, D102
    def value(self) -> Any: ...  # noqa: ANN401, D102


@dataclass(frozen=True, slots=True)
class _Row:
    message: ReceivedMessage
    raw: str | None
    members: Mapping[str, str | None]
    error: str | None


class EventRows:
    """Turns the messages of one table into batches, and remembers which columns they needed.

    Args:
        stream: The table's stream.
        declared: Members that the contract knows, as the source spells them.
        place: Source and table, for messages.
        tombstones: Whether a key without a payload is a row as good as any.
        lists: Members that are tables of their own.
        flattener: What makes rows of the elements of a list; None: each event is a row.
    """

    def __init__(
        self,
        stream: Stream,
        declared: Sequence[str],
        *,
        place: str,
        tombstones: bool = False,
        lists: Sequence[str] = (),
        flattener: Flattener | None = None,
    ) -> None:
        self.stream = stream
        self.tombstones = tombstones
        self.place = place
        self._lists = frozenset(lists)
        self._flattener = flattener
        # Columns of the lake are equal where they differ in case only; so are members.
        names = flattener.columns if flattener else map(column_name, declared)
        self._names = {name.lower(): name for name in names}

    @property
    def schema(self) -> pa.Schema:
        """The columns of all batches so far: those of the contract, and what was met."""
        members = [pa.field(name, pa.string()) for name in self._names.values()]
        return pa.schema([*members, *EVENT_META])

    @property
    def unknown(self) -> list[str]:
        """Members of the elements so far that no column takes; events have a column for each."""
        return self._flattener.unknown if self._flattener else []

    def batch(
        self,
        messages: Sequence[ReceivedMessage],
        arrived_at: Callable[[Any], datetime],
    ) -> pa.RecordBatch:
        """The rows of some messages, with the columns that they need.

        Args:
            messages: Messages, no events of the client.
            arrived_at: Tells when a message arrived.

        Raises:
            PermanentFailure: the table's messages have more different members than a table can
                have columns.
        """
        rows = [row for message in messages for row in self._rows(message)]
        used = {name for row in rows for name in row.members}
        columns = {
            name: pa.array([row.members.get(name) for row in rows], pa.string())
            for name in self._names.values()
            if name in used
        }
        meta = {
            "_topic": [row.message.topic() for row in rows],
            "_partition": [row.message.partition() for row in rows],
            "_offset": [row.message.offset() for row in rows],
            "_key": [_text_or_hex(row.message.key()) for row in rows],
            "_arrived_at": [arrived_at(row.message) for row in rows],
            "_tombstone": [row.message.value() is None for row in rows],
            "_raw": [row.raw for row in rows],
            "_parse_error": [row.error for row in rows],
        }
        columns |= {f.name: pa.array(meta[f.name], f.type) for f in EVENT_META}
        return pa.RecordBatch.from_pydict(columns)

    def _rows(self, message: ReceivedMessage) -> list[_Row]:
        value = message.value()
        if value is None:
            return [_Row(message, None, {}, None if self.tombstones else _TOMBSTONE)]
        text, error = _decoded(value)
        if text is None:
            return [_Row(message, _text_or_hex(value), {}, error)]
        text = text.removeprefix("\ufeff")
        if self._flattener is None:
            return [self._row(message, text, *object_members(text))]
        record, error = record_of(text)
        if error is not None:
            return [_Row(message, text, {}, error)]
        return [_Row(message, None, row, None) for row in self._flattener.rows(record)]

    def _row(
        self,
        message: ReceivedMessage,
        raw: str,
        members: dict[str, str | None],
        error: str | None,
    ) -> _Row:
        found: dict[str, str | None] = {}
        for member, value in members.items():
            name = self._column(member)
            if name is None:
                continue
            if name in found:
                twice = f"members that differ in case or signs only: {member}"
                return _Row(message, raw, {}, error or twice)
            found[name] = value
        return _Row(message, raw, found, error)

    def _column(self, member: str) -> str | None:
        """The column of a member; None where it stays in ``_raw`` only."""
        if member in self._lists:
            return None
        name = column_name(member)
        lower = name.lower()
        if lower in _RESERVED:
            return None
        known = self._names.get(lower)
        if known is None and self.stream.columns == "observed":
            if len(self._names) >= MOST_COLUMNS:
                raise PermanentFailure(
                    f"{self.place}: the messages of topic {self.stream.topic} have more than "
                    f"{MOST_COLUMNS} different members, the newest is {member[:_SHOWN]!r}: names "
                    "that are data. Set stream: {columns: declared}, which keeps what the contract "
                    "does not know in _raw."
                )
            known = self._names[lower] = name
        return known


def column_name(member: str) -> str:
    """The column of a member: signs that a column's name cannot have become underscores."""
    return _UNUSABLE.sub("_", member) or "_"


def _decoded(value: bytes) -> tuple[str | None, str | None]:
    try:
        return value.decode("utf-8"), None
    except UnicodeDecodeError as error:
        framed = value[:1] == b"\x00"
        hint = "; Avro or Protobuf of a schema registry is not read" if framed else ""
        return None, f"not UTF-8: {error.reason} at byte {error.start + 1}{hint}"


def _text_or_hex(value: bytes | str | None) -> str | None:
    """Text where it is some, otherwise its bytes as ``0x`` and hexadecimal digits."""
    if value is None or isinstance(value, str):
        return value
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return f"0x{value.hex()}"
