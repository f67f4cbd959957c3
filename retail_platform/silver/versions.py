"""Merges a classified batch into an SCD2 table: one commit leaves every touched chain whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql.connect import functions as f

from retail_platform.extract.window import HOUR
from retail_platform.lakehouse.commits import Commit
from retail_platform.lakehouse.merges import Matched
from retail_platform.lakehouse.tables import Lakehouse, timestamp_literal
from retail_platform.metadata.loader import Table
from retail_platform.silver.history import chained, observed_versions, rebuilt
from retail_platform.silver.standardise import silver_schema
from retail_platform.silver.upsert import mismatch

IDENTITY = "valid_from"


@dataclass(frozen=True, kw_only=True)
class VersionPlan:
    """What a merge of versions has to do, counted before it runs."""

    inserts: int
    updates: int
    deletes: int


def apply_versions(
    lakehouse: Lakehouse,
    table: Table,
    batch: DataFrame,
    *,
    missing: DataFrame | None,
    hour: datetime,
    rows: int | None = None,
) -> Commit:
    """Adds the rows of class ``applied`` to the chains of their keys.

    Args:
        lakehouse: The lake.
        table: The table's metadata.
        batch: Classified, materialised batch with ``valid_from`` and ``_closed_at``.
        missing: Keys that a whole read did not bring, materialised: their current version ends
            with the hour.
        hour: Start of the batch's hour, aware UTC.
        rows: A number that the rows of ``batch`` do not exceed, where one is known.

    Returns:
        The commit; versions closed by the sweep count among the updates.
    """
    key = list(table.row.key)
    stored = lakehouse.read("silver", table.entity)
    applied = _with_stored_ends(batch.where("_class = 'applied'"), stored, [*key, IDENTITY])
    touched = applied.select(*key)
    if missing is not None:
        touched = touched.unionByName(missing)
    chains = stored.join(touched.distinct(), key, "left_semi")
    kept = chains.where("not _inferred").join(
        applied.select(*key, IDENTITY), [*key, IDENTITY], "left_anti"
    )
    if missing is not None:
        gone = missing.distinct().withColumn("_gone", f.lit(True))
        kept = (
            kept.join(gone, key, "left")
            .withColumn(
                "_closed_at",
                f.expr(
                    "case when _gone and valid_to is null then "
                    f"{timestamp_literal(hour + HOUR)} else _closed_at end"
                ),
            )
            .drop("_gone")
        )
    columns = [
        name for name in silver_schema(table).names if name not in ("valid_to", "is_current")
    ]
    versions = kept.select(*columns).unionByName(applied.select(*columns))
    at_most = None if rows is None else rows + lakehouse.row_count("silver", table.entity)
    return _merge(lakehouse, table, chained(versions, key), chains, hour, at_most)


def apply_rebuilt(
    lakehouse: Lakehouse,
    table: Table,
    observations: DataFrame,
    hours: Sequence[datetime],
    hour: datetime,
) -> Commit:
    """Replaces all chains by those that the reads of all processed hours give together.

    Args:
        lakehouse: The lake.
        table: The table's metadata.
        observations: Standardised rows of all processed hours and this one.
        hours: Those hours, ascending.
        hour: The hour at hand, which the changed versions are marked with.
    """
    key = list(table.row.key)
    columns = [
        name for name in silver_schema(table).names if name not in ("valid_to", "is_current")
    ]
    stored = lakehouse.read("silver", table.entity)
    versions = rebuilt(observations, key, hours).select(*columns)
    unfound = stored.where("_inferred").join(versions.select(*key).distinct(), key, "left_anti")
    whole = chained(versions.unionByName(unfound.select(*columns)), key)
    return _merge(lakehouse, table, whole, stored, hour)


def apply_observed(
    lakehouse: Lakehouse,
    table: Table,
    observations: DataFrame,
    batch: DataFrame,
    *,
    hour: datetime,
) -> Commit:
    """Replaces the chains of a batch's keys by those that all partial reads give together.

    Args:
        lakehouse: The lake.
        table: The table's metadata.
        observations: Standardised rows of all processed hours and this one.
        batch: Classified, materialised batch, whose keys count.
        hour: The hour at hand, which the changed versions are marked with.
    """
    key = list(table.row.key)
    touched = batch.where("_good").select(*key).distinct()
    stored = lakehouse.read("silver", table.entity).join(touched, key, "left_semi")
    columns = [
        name for name in silver_schema(table).names if name not in ("valid_to", "is_current")
    ]
    versions = observed_versions(observations.join(touched, key, "left_semi"), key)
    return _merge(lakehouse, table, chained(versions.select(*columns), key), stored, hour)


def _with_stored_ends(applied: DataFrame, stored: DataFrame, identity: Sequence[str]) -> DataFrame:
    """The rows with ``_closed_at`` of the versions that they replace: new content, same end."""
    ends = stored.selectExpr(*[f"`{name}`" for name in identity], "_closed_at as _stored_end")
    return (
        applied.join(ends, list(identity), "left")
        .withColumn("_closed_at", f.col("_stored_end"))
        .drop("_stored_end")
    )


def _merge(
    lakehouse: Lakehouse,
    table: Table,
    wanted: DataFrame,
    stored: DataFrame,
    hour: datetime,
    at_most: int | None = None,
) -> Commit:
    columns = silver_schema(table).names
    identity = [*table.row.key, IDENTITY]
    with (
        lakehouse.staged(wanted.select(*columns), rows=at_most) as chains,
        lakehouse.staged(
            _differences(chains, stored, columns, identity, hour),
            rows=None if at_most is None else 2 * at_most,
        ) as plan_rows,
    ):
        plan = _plan(plan_rows)
        if plan == VersionPlan(inserts=0, updates=0, deletes=0):
            version = lakehouse.version("silver", table.entity)
            return Commit(version_before=version, version=version)
        commit = lakehouse.merge(
            "silver",
            table.entity,
            plan_rows,
            on=identity,
            matched=[Matched(when="s._op = 'delete'", set=None), Matched.replaced(columns)],
            insert=columns,
            insert_when="s._op = 'insert'",
            rows=plan.inserts + plan.updates + plan.deletes,
        )
    done = VersionPlan(inserts=commit.inserted, updates=commit.updated, deletes=commit.deleted)
    if done != plan:
        raise mismatch(table, commit, f"{plan}")
    return commit


def _differences(
    wanted: DataFrame,
    stored: DataFrame,
    columns: Sequence[str],
    identity: Sequence[str],
    hour: datetime,
) -> DataFrame:
    compared = ("_row_hash", "valid_to", "_closed_at", "_inferred", "_deleted")
    old = stored.selectExpr(
        *[f"`{column}` as `_t_{column}`" for column in identity],
        *[f"`{column}` as `_t_{column}`" for column in compared],
        "true as _t_here",
    )
    same = [f.col(f"`{column}`") == f.col(f"`_t_{column}`") for column in identity]
    differs = " or ".join(f"not (`{column}` <=> `_t_{column}`)" for column in compared)
    changed = (
        wanted.join(old, same, "left")
        .withColumn(
            "_op",
            f.expr(
                "case when _t_here is null then 'insert' "
                f"when {differs} then 'update' else 'same' end"
            ),
        )
        .where("_op <> 'same'")
        .withColumn("_hour", f.expr(timestamp_literal(hour)))
        .select(*columns, "_op")
    )
    vanished = (
        stored.join(wanted.select(*identity), list(identity), "left_anti")
        .select(*columns)
        .withColumn("_op", f.lit("delete"))
    )
    return changed.unionByName(vanished)


def _plan(rows: DataFrame) -> VersionPlan:
    counted = {
        row["_op"]: row["rows"]
        for row in rows.groupBy("_op").agg(f.count(f.lit(1)).alias("rows")).collect()
    }
    return VersionPlan(
        inserts=counted.get("insert", 0),
        updates=counted.get("update", 0),
        deletes=counted.get("delete", 0),
    )
