"""Loads hours, and live tables, as Dagster runs in this process, and says what came of them."""

import threading
import time
import uuid
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import dagster as dg

from retail_platform.live.assets import live_job_name
from retail_platform.live.definitions import build_defs as build_live_defs
from retail_platform.metadata.loader import load_catalog
from retail_platform.operations.jobs import ALL_HOURLY
from retail_platform.operations.running import QUIET, run_hour, run_interrupted
from retail_platform.settings import Settings

POLL_SECONDS = 0.4
ROW_COUNTS = ("dagster/row_count", "dagster/partition_row_count")


@dataclass(frozen=True, kw_only=True)
class CheckOutcome:
    """One evaluated check."""

    asset: str
    name: str
    passed: bool
    blocking: bool
    text: str


@dataclass(kw_only=True)
class HourOutcome:
    """What one run did.

    Attributes:
        hour: The hour.
        succeeded: Whether every step did.
        seconds: Wall time of the run.
        asset_seconds: Seconds of each asset; assets of one step share its time evenly.
        rows: Row count that each asset reported.
        checks: Every check evaluated.
        failures: Step to the message of its failure.
    """

    hour: datetime
    succeeded: bool = False
    seconds: float = 0.0
    asset_seconds: dict[str, float] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    checks: list[CheckOutcome] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)


def asset_count(defs: dg.Definitions) -> int:
    """Assets of the hourly job, the length of a progress bar."""
    return len(set(defs.resolve_job_def(ALL_HOURLY).asset_layer.executable_asset_keys))


def load_hour(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    hour: datetime,
    on_progress: Callable[[int], None],
) -> HourOutcome:
    """Runs the hourly job for one hour.

    Args:
        defs: The code location.
        instance: Where runs and events are kept; the UI reads the same.
        hour: Aware UTC hour.
        on_progress: Called now and then with the number of assets materialised so far.

    Raises:
        KeyboardInterrupt: the run was interrupted.
    """
    run_id = str(uuid.uuid4())
    started = time.monotonic()
    with _watched(instance, run_id, on_progress):
        result = run_hour(
            defs.resolve_job_def(ALL_HOURLY), instance=instance, hour=hour, run_id=run_id
        )
    if run_interrupted(result):
        raise KeyboardInterrupt
    outcome = _outcome(hour, result.all_events)
    outcome.succeeded = result.success
    outcome.seconds = time.monotonic() - started
    on_progress(len(outcome.rows))
    return outcome


def load_live(
    settings: Settings, instance: dg.DagsterInstance, hour: datetime
) -> list[HourOutcome]:
    """Runs one micro-batch of each live table, as their schedules would every minute.

    Args:
        settings: Settings of the deployment.
        instance: Where runs and events are kept.
        hour: Hour under which their outcomes are told.
    """
    defs = build_live_defs(settings)
    outcomes: list[HourOutcome] = []
    for table in load_catalog(settings.catalog, without=settings.without_sources).live:
        job = defs.resolve_job_def(live_job_name(table))
        started = time.monotonic()
        result = job.execute_in_process(instance=instance, run_config=QUIET, raise_on_error=False)
        outcome = _outcome(hour, result.all_events)
        outcome.succeeded = result.success
        outcome.seconds = time.monotonic() - started
        outcomes.append(outcome)
    return outcomes


def _outcome(hour: datetime, events: Sequence[dg.DagsterEvent]) -> HourOutcome:
    outcome = HourOutcome(hour=hour)
    step_assets: dict[str, list[str]] = {}
    for event in events:
        if event.is_step_materialization:
            asset = event.step_materialization_data.materialization
            name = asset.asset_key.to_user_string()
            step_assets.setdefault(event.step_key or "", []).append(name)
            counts = [asset.metadata[key].value for key in ROW_COUNTS if key in asset.metadata]
            outcome.rows[name] = int(str(counts[0])) if counts else 0
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            outcome.checks.append(
                CheckOutcome(
                    asset=check.asset_key.to_user_string(),
                    name=check.check_name,
                    passed=check.passed,
                    blocking=check.severity == dg.AssetCheckSeverity.ERROR,
                    text=check.description or "",
                )
            )
        elif event.is_step_failure:
            error = event.step_failure_data.error
            outcome.failures[event.step_key or ""] = error.message if error else ""
        elif event.is_step_success:
            assets = step_assets.get(event.step_key or "", [])
            seconds = event.step_success_data.duration_ms / 1000
            outcome.asset_seconds.update({name: seconds / len(assets) for name in assets})
    return outcome


@contextmanager
def _watched(
    instance: dg.DagsterInstance, run_id: str, on_progress: Callable[[int], None]
) -> Generator[None, None, None]:
    """Counts the run's materialisations while the block runs: the run itself tells nobody."""
    ended = threading.Event()

    def watch() -> None:
        done, cursor = 0, None
        while not ended.wait(POLL_SECONDS):
            # Only what is new since: reading a record costs as much as writing it.
            new = instance.get_records_for_run(
                run_id, cursor=cursor, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
            )
            done, cursor = done + len(new.records), new.cursor
            on_progress(done)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
