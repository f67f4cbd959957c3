"""Works on requests: which hours and assets one has, and running them one after the other.

A failed hour does not stop the others, and nothing stops the current hours: each hour is a run of
its own, and a pool lets one run at a time write a table. The command and the job in the UI are
elsewhere; both call what is here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from retail_platform.bronze.assets import bronze_key
from retail_platform.control.models import RequestStatus
from retail_platform.control.requests import REQUEST_TAG, Request, RequestKind, Requests
from retail_platform.extract.window import HOUR
from retail_platform.failures import PermanentFailure
from retail_platform.metadata.loader import Catalog, Table
from retail_platform.operations.running import run_hour, run_interrupted
from retail_platform.partitions import hour_of, key_of
from retail_platform.silver.assets import silver_key

INTERRUPTED = "interrupted: the hours that were left did not run"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a request comes to.

    Attributes:
        request: The request, recorded.
        hours: Its hours in the order in which they run.
        assets: Assets that each hour materialises.
    """

    request: Request
    hours: tuple[datetime, ...]
    assets: frozenset[dg.AssetKey]


@dataclass(frozen=True, kw_only=True)
class HourResult:
    """How one hour went.

    Attributes:
        hour: The hour, aware UTC.
        succeeded: Whether every step did.
        run_id: Its run in Dagster.
        failures: Failed step to its message.
    """

    hour: datetime
    succeeded: bool
    run_id: str
    failures: dict[str, str]

    @property
    def error(self) -> str | None:
        """All failures in one text; None without any."""
        texts = [f"{key_of(self.hour)} {step}: {text}" for step, text in self.failures.items()]
        return "; ".join(texts) or None


def table_named(catalog: Catalog, name: str) -> Table:
    """The table that a person means: ``orders``, ``silver/orders`` or ``bronze/sales__orders``.

    Raises:
        PermanentFailure: there is none; the message lists those that there are.
    """
    _, _, plain = name.rpartition("/")
    table = catalog.by_entity.get(plain) or catalog.by_bronze.get(plain)
    if table is None:
        raise PermanentFailure(
            f"There is no table {name!r}. Tables: {', '.join(sorted(catalog.by_entity))}."
        )
    return table


