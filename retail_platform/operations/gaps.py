"""Hours that no run has loaded, filled some at a time while current hours go on.

For incremental tables whose gaps are filled by ``chunk``, and for tables of files and positions:
what their hours had is still at the source, or came with the hour after them. Not here: gaps that
the next hour's load takes along (`bronze.load`).
"""

from collections.abc import Callable
from datetime import UTC, datetime

import dagster as dg

from retail_platform.control.requests import Request, RequestKind
from retail_platform.control.resource import ControlResource
from retail_platform.metadata.loader import Catalog, Table
from retail_platform.metadata.watermark import Gap
from retail_platform.operations.request_jobs import HourlyJob, report_in_step
from retail_platform.operations.requests import (
    INTERRUPTED,
    HourResult,
    assets_of,
    run_request_hour,
)
from retail_platform.partitions import hour_of, key_of
from retail_platform.steps import dagster_failures

FILL_GAPS = "fill_gaps"
REASON = "hours that no run had loaded"


def build_gap_defs(*, catalog: Catalog, hourly: HourlyJob, schedule_on: bool) -> dg.Definitions:
    """The job and its schedule, beside the hourly one.

    Args:
        catalog: All tables.
        hourly: Gives the job that runs the hours.
        schedule_on: Whether the schedule runs from the start, without a switch in the UI.
    """

    @dg.op(
        name="fill_missing_hours",
        description="Loads hours that no run has loaded, the newest first, some at a time.",
    )
    def _fill(context: dg.OpExecutionContext, control: ControlResource) -> None:
        with dagster_failures():
            filled = fill_gaps(
                catalog,
                control,
                job=hourly(),
                instance=context.instance,
                requester=f"job {FILL_GAPS}",
                on_hour=lambda result: context.log.info(
                    f"{key_of(result.hour)}: {'done' if result.succeeded else 'failed'}"
                ),
            )
            if filled is not None:
                report_in_step(context, *filled)

    @dg.job(name=FILL_GAPS, description="Fills hours that no run has loaded.")
    def _job() -> None:
        _fill()

    schedule = dg.ScheduleDefinition(
        name=FILL_GAPS,
        job=_job,
        cron_schedule="25 * * * *",
        execution_timezone="UTC",
        description="Once an hour, after the current hour.",
        default_status=(
            dg.DefaultScheduleStatus.RUNNING if schedule_on else dg.DefaultScheduleStatus.STOPPED
        ),
    )
    return dg.Definitions(jobs=[_job], schedules=[schedule])


def fill_gaps(
    catalog: Catalog,
    control: ControlResource,
    *,
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    requester: str,
    on_hour: Callable[[HourResult], None] = lambda _: None,
) -> tuple[Request, list[HourResult]] | None:
    """Loads missing hours into Bronze, Silver and Gold, of each table as many as it allows.

    Args:
        catalog: All tables.
        control: Ledger and requests.
        job: The hourly job over all assets.
        instance: Where runs and events are kept.
        requester: Who asks.
        on_hour: Called after each hour.

    Returns:
        The request as it ended, and its hours in the order in which they ran; None where no hour
        is missing.
    """
    tables = missing_hours(catalog, control, job)
    if not tables:
        return None
    requests = control.requests
    request = requests.open(
        table="*",
        kind=RequestKind.GAP,
        first_hour=min(tables),
        last_hour=max(tables),
        hours=len(tables),
        reason=REASON,
        requester=requester,
    )
    results: list[HourResult] = []
    error: str | None = INTERRUPTED
    try:
        for hour in sorted(tables, reverse=True):
            assets = frozenset[dg.AssetKey]().union(
                *(assets_of(job, t, stored=False, downstream=True) for t in tables[hour])
            )
            result = run_request_hour(request, hour, assets, job=job, instance=instance)
            requests.hour_ended(request.id, succeeded=result.succeeded, error=result.error)
            results.append(result)
            on_hour(result)
        error = None
    finally:
        request = requests.finish(request.id, error)
    return request, results


def missing_hours(
    catalog: Catalog, control: ControlResource, job: dg.JobDefinition
) -> dict[datetime, list[Table]]:
    """The hours to fill now, each with the tables that lack it.

    Missing is an hour between the first and the last loaded one of a table: the current hour goes
    first, and what comes before the first loaded hour came with it.
    """
    partitions = job.partitions_def
    assert partitions is not None, "an hourly job"
    hours = [hour_of(key) for key in partitions.get_partition_keys(current_time=datetime.now(UTC))]
    found: dict[datetime, list[Table]] = {}
    for table in catalog.tables:
        gap = _gap(table)
        if gap is None or gap.mode != "chunk":
            continue
        loaded = control.ledger.succeeded_hours(f"bronze/{table.bronze}", include_missed=True)
        present = set(loaded)
        missing = [h for h in hours if loaded and loaded[0] < h < loaded[-1] and h not in present]
        for hour in missing[-gap.hours :]:
            found.setdefault(hour, []).append(table)
    return found


def _gap(table: Table) -> Gap | None:
    if table.row.load == "incremental" and table.row.watermark is not None:
        return table.row.watermark.gap
    return Gap() if table.row.load in ("files", "stream", "changes") else None
