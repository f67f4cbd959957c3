"""Inferred members: a reference to a key that is not there yet gets a row that knows only its key.

The row is completed in place when the member itself arrives (see ``classify`` and ``versions``);
facts keep the key they came with, so they are never re-keyed.
"""

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql.connect import functions as f

from retail_platform.lakehouse.tables import Lakehouse
from retail_platform.metadata.loader import Table
from retail_platform.metadata.types import sql_type
from retail_platform.silver.classify import EARLIEST
from retail_platform.silver.standardise import silver_schema


def add_inferred_members(
    lakehouse: Lakehouse, parent: Table, column: str, batch: DataFrame, *, rows: int | None = None
) -> int:
    """Adds the members that ``column`` of a batch refers to and the parent table lacks.

    Args:
        lakehouse: The lake.
        parent: Metadata of the table that is referred to; its key has one column.
        column: Referring column.
        batch: Materialised rows whose references count, with ``_hour``.
        rows: A number that the rows of ``batch`` do not exceed, where one is known.

    Returns:
        Number of members added.
    """
    with lakehouse.alone("silver", parent.entity):
        return _add_unknown(lakehouse, parent, column, batch, rows)


def _add_unknown(
    lakehouse: Lakehouse, parent: Table, column: str, batch: DataFrame, rows: int | None
) -> int:
    key = parent.row.key[0]
    stored = lakehouse.read("silver", parent.entity).selectExpr(f"`{key}` as _known")
    referred = batch.where(f"`{column}` is not null").groupBy(f.col(column).alias("_member"))
    unknown = referred.agg(f.min("_hour").alias("_hour")).join(
        stored, f.col("_member") == f.col("_known"), "left_anti"
    )
    schema = silver_schema(parent)
    members = unknown.selectExpr(*[_value(field, key) for field in schema])
    with lakehouse.staged(members, rows=rows) as added:
        unknown_members = added.count()
        if unknown_members == 0:
            return 0
        commit = lakehouse.merge(
            "silver", parent.entity, added, on=[key], insert=schema.names, rows=unknown_members
        )
    return commit.inserted


def waiting_members(lakehouse: Lakehouse, parent: Table) -> int:
    """Inferred members of a table whose own rows have not arrived: from file statistics mostly."""
    stored = lakehouse.delta("silver", parent.entity).to_pyarrow_dataset()
    return stored.count_rows(filter=pc.field("_inferred"))


def _value(field: pa.Field, key: str) -> str:
    values = {
        key: f"cast(_member as {sql_type(field.type)})",
        "_hour": "_hour",
        "_extracted_at": EARLIEST,
        "_deleted": "false",
        "_inferred": "true",
        "valid_from": EARLIEST,
        "is_current": "true",
    }
    return f"{values.get(field.name, f'cast(null as {sql_type(field.type)})')} as `{field.name}`"
