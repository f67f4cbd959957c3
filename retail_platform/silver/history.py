"""SCD2: the chain of versions of each key, in the source's time. Pure DataFrame code.

A version begins at its row's watermark (``valid_from``) and ends where the next one begins or
where a whole read of the table missed the key (``_closed_at``). A row that the source marks as
deleted is a version too, a tombstone that is never current: it ends the one before, and a later
row of the key ends it. One row a version; the version identity is (key, valid_from).
"""

from collections.abc import Sequence
from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql.connect import functions as f
from pyspark.sql.connect.window import Window

from retail_platform.extract.window import HOUR
from retail_platform.lakehouse.tables import timestamp_literal
from retail_platform.silver.classify import newest_first


def with_valid_from(
    batch: DataFrame, target: DataFrame, key: Sequence[str], *, end_of_hour: datetime
) -> DataFrame:
    """Adds ``valid_from`` and an open ``_closed_at``.

    A version begins at the watermark. A key that was swept and came back with a watermark from
    before its sweep begins anew at the end of the hour that brought it back; the same row read
    again later belongs to that version.

    Args:
        batch: Standardised batch.
        target: Stored versions.
        key: Key columns.
        end_of_hour: End of the batch's hour, aware UTC.
    """
    own = [f"`{column}` as `_c_{column}`" for column in key]
    versions = target.where("not _inferred")
    ends = (
        versions.groupBy(*key)
        .agg(
            f.expr("max(named_struct('valid_from', valid_from, 'end', _closed_at))").alias("_last"),
            f.max("_closed_at").alias("_last_end"),
        )
        .where("_last_end is not null")
        .selectExpr(*own, "_last.end as _was_closed_at", "_last_end")
    )
    moved = (
        versions.where("valid_from > _watermark")
        .groupBy(*key, "_watermark", "_row_hash")
        .agg(f.max("valid_from").alias("_moved_to"))
        .selectExpr(
            *[f"`{column}` as `_m_{column}`" for column in key],
            "_watermark as _m_watermark",
            "_row_hash as _m_row_hash",
            "_moved_to",
        )
    )
    swept = [f.col(f"`{column}`") == f.col(f"`_c_{column}`") for column in key]
    again = [
        *[f.col(f"`{column}`") == f.col(f"`_m_{column}`") for column in key],
        f.col("_watermark") == f.col("_m_watermark"),
        f.col("_row_hash") == f.col("_m_row_hash"),
    ]
    return (
        batch.join(ends, swept, "left")
        .join(moved, again, "left")
        .withColumn(
            "valid_from",
            f.expr(
                f"""case
                when _watermark <= _was_closed_at and _extracted_at > _was_closed_at
                then {timestamp_literal(end_of_hour)}
                when _was_closed_at is null and _moved_to > _last_end then _moved_to
                else _watermark end"""
            ),
        )
        .withColumn("_closed_at", f.expr("cast(null as timestamp)"))
        # Named by what goes: asking the engine which columns stay costs a round trip of its own.
        .drop("_was_closed_at", "_last_end", "_m_watermark", "_m_row_hash", "_moved_to")
        .drop(*[f"_{side}_{column}" for side in "cm" for column in key])
    )


def chained(versions: DataFrame, key: Sequence[str]) -> DataFrame:
    """Sets ``valid_to`` and ``is_current`` of all versions of each key.

    Args:
        versions: All versions of the keys at hand, unique by key and ``valid_from``; an inferred
            one only where its key has no other.
        key: Key columns.
    """
    following = f.lead("valid_from").over(Window.partitionBy(*key).orderBy("valid_from"))
    ends = "least(coalesce(_next, _closed_at), coalesce(_closed_at, _next))"
    return (
        versions.withColumn("_next", following)
        .withColumn("valid_to", f.expr(ends))
        .withColumn("is_current", f.expr("valid_to is null and not _deleted"))
        .drop("_next")
    )


def rebuilt(observations: DataFrame, key: Sequence[str], hours: Sequence[datetime]) -> DataFrame:
    """Versions of a table whose every read is whole, from all of its reads.

    The same chains that processing the hours one after the other builds, whatever their order:
    needed when an hour is processed after a later one, because its gaps lie between stored ones.

    Args:
        observations: Rows of the hours, with ``_hour`` as the hour of the read; those that broke
            a rule only say that their key was there.
        key: Key columns.
        hours: All hours that were read, ascending, aware UTC.

    Returns:
        Unique by key and ``valid_from``, ready for ``chained``.
    """
    positions = " ".join(
        f"when _hour = {timestamp_literal(hour)} then {i}" for i, hour in enumerate(hours)
    )
    reads = Window.partitionBy(*key).orderBy("_read")
    whole_stint = Window.partitionBy(*key, "_stint")
    numbered = observations.withColumn("_read", f.expr(f"case {positions} end"))
    stints = (
        numbered.select(*key, "_read")
        .distinct()
        .withColumn("_before", f.lag("_read").over(reads))
        .withColumn("_returned", f.expr("_before is not null and _before <> _read - 1"))
        .withColumn("_stint", f.sum(f.expr("cast(_returned as int)")).over(reads))
        .withColumn("_last_read", f.max("_read").over(whole_stint))
        .withColumn("_stint_end", f.expr(_end_of_read(hours, "_last_read + 1")))
        .select(*key, "_read", "_stint", "_stint_end")
    )
    earlier_stints = (
        Window.partitionBy(*key).orderBy("_stint").rangeBetween(Window.unboundedPreceding, -1)
    )
    same_content = Window.partitionBy(*key, "_stint", "_watermark", "_row_hash")
    placed = (
        numbered.where("_good")
        .join(stints, [*key, "_read"])
        .withColumn("_first_read", f.min("_read").over(whole_stint))
        .withColumn("_swept_at", f.max("_stint_end").over(earlier_stints))
        .withColumn("_read_end", f.expr(_end_of_read(hours, "_read")))
        .withColumn(
            "_begins",
            f.expr(
                "case when _read = _first_read and _watermark <= _swept_at then _read_end "
                "else _watermark end"
            ),
        )
        .withColumn("valid_from", f.max("_begins").over(same_content))
    )
    last_of_stint = whole_stint.orderBy(f.col("valid_from").desc())
    same_version = Window.partitionBy(*key, "valid_from")
    return (
        placed.withColumn("_place_in_stint", f.rank().over(last_of_stint))
        .withColumn("_ends", f.expr("case when _place_in_stint = 1 then _stint_end end"))
        .withColumn("_closed_at", f.max("_ends").over(same_version))
        .withColumn("_rank", f.row_number().over(same_version.orderBy(*newest_first())))
        .where("_rank = 1")
    )


def observed_versions(observations: DataFrame, key: Sequence[str]) -> DataFrame:
    """Versions of a table whose reads are partial, from all of its reads.

    Args:
        observations: Standardised rows of all hours.
        key: Key columns.

    Returns:
        Unique by key and ``valid_from``, open, ready for ``chained``.
    """
    ranked = Window.partitionBy(*key, "_watermark").orderBy(*newest_first())
    return (
        observations.where("_good")
        .withColumn("_rank", f.row_number().over(ranked))
        .where("_rank = 1")
        .withColumn("valid_from", f.col("_watermark"))
        .withColumn("_closed_at", f.expr("cast(null as timestamp)"))
    )


def _end_of_read(hours: Sequence[datetime], position: str) -> str:
    """SQL of the end of the hour at a position; NULL beyond the last one."""
    ends = " ".join(
        f"when {position} = {i} then {timestamp_literal(hour + HOUR)}"
        for i, hour in enumerate(hours)
    )
    return f"case {ends} end"
