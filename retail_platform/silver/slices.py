"""What whole reads of slices say of the rows that they bring, and of those that they lack.

A slice is what one value of ``silver.sweep`` names, such as an account's day. A read brings whole
the slices of its rows and, where the ledger says so (`retail_platform.extract.coverage`), every
slice of a range: one of which it found nothing is empty now. Pure DataFrame code.
"""

from collections.abc import Sequence

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql.connect import functions as f
from pyspark.sql.connect.session import SparkSession
from pyspark.sql.connect.window import Window

from retail_platform.extract.coverage import Covered
from retail_platform.metadata.loader import Table

COVERED_AT = "_covered_at"
"""Column of a row: when reads of its hour that were to bring its slice took place, as an array."""
_AT = pa.timestamp("us", "UTC")


def covered_frame(spark: SparkSession, table: Table, reads: Sequence[Covered]) -> DataFrame | None:
    """Reads with their ranges as a frame, for the other functions; None where there are none.

    Args:
        spark: Session.
        table: The table's metadata; columns that name its slices count, others do not.
        reads: What the ledger tells of its Bronze loads.
    """
    if not reads or not table.row.silver.sweep:
        return None
    types = {column.name: column.physicalType for column in table.contract.columns}
    columns: dict[str, pa.Array] = {
        "_c_hour": pa.array([read.hour for read in reads], _AT),
        "_c_read": pa.array([read.read_at for read in reads], _AT),
    }
    typed = ["_c_hour", "_c_read"]
    for name in table.row.silver.sweep:
        for end, side in enumerate(("from", "to")):
            bounds = [read.bounds[name][end] if name in read.bounds else None for read in reads]
            columns[f"_c_{side}_{name}"] = pa.array(bounds, pa.string())
            typed.append(f"cast(`_c_{side}_{name}` as {types[name]}) as `_c_{side}_{name}`")
    return spark.createDataFrame(pa.table(columns)).selectExpr(*typed)


def _inside(by: Sequence[str], prefix: str = "") -> str:
    """SQL: whether a slice, whose columns begin with ``prefix``, lies in a covered range."""
    parts = [
        f"(`_c_from_{name}` is null or `{prefix}{name}` >= `_c_from_{name}`) and "
        f"(`_c_to_{name}` is null or `{prefix}{name}` <= `_c_to_{name}`)"
        for name in by
    ]
    return " and ".join(parts)


def with_covered(rows: DataFrame, by: Sequence[str], covered: DataFrame | None) -> DataFrame:
    """The rows with ``_covered_at``; empty for all of them where ``covered`` is None."""
    if covered is None:
        return rows
    slices = rows.selectExpr("_hour as _v_hour", *_renamed(by, "_v_")).distinct()
    found = (
        slices.join(covered, f.expr(f"_v_hour = _c_hour and {_inside(by, '_v_')}"), "inner")
        .groupBy("_v_hour", *[f"_v_{name}" for name in by])
        .agg(f.collect_set("_c_read").alias(COVERED_AT))
    )
    same = " and ".join(["_hour = _v_hour", *[f"`{name}` = `_v_{name}`" for name in by]])
    joined = rows.join(found, f.expr(same), "left")
    return joined.drop("_v_hour", *[f"_v_{name}" for name in by])


