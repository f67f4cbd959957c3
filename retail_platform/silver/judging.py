"""What a Silver load asks of its batch before it commits: the verdicts and their approvals.

Here is what the verdicts need from lake and ledger; what they say is in ``quality``.
"""

from datetime import datetime, timedelta
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql.connect import functions as f

from retail_platform.control.approvals import Approval
from retail_platform.extract.records import INCOMPLETE
from retail_platform.lakehouse.tables import Lakehouse, one_row
from retail_platform.metadata.loader import Catalog, Table
from retail_platform.quality.batch_rules import batch_verdicts
from retail_platform.quality.verdicts import REFERENCES, Verdict, files_whole, holding, judge
from retail_platform.silver.batch import Batch
from retail_platform.silver.drift import columns_verdict, types_verdict
from retail_platform.silver.inferred import waiting_members
from retail_platform.silver.reading import BronzeHours, HourRead


def verdicts_on(hours: BronzeHours, batch: Batch, reasons: dict[str, int]) -> list[Verdict]:
    """What the checks find in a batch, without regard to approvals.

    Args:
        hours: The table's hours.
        batch: The batch.
        reasons: Its quarantined rows by reason.
    """
    table, read = hours.table, batch.read
    whole = _is_judged_as_whole(hours, read)
    verdicts = judge(
        table,
        batch.counts,
        reasons,
        live_before=_keys_before(hours, read) if whole else 0,
        live_read=_keys(table, batch.rows) if whole else 0,
        history=_history(hours, read.hour) if whole else timedelta(0),
    )
    verdicts.append(columns_verdict(table, read.received if read.rows else None))
    if table.row.drift.types == "discard_value":
        verdicts.append(types_verdict(_unreadable_values(batch.rows)))
    if table.row.file_format.incomplete == "hold":
        verdicts.append(files_whole(_incomplete(batch.rows)))
    return verdicts + batch_verdicts(
        table.contract,
        batch.counts,
        batch.measured,
        partial(hours.ledger.reads_before, hours.asset, read.hour),
    )


def approvals_of(
    hours: BronzeHours, hour: datetime, verdicts: list[Verdict]
) -> dict[str, Approval]:
    """Approvals of the verdicts that would hold the hour back, by check."""
    found = {
        verdict.check: hours.ledger.approvals.approved(hours.asset, hour, verdict.check)
        for verdict in holding(verdicts)
    }
    return {check: approval for check, approval in found.items() if approval is not None}


def reference_verdicts(
    lakehouse: Lakehouse, catalog: Catalog, table: Table, inferred: int
) -> list[Verdict]:
    """Warns as long as members wait for their own rows, not only when they are inferred."""
    if not table.row.references:
        return []
    parents = {reference.entity for reference in table.row.references}
    waiting = {
        entity: members
        for entity in sorted(parents)
        if (members := waiting_members(lakehouse, catalog.by_entity[entity]))
    }
    listed = ", ".join(f"{entity} ({members})" for entity, members in waiting.items())
    return [
        Verdict(
            check=REFERENCES,
            passed=not waiting,
            blocking=False,
            text=f"{inferred} members inferred because rows refer to them before they arrived; "
            + (f"still waiting for their own rows: {listed}" if listed else "none is waiting"),
            figures={"inferred": inferred, **waiting},
        )
    ]


def _is_judged_as_whole(hours: BronzeHours, read: HourRead) -> bool:
    row = hours.table.row
    if hours.reloads([read.hour]):
        return True
    no_file = row.load == "files" and read.rows == 0
    return row.swept_by == () and not no_file and not hours.is_replaced(read.hour)


def _history(hours: BronzeHours, hour: datetime) -> timedelta:
    first = min(hours.ledger.succeeded_hours(hours.asset), default=hour)
    return max(hour - first, timedelta(0))


def _keys(table: Table, rows: DataFrame) -> int:
    return rows.select(*table.row.key).distinct().count()


def _keys_before(hours: BronzeHours, read: HourRead) -> int:
    """Keys that a whole read is measured by: the stored ones, or those of the read before."""
    if not read.others or hours.table.row.swept_by is None:
        return _live_keys(hours)
    before = max((other for other in read.others if other < read.hour), default=None)
    if before is None:
        return 0
    return _keys(hours.table, hours.standardised(read.received, [before]))


def _live_keys(hours: BronzeHours) -> int:
    live = hours.lakehouse.read("silver", hours.table.entity).where(
        "not _deleted and not _inferred"
    )
    if hours.table.row.silver.merge == "scd2":
        live = live.where("is_current")
    return live.count()


def _unreadable_values(rows: DataFrame) -> int:
    good = rows.where("_good")
    return one_row(good.agg(f.sum("_unreadable_values").alias("values")))["values"] or 0


def _incomplete(rows: DataFrame) -> list[str]:
    """What the batch says of files that break off, without those delivered again since."""
    reasons = (
        rows.where("not _outdated")
        .select(f.explode("_reasons").alias("reason"))
        .where(f.col("reason").contains(f": {INCOMPLETE}: "))
        .distinct()
        .collect()
    )
    return sorted(row["reason"] for row in reasons)
