"""Merges a classified batch into a table that holds one row a key, and sweeps what is gone."""

from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql.connect import functions as f

from retail_platform.failures import PermanentFailure
from retail_platform.lakehouse.commits import Commit
from retail_platform.lakehouse.merges import Matched
from retail_platform.lakehouse.tables import Lakehouse, timestamp_literal
from retail_platform.metadata.loader import Table
from retail_platform.silver.classify import comes_after, newest_read_wins
from retail_platform.silver.standardise import silver_schema


def apply_rows(lakehouse: Lakehouse, table: Table, batch: DataFrame, expected: int) -> Commit:
    """Merges the rows of class ``applied`` of a materialised batch.

    The sequence guards the merge as well: a row that another writer committed since the batch was
    classified is replaced only by a later one, and the commit then contradicts the plan.

    Args:
        lakehouse: The lake.
        table: The table's metadata.
        batch: Classified, materialised batch.
        expected: Rows of class ``applied``.

    Raises:
        PermanentFailure: the commit changed another number of rows than planned.
    """
    columns = silver_schema(table).names
    newer = comes_after("s", "t", newest_read=newest_read_wins(table))
    guard = None if table.row.silver.merge == "replace" else f"t._inferred or {newer}"
    commit = lakehouse.merge(
        "silver",
        table.entity,
        batch.where("_class = 'applied'").select(*columns),
        on=table.row.key,
        matched=[Matched.replaced(columns, when=guard)],
        insert=columns,
        rows=expected,
    )
    if commit.inserted + commit.updated != expected:
        raise mismatch(table, commit, f"{expected} rows applied")
    return commit


def sweep(
    lakehouse: Lakehouse,
    table: Table,
    missing: DataFrame,
    *,
    hour: datetime,
    extracted_at: datetime | None,
    replaces: bool = False,
) -> Commit:
    """Turns stored rows into tombstones whose slices were read whole without them.

    Args:
        lakehouse: The lake.
        table: The table's metadata.
        missing: Keys of those rows, materialised.
        hour: Hour of the read that lacks them, aware UTC.
        extracted_at: When it was read; rows that were read later stay. None: nothing was read.
        replaces: Whether rows go whatever the time at which they were read.

    Raises:
        PermanentFailure: the commit swept another number of rows than planned.
    """
    read_at = "cast(null as timestamp)" if extracted_at is None else timestamp_literal(extracted_at)
    gone = missing.withColumn("_hour", f.expr(timestamp_literal(hour))).withColumn(
        "_extracted_at", f.expr(read_at)
    )
    changes = {"_deleted": "true", "_hour": "s._hour", "_extracted_at": "s._extracted_at"}
    older = None if replaces else "s._extracted_at > t._extracted_at"
    planned = _older_rows(lakehouse, table, missing, read_at, every=replaces)
    commit = lakehouse.merge(
        "silver",
        table.entity,
        gone,
        on=table.row.key,
        matched=[Matched(when=older, set=changes)],
        rows=lakehouse.row_count("silver", table.entity),
    )
    if commit.updated != planned:
        raise mismatch(table, commit, f"{planned} rows swept")
    return commit


def _older_rows(
    lakehouse: Lakehouse, table: Table, missing: DataFrame, read_at: str, *, every: bool
) -> int:
    """Stored rows of some keys that were read before a moment, or all of them."""
    stored = lakehouse.read("silver", table.entity)
    if not every:
        stored = stored.where(f"_extracted_at < {read_at}")
    return stored.join(missing, list(table.row.key), "left_semi").count()


def purge_tombstones(lakehouse: Lakehouse, table: Table, *, before: datetime) -> Commit:
    """Removes the tombstones that hours before ``before`` brought, for ``deletes: hard``.

    Gold has taken them over by then. An older row of such a key that is processed again is still
    known to be beaten: Bronze is asked, which keeps its reads.

    Args:
        lakehouse: The lake.
        table: Metadata of a table that holds one row a key.
        before: Hour, aware UTC; newer tombstones stay.
    """
    stored = lakehouse.read("silver", table.entity)
    old = stored.where(f"_deleted and _hour < {timestamp_literal(before)}").select(*table.row.key)
    with lakehouse.staged(old, rows=lakehouse.row_count("silver", table.entity)) as keys:
        found = keys.count()
        if found == 0:
            version = lakehouse.version("silver", table.entity)
            return Commit(version_before=version, version=version)
        return lakehouse.merge(
            "silver",
            table.entity,
            keys,
            on=table.row.key,
            matched=[Matched(when="t._deleted", set=None)],
            rows=found,
        )


def mismatch(table: Table, commit: Commit, planned: str) -> PermanentFailure:
    """The failure of a commit whose own metrics contradict the plan."""
    return PermanentFailure(
        f"silver.{table.entity}: the ledger does not balance: planned {planned}, but commit "
        f"{commit.version} inserted {commit.inserted}, updated {commit.updated} and deleted "
        f"{commit.deleted}. Materialise the hour again; if it repeats, restore version "
        f"{commit.version_before} and report it."
    )
