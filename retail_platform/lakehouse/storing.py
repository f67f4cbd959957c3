"""Tables of the lake without an engine: made to fit a schema, and small merges into them.

What a process does that is too short-lived for an engine. Everything else goes through `tables`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError
from deltalake.schema import Field as DeltaField

from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.lakehouse.merges import Merge
from retail_platform.lakehouse.retyping import retyped_columns
from retail_platform.lakehouse.statistics import statistics_configuration

MERGE_ATTEMPTS = 5


def ensure_table(
    location: str,
    schema: pa.Schema,
    *,
    table: str,
    opened: Callable[[], DeltaTable] | None = None,
    partition_by: Sequence[str] = (),
    keep_types: bool = False,
    configuration: Mapping[str, str] | None = None,
) -> None:
    """Creates a table where it is missing and adds the columns that it lacks.

    Args:
        location: Where it lives.
        schema: Columns that it must have.
        table: Layer and name, for messages.
        opened: Gives its present version, where a handle is kept.
        partition_by: Columns that partition it.
        keep_types: Whether stored columns of another type are left as they are, for whoever
            judges them later.
        configuration: Properties of a new table, beside those of its statistics.

    Raises:
        PermanentFailure: a stored column has another type, or other columns partition the stored
            table; nothing was changed.
    """
    if not DeltaTable.is_deltatable(location):
        DeltaTable.create(
            location,
            schema=schema,
            partition_by=list(partition_by) or None,
            mode="ignore",
            configuration={**statistics_configuration(schema), **(configuration or {})},
        )
        return
    delta = opened() if opened else DeltaTable(location)
    parted = delta.metadata().partition_columns
    if parted != list(partition_by):
        raise PermanentFailure(
            f"{table}: stored in partitions by {parted}, now partition_by is "
            f"{list(partition_by)}. Partitions are fixed: put partition_by back, or move the "
            "table's folder away and materialise its hours again from Bronze."
        )
    stored = pa.schema(delta.schema().to_arrow())
    retyped = [str(column) for column in retyped_columns(stored, schema)]
    if retyped and not keep_types:
        raise PermanentFailure(
            f"{table}: columns changed type: {'; '.join(retyped)}. Types are frozen: "
            "cast at the source's row, or rewrite the table and its contract."
        )
    added = [field for field in schema if field.name not in stored.names]
    if added:
        delta.alter.add_columns(
            [DeltaField.from_arrow(field.with_nullable(True)) for field in added]
        )


def merge_rows(location: str, merge: Merge, rows: pa.Table, *, table: str) -> Mapping[str, Any]:
    """Merges rows that are in memory; tried again where another commit came first.

    The merge must hold whatever came first: its clauses guard what they replace.

    Args:
        location: Where the table lives.
        merge: What becomes of the rows.
        rows: Unique by the merge's key.
        table: Layer and name, for messages.

    Returns:
        The metrics of the merge, as delta-rs names them; none without rows.

    Raises:
        TransientFailure: other commits came first again and again; nothing was written.
    """
    for attempt in range(1, MERGE_ATTEMPTS + 1):
        try:
            return merge.run_on(DeltaTable(location), rows)
        except CommitFailedError as error:
            if attempt == MERGE_ATTEMPTS:
                raise TransientFailure(
                    f"{table}: {MERGE_ATTEMPTS} merges of {rows.num_rows} rows lost against other "
                    "commits; nothing was written, and the rows are read again. See that no two "
                    "runs load the table at once (`concurrency.pools` in dagster.yaml)"
                ) from error
    raise AssertionError("the last attempt returns or raises")
