"""The Arrow type in which a column of a SQL source arrives, by its declared type.

Belongs here: which declared types are exact in Arrow, and what stands in for moments that no
calendar has. Everything else travels as text, exactly as the server writes it: ``numeric`` keeps
its digits, ``real`` its shortest form, and what only one database knows its own spelling.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

_NAIVE, _AWARE = pa.timestamp("us"), pa.timestamp("us", "UTC")
_WHOLE = dict.fromkeys(("smallint", "integer", "int", "bigint", "tinyint"), pa.int64())

EXACT: Mapping[str, Mapping[str, pa.DataType]] = {
    # SQLite types values, not columns: all of them are text.
    "sqlite": {},
    "postgresql": {
        **_WHOLE,
        "boolean": pa.bool_(),
        "double precision": pa.float64(),
        "date": pa.date32(),
        "timestamp without time zone": _NAIVE,
        "timestamp with time zone": _AWARE,
    },
    "mssql": {
        **_WHOLE,
        "bit": pa.bool_(),
        "float": pa.float64(),
        "date": pa.date32(),
        "datetime": _NAIVE,
        "smalldatetime": _NAIVE,
    },
    # As Arrow calls what an ODBC driver describes.
    "odbc": {
        **dict.fromkeys(("int8", "uint8", "int16", "int32", "int64"), pa.int64()),
        "date32[day]": pa.date32(),
    },
}
"""Arrow type by dialect and declared type (lower case); text for those that are not listed."""

_LEAST = datetime(1, 1, 1, tzinfo=UTC)
_GREATEST = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECONDS = tuple(
    (moment - _EPOCH).days * 86_400_000_000
    + (moment - _EPOCH).seconds * 1_000_000
    + (moment - _EPOCH).microseconds
    for moment in (_LEAST, _GREATEST)
)
_DAYS = ((_LEAST - _EPOCH).days, (_GREATEST - _EPOCH).days)


def arrival_type(dialect: str, declared: str) -> pa.DataType:
    """The Arrow type of a column as it arrives."""
    return EXACT.get(dialect, {}).get(declared.lower(), pa.string())


def is_whole(dialect: str, declared: str) -> bool:
    """Whether a declared type is of whole numbers: ``interval`` and ``point`` are not."""
    if dialect == "sqlite":
        return declared.lower() in _WHOLE
    return pa.types.is_integer(arrival_type(dialect, declared))


def is_real(declared: str) -> bool:
    """Whether a declared type is one of SQLite's for doubles."""
    return declared.lower() in ("real", "float", "double", "double precision")


def is_aware(declared: str) -> bool:
    """Whether values of a declared type say their offset from UTC."""
    lowered = declared.lower()
    return "with time zone" in lowered or lowered in ("timestamptz", "datetimeoffset")


def in_calendar(array: pa.Array) -> pa.Array:
    """Dates and moments within the years 1 to 9999; what lies outside becomes their first or last.

    PostgreSQL has ``infinity`` and ``-infinity``, which arrive as the ends of the number range; no
    Python date and few readers of the lake can hold these.
    """
    if pa.types.is_timestamp(array.type):
        (least, greatest), whole = _MICROSECONDS, pa.int64()
    elif pa.types.is_date32(array.type):
        (least, greatest), whole = _DAYS, pa.int32()
    else:
        return array
    numbers = array.view(whole)
    ends = pc.min_max(numbers).as_py()
    if ends["min"] is None or (ends["min"] >= least and ends["max"] <= greatest):
        return array
    bounded = pc.min_element_wise(
        pc.max_element_wise(numbers, pa.scalar(least, whole), skip_nulls=False),
        pa.scalar(greatest, whole),
        skip_nulls=False,
    )
    return bounded.view(array.type)
