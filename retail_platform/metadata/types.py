"""The column types of contracts and what each is in Arrow. Nothing else knows type names."""

import json
import re

import pyarrow as pa

DECIMAL = re.compile(r"decimal\((\d+),\s*(\d+)\)")
WHOLE_DIGITS = {"int": 10, "bigint": 19}
SIMPLE: dict[str, pa.DataType] = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
}
LOGICAL = {"int": "integer", "bigint": "integer", "double": "number"}


def arrow_type(physical: str) -> pa.DataType:
    """The Arrow type of a contract's ``physicalType``, which is also its Spark SQL name.

    Raises:
        ValueError: the platform does not know the type.
    """
    if match := DECIMAL.fullmatch(physical):
        return pa.decimal128(int(match[1]), int(match[2]))
    if physical not in SIMPLE:
        raise ValueError(f"unknown type {physical!r}; known: {[*SIMPLE, 'decimal(p,s)']}")
    return SIMPLE[physical]


def logical_type(physical: str) -> str:
    """The ``logicalType`` (ODCS v3.1) of a ``physicalType``.

    Raises:
        ValueError: the platform does not know the type.
    """
    arrow_type(physical)
    return "number" if DECIMAL.fullmatch(physical) else LOGICAL.get(physical, physical)


def is_wider(old: str, new: str) -> bool:
    """Whether every value of the old type is one of the new type, exactly."""
    target = DECIMAL.fullmatch(new)
    if old == "int" and new in ("bigint", "double"):
        return True
    if target is None:
        return False
    whole, scale = int(target[1]) - int(target[2]), int(target[2])
    if old in WHOLE_DIGITS:
        return whole >= WHOLE_DIGITS[old]
    source = DECIMAL.fullmatch(old)
    if source is None:
        return False
    return whole >= int(source[1]) - int(source[2]) and scale >= int(source[2])


def is_lossless(old: str, new: str) -> bool:
    """Whether stored values keep all that they say in a new type: wider, or a day as a moment."""
    return is_wider(old, new) or (old, new) == ("date", "timestamp")


def sql_type(arrow: pa.DataType) -> str:
    """The Spark SQL name of an Arrow type that a Delta table of the platform may hold.

    Raises:
        ValueError: the type has no such name.
    """
    if pa.types.is_decimal(arrow):
        return f"decimal({arrow.precision},{arrow.scale})"
    if pa.types.is_list(arrow) or pa.types.is_large_list(arrow):
        return f"array<{sql_type(arrow.value_type)}>"
    if pa.types.is_timestamp(arrow):
        return "timestamp" if arrow.tz else "timestamp_ntz"
    if pa.types.is_large_string(arrow) or pa.types.is_string_view(arrow):
        return "string"
    names = {arrow: name for name, arrow in SIMPLE.items()} | {
        pa.int8(): "tinyint",
        pa.int16(): "smallint",
        pa.float32(): "float",
        pa.binary(): "binary",
    }
    if arrow not in names:
        raise ValueError(f"no SQL type for {arrow}")
    return names[arrow]


def schema_json(schema: pa.Schema) -> str:
    """A schema as JSON for its version number: columns by name, technical ones left out."""
    fields = sorted((field.name, sql_type(field.type)) for field in schema if field.name[0] != "_")
    return json.dumps([{"name": name, "type": kind} for name, kind in fields])


def column_names(text: str) -> list[str]:
    """The column names of a ``schema_json``."""
    return [field["name"] for field in json.loads(text)]
