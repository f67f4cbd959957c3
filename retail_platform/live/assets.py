"""Live tables as Dagster sees them: an asset without partitions, its job, and its schedule.

Glue only: what a micro-batch does is in ``micro_batch``. Nothing here imports an engine or dbt: a
run is a process that is over within the minute.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg
from deltalake import DeltaTable

from retail_platform.extract.kafka_opening import kafka_resource
from retail_platform.extract.offsets import CONSUMER_LAG, OFFSETS_COMPLETE
from retail_platform.failures import TransientFailure
from retail_platform.lakehouse.maintenance import compact_after_load
from retail_platform.lakehouse.places import table_location
from retail_platform.live.micro_batch import MicroBatch, MicroBatchLoader
from retail_platform.metadata.live import LiveTable
from retail_platform.steps import dagster_failures

if TYPE_CHECKING:
    from retail_platform.control.ledger import Ledger

GROUP = "live"
STALE_AFTER = timedelta(minutes=10)
UNFINISHED = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)


def live_job_name(table: LiveTable) -> str:
    """Name of the job, and of the schedule, of a live table."""
    return f"{table.entity}_micro_batch"


def build_live_defs(
    *, tables: Sequence[LiveTable], lake_url: str, control_url: str, schedule_on: bool
) -> dg.Definitions:
    """The assets of live tables, each with a job and a schedule of every minute.

    Args:
        tables: Their metadata.
        lake_url: Root of the lake.
        control_url: URL of the control database, whose ledger has a row for each micro-batch that
            read something or failed.
        schedule_on: Whether the schedules run from the start, without a switch in the UI.
    """
    return dg.Definitions.merge(
        *(
            _table_defs(table, lake_url, control_url=control_url, schedule_on=schedule_on)
            for table in tables
        )
    )


def _table_defs(
    table: LiveTable, lake_url: str, *, control_url: str, schedule_on: bool
) -> dg.Definitions:
    asset = _asset(table, lake_url, control_url=control_url, schedule_on=schedule_on)
    job = dg.define_asset_job(
        live_job_name(table),
        selection=[asset],
        description=f"One micro-batch of {table.row.topic} into {table.entity}.",
        executor_def=dg.in_process_executor,
    )
    return dg.Definitions(
        assets=[asset], jobs=[job], schedules=[_schedule(job.name, schedule_on=schedule_on)]
    )


def _schedule(job: str, *, schedule_on: bool) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=job,
        job_name=job,
        cron_schedule="* * * * *",
        execution_timezone="UTC",
        description="Every minute, unless the micro-batch before still runs.",
        default_status=(
            dg.DefaultScheduleStatus.RUNNING if schedule_on else dg.DefaultScheduleStatus.STOPPED
        ),
    )
    def _every_minute(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        # Pools keep two from running at once; without this they would queue up behind a slow one.
        unfinished = context.instance.get_runs(
            dg.RunsFilter(job_name=job, statuses=list(UNFINISHED)), limit=1
        )
        if unfinished:
            return dg.SkipReason(f"run {unfinished[0].run_id} has not ended: it reads what waits")
        return dg.RunRequest()

    return _every_minute


def _asset(
    table: LiveTable, lake_url: str, *, control_url: str, schedule_on: bool
) -> dg.AssetsDefinition:
    key = dg.AssetKey(["silver", table.entity])

    @dg.asset(
        key=key,
        group_name=GROUP,
        kinds={"delta", "kafka"},
        owners=list(table.owners),
        description=f"{table.row.description}; beside the hour, by micro-batches.",
        metadata={"source": table.source, "topic": table.row.topic},
        # Of a table that nobody has switched on nothing is expected.
        freshness_policy=(
            dg.FreshnessPolicy.time_window(fail_window=STALE_AFTER) if schedule_on else None
        ),
        pool=table.pool,
        check_specs=[
            dg.AssetCheckSpec(
                OFFSETS_COMPLETE,
                asset=key,
                description="Fails where offsets had expired, or the topic was made anew.",
            ),
            dg.AssetCheckSpec(
                CONSUMER_LAG,
                asset=key,
                description="Warns where events wait for longer than max_lag.",
            ),
        ],
    )
    def _live(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        with dagster_failures():
            batch = _micro_batch(table, lake_url, control_url, context.run.run_id)
        context.log.info(f"{table.entity}: {_summary(batch)}")
        location = table_location(lake_url, "silver", table.entity)
        delta = DeltaTable(location)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": delta.count(),
                "summary": _summary(batch),
                "offsets": ", ".join(f"{r.partition}: {r.start}-{r.end}" for r in batch.ranges),
                "events_read": batch.read,
                "rows_applied": batch.applied,
                "quarantined": batch.quarantined,
                "lost_offsets": batch.lost,
                "consumer_lag": batch.waiting,
                "seconds_behind": batch.behind.total_seconds(),
                "newest_event": dg.MetadataValue.timestamp(batch.arrived)
                if batch.arrived
                else "none",
                "delta_version": delta.version(),
                "files_compacted": _compacted(context, table, delta),
            },
            check_results=list(_check_results(table, batch)),
        )

    return _live


def _micro_batch(table: LiveTable, lake_url: str, control_url: str, run_id: str) -> MicroBatch:
    name = f"silver.{table.entity}"
    kafka = kafka_resource(table.connection, place=name)
    topic = kafka.topic(table.row.topic, name=name, group=table.row.consumer_group)
    with closing(topic):
        loader = MicroBatchLoader(
            table=table,
            topic=topic,
            lake_url=lake_url,
            open_ledger=lambda: _ledger(control_url),
            run_id=run_id,
        )
        return loader.load()


def _ledger(control_url: str) -> "Ledger":
    from retail_platform.control.database import open_control
    from retail_platform.control.ledger import Ledger

    return Ledger(open_control(control_url))


def _compacted(context: dg.AssetExecutionContext, table: LiveTable, delta: DeltaTable) -> int:
    try:
        return compact_after_load(
            delta, table=f"silver.{table.entity}", upkeep=table.row.maintenance
        )
    except TransientFailure as failure:
        context.log.warning(f"left for the nightly maintenance: {failure}")
        return 0


def _check_results(table: LiveTable, batch: MicroBatch) -> Iterator[dg.AssetCheckResult]:
    topic = table.row.topic
    losses = [
        f"{r.lost} offsets of partition {r.partition} before {r.start} had expired before they "
        "were read"
        for r in batch.ranges
        if r.lost
    ]
    losses += [
        f"partition {partition} ended before the offset up to which it had been read: it was made "
        "anew, and is read from its beginning"
        for partition in batch.restarted
    ]
    yield dg.AssetCheckResult(
        check_name=OFFSETS_COMPLETE,
        passed=not losses,
        severity=dg.AssetCheckSeverity.ERROR,
        description=(
            f"topic {topic}: {'; '.join(losses)}. Rows whose last event is lost are out of date: "
            "ask the producer to send them again, and lengthen the topic's retention."
            if losses
            else f"topic {topic}: nothing was lost."
        ),
        metadata={"lost_offsets": batch.lost},
    )
    late = batch.waiting > 0 and batch.behind > table.row.max_lag
    yield dg.AssetCheckResult(
        check_name=CONSUMER_LAG,
        passed=not late,
        severity=dg.AssetCheckSeverity.WARN,
        description=(
            f"topic {topic}: {batch.waiting} offsets wait, the newest event read arrived "
            f"{batch.behind} before the source's clock, max_lag is {table.row.max_lag}: the next "
            "micro-batches catch up; if not, raise most_messages of the table."
            if late
            else f"topic {topic}: {batch.waiting} offsets wait for the next micro-batch."
        ),
        metadata={"consumer_lag": batch.waiting, "seconds_behind": batch.behind.total_seconds()},
    )


def _summary(batch: MicroBatch) -> str:
    refused = f", {batch.quarantined} quarantined" if batch.quarantined else ""
    return f"{batch.read} events read, {batch.applied} rows changed{refused}"
