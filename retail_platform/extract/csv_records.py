"""Delimited text as records: every line ends up in a record, well-formed or with what is wrong.

Belongs here: fields, quotes and delimiters. Not here: lines and encodings (`text_lines`), the end
of a file (`records`), which columns and types (`files`, Silver). Python's own parser is used
because it says where a line is bad and goes on; those that fill Arrow arrays refuse the file.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from retail_platform.extract.records import Record, read_records
from retail_platform.extract.text_lines import Lines
from retail_platform.metadata.file_formats import DelimitedFormat


def read_delimited(path: Path, form: DelimitedFormat) -> Iterator[Record]:
    """The records of a file in order, the header line as the first one where there is one.

    Quoted line breaks and CRLF are understood. The number of fields is compared to that of the
    first record or of the declared names. A record over several lines that turns out ill-formed is
    most often one stray quote: its first line alone becomes the bad record, and reading goes on
    with its second line.
    """
    return read_records(path, form, _Parser(form), header=form.header)


class _Parser:
    def __init__(self, form: DelimitedFormat) -> None:
        self.width = len(form.names) or None
        self.dialect: dict[str, Any] = {
            "delimiter": form.delimiter,
            "quotechar": form.quote,
            "quoting": csv.QUOTE_MINIMAL if form.quote else csv.QUOTE_NONE,
            "escapechar": form.escape,
            "strict": True,
        }

    def __call__(self, lines: Lines) -> Record:
        record = self._next(lines)
        if record.error is not None and lines.give_back_all_but_first():
            error = f"{record.error}; the line alone is no record"
            return Record(record.line, [], lines.taken[0].text, error, ended=True)
        if self.width is None and (record.values or record.error is not None):
            self.width = len(record.values)
        return record

    def _next(self, lines: Lines) -> Record:
        error = None
        values: list[str | None] = []
        try:
            values.extend(next(csv.reader(lines, **self.dialect), []))
        except csv.Error as malformed:
            error = str(malformed)
        raw = "".join(line.text for line in lines.taken)
        ended = raw.endswith(("\n", "\r"))
        if error is None:
            error = next((line.fault for line in lines.taken if line.fault), None)
        if error is None and values and self.width is not None and len(values) != self.width:
            error = f"{len(values)} fields, expected {self.width}"
            if len(values) < self.width and not ended:
                error += " (the file breaks off here: truncated)"
        return Record(lines.line, values, raw, error, ended)
