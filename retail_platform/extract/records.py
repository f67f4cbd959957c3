"""The records of a file of lines, whatever their form: head, comments, trailer, and its end.

Belongs here: which lines are records, and how a whole file is told from one that breaks off. Not
here: what is in a record (`csv_records`, `fixed_width`, `json_lines`).
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from retail_platform.extract.text_lines import Lines
from retail_platform.metadata.file_formats import LineFormat

INCOMPLETE = "incomplete file"
"""With these words begins what is wrong with the record where a file breaks off."""


class Record(NamedTuple):
    """One record of a file.

    Attributes:
        line: Physical line (from 1) on which it begins.
        values: Its fields, as text; None is NULL.
        raw: Its text as it stands in the file, line ends included.
        error: What is wrong with its form; None when well-formed.
        ended: Whether its last line ends with a line break, which a truncated one does not.
    """

    line: int
    values: list[str | None]
    raw: str
    error: str | None
    ended: bool

    def refused(self, error: str) -> "Record":
        """The same record, with what is wrong with it."""
        return Record(self.line, self.values, self.raw, error, self.ended)


Parser = Callable[[Lines], Record]
"""Reads the record that begins at the next line."""


def read_records(path: Path, form: LineFormat, parse: Parser, *, header: bool) -> Iterator[Record]:
    """The records of a file in order; blank lines, head, comments and trailer are none.

    Where the format declares a trailer or a final line break and the file breaks off, a record says
    so: the one that is cut, or one without values after the last line.

    Args:
        path: The file.
        form: Its format.
        parse: Form of one record.
        header: Whether the first record names the columns and does not count.
    """
    pattern = re.compile(form.trailer.pattern) if form.trailer else None
    with path.open("rb") as file:
        lines = Lines(file, form)
        trailer: Record | None = None
        expected: str | None = None
        records = -1 if header else 0
        for _ in range(form.skip):
            if lines.more():
                next(lines)
        while lines.more():
            first = lines.peek().text
            if not first.strip("\r\n") or (form.comment and first.startswith(form.comment)):
                next(lines)
                continue
            if trailer is not None:
                yield trailer.refused("a trailer before the end of the file")
                trailer = None
            if pattern and (found := pattern.fullmatch(first.rstrip("\r\n"))):
                trailer = Record(lines.line, [], next(lines), None, ended=True)
                expected = found.groupdict().get("count")
                continue
            record = parse(lines)
            if record.values or record.error is not None:
                records += 1
                yield _with_end(record, form)
        yield from _end(lines.line, form, trailer, expected, records)


def _with_end(record: Record, form: LineFormat) -> Record:
    if record.ended or not form.declares_end:
        return record
    cut = f"{INCOMPLETE}: it breaks off in this record"
    return record.refused(f"{record.error}; {cut}" if record.error else cut)


def _end(
    line: int, form: LineFormat, trailer: Record | None, expected: str | None, records: int
) -> Iterator[Record]:
    if form.trailer is None:
        if form.final_newline and records < 0:
            yield Record(line, [], "", f"{INCOMPLETE}: it has no header line", ended=True)
    elif trailer is None:
        error = f"{INCOMPLETE}: its last line is no trailer ({form.trailer.pattern})"
        yield Record(line, [], "", error, ended=True)
    elif expected is not None and int(expected) != max(records, 0):
        error = f"{INCOMPLETE}: its trailer says {int(expected)} records, found {max(records, 0)}"
        yield trailer.refused(error)
