"""Files of lines as batches of text columns, whatever the form of their records.

Not here: the forms (`csv_records`, `fixed_width`, `json_lines`), which columns a table expects
(`files`).
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import pyarrow as pa

from retail_platform.extract.csv_records import read_delimited
from retail_platform.extract.fitting import LINE_META
from retail_platform.extract.fixed_width import read_fixed_width
from retail_platform.extract.json_lines import member_names, read_json_lines, read_nested_lines
from retail_platform.extract.nested import Flattener
from retail_platform.extract.records import INCOMPLETE, Record
from retail_platform.metadata.file_formats import (
    RESERVED_COLUMNS,
    DelimitedFormat,
    FixedWidthFormat,
    JsonLinesFormat,
)

TextFormat = DelimitedFormat | FixedWidthFormat | JsonLinesFormat


class HeaderFault(ValueError):
    """A header that cannot be used; the text says where and why."""


def column_names(path: Path, form: TextFormat) -> list[str] | None:
    """Names of a file's columns; None for a file that does not even have a header.

    Raises:
        HeaderFault: the header is no record, or names a column twice or as the platform does.
    """
    if isinstance(form, FixedWidthFormat):
        return [field.name for field in form.fields]
    if isinstance(form, JsonLinesFormat):
        return _usable(member_names(path, form), 1)
    if not form.header:
        return list(form.names)
    first = next(read_delimited(path, form), None)
    cut = first is not None and first.error is not None and first.error.startswith(INCOMPLETE)
    if first is None or (cut and not first.values):
        return None
    if first.error is not None and not cut:
        raise HeaderFault(f"line {first.line}: the header cannot be used ({first.error})")
    return _usable(
        [name or f"column_{place}" for place, name in enumerate(first.values, start=1)], first.line
    )


def text_batches(
    path: Path,
    form: TextFormat,
    names: Sequence[str],
    rows: int,
    flattener: Flattener | None = None,
) -> Iterator[pa.RecordBatch]:
    """The file's batches of at most ``rows`` rows, every column of ``names`` as text.

    Args:
        path: The file.
        form: Its format.
        names: Its columns.
        rows: The largest batch.
        flattener: What becomes of nested records; its columns are ``names`` then.
    """
    records = iter(_records(path, form, names, flattener))
    while part := list(islice(records, rows)):
        yield _batch(part, names)


def _records(
    path: Path, form: TextFormat, names: Sequence[str], flattener: Flattener | None
) -> Iterable[Record]:
    if isinstance(form, FixedWidthFormat):
        return read_fixed_width(path, form)
    if isinstance(form, JsonLinesFormat):
        if flattener is not None:
            return read_nested_lines(path, form, flattener)
        return read_json_lines(path, form, names)
    return _after_header(read_delimited(path, form), form)


def _after_header(records: Iterator[Record], form: DelimitedFormat) -> Iterator[Record]:
    if not form.header:
        return records
    first = next(records, None)
    if first is None or first.error is None:
        return records
    # It is no header, or a cut one: what is wrong is kept as a record.
    cut = Record(first.line, [], first.raw, first.error, first.ended)
    return chain([cut], records)


def _batch(records: Sequence[Record], names: Sequence[str]) -> pa.RecordBatch:
    columns = [
        pa.array([_value(record.values, place) for record in records], pa.string())
        for place in range(len(names))
    ]
    meta = [
        pa.array([record.line for record in records], pa.int64()),
        pa.array([record.error for record in records], pa.string()),
        pa.array([None if r.error is None else r.raw for r in records], pa.string()),
    ]
    fields = [pa.field(name, pa.string()) for name in names]
    return pa.RecordBatch.from_arrays([*columns, *meta], schema=pa.schema([*fields, *LINE_META]))


def _value(values: Sequence[str | None], place: int) -> str | None:
    return values[place] if place < len(values) else None


def _usable(names: list[str], line: int) -> list[str]:
    unusable = {name for name in names if names.count(name) > 1 or name in RESERVED_COLUMNS}
    if unusable:
        raise HeaderFault(
            f"line {line}: the header cannot be used "
            f"(columns {', '.join(sorted(unusable))} twice or reserved)"
        )
    return names