def range_hours(
    job: dg.JobDefinition, table: str, start: datetime, end: datetime
) -> list[datetime]:
    """The partition hours that ``[start, end)`` touches, ascending.

    Raises:
        PermanentFailure: there are none, or some are no closed partition.
    """
    if end <= start:
        raise PermanentFailure(
            f"{table}: the range [{start:%Y-%m-%d %H:%M}, {end:%Y-%m-%d %H:%M}) UTC is empty; "
            "--to is the end of the range, which is not part of it."
        )
    first = start.replace(minute=0, second=0, microsecond=0)
    count = -((first - end) // HOUR)
    hours = [first + number * HOUR for number in range(count)]
    partitions = job.partitions_def
    assert partitions is not None, "an hourly job"
    keys = partitions.get_partition_keys()
    outside = [hour for hour in hours if not keys or not keys[0] <= key_of(hour) <= keys[-1]]
    if outside:
        there = f"{keys[0]} to {keys[-1]}" if keys else "none yet"
        raise PermanentFailure(
            f"{table}: {key_of(outside[0])} is not a closed hour of this platform; its hours are "
            f"{there}. Ask for a range within them; RETAIL_PARTITIONS_START sets the first one."
        )
    return hours


def run_order(table: Table, hours: Sequence[datetime]) -> tuple[datetime, ...]:
    """Newest first where hours stand alone, oldest first where each read sweeps the one before.

    The result is the same either way; what people look at is repaired first, and tables that keep
    whole reads need no rebuilding of what came later.
    """
    return tuple(sorted(hours, reverse=table.row.swept_by is None))


def assets_of(
    job: dg.JobDefinition, table: Table, *, stored: bool, downstream: bool
) -> frozenset[dg.AssetKey]:
    """The assets that each hour of a request materialises.

    Args:
        job: The hourly job over all assets.
        table: The table.
        stored: Whether to process what Bronze holds instead of reading the source again.
        downstream: Whether Gold and the reports of the hour follow.
    """
    own = {silver_key(table.entity)} | (set() if stored else {bronze_key(table)})
    if downstream:
        below = dg.AssetSelection.assets(silver_key(table.entity)).downstream()
        tables = ("bronze", "silver")
        own |= {k for k in below.resolve(job.asset_layer.asset_graph) if k.path[0] not in tables}
    return frozenset(own & set(job.asset_layer.executable_asset_keys))


def plan_range(
    requests: Requests,
    job: dg.JobDefinition,
    table: Table,
    *,
    start: datetime,
    end: datetime,
    reason: str,
    requester: str,
    stored: bool = False,
    downstream: bool = False,
    override: bool = False,
) -> Plan:
    """Records a request for the hours of ``[start, end)``.

    Args:
        requests: Where it is recorded.
        job: The hourly job over all assets.
        table: The table.
        start: Inclusive start, aware UTC; a full hour unless ``override``.
        end: Exclusive end, aware UTC; a full hour unless ``override``.
        reason: Why.
        requester: Who asks.
        stored: Process what Bronze holds; otherwise the source is read again where it still has
            the hour.
        downstream: Gold and the reports follow.
        override: Read exactly the watermarks of the range, into the hours that they belong to.

    Raises:
        PermanentFailure: the range cannot be run like this; the message says how it could.
    """
    where = f"{table.entity}, {start:%Y-%m-%d %H:%M:%S} to {end:%Y-%m-%d %H:%M:%S} UTC"
    hours = range_hours(job, table.entity, start, end)
    if override and (table.row.load != "incremental" or stored):
        raise PermanentFailure(
            f"{where}: an override reads a range of watermarks, which takes an incremental table "
            f"and its source (load: {table.row.load}{', --stored' if stored else ''}). Leave "
            "--override out to run whole hours."
        )
    if not override and (hours[0] != start or hours[-1] + HOUR != end):
        raise PermanentFailure(
            f"{where}: whole hours are expected; give full hours, or add --override to read "
            "exactly this range of watermarks."
        )
    request = requests.open(
        table=table.entity,
        kind=RequestKind.OVERRIDE if override else RequestKind.REPROCESS,
        first_hour=hours[0],
        last_hour=hours[-1],
        hours=len(hours),
        reason=reason,
        requester=requester,
        range_start=start if override else None,
        range_end=end if override else None,
    )
    return Plan(
        request=request,
        hours=run_order(table, hours),
        assets=assets_of(job, table, stored=stored, downstream=downstream),
    )


def plan_full_reload(
    requests: Requests,
    job: dg.JobDefinition,
    table: Table,
    *,
    reason: str,
    requester: str,
    downstream: bool = False,
) -> Plan:
    """Records a request for the whole source table, read into the latest closed hour.

    Raises:
        PermanentFailure: no hour is closed yet, or reason or requester is missing.
    """
    partitions = job.partitions_def
    assert partitions is not None, "an hourly job"
    latest = partitions.get_last_partition_key()
    if latest is None:
        raise PermanentFailure(
            f"{table.entity}: no hour is closed yet to read the table into; "
            "RETAIL_PARTITIONS_START sets the first one."
        )
    hour = hour_of(latest)
    request = requests.open(
        table=table.entity,
        kind=RequestKind.FULL_RELOAD,
        first_hour=hour,
        last_hour=hour,
        hours=1,
        reason=reason,
        requester=requester,
    )
    assets = assets_of(job, table, stored=False, downstream=downstream)
    return Plan(request=request, hours=(hour,), assets=assets)


def run_plan(
    plan: Plan,
    *,
    requests: Requests,
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    on_hour: Callable[[HourResult], None] = lambda _: None,
) -> tuple[Request, list[HourResult]]:
    """Runs the hours of a request; each is counted, whatever comes of the others.

    Args:
        plan: The request and its hours.
        requests: Where hours are counted.
        job: The hourly job over all assets.
        instance: Where runs and events are kept.
        on_hour: Called after each hour.

    Returns:
        The request as it ended, and its hours in the order in which they ran.

    Raises:
        KeyboardInterrupt: a run was interrupted; the request is closed with what is done.
    """
    results: list[HourResult] = []
    error: str | None = INTERRUPTED
    try:
        for hour in plan.hours:
            result = run_request_hour(plan.request, hour, plan.assets, job=job, instance=instance)
            requests.hour_ended(plan.request.id, succeeded=result.succeeded, error=result.error)
            results.append(result)
            on_hour(result)
        error = None
    finally:
        request = requests.finish(plan.request.id, error)
    return request, results


def run_request_hour(
    request: Request,
    hour: datetime,
    assets: frozenset[dg.AssetKey],
    *,
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
) -> HourResult:
    """Runs one hour for a request; its loads carry the request's number.

    Raises:
        KeyboardInterrupt: the run was interrupted.
    """
    result = run_hour(
        job, instance=instance, hour=hour, assets=assets, tags={REQUEST_TAG: str(request.id)}
    )
    if run_interrupted(result):
        raise KeyboardInterrupt
    failures = {
        event.step_key or "": _message(event)
        for event in result.all_events
        if event.is_step_failure
    }
    if not result.success and not failures:
        failures["run"] = f"run {result.run_id} failed before its first step; see it in the UI"
    return HourResult(hour=hour, succeeded=result.success, run_id=result.run_id, failures=failures)


def _message(event: dg.DagsterEvent) -> str:
    """The platform's own message, which Dagster wraps in one of its own."""
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return data.user_failure_data.description
    error = data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip() if error is not None else "failed"


def is_success(request: Request) -> bool:
    """Whether all hours of a request went well."""
    return request.status is RequestStatus.SUCCESS
