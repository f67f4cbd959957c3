"""Loads that a run never began because something before them failed: BLOCKED rows of the ledger.

A step that Dagster skips runs no code, so its row is derived from the run's step graph and events:
when the run's resources are torn down (`DependenciesResource`), whoever runs it, and once more by a
sensor in the daemon, for runs whose process was killed. Both may do it; a row is added once.

Not here: running blocked loads again (`reprocess`), and what a step that runs asks of its parents
(`parents`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from graphlib import TopologicalSorter

import dagster as dg

from retail_platform.control.database import open_control
from retail_platform.control.ledger import Ledger
from retail_platform.control.models import Status
from retail_platform.control.redaction import redact
from retail_platform.extract.window import HOUR
from retail_platform.metadata.loader import Table
from retail_platform.operations.causes import Cause, failed, read_causes, written
from retail_platform.operations.executor import is_soft
from retail_platform.operations.parents import PARTITION_TAG, ParentJudge, admit, silver_parents
from retail_platform.partitions import hour_of
from retail_platform.settings import Settings

LAYERS = ("bronze", "silver", "gold")
"""Layers whose assets have rows in the ledger."""
RANGE_TAGS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
STARTED = dg.DagsterEventType.STEP_START
FAILED = dg.DagsterEventType.STEP_FAILURE
POLL_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class _Step:
    """A step of a run's plan: its assets, and the steps whose failure blocks it."""

    assets: tuple[str, ...]
    hard: frozenset[str]


def record_blocked(
    instance: dg.DagsterInstance, run: dg.DagsterRun, ledger: Ledger, engine: str
) -> list[str]:
    """Adds a BLOCKED row for each asset and hour that a failed step of the run has kept from it.

    Returns:
        Assets for which rows were added, parents first.
    """
    failures, started = _step_events(instance, run.run_id)
    record = instance.get_run_record_by_id(run.run_id)
    if not failures or record is None:
        return []
    began = datetime.fromtimestamp(record.start_time, UTC) if record.start_time else None
    added = []
    for hour in _hours(run):
        for asset, causes in _blocked(_steps(instance, run), failures, started, ledger, hour):
            if ledger.block(
                asset=asset,
                layer=asset.split("/", maxsplit=1)[0],
                hour=hour,
                run_id=run.run_id,
                engine=engine,
                causes=written(causes),
                older_than=began or record.create_timestamp,
            ):
                added.append(asset)
    return added


def _blocked(
    steps: Mapping[str, _Step],
    failures: Mapping[str, str],
    started: set[str],
    ledger: Ledger,
    hour: datetime,
) -> list[tuple[str, list[Cause]]]:
    """Each asset that was not attempted, with its causes, parents first."""
    causes: dict[str, list[Cause]] = {}
    blocked: list[tuple[str, list[Cause]]] = []
    for key in TopologicalSorter({key: step.hard for key, step in steps.items()}).static_order():
        if key not in steps:
            continue
        step = steps[key]
        if key in failures:
            causes[key] = [
                cause
                for asset in step.assets
                for cause in _failure_causes(asset, failures[key], ledger, hour)
            ]
            continue
        above = [cause for parent in sorted(step.hard) for cause in causes.get(parent, [])]
        if key in started or not above:
            continue
        causes[key] = []
        for asset in step.assets:
            own = [cause.then(asset) for cause in above]
            blocked.append((asset, own))
            causes[key] += own
    return blocked


def _failure_causes(asset: str, error: str, ledger: Ledger, hour: datetime) -> list[Cause]:
    """What a failed step means for those below it; the ledger's words, where it has some."""
    row = ledger.latest(asset, hour)
    if row is not None and row.status is Status.BLOCKED:
        return read_causes(row.causes)
    return [failed(asset, row.error if row is not None and row.error else redact(error))]


