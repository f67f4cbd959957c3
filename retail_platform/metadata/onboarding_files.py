"""Describes the tables of a landing folder: hourly files that share a pattern are one table.

A pattern is found by putting the codes of ``strftime`` in the place of dates and hours in a path:
``refunds/2026-01-05/refunds_20260105T09.csv`` is ``refunds/%Y-%m-%d/refunds_%Y%m%dT%H``.
"""

import re
from collections import Counter
from contextlib import closing
from itertools import islice
from pathlib import Path

import pyarrow as pa
from pydantic import TypeAdapter

from retail_platform.extract.file_store import FileStore, FoundFile
from retail_platform.extract.files import META, FileSource
from retail_platform.extract.landed import Spool
from retail_platform.failures import PermanentFailure
from retail_platform.metadata.file_delivery import Archive
from retail_platform.metadata.file_formats import CSV, FileFormat
from retail_platform.metadata.onboarding_tables import (
    SAMPLE_ROWS,
    SourceColumn,
    SourceTable,
    platform_name,
)
from retail_platform.metadata.types import arrow_type, sql_type

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
_ENDINGS = ("csv", "txt", "tsv", "jsonl", "parquet")
_NAME = re.compile(rf"(?i:.+\.(?P<ending>(?:{'|'.join(_ENDINGS)})(?:\.gz)?|zip))")
_DELIMITERS = (",", ";", "\t", "|")
_LINES_LOOKED_AT = 200
_STEADY = 0.8
# 1.234,56 and 3,5, but neither 1,234 nor a date.
_DECIMAL_COMMA = re.compile(r"-?(\d{1,3}(\.\d{3})+|\d+),\d+")
_FORM: TypeAdapter[FileFormat] = TypeAdapter(FileFormat)


def describe_files(store: FileStore, source: str) -> list[SourceTable]:
    """The tables of a landing place, each with a sample of its newest file.

    Raises:
        PermanentFailure: the place does not exist, refuses, or holds no hourly file.
        TransientFailure: it cannot be reached.
    """
    local = store.local("")
    if local is not None and not local.is_dir():
        raise PermanentFailure(
            f"source {source}: the landing folder {local} does not exist; check the variable that "
            "names it"
        )
    found = (file for file in store.walk() if _ending(file.name) is not None)
    files = sorted(islice(found, _MOST_FILES), key=lambda file: file.path)
    newest: dict[str, FoundFile] = {}
    for file in files:
        pattern = hourly_pattern(file.path.removesuffix(f".{_ending(file.name)}"))
        if pattern is not None:
            newest[pattern] = file
    if not newest:
        raise PermanentFailure(
            f"source {source}: none of {len(files)} files ({', '.join(_ENDINGS)}, packed or not) "
            f"below {store.place} has a date and an hour in its path, such as "
            "refunds/2026-01-05/refunds_20260105T09.csv"
        )
    counts = Counter(_table_name(pattern) for pattern in newest)
    twice = [name for name, number in counts.items() if number > 1]
    if twice:
        raise PermanentFailure(
            f"source {source}: several patterns of files are called {', '.join(twice)}: "
            f"{', '.join(sorted(newest))}; write their rows by hand"
        )
    return [_described(store, pattern, file, source) for pattern, file in sorted(newest.items())]


def _ending(name: str) -> str | None:
    """The ending of a file that may be a table's, as it stands: ``csv``, ``csv.gz``, ``zip``."""
    found = _NAME.fullmatch(name)
    return found and found["ending"]


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


def _described(store: FileStore, pattern: str, file: FoundFile, source: str) -> SourceTable:
    name = _table_name(pattern)
    ending = _ending(file.name) or ""
    archive = _archive(ending)
    place = f"source {source}, table {name}"
    # Any member will do: which ones are read, the first one's ending says.
    spool = Spool(store, archive=archive, pattern="*.*", name=place)
    with closing(spool):
        landed = spool.fetch(file)[0]
        inner = landed.path.partition("!")[2].rpartition(".")[2] or ending.removesuffix(".gz")
        written = _written(landed.local, inner)
        form = _FORM.validate_python(written) if written else CSV
        files = FileSource(store, pattern, "UTC", name=place, form=form, archive=archive)
        with files.read([landed]) as stream:
            fields = [field for field in stream.schema if field.name not in META.names]
            first = next(iter(stream), None)
    rows = first.slice(0, SAMPLE_ROWS).to_pylist() if first is not None else []
    return SourceTable(
        name=name,
        columns=tuple(
            SourceColumn(name=f.name, declared=str(f.type), physical=_physical(f.type))
            for f in fields
        ),
        sample=tuple(
            {f.name: None if row[f.name] is None else str(row[f.name]) for f in fields}
            for row in rows
            if row["_parse_error"] is None
        ),
        path=pattern,
        files=written,
        archive=archive.kind if archive else None,
    )


def _archive(ending: str) -> Archive | None:
    if ending.endswith(".gz"):
        return Archive(kind="gzip")
    return Archive(kind="zip") if ending == "zip" else None


def _written(path: Path, ending: str) -> dict[str, str]:
    """How a file is written, as the row's ``files:`` says it; empty for plain CSV."""
    if ending.lower() in ("parquet", "jsonl"):
        return {"format": ending.lower(), **({} if ending.islower() else {"extension": ending})}
    with path.open(encoding="utf-8", errors="replace") as file:
        lines = [line.rstrip("\r\n") for line in islice(file, _LINES_LOOKED_AT)]
    delimiter = _delimiter([line for line in lines if line])
    if delimiter == "," and ending == "csv":
        return {}
    written = {"format": "delimited", "delimiter": delimiter, "extension": ending}
    numbers = [part.strip('"') for line in lines[1:] for part in line.split(delimiter)]
    if delimiter != "," and any(_DECIMAL_COMMA.fullmatch(number) for number in numbers):
        written["decimal"] = ","
        if any("." in number for number in numbers if _DECIMAL_COMMA.fullmatch(number)):
            written["thousands"] = "."
    return written


def _delimiter(lines: list[str]) -> str:
    """The character that most lines hold equally often; a comma where none does."""
    counts = {mark: Counter(line.count(mark) for line in lines) for mark in _DELIMITERS}
    usual = {mark: count.most_common(1)[0] for mark, count in counts.items() if count}
    steady = [
        (number, mark)
        for mark, (number, times) in usual.items()
        if number and times >= _STEADY * len(lines)
    ]
    return max(steady, default=(0, ","))[1]


def _physical(kind: pa.DataType) -> str | None:
    """The contract's type of a typed file's column; None for text."""
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return None
    if pa.types.is_floating(kind):
        return "double"
    if pa.types.is_integer(kind):
        return "bigint"
    if pa.types.is_timestamp(kind):
        return "timestamp"
    try:
        physical = sql_type(kind)
        arrow_type(physical)
    except ValueError:
        return "string"
    return physical
