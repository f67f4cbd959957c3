"""Rows that are dated by the clock are dated once: by the read that first brought their content.

Only for tables whose metadata dates rows without a (believable) watermark, see ``standardise``:
such rows come with every read, and each read would otherwise be a change. Pure DataFrame code.

The reads of a key, in the order in which they happened, fall into runs of equal content; every row
of a run has the watermark of the run's first row. A row with a watermark of its own that is read
again later (by a window's buffer) is no new run.
"""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql.connect import functions as f
from pyspark.sql.connect.window import Window, WindowSpec

READ_ORDER = ("_extracted_at", "_watermark", "_row_hash")


def dated_once(observations: DataFrame, key: Sequence[str]) -> DataFrame:
    """Sets ``_watermark`` of all rows of all hours at hand.

    Args:
        observations: Standardised rows of every hour that counts.
        key: Key columns.
    """
    nothing = (
        observations.withColumn("_last_hash", f.expr("cast(null as string)"))
        .withColumn("_last_watermark", f.expr("cast(null as timestamp)"))
        .withColumn("_same_watermark", f.expr("cast(null as timestamp)"))
    )
    return _runs(nothing, key).select(*observations.columns)


def dated_after(batch: DataFrame, stored: DataFrame, key: Sequence[str]) -> DataFrame:
    """Sets ``_watermark`` of a batch that was read after everything that the table holds.

    Args:
        batch: Standardised batch.
        stored: The Silver table; for ``scd2`` its versions.
        key: Key columns.
    """
    known = stored.where("not _inferred")
    last = (
        known.groupBy(*key)
        .agg(
            f.expr(
                "max(named_struct('read', _extracted_at, 'watermark', _watermark, "
                "'hash', _row_hash))"
            ).alias("_last")
        )
        .selectExpr(
            *[f"`{column}` as `_l_{column}`" for column in key],
            "_last.hash as _last_hash",
            "_last.watermark as _last_watermark",
        )
    )
    same = known.groupBy(*key, "_row_hash").agg(f.max("_watermark").alias("_same_watermark"))
    same = same.selectExpr(
        *[f"`{column}` as `_k_{column}`" for column in key],
        "_row_hash as _k_row_hash",
        "_same_watermark",
    )
    joined = batch.join(
        last, [f.col(f"`{column}`") == f.col(f"`_l_{column}`") for column in key], "left"
    ).join(
        same,
        [
            *[f.col(f"`{column}`") == f.col(f"`_k_{column}`") for column in key],
            f.col("_row_hash") == f.col("_k_row_hash"),
        ],
        "left",
    )
    return _runs(joined, key).select(*batch.columns)


def _runs(rows: DataFrame, key: Sequence[str]) -> DataFrame:
    """Rows with the watermark of their run.

    Each row knows what its table held before: ``_last_hash`` and ``_last_watermark`` of the key's
    newest content, ``_same_watermark`` of its own content.
    """
    known = f.expr("_same_watermark is not null")
    first = f.row_number().over(_in_order("_good", *key, "_row_hash")) == 1
    begins = f.expr("not coalesce(coalesce(_before, _last_hash) = _row_hash, false)")
    numbered = (
        rows.withColumn("_counts", f.col("_good") & (f.col("_dated") | (first & ~known)))
        .withColumn("_before", f.lag("_row_hash").over(_in_order("_counts", *key)))
        .withColumn("_begins", begins.cast("int"))
        .withColumn("_run", f.sum("_begins").over(_in_order("_counts", *key)))
    )
    of_run = Window.partitionBy("_counts", *key, "_run")
    same_content = _in_order("_good", *key, "_row_hash")
    return (
        numbered.withColumn("_first", f.min("_watermark").over(of_run))
        .withColumn(
            "_run_date",
            f.expr(
                "case when not _counts then null when _run = 0 then _last_watermark else _first end"
            ),
        )
        .withColumn("_earlier", f.max("_run_date").over(same_content))
        .withColumn(
            "_watermark",
            f.expr(
                "case when not _good then _watermark "
                "else coalesce(_run_date, _earlier, _same_watermark, _watermark) end"
            ),
        )
    )


def _in_order(*columns: str) -> WindowSpec:
    return Window.partitionBy(*columns).orderBy(*READ_ORDER)
