"""The batch of a Silver load: an hour's rows classified, materialised once and counted.

Not here: what the counts mean for the load (`judging`), and what becomes of the rows (`commit`).
"""

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql.connect import functions as f

from retail_platform.control.loads import Counts
from retail_platform.extract.window import HOUR
from retail_platform.lakehouse.tables import one_row, timestamp_literal
from retail_platform.metadata.loader import Table
from retail_platform.quality.batch_rules import measures
from retail_platform.silver.classify import (
    CLASSES,
    classified,
    newest_read_wins,
    superseded_rows,
)
from retail_platform.silver.clock_changes import DOUBLED, SKIPPED, ClockChanges
from retail_platform.silver.dating import dated_after
from retail_platform.silver.drift import with_kept
from retail_platform.silver.history import with_valid_from
from retail_platform.silver.reading import BronzeHours, HourRead, in_hours
from retail_platform.silver.reloads import ended
from retail_platform.silver.slices import superseded_slices


@dataclass(frozen=True, kw_only=True)
class Batch:
    """An hour's rows on their way into Silver.

    Attributes:
        read: The hour that they were read in.
        rows: The rows, classified and materialised.
        counts: Rows by class; ``swept`` and ``inferred`` are not known yet.
        watermark_max: Their greatest watermark.
        measured: What the contract's batch rules measure, by name.
        clock_changes: Values that the source's clock changes make doubtful.
    """

    read: HourRead
    rows: DataFrame
    counts: Counts
    watermark_max: datetime | None
    measured: dict[str, int]
    clock_changes: ClockChanges

    @classmethod
    def of(cls, table: Table, read: HourRead, rows: DataFrame) -> "Batch":
        """Counts classified rows.

        Args:
            table: The table's metadata.
            read: The hour that they were read in.
            rows: The rows, classified and materialised.
        """
        asked = measures(table.contract)
        found = one_row(
            rows.agg(
                f.max("_watermark").alias("_latest"),
                *[f.expr(f"count_if(_class = '{name}')").alias(name) for name in CLASSES],
                *[f.expr(aggregate).alias(name) for name, aggregate in asked.items()],
                f.sum(DOUBLED).alias(DOUBLED),
                f.sum(SKIPPED).alias(SKIPPED),
            )
        )
        latest = found.pop("_latest")
        measured = {name: found.pop(name) for name in asked}
        changes = ClockChanges(doubled=found.pop(DOUBLED) or 0, skipped=found.pop(SKIPPED) or 0)
        counts = Counts(read=read.rows, duplicates=found.pop("duplicate"), **found)
        return cls(
            read=read,
            rows=rows,
            counts=counts,
            watermark_max=latest,
            measured=measured,
            clock_changes=changes,
        )


def classified_rows(stack: ExitStack, hours: BronzeHours, read: HourRead) -> DataFrame:
    """Standardises and classifies an hour.

    Args:
        stack: Keeps what is materialised until it is closed.
        hours: The table's hours.
        read: The hour.

    Returns:
        Its rows with ``_class``, materialised.
    """
    table, lakehouse, hour, others = hours.table, hours.lakehouse, read.hour, read.others
    key = list(table.row.key)
    target = lakehouse.read("silver", table.entity)
    observed = None
    if not hours.dates_rows:
        batch = hours.standardised(read.received, [hour])
    elif not others:
        batch = dated_after(hours.standardised(read.received, [hour]), target, key)
    else:
        everything = hours.observed(read.received, [*others, hour])
        observed = stack.enter_context(lakehouse.staged(everything))
        batch = observed.where(f"_hour = {timestamp_literal(hour)}")
    batch = with_kept(hours.of_this_load(batch), target, table, read.received)
    if hours.is_replaced(hour):
        batch = batch.withColumn("_overruled", f.lit(True))
    emptied_at = hours.emptied_at() if others else None
    if emptied_at is not None:
        before = f.expr(f"_extracted_at < {timestamp_literal(emptied_at)}")
        batch = batch.withColumn("_overruled", f.col("_overruled") | before)
    identity = key
    if table.row.silver.merge == "scd2":
        batch = with_valid_from(batch, target, key, end_of_hour=hour + HOUR)
        identity = [*key, "valid_from"]
    superseded = None
    if others:
        # Materialised on its own: one plan over batch, table and history is too much for Sail.
        batch = stack.enter_context(lakehouse.staged(batch, rows=read.rows))
        rivals = (
            hours.standardised(read.received, others)
            if observed is None
            else observed.where(in_hours(others))
        )
        losers = _superseded(hours, batch, rivals, read)
        superseded = stack.enter_context(lakehouse.staged(losers, rows=read.rows))
    elif hours.is_reloaded_beside(read):
        # Rows of the hour that were read before it was read whole.
        superseded = ended(batch, None, hours.reloads([hour]), key)
    return stack.enter_context(
        lakehouse.staged(
            classified(
                batch,
                target,
                identity,
                superseded,
                newest_read=newest_read_wins(table),
                replaces=hours.replaces,
            ),
            rows=read.rows,
        )
    )


def _superseded(
    hours: BronzeHours, batch: DataFrame, rivals: DataFrame, read: HourRead
) -> DataFrame:
    key, by = hours.table.row.key, hours.table.row.swept_by
    if hours.table.row.silver.merge == "scd2":
        return superseded_rows(batch, rivals, [*key, "_watermark"])
    if by is not None:
        return superseded_slices(batch, rivals, key, by, hours.covered(read.others))
    losers = superseded_rows(batch, rivals, key)
    gone = ended(batch, rivals, hours.reloads([*read.others, read.hour]), key)
    return losers if gone is None else losers.unionAll(gone)
