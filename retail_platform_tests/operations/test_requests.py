"""Hours on request: each a run of its own, counted, with its reason on every ledger row."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from retail_platform.control.database import open_control
from retail_platform.control.ledger import Ledger
from retail_platform.control.models import RequestStatus
from retail_platform.control.requests import REQUEST_TAG, RequestKind, Requests
from retail_platform.control.resource import ControlResource
from retail_platform.failures import PermanentFailure
from retail_platform.metadata.loader import Catalog, load_catalog
from retail_platform.metadata.watermark import Gap
from retail_platform.operations.gaps import fill_gaps
from retail_platform.operations.late_window import reread_late_window
from retail_platform.operations.request_jobs import build_reprocess_job
from retail_platform.operations.requests import (
    HourResult,
    plan_full_reload,
    plan_range,
    run_order,
    run_plan,
    table_named,
)
from retail_platform.partitions import key_of
from retail_platform_tests.platform.box import HOUR, hour_at
from retail_platform_tests.platform.catalogs import contract, sql_source, write_catalog
from retail_platform_tests.platform.dagster_runs import Location, location
from retail_platform_tests.platform.sources import Database
from retail_platform_tests.silver.modes import PLAIN, RULES, modes_catalog

HOURS = 3


@dataclass
class Place:
    """A small platform with three loaded hours of the table ``contacts``."""

    runs: Location
    home: Path
    source: Database
    catalog: Catalog

    @property
    def requests(self) -> Requests:
        return Requests(open_control(f"sqlite:///{self.home / 'control.db'}"))

    @property
    def ledger(self) -> Ledger:
        return Ledger(open_control(f"sqlite:///{self.home / 'control.db'}"))


@pytest.fixture
def place(
    tmp_path: Path, engine_address: str, monkeypatch: pytest.MonkeyPatch, no_retries: None
) -> Iterator[Place]:
    del no_retries
    source = Database(tmp_path / "box.db")
    source.create("contacts", "id TEXT, amount TEXT, modified_at TEXT")
    for number in range(HOURS):
        source.insert("contacts", (str(number), str(number), at(number, 10)))
    source.set_clock(HOURS - 1)
    monkeypatch.setenv("BOX_URL", source.url)
    row = {
        "table": "contacts",
        "load": "incremental",
        "key": ["id"],
        "watermark": {"column": "modified_at"},
        "silver": {"entity": "contacts", "merge": "upsert"},
    }
    folder = write_catalog(
        tmp_path / "catalog",
        [sql_source("box", [row])],
        [contract("contacts", PLAIN, ["id"], rules=RULES)],
    )
    with location(folder, tmp_path, engine_address) as runs:
        place = Place(runs, tmp_path, source, load_catalog(folder))
        for number in range(HOURS):
            assert runs.run(number).success
        yield place


def at(number: int, minutes: int) -> str:
    return (hour_at(number) + timedelta(minutes=minutes)).strftime("%Y-%m-%d %H:%M:%S")


def reprocess(
    place: Place, first: int, end: int, *, stored: bool = False
) -> tuple[RequestStatus, list[HourResult], int]:
    table = table_named(place.catalog, "silver/contacts")
    plan = plan_range(
        place.requests,
        place.runs.job,
        table,
        start=hour_at(first),
        end=hour_at(end),
        reason="rows were committed late",
        requester="Ada",
        stored=stored,
    )
    request, results = run_plan(
        plan, requests=place.requests, job=place.runs.job, instance=place.runs.instance
    )
    return request.status, results, request.id


def amounts(place: Place) -> dict[int, int]:
    from deltalake import DeltaTable

    rows = DeltaTable(str(place.home / "lake" / "silver" / "contacts")).to_pyarrow_table()
    return {row["id"]: row["amount"] for row in rows.to_pylist()}


def test_late_rows_arrive_with_their_hours(place: Place) -> None:
    """Newest hour first; every ledger row says who asked and why; assets are materialised."""
    place.source.insert("contacts", ("10", "10", at(1, 30)), ("11", "11", at(2, 30)))
    status, results, number = reprocess(place, 1, 3)
    assert status is RequestStatus.SUCCESS
    assert [result.hour for result in results] == [hour_at(2), hour_at(1)]
    assert amounts(place) == {**{n: n for n in range(HOURS)}, 10: 10, 11: 11}
    loads = place.ledger.loads(request_id=number)
    assert {(load.asset, load.hour) for load in loads} == {
        (asset, hour_at(n)) for n in (1, 2) for asset in ("bronze/box__contacts", "silver/contacts")
    }
    for load in loads:
        assert load.reprocess
        assert load.reason == f"request {number}: rows were committed late"
    for result in results:
        run = place.runs.instance.get_run_by_id(result.run_id)
        assert run is not None
        tags = run.tags
        assert tags[REQUEST_TAG] == str(number)
        assert tags["dagster/partition"] == key_of(result.hour)
    events = place.runs.instance.fetch_materializations(
        dg.AssetKey(["silver", "contacts"]), limit=2
    ).records
    assert {event.partition_key for event in events} == {key_of(hour_at(n)) for n in (1, 2)}


def test_stored_hours_are_processed_without_the_source(place: Place) -> None:
    """``--stored`` needs no source at all."""
    place.source.path.unlink()
    status, _, number = reprocess(place, 0, HOURS, stored=True)
    assert status is RequestStatus.SUCCESS
    loads = place.ledger.loads(request_id=number)
    assert {load.asset for load in loads} == {"silver/contacts"}
    assert sum(load.unchanged for load in loads) == HOURS


def test_a_failed_hour_does_not_stop_the_others(place: Place) -> None:
    """The hour that the source has not closed fails; the request is a partial success."""
    place.source.insert("contacts", ("10", "10", at(1, 30)))
    place.source.set_clock(1)
    status, results, number = reprocess(place, 0, HOURS)
    assert status is RequestStatus.PARTIAL_SUCCESS
    assert {result.hour: result.succeeded for result in results} == {
        hour_at(n): n < 2 for n in range(HOURS)
    }
    assert amounts(place)[10] == 10
    request = place.requests.get(number)
    assert (request.hours, request.hours_done, request.hours_failed) == (3, 2, 1)
    assert "the hour is not closed yet" in (request.error or "")
    assert "bronze__box__contacts" in results[0].failures
    place.source.path.unlink()
    assert reprocess(place, 0, 1)[0] is RequestStatus.FAILURE


def test_an_override_reads_exactly_its_range(place: Place) -> None:
    """Watermarks from 13:20 to 14:05, into the hours that they belong to."""
    place.source.insert(
        "contacts",
        ("10", "10", at(1, 19)),
        ("11", "11", at(1, 20)),
        ("12", "12", at(2, 4)),
        ("13", "13", at(2, 5)),
    )
    table = place.catalog.by_entity["contacts"]
    plan = plan_range(
        place.requests,
        place.runs.job,
        table,
        start=hour_at(1) + timedelta(minutes=20),
        end=hour_at(2) + timedelta(minutes=5),
        reason="outage",
        requester="Ada",
        override=True,
    )
    request, _ = run_plan(
        plan, requests=place.requests, job=place.runs.job, instance=place.runs.instance
    )
    assert (request.kind, request.status) == (RequestKind.OVERRIDE, RequestStatus.SUCCESS)
    assert set(amounts(place)) == {*range(HOURS), 11, 12}
    windows = {
        load.hour: (load.window_start, load.window_end)
        for load in place.ledger.loads(asset="bronze/box__contacts", hour=None)
        if load.request_id == request.id
    }
    assert windows == {
        hour_at(1): (hour_at(1) + timedelta(minutes=20), hour_at(2)),
        hour_at(2): (hour_at(2), hour_at(2) + timedelta(minutes=5)),
    }


def test_an_override_of_an_hour_that_was_never_loaded_reads_it_whole(
    place: Place,
) -> None:
    """Otherwise a part of the hour would pass for all of it."""
    place.source.insert("contacts", ("10", "10", at(5, 5)), ("11", "11", at(5, 50)))
    place.source.set_clock(5)
    plan = plan_range(
        place.requests,
        place.runs.job,
        place.catalog.by_entity["contacts"],
        start=hour_at(5),
        end=hour_at(5) + timedelta(minutes=10),
        reason="outage",
        requester="Ada",
        override=True,
    )
    run_plan(plan, requests=place.requests, job=place.runs.job, instance=place.runs.instance)
    assert {10, 11} <= set(amounts(place))


def test_a_full_reload_reads_everything_into_one_hour(place: Place) -> None:
    """Also rows older than the first loaded hour, which no hour's window can reach."""
    place.source.insert("contacts", ("10", "10", "2025-01-01 00:00:00"))
    partitions = place.runs.job.partitions_def
    assert partitions is not None
    latest = partitions.get_last_partition_key()
    place.source.execute("DELETE FROM clock")
    place.source.insert("clock", [datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")])
    table = place.catalog.by_entity["contacts"]
    plan = plan_full_reload(
        place.requests, place.runs.job, table, reason="lost rows", requester="Ada"
    )
    assert [key_of(hour) for hour in plan.hours] == [latest]
    request, _ = run_plan(
        plan, requests=place.requests, job=place.runs.job, instance=place.runs.instance
    )
    assert request.status is RequestStatus.SUCCESS
    assert amounts(place)[10] == 10
    (bronze,) = [x for x in place.ledger.loads(request_id=request.id) if x.layer == "bronze"]
    assert (bronze.window_start, bronze.read) == (None, HOURS + 1)


def test_an_interrupted_request_is_closed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done stays counted."""

    def stop(result: HourResult) -> None:
        raise KeyboardInterrupt

    plan = plan_range(
        place.requests,
        place.runs.job,
        place.catalog.by_entity["contacts"],
        start=hour_at(0),
        end=hour_at(2),
        reason="why",
        requester="Ada",
        stored=True,
    )
    with pytest.raises(KeyboardInterrupt):
        run_plan(
            plan,
            requests=place.requests,
            job=place.runs.job,
            instance=place.runs.instance,
            on_hour=stop,
        )
    request = place.requests.get(plan.request.id)
    assert (request.status, request.hours_done) == (RequestStatus.PARTIAL_SUCCESS, 1)
    assert "interrupted" in (request.error or "")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"start": hour_at(2), "end": hour_at(2)}, "is empty; --to is the end"),
        ({"start": hour_at(-5), "end": hour_at(1)}, "2026-01-05-07:00 is not a closed hour"),
        ({"start": hour_at(0), "end": datetime(2100, 1, 1, tzinfo=UTC)}, "not a closed hour"),
        ({"start": hour_at(0) + HOUR / 2, "end": hour_at(2)}, "add --override"),
        ({"start": hour_at(0), "end": hour_at(1), "stored": True, "override": True}, "--stored"),
        ({"start": hour_at(0), "end": hour_at(1), "reason": ""}, "needs a reason"),
    ],
)
def test_a_wrong_range_says_what_is_right(
    place: Place, asked: dict[str, object], found: str
) -> None:
    """Nothing is recorded."""
    table = place.catalog.by_entity["contacts"]
    with pytest.raises(PermanentFailure, match=found):
        plan_range(
            place.requests,
            place.runs.job,
            table,
            **{"reason": "why", "requester": "Ada", **asked},
        )
    assert place.requests.all() == []


def test_whole_reads_run_oldest_first(tmp_path: Path) -> None:
    """Newest first for hours that stand alone."""
    catalog = modes_catalog(tmp_path)
    hours = [hour_at(1), hour_at(0), hour_at(2)]
    assert run_order(catalog.by_entity["shelf"], hours) == tuple(sorted(hours))
    assert run_order(catalog.by_entity["contacts"], hours) == tuple(sorted(hours, reverse=True))


def test_the_job_runs_the_hours_and_fails_unless_all_went_well(place: Place) -> None:
    """The same from the UI: nested runs of the same instance, each with its partition."""
    place.source.insert("contacts", ("10", "10", at(1, 30)))
    place.source.set_clock(1)
    job = build_reprocess_job(catalog=place.catalog, hourly=lambda: place.runs.job)
    control = ControlResource(url=f"sqlite:///{place.home / 'control.db'}")
    config = {
        "table": "contacts",
        "start": "2026-01-05T13:00",
        "end": "2026-01-05T15:00",
        "reason": "why",
        "requester": "Ada",
        "downstream": False,
    }
    result = job.execute_in_process(
        run_config={"ops": {"reprocess_hours": {"config": config}}},
        resources={"control": control},
        instance=place.runs.instance,
        raise_on_error=False,
    )
    assert not result.success
    (request,) = place.requests.all()
    assert request.status is RequestStatus.PARTIAL_SUCCESS
    assert amounts(place)[10] == 10
    (failure,) = [e for e in result.all_events if e.is_step_failure]
    text = failure.step_failure_data.error_display_string
    assert "1 of 2 hours done" in text
    assert "the hour is not closed yet" in text


def test_the_late_window_finds_what_was_committed_late(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bronze of every loaded hour is read again; Silver follows only where that brought rows."""
    place.source.insert("contacts", ("10", "10", at(1, 30)))
    monkeypatch.setattr(
        type(place.runs.job.partitions_def),
        "get_partition_keys",
        lambda *_, **__: [key_of(hour_at(number)) for number in range(HOURS + 1)],
    )
    control = ControlResource(url=f"sqlite:///{place.home / 'control.db'}")
    request, results = reread_late_window(
        place.catalog,
        control,
        job=place.runs.job,
        instance=place.runs.instance,
        hours=3,
        requester="a test",
    )
    assert request.status is RequestStatus.SUCCESS, request.error
    assert (request.table, request.kind) == ("*", RequestKind.LATE_WINDOW)
    assert [result.hour for result in results] == [hour_at(2), hour_at(1)], "loaded hours only"
    assert amounts(place)[10] == 10
    loads = place.ledger.loads(request_id=request.id)
    assert {(load.asset, load.hour) for load in loads} == {
        ("bronze/box__contacts", hour_at(2)),
        ("bronze/box__contacts", hour_at(1)),
        ("silver/contacts", hour_at(1)),
    }


def test_missing_hours_are_filled_some_at_a_time(place: Place) -> None:
    """Newest first, as many a run as the table allows, until none is missing."""
    place.source.insert("contacts", ("10", "10", at(3, 30)), ("11", "11", at(4, 30)))
    place.source.insert("contacts", ("12", "12", at(5, 30)))
    place.source.set_clock(5)
    assert place.runs.run(5).success
    assert {11, 10} & set(amounts(place)) == set(), "the current hour first"
    row = place.catalog.by_entity["contacts"]
    watermark = row.row.watermark
    assert watermark is not None
    small = watermark.model_copy(update={"gap": Gap(hours=1)})
    table = replace(row, row=row.row.model_copy(update={"watermark": small}))
    control = ControlResource(url=f"sqlite:///{place.home / 'control.db'}")

    def fill() -> list[datetime]:
        filled = fill_gaps(
            Catalog(tables=(table,)),
            control,
            job=place.runs.job,
            instance=place.runs.instance,
            requester="a test",
        )
        if filled is None:
            return []
        assert filled[0].status is RequestStatus.SUCCESS, filled[0].error
        return [result.hour for result in filled[1]]

    assert fill() == [hour_at(4)]
    assert set(amounts(place)) == {*range(HOURS), 11, 12}
    assert fill() == [hour_at(3)]
    assert set(amounts(place)) == {*range(HOURS), 10, 11, 12}
    assert fill() == []
    (first, second) = place.requests.all()
    assert {first.kind, second.kind} == {RequestKind.GAP}
