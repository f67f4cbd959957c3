"""Nightly maintenance: which tables, in which hours, and as which runs.

Every source has a maintenance job, and Gold one. Its ops hold the pools of the loads, so that a
load and the maintenance of its tables wait for each other; what is done to a table is in
``lakehouse.maintenance``.
"""

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

import dagster as dg

from retail_platform.bronze.ledger_copy import NAME
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.lakehouse.maintenance import Maintained, maintain
from retail_platform.lakehouse.places import (
    RESTRICTED,
    Layer,
    abandoned_staging,
    stored_tables,
    table_location,
)
from retail_platform.lakehouse.resource import ABANDONED_AFTER
from retail_platform.live.assets import live_job_name
from retail_platform.metadata.live import LiveTable
from retail_platform.metadata.loader import Catalog, Table
from retail_platform.metadata.upkeep import Upkeep

UNTIL_TAG = "retail/maintenance_until"
"""Run tag: no table is begun after this UTC time (ISO 8601); a run without it does them all."""
MINUTE = 30
"""Minute of the first quiet hour: the load of the hour before has begun long since."""
GOLD = "gold"
PLATFORM_POOL = "platform"
"""Pool of what the platform keeps of itself."""
OWN_UPKEEP = Upkeep()
"""How tables are kept that no row of the catalog describes."""
MICRO_BATCHES_KEPT = timedelta(days=3)
"""How long the runs of live tables can be looked at."""
ENDED = (
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
)
LIVE_LAYERS: tuple[Layer, ...] = ("silver", "quarantine")


