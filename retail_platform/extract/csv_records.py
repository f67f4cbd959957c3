"""One CSV file as records: every line ends up in a record, well-formed or with what is wrong.

Belongs here: bytes to fields. Not here: which files, which columns, which types (`files`, Silver).
"""

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_BOM = "\ufeff"


@dataclass(frozen=True)
class Record:
    """One record of a file.

    Attributes:
        line: Physical line (from 1) on which it begins.
        values: Its fields, as text.
        raw: Its text as it stands in the file, line ends included.
        error: What is wrong with its form; None when well-formed.
        ended: Whether its last line ends with a line break, which a truncated one does not.
    """

    line: int
    values: list[str]
    raw: str
    error: str | None
    ended: bool


def read_records(
    path: Path, *, delimiter: str, encoding: str, fallback: str | None
) -> Iterator[Record]:
    """The records of a file in order; blank lines are none.

    Quoted line breaks, CRLF and a byte order mark are understood. A line that is not in `encoding`
    is read as `fallback`. The number of fields is compared to that of the first record. A record
    over several lines that turns out ill-formed is most often one stray quote: its first line alone
    becomes the bad record, and reading goes on with its second line.
    """
    with path.open("rb") as file:
        lines = _Lines(file, encoding, fallback)
        width: int | None = None
        while lines.more():
            record = _next_record(lines, delimiter, width)
            if record.error is not None and lines.give_back_all_but_first():
                record = _alone(lines, record)
            if record.values or record.error is not None:
                width = len(record.values) if width is None else width
                yield record


class _Lines:
    """The decoded lines of a file, which can be given back after a record has swallowed them."""

    def __init__(self, file: BinaryIO, encoding: str, fallback: str | None) -> None:
        self._file = file
        self._encoding = encoding
        self._fallback = fallback
        self._waiting: deque[tuple[str, bool]] = deque()
        self._read_first = False
        self.taken: list[tuple[str, bool]] = []
        self.line = 1

    def more(self) -> bool:
        """Begin a record; False at the end of the file."""
        self.line += len(self.taken)
        self.taken = []
        if not self._waiting:
            self._waiting.extend(self._read())
        return bool(self._waiting)

    def give_back_all_but_first(self) -> bool:
        """Return the record's later lines, if it has any."""
        self._waiting.extendleft(reversed(self.taken[1:]))
        several = len(self.taken) > 1
        del self.taken[1:]
        return several

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if not self._waiting:
            self._waiting.extend(self._read())
        if not self._waiting:
            raise StopIteration
        self.taken.append(self._waiting.popleft())
        return self.taken[-1][0]

    def _read(self) -> list[tuple[str, bool]]:
        content = self._file.readline()
        if not content:
            return []
        text, decoded = self._decode(content)
        if not self._read_first:
            text = text.removeprefix(_BOM)
            self._read_first = True
        return [(text, decoded)]

    def _decode(self, content: bytes) -> tuple[str, bool]:
        for encoding in (self._encoding, self._fallback):
            if encoding is not None:
                try:
                    return content.decode(encoding), True
                except UnicodeDecodeError:
                    continue
        return content.decode(self._encoding, errors="backslashreplace"), False


def _next_record(lines: _Lines, delimiter: str, width: int | None) -> Record:
    error = None
    values: list[str] = []
    try:
        values = next(csv.reader(lines, delimiter=delimiter, strict=True), [])
    except csv.Error as malformed:
        error = str(malformed)
    raw = "".join(text for text, _ in lines.taken)
    ended = raw.endswith(("\n", "\r"))
    if error is None and not all(decoded for _, decoded in lines.taken):
        error = "bytes that are text in no declared encoding"
    if error is None and values and width is not None and len(values) != width:
        error = f"{len(values)} fields, expected {width}"
        if len(values) < width and not ended:
            error += " (the file breaks off here: truncated)"
    return Record(lines.line, values, raw, error, ended)


def _alone(lines: _Lines, record: Record) -> Record:
    raw = lines.taken[0][0]
    return Record(record.line, [], raw, f"{record.error}; the line alone is no record", True)
