"""The stored tables of one Silver entity: created, and rewritten when their types evolve.

A type of the contract that differs from the stored one never changes a table by itself. With
``schema: {types: evolve}`` it holds the hour until somebody approves it; the load then rewrites the
table, and the restricted one beside it, before it merges. Quarantined rows are kept as text and
need no rewrite.
"""

from collections.abc import Sequence

from retail_platform.failures import PermanentFailure
from retail_platform.lakehouse.places import Layer
from retail_platform.lakehouse.retyping import Retyped, retyped_columns
from retail_platform.lakehouse.tables import Lakehouse
from retail_platform.metadata.loader import Table
from retail_platform.quality.quarantine_table import QUARANTINE_SCHEMA
from retail_platform.quality.verdicts import TYPES, Verdict
from retail_platform.silver.pii import pii_schema, pii_table
from retail_platform.silver.standardise import silver_schema


def ensure_stored(lakehouse: Lakehouse, table: Table) -> None:
    """Creates what is missing of an entity's tables and makes Silver known to SQL.

    Stored columns of another type stay as they are: the loads of this table judge them, and no
    other table has to wait for that.
    """
    lakehouse.ensure(
        "silver",
        table.entity,
        silver_schema(table),
        partition_by=table.row.silver.partition_by,
        keep_types=True,
    )
    lakehouse.register("silver", table.entity)
    lakehouse.ensure("quarantine", table.entity, QUARANTINE_SCHEMA)
    if table.row.kept_clear:
        lakehouse.ensure("pii", pii_table(table), pii_schema(table), keep_types=True)


def retypes_of(table: Table, columns: Sequence[Retyped]) -> dict[tuple[Layer, str], list[Retyped]]:
    """Columns of the Silver table alone, in the form of `retypes`."""
    return {("silver", table.entity): list(columns)}


def retypes(lakehouse: Lakehouse, table: Table) -> dict[tuple[Layer, str], list[Retyped]]:
    """Columns of an entity's tables whose stored type is not the contract's, by table."""
    schemas: dict[tuple[Layer, str], list[Retyped]] = {
        ("silver", table.entity): retyped_columns(
            lakehouse.schema("silver", table.entity), silver_schema(table)
        )
    }
    if table.row.kept_clear:
        name = pii_table(table)
        schemas["pii", name] = retyped_columns(lakehouse.schema("pii", name), pii_schema(table))
    return {place: columns for place, columns in schemas.items() if columns}


def refuse_retypes(
    table: Table, found: dict[tuple[Layer, str], list[Retyped]], *, waiting: bool = False
) -> None:
    """Refuses what can never be approved.

    Args:
        table: The table's metadata.
        found: What `retypes` found.
        waiting: Whether types that wait for an approval are refused as well.

    Raises:
        PermanentFailure: types are not to evolve, or a stored value might not fit its new type.
    """
    columns = {str(column): column for group in found.values() for column in group}
    if not columns:
        return
    changed = f"silver.{table.entity}: columns changed type: {'; '.join(columns)}"
    if table.row.drift.types != "evolve":
        raise PermanentFailure(
            f"{changed}. Types are frozen: put the stored types back into the contract, or set "
            "schema: {types: evolve} in the table's row, which rewrites the table once an hour of "
            "it is approved."
        )
    lossy = [text for text, column in columns.items() if not column.lossless]
    if lossy:
        raise PermanentFailure(
            f"{changed}. A rewrite would lose values of {'; '.join(lossy)}: only wider types are "
            "taken (int to bigint, double or decimal; decimal to one with as many digits on either "
            "side; date to timestamp). Put the stored type back and add a column of the new type."
        )
    if waiting:
        raise PermanentFailure(
            f"{changed}. The table is to be rewritten first: load its newest hour, which is held "
            "and names the command that approves it."
        )


def retypes_verdict(found: dict[tuple[Layer, str], list[Retyped]]) -> Verdict:
    """Holds an hour while stored types wait for a rewrite."""
    columns = sorted({str(column) for group in found.values() for column in group})
    tables = ", ".join(f"{layer}.{name}" for layer, name in found)
    return Verdict(
        check=TYPES,
        passed=not columns,
        blocking=True,
        text=f"{'; '.join(columns)}; approving it rewrites {tables} in one commit each"
        if columns
        else "stored types are the contract's",
        figures={"retyped": len(columns)},
    )


def retype(
    lakehouse: Lakehouse, table: Table, found: dict[tuple[Layer, str], list[Retyped]]
) -> None:
    """Rewrites an entity's tables with the contract's types; repeated, it does nothing more."""
    for (layer, name), columns in found.items():
        lakehouse.retype(layer, name, columns, zone=table.connection.timezone)
        if layer == "silver":
            lakehouse.register_again(layer, name)
