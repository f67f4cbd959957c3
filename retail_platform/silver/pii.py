"""The restricted tables ``<entity>__pii``: clear, normalised personal values of the rows in force.

One row a live key of the Silver table, in a folder of its own (``pii/``), for whoever resolves
identities; nothing else reads it, and it is not registered with the engine's catalog, so neither
Gold nor ad-hoc SQL of a run sees it. It follows Silver: after each commit it takes the values of
those rows of the hour that are in force, and drops keys that are not live any more. So Silver's
sequence decides here too, in any order of hours, and a load that was killed between the two is
mended by the next one of its hour.

Dropped values leave the table at once and its old files with the next vacuum.
"""

import pyarrow as pa
from pyspark.sql import DataFrame

from retail_platform.lakehouse.commits import Commit
from retail_platform.lakehouse.merges import Matched
from retail_platform.lakehouse.tables import Lakehouse
from retail_platform.metadata.loader import Table
from retail_platform.metadata.types import sql_type
from retail_platform.silver.standardise import CLEAR, META_FIELDS

MASKED = "_masked"
"""What the name of a masked value ends in, beside the clear one of the contract's name."""
META = tuple(field for field in META_FIELDS if field.name not in ("_deleted", "_inferred"))


def pii_table(table: Table) -> str:
    """Name of the restricted table."""
    return f"{table.entity}__pii"


def pii_schema(table: Table) -> pa.Schema:
    """Its Arrow schema: the key, each value in clear and masked, and the row's meta columns."""
    contract = {column.name: column for column in table.contract.columns}
    key = [pa.field(name, contract[name].arrow) for name in table.row.key]
    values = [
        pa.field(column, pa.string())
        for name in table.row.kept_clear
        for column in (name, f"{name}{MASKED}")
    ]
    return pa.schema([*key, *values, *META])


def follow(
    lakehouse: Lakehouse, table: Table, batch: DataFrame, *, rows: int | None = None
) -> Commit:
    """Brings the restricted table in line with the committed Silver table.

    Args:
        lakehouse: The lake.
        table: A table that keeps clear values.
        batch: Standardised rows of the hour with their clear values (``standardise``).
        rows: A number that the rows of ``batch`` do not exceed, where one is known.
    """
    name, key = pii_table(table), list(table.row.key)
    columns = pii_schema(table).names
    live = lakehouse.read("silver", table.entity).where("not _deleted and not _inferred")
    if table.row.silver.merge == "scd2":
        live = live.where("is_current")
    kept = (
        batch.join(live.select(*key, "_row_hash"), [*key, "_row_hash"], "left_semi")
        .dropDuplicates(key)
        .selectExpr(*[_value(table, column) for column in columns], "true as _live")
    )
    gone = (
        lakehouse.read("pii", name)
        .join(live.select(*key), key, "left_anti")
        .selectExpr(
            *[
                f"`{field.name}`"
                if field.name in key
                else f"cast(null as {sql_type(field.type)}) as `{field.name}`"
                for field in pii_schema(table)
            ],
            "false as _live",
        )
    )
    at_most = None if rows is None else rows + lakehouse.row_count("pii", name)
    compared = [c for c in columns if c not in key and c not in ("_extracted_at", "_hour")]
    differs = " OR ".join(f"NOT (t.`{column}` <=> s.`{column}`)" for column in compared)
    with lakehouse.staged(kept.unionByName(gone), rows=at_most, restricted=True) as changes:
        return lakehouse.merge(
            "pii",
            name,
            changes,
            on=key,
            matched=[
                Matched(when="NOT s._live", set=None),
                Matched.replaced(columns, when=f"({differs})"),
            ],
            insert=columns,
            insert_when="s._live",
        )


def _value(table: Table, column: str) -> str:
    if column in table.row.kept_clear:
        return f"`{CLEAR}{column}` as `{column}`"
    masked = column.removesuffix(MASKED)
    if column.endswith(MASKED) and masked in table.row.kept_clear:
        return f"`{masked}` as `{column}`"
    return f"`{column}`"
