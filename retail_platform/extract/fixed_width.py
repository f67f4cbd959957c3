"""Fixed-width text as records: fields by their positions in a line.

Not here: lines and encodings (`text_lines`), the end of a file (`records`).
"""

from collections.abc import Iterator
from pathlib import Path

from retail_platform.extract.records import Record, read_records
from retail_platform.extract.text_lines import Lines
from retail_platform.metadata.file_formats import FixedWidthFormat


def read_fixed_width(path: Path, form: FixedWidthFormat) -> Iterator[Record]:
    """The records of a file in order; values keep their padding.

    A line that is shorter than the last field needs, or has text behind it, is bad.
    """
    width = max(field.end for field in form.fields)

    def parse(lines: Lines) -> Record:
        raw = next(lines)
        text = raw.rstrip("\r\n")
        error = lines.taken[0].fault
        if error is None and len(text) < width and form.short_lines == "refuse":
            error = f"{len(text)} characters, expected {width}"
        if error is None and text[width:].strip():
            error = f"text after character {width}, where the last field ends"
        values: list[str | None] = [
            text[field.start - 1 : field.end] or None for field in form.fields
        ]
        return Record(lines.line, values, raw, error, raw.endswith("\n"))

    return read_records(path, form, parse, header=False)