@dataclass(frozen=True, kw_only=True)
class Keepable:
    """A stored table and how it is kept in shape.

    Attributes:
        layer: Its layer.
        name: Its name in the layer.
        pool: Pool that a load of the table holds.
        upkeep: What to do with it.
        cluster_by: Columns by which its rows are sorted into files.
    """

    layer: Layer
    name: str
    pool: str
    upkeep: Upkeep
    cluster_by: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Layer and name."""
        return f"{self.layer}.{self.name}"


def keepable_tables(catalog: Catalog, root: str) -> list[Keepable]:
    """The stored tables of the lake below ``root``, by layer and name."""
    owners: dict[Layer, dict[str, Table]] = {
        "bronze": catalog.by_bronze,
        "silver": catalog.by_entity,
        "quarantine": catalog.by_entity,
        RESTRICTED: {f"{table.entity}__pii": table for table in catalog.tables},
    }
    found = [
        Keepable(
            layer=layer,
            name=name,
            pool=f"source_{table.source}" if layer == "bronze" else f"silver_{table.entity}",
            upkeep=table.row.maintenance,
            cluster_by=table.row.silver.cluster_by if layer == "silver" else (),
        )
        for layer, tables in owners.items()
        for name in stored_tables(root, layer)
        if (table := tables.get(name)) is not None
    ]
    live = {table.entity: table for table in catalog.live}
    found += [
        Keepable(layer=layer, name=name, pool=live[name].pool, upkeep=live[name].row.maintenance)
        for layer in LIVE_LAYERS
        for name in stored_tables(root, layer)
        if name in live
    ]
    own = [
        Keepable(layer=GOLD, name=name, pool=GOLD, upkeep=OWN_UPKEEP)
        for name in stored_tables(root, GOLD)
    ]
    if NAME in stored_tables(root, "bronze"):
        own.append(Keepable(layer="bronze", name=NAME, pool=PLATFORM_POOL, upkeep=OWN_UPKEEP))
    return found + own


def chosen(tables: Sequence[Keepable], patterns: Sequence[str]) -> list[Keepable]:
    """The tables that a pattern names: ``silver.orders``, ``orders``, ``bronze.sales__*``.

    Raises:
        PermanentFailure: a pattern names no stored table.
    """
    if not patterns:
        return list(tables)
    for pattern in patterns:
        if not any(_named(table, pattern) for table in tables):
            raise PermanentFailure(
                f"No stored table is called {pattern!r}. Tables: "
                f"{', '.join(table.label for table in tables) or 'none yet: load an hour first'}."
            )
    return [table for table in tables if any(_named(table, pattern) for pattern in patterns)]


def keep(root: str, table: Keepable, *, dry_run: bool = False) -> Maintained:
    """Maintains one table.

    Raises:
        TransientFailure: other commits came first again and again.
        PermanentFailure: the table has deletion vectors.
    """
    location = table_location(root, table.layer, table.name)
    return maintain(
        location,
        table=table.label,
        upkeep=table.upkeep,
        cluster_by=table.cluster_by,
        dry_run=dry_run,
    )


def remove_staging(root: str, *, dry_run: bool = False) -> int:
    """Deletes staged tables that killed processes left; returns their number."""
    folders = abandoned_staging(root, older_than=ABANDONED_AFTER)
    if not dry_run:
        for folder in folders:
            shutil.rmtree(folder)
    return len(folders)


def build_maintenance_defs(
    *, catalog: Catalog, root: str, quiet_hours: tuple[int, int], schedule_on: bool
) -> dg.Definitions:
    """The maintenance jobs and their nightly schedules.

    Args:
        catalog: All tables.
        root: Lake root.
        quiet_hours: Hours of the day (UTC) in which maintenance begins and ends.
        schedule_on: Whether the schedules run from the start, without a switch in the UI.
    """
    jobs = [_source_job(catalog, root, source) for source in catalog.sources]
    jobs.append(_job(GOLD, [_op(pool, pool, catalog, root) for pool in (GOLD, PLATFORM_POOL)]))
    schedules = [_nightly(job, quiet_hours, schedule_on=schedule_on) for job in jobs]
    return dg.Definitions(jobs=jobs, schedules=schedules)


def forget_runs(instance: dg.DagsterInstance, job: str, *, before: datetime) -> int:
    """Deletes the ended runs of a job, with their events; returns their number.

    A job of every minute leaves half a million of them a year.

    Args:
        instance: Where runs and events are kept.
        job: Name of the job.
        before: Runs made later stay (aware).
    """
    ended = dg.RunsFilter(job_name=job, statuses=list(ENDED), created_before=before)
    runs = instance.get_runs(ended)
    for run in runs:
        instance.delete_run(run.run_id)
    return len(runs)


def quiet_until(begin: datetime, quiet_hours: tuple[int, int]) -> datetime:
    """When the quiet hours that a nightly run belongs to are over."""
    last = begin.replace(hour=quiet_hours[1], minute=0, second=0, microsecond=0)
    return last if last > begin else last + timedelta(days=1)


def _source_job(catalog: Catalog, root: str, source: str) -> dg.JobDefinition:
    entities = [table.entity for table in catalog.tables if table.source == source]
    pools = [f"source_{source}", *(f"silver_{entity}" for entity in entities)]
    pools += [table.pool for table in catalog.live if table.source == source]
    ops = [_op(f"{source}__{pool}", pool, catalog, root) for pool in pools]
    ops += [_forget_op(table) for table in catalog.live if table.source == source]
    return _job(source, ops)


def _job(name: str, ops: Sequence[dg.OpDefinition]) -> dg.JobDefinition:
    @dg.job(
        name=f"{name}_maintenance",
        description=(
            f"Compacts the tables of {name}, deletes what no kept version needs, and writes "
            "checkpoints. Waits for loads of the same tables, and they for it."
        ),
        executor_def=dg.in_process_executor,
    )
    def _maintenance() -> None:
        for op in ops:
            op()

    return _maintenance


def _op(name: str, pool: str, catalog: Catalog, root: str) -> dg.OpDefinition:
    @dg.op(name=f"maintain_{name}", pool=pool, description=f"The tables that pool {pool} protects.")
    def _maintain(context: dg.OpExecutionContext) -> None:
        until = context.run.tags.get(UNTIL_TAG)
        tables = [table for table in keepable_tables(catalog, root) if table.pool == pool]
        done, failed, left = _in_time(
            root, tables, until=datetime.fromisoformat(until) if until else None
        )
        staging = remove_staging(root)
        context.add_output_metadata(
            {
                "tables": dg.MetadataValue.md(_markdown(done)),
                "files_before": sum(result.files_before for result in done),
                "files_after": sum(result.files_after for result in done),
                "bytes_removed": sum(result.bytes_removed for result in done),
                "staging_removed": staging,
                "left": ", ".join(left),
            }
        )
        for table in left:
            context.log.info(f"{table}: the quiet hours are over; left for the next night")
        if failed:
            raise dg.Failure(description="; ".join(failed), allow_retries=False)

    return _maintain


def _forget_op(table: LiveTable) -> dg.OpDefinition:
    @dg.op(
        name=f"forget_micro_batches_of_{table.entity}",
        description=f"Deletes runs of {table.entity} that are older than {MICRO_BATCHES_KEPT}.",
    )
    def _forget(context: dg.OpExecutionContext) -> None:
        before = datetime.now(UTC) - MICRO_BATCHES_KEPT
        deleted = forget_runs(context.instance, live_job_name(table), before=before)
        context.add_output_metadata({"runs_deleted": deleted})

    return _forget


def _in_time(
    root: str,
    tables: Iterable[Keepable],
    *,
    until: datetime | None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> tuple[list[Maintained], list[str], list[str]]:
    """Maintains tables while the hours are quiet: what was done, what failed, what is left."""
    done: list[Maintained] = []
    failed: list[str] = []
    left: list[str] = []
    for table in tables:
        if until is not None and clock() >= until:
            left.append(table.label)
            continue
        try:
            done.append(keep(root, table))
        except (TransientFailure, PermanentFailure) as failure:
            failed.append(str(failure))
    return done, failed, left


def _nightly(
    job: dg.JobDefinition, quiet_hours: tuple[int, int], *, schedule_on: bool
) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"nightly_{job.name}",
        job=job,
        cron_schedule=f"{MINUTE} {quiet_hours[0]} * * *",
        execution_timezone="UTC",
        description=f"In the quiet hours, {quiet_hours[0]} to {quiet_hours[1]} o'clock UTC.",
        default_status=(
            dg.DefaultScheduleStatus.RUNNING if schedule_on else dg.DefaultScheduleStatus.STOPPED
        ),
    )
    def _schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        begin = context.scheduled_execution_time.astimezone(UTC)
        until = quiet_until(begin, quiet_hours).isoformat()
        return dg.RunRequest(run_key=begin.isoformat(), tags={UNTIL_TAG: until})

    return _schedule


def _named(table: Keepable, pattern: str) -> bool:
    return fnmatchcase(table.label, pattern) or fnmatchcase(table.name, pattern)


def _markdown(results: Sequence[Maintained]) -> str:
    if not results:
        return "*no tables*"
    lines = ["| table | rewritten | files before | after | removed | bytes |", "|" + " --- |" * 6]
    lines += [
        f"| {r.table} | {r.rewrite or '-'} | {r.files_before} | {r.files_after} "
        f"| {r.files_removed} | {r.bytes_removed:,} |"
        for r in results
    ]
    return "\n".join(lines)
