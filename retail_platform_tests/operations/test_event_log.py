"""Tests of the event log: same rows as Dagster's own, live, and gone when wiped."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.storage.event_log import SqliteEventLogStorage

from retail_platform.operations.event_log import OPEN_SHARDS, PooledSqliteEventLogStorage

JOB = "counted"


@dg.asset(check_specs=[dg.AssetCheckSpec("positive", asset="counted_rows")])
def counted_rows() -> Iterator[Any]:
    """Three rows."""
    yield dg.MaterializeResult(
        metadata={"dagster/row_count": 3},
        check_results=[dg.AssetCheckResult(check_name="positive", passed=True)],
    )


DEFS = dg.Definitions(assets=[counted_rows], jobs=[dg.define_asset_job(JOB)])


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dg.DagsterInstance:
    shipped = yaml.safe_load((Path(__file__).parents[2] / "dagster.yaml").read_text())
    block = {"event_log_storage": shipped["event_log_storage"], "telemetry": {"enabled": False}}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(block))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return dg.DagsterInstance.from_config(str(tmp_path))


def _run(instance: dg.DagsterInstance) -> str:
    return DEFS.resolve_job_def(JOB).execute_in_process(instance=instance).run_id


def test_the_shipped_instance_uses_it_and_dagsters_own_class_reads_the_same(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    run_id = _run(instance)
    with instance:
        ours = instance.event_log_storage
        assert isinstance(ours, PooledSqliteEventLogStorage)
        theirs = SqliteEventLogStorage(str(tmp_path / "history" / "runs"))
        theirs.register_instance(instance)
        events = [entry.get_dagster_event().event_type for entry in theirs.get_logs_for_run(run_id)]
        assert dg.DagsterEventType.ASSET_CHECK_EVALUATION in events
        assert events == [
            entry.get_dagster_event().event_type for entry in ours.get_logs_for_run(run_id)
        ]
        key = dg.AssetKey("counted_rows")
        assert theirs.get_latest_materialization_events([key])[key] is not None


def test_a_watcher_sees_each_event_of_a_run_while_it_is_written(
    instance: dg.DagsterInstance,
) -> None:
    with instance:
        seen: list[str] = []
        ended = threading.Event()

        def record(entry: dg.EventLogEntry, cursor: str) -> None:
            del cursor
            if entry.dagster_event is not None:
                seen.append(entry.dagster_event.event_type_value)
                if entry.dagster_event.event_type is dg.DagsterEventType.RUN_SUCCESS:
                    ended.set()

        run_id = "11111111-2222-3333-4444-555555555555"
        instance.watch_event_logs(run_id, None, record)
        DEFS.resolve_job_def(JOB).execute_in_process(instance=instance, run_id=run_id)
        assert ended.wait(timeout=30)
        assert seen.count("ASSET_MATERIALIZATION") == 1
        instance.end_watch_event_logs(run_id, record)


def test_only_the_last_runs_stay_open_and_every_run_can_be_read(
    instance: dg.DagsterInstance,
) -> None:
    with instance:
        runs = [_run(instance) for _ in range(OPEN_SHARDS + 1)]
        storage = instance.event_log_storage
        assert isinstance(storage, PooledSqliteEventLogStorage)
        assert len(storage._engines) == OPEN_SHARDS
        assert all(instance.all_logs(run_id) for run_id in runs)


def test_wiped_events_are_gone_and_new_ones_can_be_written(instance: dg.DagsterInstance) -> None:
    with instance:
        before = _run(instance)
        instance.event_log_storage.wipe()
        assert instance.all_logs(before) == []
        assert instance.all_logs(_run(instance))


def test_without_a_folder_the_error_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with pytest.raises(dg.DagsterInvariantViolationError, match="DAGSTER_HOME"):
        PooledSqliteEventLogStorage()


def test_an_event_that_cannot_be_indexed_leaves_no_trace_in_its_run(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    with instance:
        run_id = _run(instance)
        storage = instance.event_log_storage
        assert isinstance(storage, PooledSqliteEventLogStorage)
        before = storage.get_logs_for_run(run_id)
        evaluated = next(
            entry
            for entry in before
            if entry.dagster_event_type is dg.DagsterEventType.ASSET_MATERIALIZATION
        )

        def full(*_: object) -> None:
            raise OSError("No space left on device")

        monkeypatch.setattr(storage, "_store_asset_event", full)
        with pytest.raises(OSError, match="No space"):
            storage.store_event(evaluated)
        monkeypatch.undo()
        assert len(storage.get_logs_for_run(run_id)) == len(before)
        storage.store_event(evaluated)
        assert len(storage.get_logs_for_run(run_id)) == len(before) + 1