def with_last_words(rows: DataFrame, table: Table, covered: DataFrame | None = None) -> DataFrame:
    """Adds what the last read of an hour says of each key that did not refuse it.

    Of a table that is read in whole slices, an hour may hold several reads of a slice. They count
    as if each had been an hour of its own: a later read replaces the ones before and ends what it
    lacks, but where the key is there and broke a rule, what was before stays in force.

    Args:
        rows: Rows with ``_good``.
        table: The table's metadata.
        covered: Reads of the rows' hours that brought ranges whole, see `covered_frame`.

    Returns:
        The rows with ``_outdated`` (the hour holds a later read of its slice), ``_overruled`` (a
        later read of the hour has the key as a good row, or lacks it), ``_there`` (the row says
        that its key is in force at the end of the hour) and ``_heard`` (some read of the hour has
        the key as a good row, or lacks it).
    """
    sweep = table.row.silver.sweep
    rows = with_covered(rows, sweep, covered)
    rows = rows.withColumn("_outdated", _outdated(table, covered=covered is not None))
    if not sweep:
        return (
            rows.withColumn("_overruled", f.col("_outdated"))
            .withColumn("_there", ~f.col("_outdated"))
            .withColumn("_heard", f.expr("_good and not _outdated"))
        )
    hour_and_slice = ["_hour", *sweep]
    member = [*hour_and_slice, *table.row.key]
    taken = f.max(f.expr("cast(_good as int)")).over(Window.partitionBy(*member, "_extracted_at"))
    # Never empty: a set of nothing is NULL on Sail.
    refusals = f.collect_set(
        f.expr("case when _taken = 0 then _extracted_at else timestamp'1900-01-01 00:00:00' end")
    )
    reads = f.collect_set("_extracted_at").over(Window.partitionBy(*hour_and_slice))
    said = rows.withColumn("_taken", taken).withColumn("_reads", reads)
    if covered is not None:
        empty_too = f"array_union(_reads, coalesce({COVERED_AT}, _reads))"
        said = said.withColumn("_reads", f.expr(empty_too)).drop(COVERED_AT)
    said = said.withColumn("_refusals", refusals.over(Window.partitionBy(*member))).withColumn(
        "_said", f.expr("array_max(array_except(_reads, _refusals))")
    )
    return (
        said.withColumn("_overruled", f.expr("_good and coalesce(_said > _extracted_at, false)"))
        .withColumn("_there", f.expr("_said is null or (_good and _said = _extracted_at)"))
        .withColumn("_heard", f.expr("_said is not null"))
        .drop("_taken", "_reads", "_refusals", "_said")
    )


def _outdated(table: Table, *, covered: bool) -> Column:
    """Whether a later read of the row's slice lies in the same hour: that is the whole slice."""
    if not table.row.keeps_whole_reads:
        return f.lit(False)
    newest = f.max("_extracted_at").over(Window.partitionBy("_hour", *table.row.silver.sweep))
    later = f.col("_extracted_at") < newest
    if not covered:
        return later
    return later | f.expr(f"coalesce(array_max({COVERED_AT}) > _extracted_at, false)")


def superseded_slices(
    batch: DataFrame,
    others: DataFrame,
    key: Sequence[str],
    by: Sequence[str],
    covered: DataFrame | None = None,
) -> DataFrame:
    """Row hashes of batch rows that a later whole read of their slice has replaced or lacks.

    A later read in which the row's key is there but broke a rule leaves the row in force: a
    quarantined row never replaces a good one.

    Args:
        batch: Standardised batch of the hour.
        others: Standardised rows of the other hours that Silver has processed.
        key: Key columns.
        by: Columns that name a slice; none: the whole table is one slice.
        covered: Reads of the other hours that brought ranges whole.
    """
    own = _own_reads(batch, by)
    later = _later_reads(others, own, key, by)
    hours = later.select("_slice", "_o_hour")
    if covered is not None:
        empty_too = own.join(
            covered, f.expr(f"{_inside(by, '_own_')} and _c_read > _own_read"), "inner"
        )
        hours = hours.union(empty_too.selectExpr("_own_slice as _slice", "_c_hour as _o_hour"))
    reads = hours.groupBy("_slice").agg(f.countDistinct("_o_hour").alias("_reads"))
    refusing = (
        later.groupBy("_slice", "_member", "_o_hour")
        .agg(f.max(f.expr("cast(_o_heard as int)")).alias("_accepted"))
        .where("_accepted = 0")
        .groupBy(f.col("_slice").alias("_r_slice"), f.col("_member").alias("_r_member"))
        .agg(f.count(f.lit(1)).alias("_refusals"))
    )
    rows = batch.selectExpr("_row_hash", f"{_name(by)} as _b_slice", f"{_name(key)} as _b_member")
    return (
        rows.join(reads, f.col("_b_slice") == f.col("_slice"), "inner")
        .join(
            refusing,
            [f.col("_b_slice") == f.col("_r_slice"), f.col("_b_member") == f.col("_r_member")],
            "left",
        )
        .where("_reads > coalesce(_refusals, 0)")
        .select("_row_hash")
    )


