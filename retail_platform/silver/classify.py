"""Decides, for every row of a standardised batch, what becomes of it.

A row ends in exactly one class, so that the ledger balances:

``quarantined``  it breaks a rule;
``duplicate``    the batch holds a row of the same key with a greater sequence;
``stale``        the lake knows a row of the same key with a greater sequence;
``unchanged``    the stored row has the same content;
``applied``      it replaces or joins the stored row.

The sequence is the total order (watermark, extracted_at, row hash). Pure DataFrame code.
"""

from collections.abc import Sequence

from pyspark.sql.connect import functions as f
from pyspark.sql.connect.column import Column
from pyspark.sql.connect.dataframe import DataFrame
from pyspark.sql.connect.window import Window

CLASS = "_class"
CLASSES = ("quarantined", "duplicate", "stale", "unchanged", "applied")
EARLIEST = "timestamp'1900-01-01 00:00:00'"


def sequence(prefix: str = "") -> str:
    """SQL of a row's sequence; rows without watermark come first among their key's rows."""
    return (
        f"named_struct('watermark', coalesce({prefix}_watermark, {EARLIEST}), "
        f"'extracted_at', {prefix}_extracted_at, 'row_hash', {prefix}_row_hash)"
    )


def newest_first() -> list[Column]:
    """The sequence, greatest first, as an ordering: Sail cannot order a window by a struct."""
    return [
        f.expr(f"coalesce(_watermark, {EARLIEST})").desc(),
        f.col("_extracted_at").desc(),
        f.col("_row_hash").desc(),
    ]


def with_rank(batch: DataFrame, key: Sequence[str]) -> DataFrame:
    """Adds ``_rank``: 1 for the greatest sequence of each key among the rows that break no rule."""
    order = Window.partitionBy(f.expr("size(_reasons) = 0"), *key).orderBy(*newest_first())
    return batch.withColumn("_rank", f.row_number().over(order))


def classified(
    batch: DataFrame, target: DataFrame, key: Sequence[str], superseded: DataFrame | None
) -> DataFrame:
    """Adds ``_class``.

    Args:
        batch: Standardised batch.
        target: The Silver table; for ``scd2`` its versions.
        key: Columns that identify a stored row: the key, for ``scd2`` with ``valid_from``.
        superseded: Row hashes (column ``_row_hash``) of batch rows that lose to a row of another
            hour which Silver has processed; None where every row was read after all of those.

    Returns:
        The batch with ``_rank`` and ``_class``.
    """
    stored = target.selectExpr(
        *[f"`{column}` as `_t_{column}`" for column in key],
        "_watermark as _t_watermark",
        "_extracted_at as _t_extracted_at",
        "_row_hash as _t_row_hash",
        "_deleted as _t_deleted",
        "_inferred as _t_inferred",
        "true as _t_here",
    )
    same = [f.col(f"`{column}`") == f.col(f"`_t_{column}`") for column in key]
    joined = with_rank(batch, key).join(stored, same, "left")
    loses = "false"
    if superseded is not None:
        marks = superseded.selectExpr("_row_hash as _s_row_hash", "true as _s_here").distinct()
        joined = joined.join(marks, f.col("_row_hash") == f.col("_s_row_hash"), "left")
        loses = "coalesce(_s_here, false)"
    decision = f"""case
        when size(_reasons) > 0 then 'quarantined'
        when _rank > 1 then 'duplicate'
        when {loses} then 'stale'
        when _t_here is null or _t_inferred then 'applied'
        when _t_row_hash = _row_hash and not _t_deleted then 'unchanged'
        when {sequence()} > {sequence("_t")} then 'applied'
        when _t_row_hash = _row_hash and _t_extracted_at = _extracted_at then 'unchanged'
        else 'stale' end"""
    return joined.selectExpr(*[f"`{name}`" for name in batch.columns], f"{decision} as {CLASS}")


def superseded_rows(batch: DataFrame, others: DataFrame, key: Sequence[str]) -> DataFrame:
    """Row hashes of batch rows that lose to a good row of the same key in ``others``.

    Needed only when a batch is processed after rows that were read later than it: stored rows keep
    the sequence of the first reading of their content, so Bronze has to be asked.

    Args:
        batch: Standardised batch of the hour.
        others: Standardised rows of the other hours that Silver has processed.
        key: Columns that identify a row.
    """
    names = [f"_o_{column}" for column in key]
    greatest = (
        others.where("size(_reasons) = 0")
        .selectExpr(
            *[f"`{column}` as `{name}`" for column, name in zip(key, names, strict=True)],
            f"{sequence()} as _sequence",
        )
        .groupBy(*names)
        .agg(f.max("_sequence").alias("_greatest"))
    )
    same = [f.col(f"`{column}`") == f.col(f"`_o_{column}`") for column in key]
    return (
        batch.join(greatest, same, "inner").where(f"_greatest > {sequence()}").select("_row_hash")
    )


def superseded_slices(batch: DataFrame, others: DataFrame, by: Sequence[str]) -> DataFrame:
    """Row hashes of batch rows whose slice another processed hour has read later, as a whole.

    Args:
        batch: Standardised batch of the hour.
        others: Standardised rows of the other hours that Silver has processed.
        by: Columns that name a slice; none: the whole table is one slice.
    """
    one = "true as _all"
    columns = [f"`{column}` as `_o_{column}`" for column in by]
    latest = (
        others.selectExpr(one, *columns, "_extracted_at")
        .groupBy("_all", *[f"_o_{column}" for column in by])
        .agg(f.max("_extracted_at").alias("_o_read"))
    )
    own = (
        batch.selectExpr(one, *[f"`{column}`" for column in by], "_extracted_at")
        .groupBy("_all", *by)
        .agg(f.max("_extracted_at").alias("_own_read"))
    )
    same = [f.col(f"`{column}`") == f.col(f"`_o_{column}`") for column in by]
    late = own.withColumnRenamed("_all", "_own_all").join(
        latest, [f.col("_own_all") == f.col("_all"), *same], "inner"
    )
    late = late.where("_o_read > _own_read").selectExpr(
        "_own_all", *[f"`{column}` as `_l_{column}`" for column in by]
    )
    in_slice = [f.col(f"`{column}`") == f.col(f"`_l_{column}`") for column in by]
    rows = batch.withColumn("_one", f.lit(True))
    return rows.join(late, [f.col("_one") == f.col("_own_all"), *in_slice], "inner").select(
        "_row_hash"
    )


def missing_from(
    batch: DataFrame, target: DataFrame, key: Sequence[str], by: Sequence[str]
) -> DataFrame:
    """Stored live keys that a whole read of their slices did not bring.

    Args:
        batch: Standardised rows of the newest read, quarantined ones included: they were there.
        target: Live rows of the Silver table.
        key: Key columns.
        by: Columns that name a slice; none: the whole table.

    Returns:
        The key columns of the missing rows.
    """
    live = target.where("not _deleted and not _inferred")
    if by:
        live = live.join(batch.select(*by).distinct(), list(by), "left_semi")
    return live.join(batch.select(*key).distinct(), list(key), "left_anti").select(*key)
