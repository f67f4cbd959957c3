"""The late window, read again once a day: rows that were committed under an older watermark.

Every incremental table's Bronze hour of the last 72 is read again; Silver, Gold and the reports
follow only where that brought rows.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from retail_platform.automation import LATE_WINDOW
from retail_platform.bronze.assets import bronze_key
from retail_platform.control.requests import Request, RequestKind
from retail_platform.control.resource import ControlResource
from retail_platform.metadata.loader import Catalog, Table
from retail_platform.operations.request_jobs import HourlyJob, report_in_step
from retail_platform.operations.requests import (
    INTERRUPTED,
    HourResult,
    assets_of,
    run_request_hour,
)
from retail_platform.partitions import hour_of, key_of
from retail_platform.steps import dagster_failures

LATE_WINDOW_JOB = "late_window"
REASON = "daily re-read of the late window"


class LateWindowConfig(dg.Config):
    """How far the job looks back.

    Attributes:
        hours: Closed hours to read again.
    """

    hours: int = LATE_WINDOW // timedelta(hours=1)


def build_late_window_defs(
    *, catalog: Catalog, hourly: HourlyJob, schedule_on: bool
) -> dg.Definitions:
    """The job and its daily schedule.

    Args:
        catalog: All tables.
        hourly: Gives the job that runs the hours.
        schedule_on: Whether the schedule runs from the start, without a switch in the UI.
    """

    @dg.op(
        name="reread_late_window",
        description="Reads the late window of every incremental table again, newest hour first.",
    )
    def _reread(
        context: dg.OpExecutionContext, config: LateWindowConfig, control: ControlResource
    ) -> None:
        with dagster_failures():
            request, results = reread_late_window(
                catalog,
                control,
                job=hourly(),
                instance=context.instance,
                hours=config.hours,
                requester=f"job {LATE_WINDOW_JOB}",
                on_hour=lambda result: context.log.info(
                    f"{key_of(result.hour)}: {'done' if result.succeeded else 'failed'}"
                ),
            )
            report_in_step(context, request, results)

    @dg.job(
        name=LATE_WINDOW_JOB,
        description="Finds rows that were committed late under an older watermark.",
    )
    def _job() -> None:
        _reread()

    schedule = dg.ScheduleDefinition(
        name=LATE_WINDOW_JOB,
        job=_job,
        cron_schedule="40 2 * * *",
        execution_timezone="UTC",
        description="Once a night.",
        default_status=(
            dg.DefaultScheduleStatus.RUNNING if schedule_on else dg.DefaultScheduleStatus.STOPPED
        ),
    )
    return dg.Definitions(jobs=[_job], schedules=[schedule])


def reread_late_window(
    catalog: Catalog,
    control: ControlResource,
    *,
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    hours: int,
    requester: str,
    on_hour: Callable[[HourResult], None] = lambda _: None,
) -> tuple[Request, list[HourResult]]:
    """Reads the last ``hours`` hours that each incremental table has loaded again.

    Args:
        catalog: All tables.
        control: Ledger and requests.
        job: The hourly job over all assets.
        instance: Where runs and events are kept.
        hours: How many closed hours to look back.
        requester: Who asks.
        on_hour: Called after each hour.

    Returns:
        The request as it ended, and its hours in the order in which they ran.
    """
    tables = _tables_by_hour(catalog, control, job, hours)
    now = datetime.now(UTC)
    request = control.requests.open(
        table="*",
        kind=RequestKind.LATE_WINDOW,
        first_hour=min(tables, default=now),
        last_hour=max(tables, default=now),
        hours=len(tables),
        reason=REASON,
        requester=requester,
    )
    results: list[HourResult] = []
    error: str | None = INTERRUPTED
    try:
        for hour in sorted(tables, reverse=True):
            result = _reread_hour(request, hour, tables[hour], control, job, instance)
            control.requests.hour_ended(request.id, succeeded=result.succeeded, error=result.error)
            results.append(result)
            on_hour(result)
        error = None
    finally:
        request = control.requests.finish(request.id, error)
    return request, results


def _tables_by_hour(
    catalog: Catalog, control: ControlResource, job: dg.JobDefinition, hours: int
) -> dict[datetime, list[Table]]:
    partitions = job.partitions_def
    assert partitions is not None, "an hourly job"
    window = [hour_of(key) for key in partitions.get_partition_keys()[-hours:]]
    found: dict[datetime, list[Table]] = {}
    for table in catalog.tables:
        if table.row.load != "incremental":
            continue
        loaded = control.ledger.succeeded_hours(f"bronze/{table.bronze}")
        # The first loaded hour has all that came before it; later ones are loaded or a gap.
        for hour in window:
            if loaded and loaded[0] <= hour <= loaded[-1]:
                found.setdefault(hour, []).append(table)
    return found


def _reread_hour(
    request: Request,
    hour: datetime,
    tables: Sequence[Table],
    control: ControlResource,
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
) -> HourResult:
    bronze = frozenset(bronze_key(table) for table in tables)
    read = run_request_hour(request, hour, bronze, job=job, instance=instance)
    changed = {
        load.asset
        for load in control.ledger.loads(hour=hour, request_id=request.id)
        if load.layer == "bronze" and load.applied
    }
    below = frozenset(
        key
        for table in tables
        if f"bronze/{table.bronze}" in changed
        for key in assets_of(job, table, stored=True, downstream=True)
    )
    if not below:
        return read
    processed = run_request_hour(request, hour, below, job=job, instance=instance)
    return HourResult(
        hour=hour,
        succeeded=read.succeeded and processed.succeeded,
        run_id=processed.run_id,
        failures={**read.failures, **processed.failures},
    )
