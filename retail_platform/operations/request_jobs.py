"""Requests from the UI: the job ``reprocess``, which runs each hour as a run of its own."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import dagster as dg

from retail_platform.control.requests import REQUEST_TAG, Request
from retail_platform.control.resource import ControlResource
from retail_platform.extract.window import HOUR
from retail_platform.failures import PermanentFailure
from retail_platform.metadata.loader import Catalog
from retail_platform.operations.requests import (
    HourResult,
    Plan,
    is_success,
    plan_full_reload,
    plan_range,
    run_plan,
    table_named,
)
from retail_platform.partitions import key_of
from retail_platform.steps import dagster_failures

REPROCESS = "reprocess"

HourlyJob = Callable[[], dg.JobDefinition]
"""Gives the hourly job over all assets, once there is a code location."""


class ReprocessConfig(dg.Config):
    """What the job asks for.

    Attributes:
        table: Silver entity, such as ``orders``.
        start: Start of the range (ISO 8601; UTC unless it has an offset); empty asks for the whole
            source table in the latest hour.
        end: End of the range, not part of it; empty: one hour.
        reason: Why.
        requester: Who asks.
        stored: Process what Bronze holds instead of reading the source again.
        downstream: Gold and the reports of each hour follow.
        override: Read exactly the watermarks of the range.
    """

    table: str
    start: str = ""
    end: str = ""
    reason: str
    requester: str
    stored: bool = False
    downstream: bool = True
    override: bool = False


def build_reprocess_job(*, catalog: Catalog, hourly: HourlyJob) -> dg.JobDefinition:
    """The job.

    Args:
        catalog: All tables.
        hourly: Gives the job that runs the hours.
    """

    @dg.op(name="reprocess_hours", description="Runs each hour of the range as a run of its own.")
    def _reprocess_hours(
        context: dg.OpExecutionContext, config: ReprocessConfig, control: ControlResource
    ) -> None:
        job = hourly()
        with dagster_failures():
            plan = _plan(config, control, job, catalog)
            run_in_step(context, plan, control, job)

    @dg.job(
        name=REPROCESS,
        description="Loads hours of one table again, beside the current ones, for a reason.",
    )
    def _job() -> None:
        _reprocess_hours()

    return _job


def run_in_step(
    context: dg.OpExecutionContext,
    plan: Plan,
    control: ControlResource,
    job: dg.JobDefinition,
) -> None:
    """Runs a plan inside of a step, which shows each hour and fails unless all went well.

    Raises:
        PermanentFailure: hours failed; the others are done.
    """
    request, results = run_plan(
        plan,
        requests=control.requests,
        job=job,
        instance=context.instance,
        on_hour=lambda result: context.log.info(_line(result)),
    )
    report_in_step(context, request, results)


def report_in_step(
    context: dg.OpExecutionContext, request: Request, results: Sequence[HourResult]
) -> None:
    """Shows what came of a request on the step, and fails the step unless all went well.

    Raises:
        PermanentFailure: hours failed; the others are done.
    """
    context.instance.add_run_tags(context.run.run_id, {REQUEST_TAG: str(request.id)})
    context.add_output_metadata(
        {
            "request": request.id,
            "status": request.status.value,
            "hours_done": request.hours_done,
            "hours_failed": request.hours_failed,
            "hours": dg.MetadataValue.md(hours_table(results)),
        }
    )
    if not is_success(request):
        raise _unfinished(request, results)


def hours_table(results: Sequence[HourResult]) -> str:
    """The hours of a request as a Markdown table."""
    lines = ["| hour | result | run | failures |", "| --- | --- | --- | --- |"]
    for result in results:
        failures = "; ".join(f"{step}: {text}" for step, text in result.failures.items())
        shown = failures.replace("|", "\\|").replace("\n", " ")
        outcome = "done" if result.succeeded else "failed"
        lines.append(f"| {key_of(result.hour)} | {outcome} | {result.run_id} | {shown} |")
    return "\n".join(lines)


def _plan(
    config: ReprocessConfig, control: ControlResource, job: dg.JobDefinition, catalog: Catalog
) -> Plan:
    table = table_named(catalog, config.table)
    if not config.start:
        return plan_full_reload(
            control.requests,
            job,
            table,
            reason=config.reason,
            requester=config.requester,
            downstream=config.downstream,
        )
    start = moment_of("start", config.start)
    return plan_range(
        control.requests,
        job,
        table,
        start=start,
        end=moment_of("end", config.end) if config.end else start + HOUR,
        reason=config.reason,
        requester=config.requester,
        stored=config.stored,
        downstream=config.downstream,
        override=config.override,
    )


def moment_of(field: str, text: str) -> datetime:
    """A time of a job's configuration: ISO 8601, in UTC unless it has an offset.

    Raises:
        PermanentFailure: it is something else; the message names the field.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise PermanentFailure(
            f"{field} is {text!r}; expected ISO 8601 such as 2026-01-05T13:00"
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _line(result: HourResult) -> str:
    failures = "; ".join(f"{step}: {text}" for step, text in result.failures.items())
    return f"{key_of(result.hour)}: {'done' if result.succeeded else f'failed: {failures}'}"


def _unfinished(request: Request, results: Sequence[HourResult]) -> PermanentFailure:
    failed = "; ".join(_line(result) for result in results if not result.succeeded)
    return PermanentFailure(
        f"request {request.id}, {request.kind} of {request.table}: {request.status}, "
        f"{request.hours_done} of {request.hours} hours done. {failed}"
    )
