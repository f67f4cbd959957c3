"""What a judged batch changes in the lake: merged rows, swept keys, clear values, new members.

Each function is idempotent, so that a load that was killed between them may be repeated. How rows
and versions are merged is in `upsert` and `versions`.
"""

from contextlib import ExitStack

from pyspark.sql import DataFrame

from retail_platform.lakehouse.tables import Lakehouse
from retail_platform.metadata.loader import Catalog, Table
from retail_platform.silver.batch import Batch
from retail_platform.silver.inferred import add_inferred_members
from retail_platform.silver.pii import follow
from retail_platform.silver.reading import BronzeHours, HourRead
from retail_platform.silver.reloads import lacking
from retail_platform.silver.slices import missing_from, read_again_later
from retail_platform.silver.upsert import apply_rows, sweep
from retail_platform.silver.versions import apply_observed, apply_rebuilt, apply_versions


def missing_keys(
    stack: ExitStack, hours: BronzeHours, batch: Batch, *, emptied: bool
) -> DataFrame | None:
    """Stored keys that this whole read of their slice lacks and no later one brought back.

    Args:
        stack: Keeps what is materialised until it is closed.
        hours: The table's hours.
        batch: The batch.
        emptied: Whether somebody approved that this empty read empties the table: only then
            does it sweep more than the range that it covered, unless the table was read again
            later.

    Returns:
        The keys, materialised. None where there is nothing to sweep, or where the versions are
        rebuilt from all reads.
    """
    table, lakehouse, read = hours.table, hours.lakehouse, batch.read
    key, by = table.row.key, table.row.swept_by
    versions = table.row.silver.merge == "scd2"
    covered = hours.covered([read.hour])
    told = emptied or covered is not None
    if hours.reloads([read.hour]):
        return _lacking(stack, hours, batch, emptied=emptied)
    if by is None or (read.rows == 0 and not told) or (versions and read.others):
        return None
    if hours.is_replaced(read.hour):
        return None
    if emptied and read.others and _read_after(hours, read):
        return None
    in_force = "valid_to is null" if versions else "not _deleted"
    target = lakehouse.read("silver", table.entity).where(f"{in_force} and not _inferred")
    # A refused row says that its key is there; in a table that is replaced it says nothing.
    there = "_there and _good" if hours.replaces else "_there"
    missing = missing_from(batch.rows, there, target, key, by, covered)
    if read.others:
        others = hours.standardised(read.received, read.others)
        later = read_again_later(batch.rows, others, target, key, by, covered)
        missing = missing.join(later, list(key), "left_anti")
    stored = lakehouse.row_count("silver", table.entity)
    missing = stack.enter_context(lakehouse.staged(missing, rows=stored))
    return missing if missing.count() else None


def _lacking(
    stack: ExitStack, hours: BronzeHours, batch: Batch, *, emptied: bool
) -> DataFrame | None:
    """Stored keys that a full reload of a table of changes lacks; see `reloads`."""
    table, lakehouse, read = hours.table, hours.lakehouse, batch.read
    versions = table.row.silver.merge == "scd2"
    if (versions and read.others) or (read.rows == 0 and not emptied):
        return None
    in_force = "valid_to is null" if versions else "not _deleted"
    target = lakehouse.read("silver", table.entity).where(f"{in_force} and not _inferred")
    others = hours.standardised(read.received, read.others) if read.others else None
    reload = hours.reloads([read.hour])[-1]
    missing = lacking(target, batch.rows, others, reload, table.row.key)
    stored = lakehouse.row_count("silver", table.entity)
    missing = stack.enter_context(lakehouse.staged(missing, rows=stored))
    return missing if missing.count() else None


def commit(hours: BronzeHours, batch: Batch, missing: DataFrame | None) -> int:
    """Commits a batch.

    Args:
        hours: The table's hours.
        batch: The batch.
        missing: Keys to sweep, materialised.

    Returns:
        The number of swept keys.

    Raises:
        PermanentFailure: a commit contradicts its plan.
    """
    table, lakehouse, read = hours.table, hours.lakehouse, batch.read
    if table.row.silver.merge == "scd2":
        return _commit_versions(hours, batch, missing)
    if batch.counts.applied:
        apply_rows(lakehouse, table, batch.rows, batch.counts.applied)
    if missing is None:
        return 0
    return sweep(
        lakehouse,
        table,
        missing,
        hour=read.hour,
        extracted_at=read.extracted_max,
        replaces=hours.replaces,
    ).updated


def keep_clear(hours: BronzeHours, read: HourRead, *, rows: int) -> None:
    """Lets the restricted table follow what was committed; clear values go nowhere else.

    Args:
        hours: The table's hours.
        read: The hour.
        rows: A number that the hour's rows do not exceed.
    """
    if hours.table.row.kept_clear:
        clear = hours.clear(read.received, read.hour)
        follow(hours.lakehouse, hours.table, clear, rows=rows)


def infer(lakehouse: Lakehouse, catalog: Catalog, table: Table, batch: Batch) -> int:
    """Adds members that rows of the batch refer to before they arrived; returns their number."""
    good = batch.rows.where("_class in ('applied', 'unchanged')")
    return sum(
        add_inferred_members(
            lakehouse,
            catalog.by_entity[reference.entity],
            reference.column,
            good,
            rows=batch.read.rows,
        )
        for reference in table.row.references
    )


def _read_after(hours: BronzeHours, read: HourRead) -> bool:
    latest, own = hours.ledger.max_extracted(hours.asset), read.extracted_max
    return latest is not None and own is not None and latest > own


def _commit_versions(hours: BronzeHours, batch: Batch, missing: DataFrame | None) -> int:
    table, lakehouse, read = hours.table, hours.lakehouse, batch.read
    if table.row.swept_by == () and read.others:
        every = sorted([*read.others, read.hour])
        observed = hours.observed(read.received, every)
        apply_rebuilt(lakehouse, table, observed, every, read.hour)
        return 0
    if read.others and hours.dates_rows:
        # A read in between parts or joins runs of equal content that other hours brought.
        observed = hours.observed(read.received, [*read.others, read.hour])
        apply_observed(lakehouse, table, observed, batch.rows, hour=read.hour)
        return 0
    swept = missing.count() if missing is not None else 0
    if batch.counts.applied or swept:
        apply_versions(
            lakehouse,
            table,
            batch.rows,
            missing=missing,
            hour=read.hour,
            rows=batch.counts.read,
        )
    return swept
