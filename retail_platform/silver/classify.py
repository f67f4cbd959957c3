"""Decides, for every row of a standardised batch, what becomes of it.

A row ends in exactly one class, so that the ledger balances:

``quarantined``  it breaks a rule;
``rejected``     its watermark is missing and the metadata leaves such rows out, or it only says
                 that the list of its record is empty;
``duplicate``    the batch holds a row of the same key with a greater sequence;
``stale``        the lake knows a row of the same key with a greater sequence;
``unchanged``    the stored row has the same content;
``applied``      it replaces or joins the stored row.

The sequence is the total order (watermark, extracted_at, row hash); where every read is whole, and
so says itself what is true now, it is (extracted_at, watermark, row hash). Pure DataFrame code.
"""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql.connect import functions as f
from pyspark.sql.connect.window import Window

from retail_platform.metadata.loader import Table

CLASS = "_class"
CLASSES = ("quarantined", "rejected", "duplicate", "stale", "unchanged", "applied")
STORED = ("watermark", "extracted_at", "row_hash", "deleted", "inferred")
EARLIEST = "timestamp'1900-01-01 00:00:00'"


def sequence(prefix: str = "", *, newest_read: bool = False) -> str:
    """SQL of a row's sequence; rows without watermark come first among their key's rows.

    Args:
        prefix: Of the meta columns' names.
        newest_read: Whether a later read wins whatever the watermarks say.
    """
    watermark = f"'watermark', coalesce({prefix}_watermark, {EARLIEST})"
    read = f"'extracted_at', {prefix}_extracted_at"
    first, second = (read, watermark) if newest_read else (watermark, read)
    return f"named_struct({first}, {second}, 'row_hash', {prefix}_row_hash)"


def newest_read_wins(table: Table) -> bool:
    """Whether a later read wins whatever its watermarks say: it is whole and keeps no past."""
    return table.row.swept_by is not None and table.row.silver.merge != "scd2"


def comes_after(source: str, target: str, *, newest_read: bool) -> str:
    """SQL of whether one row's sequence is greater than another's, for merges.

    Written out by column: not every engine compares structs in the clauses of a merge.

    Args:
        source: Alias of the row that may win.
        target: Alias of the row that may lose.
        newest_read: Whether a later read wins whatever the watermarks say.
    """
    order = ("_watermark", "_extracted_at", "_row_hash")
    if newest_read:
        order = ("_extracted_at", "_watermark", "_row_hash")
    later = "false"
    for column in reversed(order):
        own, other = f"{source}.`{column}`", f"{target}.`{column}`"
        greater = f"coalesce({own} > {other}, {other} is null and {own} is not null)"
        later = f"({greater} or ({own} <=> {other} and {later}))"
    return later


def newest_first(*, newest_read: bool = False) -> list[Column]:
    """The sequence, greatest first, as an ordering: Sail cannot order a window by a struct."""
    watermark = f.expr(f"coalesce(_watermark, {EARLIEST})").desc()
    read = f.col("_extracted_at").desc()
    leading = [read, watermark] if newest_read else [watermark, read]
    return [*leading, f.col("_row_hash").desc()]


def classified(
    batch: DataFrame,
    target: DataFrame,
    key: Sequence[str],
    superseded: DataFrame | None,
    *,
    newest_read: bool = False,
    replaces: bool = False,
) -> DataFrame:
    """Adds ``_class``.

    Args:
        batch: Standardised batch.
        target: The Silver table; for ``scd2`` its versions.
        key: Columns that identify a stored row: the key, for ``scd2`` with ``valid_from``.
        superseded: Row hashes (column ``_row_hash``) of batch rows that lose to a row of another
            hour which Silver has processed; None where every row was read after all of those.
        newest_read: Whether a later read wins whatever the watermarks say.
        replaces: Whether the batch wins whatever the stored sequences say.

    Returns:
        The batch with ``_class``.
    """
    stored = target.selectExpr(
        *[f"`{column}` as `_t_{column}`" for column in key],
        *[f"_{name} as _t_{name}" for name in STORED],
        "true as _t_here",
    )
    same = [f.col(f"`{column}`") == f.col(f"`_t_{column}`") for column in key]
    order = Window.partitionBy("_good", *key).orderBy(*newest_first(newest_read=newest_read))
    ranked = batch.withColumn("_rank", f.row_number().over(order))
    joined = ranked.join(stored, same, "left")
    loses = "_overruled"
    if superseded is not None:
        marks = superseded.selectExpr("_row_hash as _s_row_hash", "true as _s_here").distinct()
        joined = joined.join(marks, f.col("_row_hash") == f.col("_s_row_hash"), "left")
        loses = "(_overruled or coalesce(_s_here, false))"
    newer = (
        "true"
        if replaces
        else f"{sequence(newest_read=newest_read)} > {sequence('_t', newest_read=newest_read)}"
    )
    decision = f"""case
        when size(_reasons) > 0 then 'quarantined'
        when _excluded then 'rejected'
        when _rank > 1 then 'duplicate'
        when {loses} then 'stale'
        when _t_here is null or _t_inferred then 'applied'
        when _t_row_hash = _row_hash and _t_deleted = _deleted then 'unchanged'
        when {newer} then 'applied'
        when _t_row_hash = _row_hash and _t_extracted_at = _extracted_at then 'unchanged'
        else 'stale' end"""
    # Named by what goes: asking the engine which columns stay costs a round trip of its own.
    joined = joined.withColumn(CLASS, f.expr(decision))
    return joined.drop(
        "_rank", "_s_row_hash", "_s_here", *[f"_t_{name}" for name in (*key, *STORED, "here")]
    )


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
        others.where("_good")
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
