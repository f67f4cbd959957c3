"""Maintenance beside loads: both succeed, and a compaction is never taken for new data."""

import json
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from click.testing import CliRunner
from deltalake import DeltaTable, write_deltalake

from retail_platform.bronze.assets import build_bronze_asset
from retail_platform.cli.group import main
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.lakehouse.merges import Merge
from retail_platform.metadata.loader import load_catalog
from retail_platform.metadata.upkeep import Upkeep
from retail_platform.operations.maintenance import (
    MINUTE,
    UNTIL_TAG,
    Keepable,
    _in_time,
    build_maintenance_defs,
    chosen,
    forget_runs,
    keep,
    keepable_tables,
    quiet_until,
)
from retail_platform.partitions import hourly_partitions
from retail_platform.settings import Settings
from retail_platform.silver.assets import build_silver_asset
from retail_platform_tests.platform.box import FIRST_HOUR, PII_KEY, Box, hour_at
from retail_platform_tests.platform.catalogs import contract, sql_source, write_catalog
from retail_platform_tests.platform.dagster_runs import location
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.platform.sources import ArrowReader, Database

ENTITY = "contacts"
NAMES = ["id", "amount", "modified_at"]


def catalog_folder(folder: Path, **more: Any) -> Path:
    table = {
        "table": ENTITY,
        "load": "incremental",
        "key": ["id"],
        "watermark": {"column": "modified_at"},
        "silver": {"entity": ENTITY, "merge": "upsert"},
        **more,
    }
    columns = {"id": "bigint", "amount": "int", "modified_at": "timestamp"}
    return write_catalog(folder, [sql_source("box", [table])], [contract(ENTITY, columns, ["id"])])


def row(key: int, number: int, amount: int = 1) -> Mapping[str, object]:
    return {
        "id": str(key),
        "amount": str(amount),
        "modified_at": f"{hour_at(number):%Y-%m-%d %H:%M:%S}",
    }


def load(box: Box, number: int, *rows: Mapping[str, object]) -> Any:
    box.bronze_from(ENTITY, number, ArrowReader.at(number, rows, NAMES))
    return box.silver(ENTITY, number)


@pytest.fixture
def box(new_box: Opener, tmp_path: Path) -> Box:
    return new_box(load_catalog(catalog_folder(tmp_path / "catalog")))


def test_runs_of_every_minute_are_forgotten_once_they_have_ended(tmp_path: Path) -> None:
    """Those of other jobs, younger ones, and those that still run stay."""

    @dg.job
    def often() -> None: ...

    @dg.job
    def seldom() -> None: ...

    now = datetime.now(UTC)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        kept = [
            instance.create_run_for_job(job, status=status).run_id
            for job, status in (
                (often, dg.DagsterRunStatus.STARTED),
                (seldom, dg.DagsterRunStatus.SUCCESS),
            )
        ]
        for status in (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE):
            instance.create_run_for_job(often, status=status)
        assert forget_runs(instance, "often", before=now - timedelta(minutes=1)) == 0
        assert forget_runs(instance, "often", before=now + timedelta(minutes=1)) == 2
        assert {run.run_id for run in instance.get_runs()} == set(kept)


def amounts(box: Box) -> dict[int, int]:
    return {found["id"]: found["amount"] for found in box.live(ENTITY)}


def keep_all(box: Box) -> list[str]:
    tables = keepable_tables(box.catalog, box.lake.root)
    return [r.table for r in (keep(box.lake.root, t) for t in tables) if r.rewrite]


def test_a_compaction_is_no_new_data(box: Box) -> None:
    """Hours that are loaded again after it find nothing to do; the next one merges as ever."""
    for number in range(4):
        load(box, number, row(number, number))
    before = box.live(ENTITY)
    assert {"silver.contacts"} <= set(keep_all(box))
    versions = box.lake.version("silver", ENTITY), len(box.stored_bronze(ENTITY))
    for number in range(4):
        again = load(box, number, row(number, number))
        assert again.counts.applied == 0
    assert box.live(ENTITY) == before
    assert (box.lake.version("silver", ENTITY), len(box.stored_bronze(ENTITY))) == versions
    assert load(box, 4, row(2, 4, amount=7)).counts.applied == 1
    assert amounts(box) == {0: 1, 1: 1, 2: 7, 3: 1}