def missing_from(
    batch: DataFrame,
    there: str,
    target: DataFrame,
    key: Sequence[str],
    by: Sequence[str],
    covered: DataFrame | None = None,
) -> DataFrame:
    """Stored live keys that a whole read of their slices did not bring.

    Args:
        batch: Standardised batch.
        there: SQL predicate of its rows that say that their key is there.
        target: Rows of the Silver table that are in force.
        key: Key columns.
        by: Columns that name a slice; none: the whole table.
        covered: Reads of the batch's hour that brought ranges whole.

    Returns:
        The key columns of the missing rows.
    """
    live = target
    if by:
        live = target.join(batch.select(*by).distinct(), list(by), "left_semi").select(*key)
    if covered is not None:
        inside = target.join(covered, f.expr(_inside(by)), "inner").select(*key)
        live = live.union(inside).distinct()
    return live.join(batch.where(there).select(*key).distinct(), list(key), "left_anti").select(
        *key
    )


def read_again_later(
    batch: DataFrame,
    others: DataFrame,
    target: DataFrame,
    key: Sequence[str],
    by: Sequence[str],
    covered: DataFrame | None = None,
) -> DataFrame:
    """Keys (as columns ``key``) that a later read of the batch's slices brought as good rows.

    Args:
        batch: Standardised batch of the hour.
        others: Standardised rows of the other hours that Silver has processed.
        target: Rows of the Silver table, whose slices the batch may have found empty.
        key: Key columns.
        by: Columns that name a slice; none: the whole table is one slice.
        covered: Reads of the batch's hour that brought ranges whole.
    """
    own = _own_reads(batch, by)
    if covered is not None:
        slices = target.selectExpr(f"{_name(by)} as _own_slice", *_renamed(by, "_own_"))
        empty_too = slices.distinct().join(covered, f.expr(_inside(by, "_own_")), "inner")
        names = ["_own_slice", *[f"_own_{name}" for name in by]]
        both = own.select(*names, "_own_read").union(
            empty_too.select(*names, f.col("_c_read").alias("_own_read"))
        )
        own = both.groupBy(*names).agg(f.max("_own_read").alias("_own_read"))
    return _later_reads(others, own, key, by).where("_o_good").select(*key).distinct()


def _own_reads(batch: DataFrame, by: Sequence[str]) -> DataFrame:
    """The slices of a batch, by name and by columns, and when it read each last."""
    names = ["_own_slice", *[f"_own_{name}" for name in by]]
    rows = batch.selectExpr(
        f"{_name(by)} as _own_slice", *_renamed(by, "_own_"), "_extracted_at as _own_extracted"
    )
    return rows.groupBy(*names).agg(f.max("_own_extracted").alias("_own_read"))


def _later_reads(
    others: DataFrame, own: DataFrame, key: Sequence[str], by: Sequence[str]
) -> DataFrame:
    """Rows of ``others`` whose hour read a slice of the batch later than the batch did."""
    rows = others.selectExpr(
        *[f"`{column}`" for column in key],
        f"{_name(by)} as _slice",
        f"{_name(key)} as _member",
        "_hour as _o_hour",
        "_heard as _o_heard",
        "_good and not _overruled as _o_good",
        "_extracted_at as _o_read",
    )
    mine = own.select("_own_slice", "_own_read")
    return rows.join(mine, f.col("_slice") == f.col("_own_slice"), "inner").where(
        "_o_read > _own_read"
    )


def _renamed(columns: Sequence[str], prefix: str) -> list[str]:
    return [f"`{name}` as `{prefix}{name}`" for name in columns]


def _name(columns: Sequence[str]) -> str:
    """SQL of one text that names the values of some columns."""
    if not columns:
        return "''"
    fields = ", ".join(f"'{column}', `{column}`" for column in columns)
    return f"to_json(named_struct({fields}))"
