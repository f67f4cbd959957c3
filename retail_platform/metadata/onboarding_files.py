"""Describes the tables of a landing folder: hourly files that share a pattern are one table.

A pattern is found by putting the codes of ``strftime`` in the place of dates and hours in a path:
``refunds/2026-01-05/refunds_20260105T09.csv`` is ``refunds/%Y-%m-%d/refunds_%Y%m%dT%H``.
"""

import re
from collections import Counter
from itertools import islice
from pathlib import Path

from retail_platform.extract.files import META, FileSource
from retail_platform.failures import PermanentFailure
from retail_platform.metadata.onboarding_tables import (
    SAMPLE_ROWS,
    SourceColumn,
    SourceTable,
    platform_name,
)

_DATE = r"(?:19|20)\d\d{0}(?:0[1-9]|1[0-2]){0}(?:0[1-9]|[12]\d|3[01])"
_HOUR = r"(?:[01]\d|2[0-3])"
_CODES: tuple[tuple[str, str], ...] = (
    (rf"(?<!\d){_DATE.format('-')}(?=[T_ -]{_HOUR}(?!\d))", "%Y-%m-%d"),
    (rf"(?<!\d){_DATE.format('')}(?=[T_ -]?{_HOUR}(?!\d))", "%Y%m%d"),
    (rf"(?<!\d){_DATE.format('-')}(?!\d)", "%Y-%m-%d"),
    (rf"(?<!\d){_DATE.format('')}(?!\d)", "%Y%m%d"),
    (r"(?<!\d)(?:19|20)\d\d/(?:0[1-9]|1[0-2])/(?:0[1-9]|[12]\d|3[01])(?!\d)", "%Y/%m/%d"),
    (rf"(?<=[d]){_HOUR}b?(?=$)", "%H"),
    (rf"(?<=[T_ /-]){_HOUR}b?(?=$)", "%H"),
)
_MOST_FILES = 20_000


def describe_files(root: Path, source: str) -> list[SourceTable]:
    """The tables of a landing folder, each with a sample of its newest file.

    Raises:
        PermanentFailure: the folder does not exist or holds no hourly CSV file.
    """
    if not root.is_dir():
        raise PermanentFailure(
            f"source {source}: the landing folder {root} does not exist; check the variable that "
            "names it"
        )
    paths = sorted(islice(root.rglob("*.csv"), _MOST_FILES))
    newest: dict[str, Path] = {}
    for path in paths:
        pattern = hourly_pattern(path.relative_to(root).with_suffix("").as_posix())
        if pattern is not None:
            newest[pattern] = path
    if not newest:
        raise PermanentFailure(
            f"source {source}: none of {len(paths)} CSV files below {root} has a date and an hour "
            "in its path, such as refunds/2026-01-05/refunds_20260105T09.csv"
        )
    counts = Counter(_table_name(pattern) for pattern in newest)
    twice = [name for name, number in counts.items() if number > 1]
    if twice:
        raise PermanentFailure(
            f"source {source}: several patterns of files are called {', '.join(twice)}: "
            f"{', '.join(sorted(newest))}; write their rows by hand"
        )
    return [_described(root, pattern, path, source) for pattern, path in sorted(newest.items())]


def hourly_pattern(stem: str) -> str | None:
    """The ``strftime`` pattern of an hour's path without extension; None without date and hour."""
    for expression, code in _CODES:
        stem = re.sub(expression, code, stem)
    return stem if "%d" in stem and "%H" in stem and stem.count("%H") == 1 else None


def _table_name(pattern: str) -> str:
    parts = [
        platform_name(re.sub(r"%[YmdH]|(?<=d)T(?=%)", " ", part)) for part in pattern.split("/")
    ]
    named = [part for part in parts if part not in ("", "c", "t", "c_t")]
    return named[-1].removesuffix("_t") if named else "files"


def _described(root: Path, pattern: str, path: Path, source: str) -> SourceTable:
    name = _table_name(pattern)
    files = FileSource(root, pattern, "UTC", name=f"source {source}, table {name}")
    with files.read([path]) as stream:
        names = [column for column in stream.schema.names if column not in META.names]
        first = next(iter(stream), None)
    rows = first.slice(0, SAMPLE_ROWS).to_pylist() if first is not None else []
    return SourceTable(
        name=name,
        columns=tuple(SourceColumn(name=n, declared="text", physical=None) for n in names),
        sample=tuple(
            {column: row[column] for column in names} for row in rows if row["_parse_error"] is None
        ),
        path=pattern,
    )
