"""What a full reload says of a table whose hours otherwise bring changes: what it lacks is gone.

Such a table sees a delete only where the source tells of it: Change Tracking does, until it has
expired. A reload has every row at its moment. So a key that it lacks has ended, whatever was read
of it before and whichever hour is processed first; what is read later has the last word. Whole
reads of slices, which every hour brings, are in `slices`. Pure DataFrame code.
"""

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import DataFrame

from retail_platform.extract.coverage import Covered
from retail_platform.lakehouse.tables import timestamp_literal


def lacking(
    target: DataFrame,
    batch: DataFrame,
    others: DataFrame | None,
    reload: Covered,
    key: Sequence[str],
) -> DataFrame:
    """Keys of rows that were read before a reload which lacks them, and not again since.

    Args:
        target: Rows of the Silver table that are in force.
        batch: Standardised rows of the reload's hour.
        others: Standardised rows of other hours that may have been read later; None: there are
            none.
        reload: The reload.
        key: Key columns.
    """
    read_at = timestamp_literal(reload.read_at)
    present = batch.where(f"_extracted_at >= {read_at}").select(*key)
    if others is not None:
        again = others.where(f"_good and _extracted_at > {read_at}").select(*key)
        present = present.unionAll(again)
    older = target.where(f"_extracted_at < {read_at}").select(*key)
    return older.join(present.distinct(), list(key), "left_anti")


def ended(
    batch: DataFrame, others: DataFrame | None, reloads: Sequence[Covered], key: Sequence[str]
) -> DataFrame | None:
    """Row hashes of batch rows that were read before a reload which lacks their key.

    Args:
        batch: Standardised rows of an hour.
        others: Standardised rows of other hours; None: there are none.
        reloads: Reloads into any of these hours.
        key: Key columns.

    Returns:
        Column ``_row_hash``; None where there are no reloads.
    """
    names = [*key, "_hour", "_extracted_at"]
    rows = batch.select(*names)
    if others is not None:
        rows = rows.unionAll(others.select(*names))
    found = [_ended(batch, rows, reload, key) for reload in reloads]
    return reduce(DataFrame.unionAll, found) if found else None


def _ended(batch: DataFrame, rows: DataFrame, reload: Covered, key: Sequence[str]) -> DataFrame:
    read_at, hour = timestamp_literal(reload.read_at), timestamp_literal(reload.hour)
    present = rows.where(f"_hour = {hour} and _extracted_at >= {read_at}").select(*key).distinct()
    older = batch.where(f"_extracted_at < {read_at}")
    return older.join(present, list(key), "left_anti").select("_row_hash")
