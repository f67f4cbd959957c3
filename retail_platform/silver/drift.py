"""Columns that come and go at the source: what a read lacked, what stands in, what is held back.

Which values replace a column that vanished is metadata (``removed``), and so is what a new column
does (``schema``). Casting is in ``standardise``; schema versions are kept in the control database.
"""

from collections.abc import Iterable, Sequence

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.connect import functions as f

from retail_platform.bronze.transforms import unknown_columns
from retail_platform.metadata.column_policies import RemovedDefault
from retail_platform.metadata.loader import Table
from retail_platform.quality.verdicts import COLUMNS, TYPES, Verdict


def of_read(stored: pa.Schema, read: Iterable[str] | None) -> pa.Schema:
    """The Bronze schema as a read brought it; None: as it is stored.

    Columns that the read did not bring are left out. Members of nested records that are no columns
    of Bronze, which keeps them all in one, stand at the end as text.
    """
    if read is None:
        return stored
    brought = {name.lower(): name for name in read}
    known = {name.lower() for name in stored.names}
    columns = [f for f in stored if f.name.startswith("_") or f.name.lower() in brought]
    members = [pa.field(name, pa.string()) for low, name in brought.items() if low not in known]
    return pa.schema([*columns, *members])


def missing_columns(table: Table, received: pa.Schema) -> list[str]:
    """Contract columns that the read did not bring."""
    present = {name.lower() for name in received.names}
    return [
        column.name
        for column in table.contract.columns
        if table.row.in_source(column.name).lower() not in present
    ]


def with_kept(batch: DataFrame, target: DataFrame, table: Table, received: pa.Schema) -> DataFrame:
    """Fills columns that vanished and are kept with the last known value of the row's key.

    Args:
        batch: Standardised batch.
        target: The Silver table.
        table: The table's metadata.
        received: What the read brought.
    """
    kept = [
        name
        for name in missing_columns(table, received)
        if table.row.removed.of(name) == "keep" and name not in table.row.key
    ]
    if not kept:
        return batch
    key = list(table.row.key)
    if table.row.silver.merge == "scd2":
        target = target.where("is_current")
    known = target.selectExpr(
        *[f"`{column}` as `_k_{column}`" for column in key],
        *[f"`{column}` as `_kept_{column}`" for column in kept],
    )
    same = [f.col(f"`{column}`") == f.col(f"`_k_{column}`") for column in key]
    joined = batch.join(known, same, "left")
    for name in kept:
        joined = joined.withColumn(name, f.col(f"`_kept_{name}`"))
    return joined.drop(*[f"_k_{name}" for name in key], *[f"_kept_{name}" for name in kept])


def columns_verdict(table: Table, received: pa.Schema | None) -> Verdict:
    """Whether the read had the contract's columns, and no others where these are frozen.

    Args:
        table: The table's metadata.
        received: What the read brought; None for an hour without rows, which says nothing.
    """
    if received is None:
        return Verdict(check=COLUMNS, passed=True, blocking=False, text="nothing was read")
    missing = missing_columns(table, received)
    new = unknown_columns(received.names, table.columns_in_source)
    required = [
        column.name
        for column in table.contract.columns
        if column.required
        and column.name in missing
        and not isinstance(table.row.removed.of(column.name), RemovedDefault)
    ]
    frozen = new if table.row.drift.columns == "freeze" else []
    found = []
    if required:
        found.append(
            f"the source has no {_listed(required)} any more, which the contract requires; bring "
            "it back, map it in columns, or give the table's row a default: "
            f"removed: {{columns: {{{required[0]}: {{default: VALUE}}}}}}"
        )
    if others := [name for name in missing if name not in required]:
        found.append(f"not at the source: {', '.join(map(table.row.removed.said, others))}")
    if frozen:
        found.append(
            f"new at the source: {_listed(frozen)}, and schema.columns is freeze; take it into the "
            "contract, or set schema: {columns: evolve}"
        )
    return Verdict(
        check=COLUMNS,
        passed=not found,
        blocking=bool(required or frozen),
        text="; ".join(found) or "the read has the columns of the contract",
        figures={"missing": len(missing), "new": len(new)},
    )


def types_verdict(discarded: int) -> Verdict:
    """How many values were left out because they could not be read as their type."""
    return Verdict(
        check=TYPES,
        passed=discarded == 0,
        blocking=False,
        text=f"{discarded} values left out that cannot be read as the contract's type",
        figures={"discarded": discarded},
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
