"""Which columns of a table keep file statistics.

Sail 0.7.2 takes a column whose statistics say that all values of a file are equal from those
statistics, as a double: a decimal of more than 15 significant digits comes back wrong, and a MERGE
that rewrites the file would store it. Columns of such decimals keep none; every engine and delta-rs
honours the property. The macro `spark__tblproperties_clause` does the same for Gold.
"""

from typing import TYPE_CHECKING

import pyarrow as pa

from retail_platform.metadata.types import DECIMAL, sql_type

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

STATISTICS_COLUMNS = "delta.dataSkippingStatsColumns"
EXACT_DIGITS = 15
"""Significant decimal digits that a double always keeps."""
ORDERED = (
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "float",
    "double",
    "date",
    "timestamp",
    "timestamp_ntz",
    "string",
)
"""Spark's names of the types, beside decimals, of which Spark's Delta keeps minimum and maximum;
naming a column of another type, such as a truth value, is an error there."""


def statistics_configuration(schema: pa.Schema) -> dict[str, str]:
    """Table properties of a new table; empty where every column may keep statistics.

    Args:
        schema: The table's Arrow schema.
    """
    return _configuration(
        [
            field.name
            for field in schema
            if pa.types.is_decimal(field.type) or sql_type(field.type) in ORDERED
        ],
        {field.name: field.type.precision for field in schema if pa.types.is_decimal(field.type)},
    )


def statistics_options(schema: "StructType") -> dict[str, str]:
    """The same as options of a DataFrame's writer, from the DataFrame's schema."""
    types = {field.name: field.dataType.simpleString() for field in schema.fields}
    decimals = {
        name: int(match[1]) for name, kind in types.items() if (match := DECIMAL.fullmatch(kind))
    }
    names = [name for name, kind in types.items() if kind in ORDERED]
    return _configuration([*names, *decimals], decimals)


def _configuration(names: list[str], decimals: dict[str, int]) -> dict[str, str]:
    if all(precision <= EXACT_DIGITS for precision in decimals.values()):
        return {}
    indexed = [f"`{name}`" for name in names if decimals.get(name, 0) <= EXACT_DIGITS]
    return {STATISTICS_COLUMNS: ",".join(indexed)}