def _step_events(instance: dg.DagsterInstance, run_id: str) -> tuple[dict[str, str], set[str]]:
    """Failed steps with their messages, and all steps that were started."""
    failures: dict[str, str] = {}
    started: set[str] = set()
    for entry in instance.all_logs(run_id, of_type={STARTED, FAILED}):
        event = entry.dagster_event
        if event is None or event.step_key is None:
            continue
        started.add(event.step_key)
        if event.event_type is FAILED:
            error = event.step_failure_data.error
            failures[event.step_key] = error.message if error else ""
    return failures, started


def _steps(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dict[str, _Step]:
    assert run.execution_plan_snapshot_id is not None
    plan = instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id)
    return {
        step.key: _Step(
            assets=tuple(
                sorted(
                    output.properties.asset_key.to_user_string()
                    for output in step.outputs
                    if output.properties
                    and output.properties.asset_key
                    and output.properties.asset_key.path[0] in LAYERS
                )
            ),
            hard=frozenset(
                handle.step_key
                for step_input in step.inputs
                for handle in step_input.upstream_output_handles
                if not is_soft(step.tags or {}, handle.step_key)
            ),
        )
        for step in plan.steps
    }


def _hours(run: dg.DagsterRun) -> list[datetime]:
    """The hours of a run over one partition or a range of them; none without partitions."""
    first, last = (run.tags.get(tag, run.tags.get(PARTITION_TAG)) for tag in RANGE_TAGS)
    if first is None or last is None:
        return []
    hours = [hour_of(first)]
    while hours[-1] < hour_of(last):
        hours.append(hours[-1] + HOUR)
    return hours


class DependenciesResource(dg.ConfigurableResource):
    """What a run asks of the parents of its loads, and what it leaves behind of those it skipped.

    Attributes:
        control_url: SQLAlchemy URL of the control database.
        engine: Name of the engine, for the ledger.
        poll_seconds: How often a parent that another run loads is looked at.
    """

    control_url: str
    engine: str
    poll_seconds: float = POLL_SECONDS

    @classmethod
    def of(cls, settings: Settings) -> "DependenciesResource":
        """The resource that the settings describe."""
        return cls(control_url=settings.control_url, engine=settings.engine.value)

    @cached_property
    def ledger(self) -> Ledger:
        """The load ledger."""
        return Ledger(open_control(self.control_url))

    def admit_silver(self, context: dg.AssetExecutionContext, table: Table) -> dict[str, str]:
        """Lets the step load a Silver table's hour; see `parents.admit`."""
        return admit(
            self.judge(context.instance, context.run.run_id),
            self.ledger,
            asset=f"silver/{table.entity}",
            hour=hour_of(context.partition_key),
            run_id=context.run.run_id,
            engine=self.engine,
            parents=silver_parents(table),
        )

    def judge(self, instance: dg.DagsterInstance, run_id: str) -> ParentJudge:
        """The judge of a run's parents."""
        return ParentJudge(self.ledger, instance, run_id, self.poll_seconds)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Records what the run's failures have blocked."""
        if context.run is not None and context.instance is not None:
            self.record_blocked(context.instance, context.run)

    def record_blocked(self, instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[str]:
        """Records what the run's failures have blocked so far; see `record_blocked`."""
        return record_blocked(instance, run, self.ledger, self.engine)


def build_blocked_defs() -> dg.Definitions:
    """The sensor that records what a run has blocked if the run itself could not."""

    @dg.run_failure_sensor(
        name="blocked_loads",
        default_status=dg.DefaultSensorStatus.RUNNING,
        monitor_all_code_locations=False,
        description=(
            "Notes in the ledger which loads a failed run has kept from being attempted, and why. "
            "Runs do so themselves; this one is for those whose process was killed."
        ),
    )
    def blocked_loads(
        context: dg.RunFailureSensorContext, dependencies: DependenciesResource
    ) -> None:
        added = dependencies.record_blocked(context.instance, context.dagster_run)
        if added:
            context.log.info(f"run {context.dagster_run.run_id} has blocked {', '.join(added)}")

    return dg.Definitions(sensors=[blocked_loads])