@pytest.mark.parametrize("direct", [True, False])
def test_a_compaction_between_read_and_merge_costs_nothing(
    box: Box, monkeypatch: pytest.MonkeyPatch, direct: bool
) -> None:
    """The load has read the table, then all of its files are replaced, then it merges."""
    for number in range(3):
        load(box, number, row(number, number))
    original = box.lake.merge

    def compact_first(layer: Any, name: str, *args: Any, **named: Any) -> Any:
        if layer == "silver":
            assert DeltaTable(box.lake.location(layer, name)).optimize.compact()["numFilesRemoved"]
        return original(layer, name, *args, **named)

    monkeypatch.setattr(box.lake, "direct", direct)
    monkeypatch.setattr(box.lake, "merge", compact_first)
    assert load(box, 3, row(3, 3), row(1, 3, amount=5)).counts.applied == 2
    assert amounts(box) == {0: 1, 1: 5, 2: 1, 3: 1}


def test_a_merge_that_loses_to_a_compaction_is_repeated(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compaction commits after the merge has chosen its files: its commit must fail once."""
    for number in range(3):
        load(box, number, row(number, number))
    original, runs = Merge.run_on, []

    def overtaken(merge: Merge, target: DeltaTable, rows: pa.Table) -> None:
        runs.append(target.version())
        if "contacts" in target.table_uri and "silver" in target.table_uri and len(runs) == 1:
            DeltaTable(target.table_uri).optimize.compact()
        original(merge, target, rows)

    monkeypatch.setattr(box.lake, "direct", True)
    monkeypatch.setattr(Merge, "run_on", overtaken)
    load(box, 3, row(1, 3, amount=5))
    assert len(runs) == 2
    assert amounts(box) == {0: 1, 1: 5, 2: 1}


def test_a_merge_that_loses_to_another_write_is_not_repeated_blindly(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was classified against the version before is out of date: the load starts again."""
    load(box, 0, row(99, 0))
    original = Merge.run_on

    def overtaken(merge: Merge, target: DeltaTable, rows: pa.Table) -> None:
        if "silver" in target.table_uri:
            DeltaTable(target.table_uri).update({"amount": "50"})
        original(merge, target, rows)

    monkeypatch.setattr(box.lake, "direct", True)
    monkeypatch.setattr(Merge, "run_on", overtaken)
    with pytest.raises(TransientFailure, match=r"silver\.contacts: another process committed"):
        load(box, 1, row(99, 1, amount=5))
    monkeypatch.undo()
    load(box, 1, row(99, 1, amount=5))
    assert amounts(box) == {99: 5}


@pytest.mark.parametrize("direct", [True, False])
def test_loads_and_compactions_at_once_all_succeed(
    box: Box, monkeypatch: pytest.MonkeyPatch, direct: bool
) -> None:
    monkeypatch.setattr(box.lake, "direct", direct)
    load(box, 0, row(99, 0))
    done, rewritten, failures = threading.Event(), [], []

    def compacting() -> None:
        while not done.is_set():
            for name in (f"bronze/{box.catalog.by_entity[ENTITY].bronze}", f"silver/{ENTITY}"):
                path = f"{box.lake.root}/{name}"
                try:
                    rewritten.append(
                        keep(
                            box.lake.root,
                            Keepable(
                                layer="silver" if "silver" in name else "bronze",
                                name=path.rpartition("/")[2],
                                pool="",
                                upkeep=Upkeep(),
                            ),
                        ).rewrite
                    )
                except TransientFailure as failure:
                    failures.append(failure)

    thread = threading.Thread(target=compacting)
    thread.start()
    try:
        for number in range(1, 9):
            updated = [row(99, number, amount=number)] if number % 2 == 0 else []
            load(box, number, row(number, number), *updated)
    finally:
        done.set()
        thread.join()
    assert not failures
    assert "compacted" in rewritten
    assert amounts(box) == {**dict.fromkeys(range(1, 9), 1), 99: 8}
    assert [entry.status for entry in box.loads(ENTITY)] == ["SUCCESS"] * 9


def test_silver_is_clustered_by_the_columns_of_its_row(new_box: Opener, tmp_path: Path) -> None:
    silver = {"entity": ENTITY, "merge": "upsert", "cluster_by": ["id"]}
    box = new_box(load_catalog(catalog_folder(tmp_path / "catalog", silver=silver)))
    for number in (2, 0, 1):
        load(box, number, row(number, number))
    assert "silver.contacts" in keep_all(box)
    stored = box.lake.delta("silver", ENTITY)
    assert stored.to_pyarrow_table()["id"].to_pylist() == [0, 1, 2]
    assert stored.history(1)[0]["operationMetrics"]["plannerStrategy"] == "zOrder"


def test_tables_are_chosen_by_name_and_pattern(box: Box) -> None:
    load(box, 0, row(1, 0))
    tables = keepable_tables(box.catalog, box.lake.root)
    assert [t.label for t in chosen(tables, ["silver.contacts"])] == ["silver.contacts"]
    assert [t.label for t in chosen(tables, ["bronze.*"])] == ["bronze.box__contacts"]
    assert {t.layer for t in chosen(tables, ["contacts"])} == {"silver", "quarantine"}
    assert chosen(tables, []) == tables
    with pytest.raises(PermanentFailure, match=r"'ghosts'. Tables: bronze\.box__contacts, "):
        chosen(tables, ["ghosts"])


def test_pools_are_those_of_the_loads(box: Box, tmp_path: Path) -> None:
    """So that a run of maintenance and a run that loads one of its tables wait for each other."""
    load(box, 0, row(1, 0))
    partitions = hourly_partitions(FIRST_HOUR)
    pools: dict[str, str | None] = {}
    for table in box.catalog.tables:
        for definitions, label in (
            (
                build_bronze_asset(table=table, partitions_def=partitions),
                f"bronze.{table.bronze}",
            ),
            (
                build_silver_asset(
                    table=table, catalog=box.catalog, partitions_def=partitions, pii_key=PII_KEY
                ),
                f"silver.{table.entity}",
            ),
        ):
            (asset,) = list(definitions.assets or [])
            assert isinstance(asset, dg.AssetsDefinition)
            pools[label] = asset.op.pool
    kept = {t.label: t.pool for t in keepable_tables(box.catalog, box.lake.root)}
    both = pools.keys() & kept.keys()
    assert "silver.contacts" in both
    assert {label: kept[label] for label in both} == {label: pools[label] for label in both}
    ops = {
        op.pool
        for job in maintenance(box).jobs or ()
        if isinstance(job, dg.JobDefinition)
        for op in job.all_node_defs
        if isinstance(op, dg.OpDefinition)
    }
    assert set(kept.values()) | {"gold"} <= ops


def maintenance(box: Box, hours: tuple[int, int] = (1, 5)) -> dg.Definitions:
    return build_maintenance_defs(
        catalog=box.catalog, root=box.lake.root, quiet_hours=hours, schedule_on=False
    )


def test_the_nightly_job_says_what_it_did(box: Box) -> None:
    for number in range(3):
        load(box, number, row(number, number))
    gold = f"{box.lake.root}/gold/fct_sales"
    for number in range(3):
        write_deltalake(gold, pa.table({"id": [number]}), mode="append")
    location = maintenance(box)
    result = location.resolve_job_def("box_maintenance").execute_in_process()
    figures = {
        event.step_key: {
            name: value.value for name, value in event.step_output_data.metadata.items()
        }
        for event in result.all_events
        if event.event_type is dg.DagsterEventType.STEP_OUTPUT
    }
    silver = figures["maintain_box__silver_contacts"]
    assert "| silver.contacts | compacted | 3 | 1 |" in str(silver["tables"])
    assert (silver["files_before"], silver["files_after"]) == (3, 1)
    assert len(box.live(ENTITY)) == 3
    location.resolve_job_def("gold_maintenance").execute_in_process()
    assert len(DeltaTable(gold).file_uris()) == 1


def test_a_night_ends_with_the_quiet_hours(box: Box) -> None:
    """No table is begun after them; one that fails keeps no other from its turn."""
    load(box, 0, row(1, 0))
    load(box, 1, row(2, 1))
    tables = keepable_tables(box.catalog, box.lake.root)
    broken = Keepable(layer="silver", name="contacts", pool="", upkeep=Upkeep())
    until = datetime(2026, 1, 6, 5, tzinfo=UTC)
    times = iter([until - timedelta(minutes=1), until, until, until, until, until, until, until])
    done, failed, left = _in_time(
        box.lake.root, [broken, *tables[:2]], until=until, clock=lambda: next(times)
    )
    assert ([d.table for d in done], failed) == (["silver.contacts"], [])
    assert left == [table.label for table in tables[:2]]


@pytest.mark.parametrize(
    ("hours", "begin", "end"),
    [
        ((1, 5), "2026-01-06T01:30", "2026-01-06T05:00"),
        ((22, 4), "2026-01-06T22:30", "2026-01-07T04:00"),
    ],
)
def test_the_schedule_keeps_to_the_quiet_hours(
    box: Box, hours: tuple[int, int], begin: str, end: str
) -> None:
    moment = datetime.fromisoformat(f"{begin}:00+00:00")
    schedule = maintenance(box, hours).resolve_schedule_def("nightly_box_maintenance")
    assert (schedule.cron_schedule, schedule.execution_timezone) == (
        f"{MINUTE} {hours[0]} * * *",
        "UTC",
    )
    with dg.DagsterInstance.ephemeral() as instance:
        tick = schedule.evaluate_tick(
            dg.build_schedule_context(instance=instance, scheduled_execution_time=moment)
        )
    (request,) = list(tick.run_requests or [])
    assert request.tags[UNTIL_TAG] == f"{end}:00+00:00"
    assert quiet_until(moment, hours) == datetime.fromisoformat(f"{end}:00+00:00")


@pytest.mark.parametrize("text", ["5", "1-24", "a-b", "3-3"])
def test_quiet_hours_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(PermanentFailure, match="RETAIL_QUIET_HOURS"):
        Settings.from_environment({"RETAIL_QUIET_HOURS": text})


def test_the_command(box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        load(box, number, row(number, number))
    for name, value in {
        "RETAIL_HOME": str(tmp_path / "home"),
        "RETAIL_LAKE_URL": box.lake.root,
        "RETAIL_CATALOG": str(tmp_path / "catalog"),
    }.items():
        monkeypatch.setenv(name, value)
    version = box.lake.version("silver", ENTITY)

    def run(*arguments: str) -> dict[str, Any]:
        result = CliRunner().invoke(main, ["maintain", "silver.contacts", "--json", *arguments])
        assert result.exit_code == 0, result.output
        return json.loads(result.output)["tables"][0]

    told = run("--dry-run")
    assert (told["rewrite"], told["dry_run"]) == ("compacted", True)
    assert box.lake.version("silver", ENTITY) == version
    assert run()["files_after"] == 1
    assert box.lake.version("silver", ENTITY) == version + 1
    unknown = CliRunner().invoke(main, ["maintain", "ghosts"])
    assert (unknown.exit_code, "No stored table is called 'ghosts'" in unknown.output) == (1, True)


def test_a_load_that_leaves_too_many_small_files_compacts_them(
    engine_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the second hour Silver has two files, here too many; the load says what it rewrote."""
    catalog = catalog_folder(tmp_path / "catalog", maintenance={"small_files": 2})
    source = Database(tmp_path / "box.db")
    source.create("contacts", "id INTEGER, amount INTEGER, modified_at TEXT")
    monkeypatch.setenv("BOX_URL", source.url)
    with location(catalog, tmp_path / "home", engine_address) as runs:
        compacted: list[object] = []
        for number in range(2):
            source.insert("contacts", [number, 1, source.local(hour_at(number))])
            source.set_clock(number)
            events = runs.run(number).get_asset_materialization_events()
            compacted += [
                event.materialization.metadata["files_compacted"].value
                for event in events
                if event.asset_key == dg.AssetKey(["silver", ENTITY])
            ]
    assert compacted == [0, 2]
    table = DeltaTable(str(tmp_path / "home" / "lake" / "silver" / ENTITY))
    assert len(table.file_uris()) == 1
    assert table.to_pyarrow_table().num_rows == 2
