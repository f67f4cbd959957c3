"""Replays of quarantined rows: what the table would be had the rules been right from the start."""

import shutil
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given, settings

from retail_platform.control.decisions import Ruling
from retail_platform.control.models import Status
from retail_platform.failures import TransientFailure
from retail_platform.metadata.loader import Catalog
from retail_platform.quality.quarantined import RowStatus, counts_by_rule, discard
from retail_platform.silver import load as silver_load
from retail_platform_tests.platform.box import Box, Row, hour_at, open_box
from retail_platform_tests.platform.sources import ArrowReader
from retail_platform_tests.silver.modes import PLAIN, SEEN, SPEND, modes_catalog
from retail_platform_tests.silver.test_any_order import (
    FEW,
    History,
    file_reads,
    partial_reads,
    slice_reads,
    undated_reads,
    whole_reads,
)

WIDER = {"amount is negative": "amount >= -1"}
NAMES = list(PLAIN)
TWO = settings(FEW, max_examples=2)
AT = [f"2026-01-05 {hour}:10:00" for hour in (12, 13, 14)]


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return modes_catalog(tmp_path_factory.mktemp("strict"))


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return modes_catalog(tmp_path_factory.mktemp("wide"), rules=WIDER, version="1.1.0")


def _only(catalog: Catalog, entity: str) -> Catalog:
    return Catalog(tables=(catalog.by_entity[entity],))


def _replayed_like_loaded(
    strict: Catalog, wide: Catalog, entity: str, address: str, history: History
) -> None:
    columns = {"spend": SPEND, "guests": SEEN}.get(entity, PLAIN)
    names = ["_file", "_line", "amount"] if entity == "receipts" else list(columns)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with open_box(home / "a", _only(strict, entity), address) as box:
            for hour, rows in history.reads:
                box.bronze_from(entity, hour, ArrowReader.at(hour, rows, names))
            shutil.copytree(home / "a", home / "b")
            for hour in history.order:
                box.silver(entity, hour)
        with open_box(home / "b", _only(wide, entity), address) as box:
            for hour in sorted(set(history.order)):
                box.silver(entity, hour)
            wanted, refused = box.live(entity), {row.row_hash for row in box.refused(entity)}
        with open_box(home / "a", _only(wide, entity), address) as box:
            replay = box.replay(entity)
            assert box.live(entity) == wanted, "replayed"
            still_open = box.refused(entity, status=RowStatus.OPEN)
            assert {row.row_hash for row in still_open} == refused
            assert replay.refused == len(refused)
            loads = [load for load in box.loads(entity) if load.reprocess]
            assert sum(load.read for load in loads) >= replay.chosen
            for hour in history.order:
                box.silver(entity, hour)
            assert box.live(entity) == wanted, f"hours again, in the order {history.order}"
            assert box.replay(entity).replayed == 0


@TWO
@given(history=partial_reads())
def test_replays_into_an_upsert(
    strict: Catalog, wide: Catalog, engine_address: str, history: History
) -> None:
    _replayed_like_loaded(strict, wide, "contacts", engine_address, history)


@TWO
@given(history=partial_reads())
def test_replays_into_versions(
    strict: Catalog, wide: Catalog, engine_address: str, history: History
) -> None:
    _replayed_like_loaded(strict, wide, "prices", engine_address, history)


@TWO
@given(history=undated_reads())
def test_replays_into_versions_dated_by_the_clock(
    strict: Catalog, wide: Catalog, engine_address: str, history: History
) -> None:
    _replayed_like_loaded(strict, wide, "guests", engine_address, history)


@TWO
@given(history=whole_reads())
def test_replays_into_versions_of_whole_reads(
    strict: Catalog, wide: Catalog, engine_address: str, history: History
) -> None:
    _replayed_like_loaded(strict, wide, "shelf", engine_address, history)


@TWO
@given(history=whole_reads())
def test_replays_into_whole_reads(
    strict: Catalog, wide: Catalog, engine_address: str, history: History
) -> None:
    _replayed_like_loaded(strict, wide, "regions", engine_address, history)


@TWO
@given(history=whole_reads())
def test_replays_into_a_table_that_is_replaced(
    strict: Catalog, wide: Catalog, engine_address: str, history: History
) -> None:
    _replayed_like_loaded(strict, wide, "rates", engine_address, history)


@TWO
@given(history=whole_reads())
def test_replays_into_an_archive(
    strict: Catalog, wide: Catalog, engine_address: str, history: History
) -> None:
    _replayed_like_loaded(strict, wide, "archive", engine_address, history)


@TWO
@given(history=slice_reads())
def test_replays_into_restated_slices(
    strict: Catalog, wide: Catalog, engine_address: str, history: History
) -> None:
    _replayed_like_loaded(strict, wide, "spend", engine_address, history)


@TWO
@given(history=file_reads())
def test_replays_into_files(
    strict: Catalog, wide: Catalog, engine_address: str, history: History
) -> None:
    _replayed_like_loaded(strict, wide, "receipts", engine_address, history)


def row(key: str, amount: str, at: str) -> Row:
    return {"id": key, "amount": amount, "modified_at": at}


def _stopped(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def load(box: Box, number: int, *rows: Row) -> None:
    box.bronze_from("contacts", number, ArrowReader.at(number, rows, NAMES))
    box.silver("contacts", number)


def test_a_replay_takes_in_what_passes_and_says_so(
    strict: Catalog, wide: Catalog, engine_address: str, tmp_path: Path
) -> None:
    """An older row does not replace a newer one; the rest stays open with today's reasons."""
    with open_box(tmp_path, _only(strict, "contacts"), engine_address) as box:
        load(box, 0, row("1", "-1", AT[0]), row("2", "-1", AT[0]), row("3", "-9", AT[0]))
        load(box, 1, row("1", "5", AT[1]), row("4", "many", AT[1]))
        counts = {(c.rule, c.rows) for c in counts_by_rule(box.refused("contacts"))}
        assert counts == {
            ("amount is negative", 3),
            ("amount cannot be read as int", 1),
            ("amount is missing", 1),
        }
    with open_box(tmp_path, _only(wide, "contacts"), engine_address) as box:
        replay = box.replay("contacts", reason="NEGATIVE")
        assert (replay.chosen, replay.replayed, replay.refused, replay.absent) == (3, 2, 1, 0)
        assert {r["id"]: r["amount"] for r in box.live("contacts")} == {1: 5, 2: -1}
        ledger = box.loads("contacts")[-1]
        assert (ledger.hour, ledger.status, ledger.reprocess) == (
            hour_at(0),
            Status.SUCCESS,
            True,
        )
        assert ledger.reason == "quarantine replay of 3 rows by Ada: the rule was wrong"
        assert (ledger.read, ledger.applied, ledger.stale, ledger.quarantined) == (3, 1, 1, 1)
        closed = box.refused("contacts", status=RowStatus.REPLAYED)
        assert {r.decision.ruling for r in closed if r.decision} == {Ruling.REPLAYED}
        assert {r.decision.load_id for r in closed if r.decision} == {ledger.id}
        still_open = box.refused("contacts", status=RowStatus.OPEN)
        versions = {r.reasons: r.contract_version for r in still_open}
        assert versions[("amount is negative",)] == "1.1.0"
        silver = box.silver("contacts", 0)
        assert (silver.counts.unchanged, silver.counts.stale, silver.counts.quarantined) == (
            1,
            1,
            1,
        )


def test_an_hour_loaded_again_closes_what_passes_and_opens_what_fails_again(
    strict: Catalog, wide: Catalog, engine_address: str, tmp_path: Path
) -> None:
    """The status follows the rules, whoever applies them."""
    states = []
    for catalog in (strict, wide, strict):
        with open_box(tmp_path, _only(catalog, "contacts"), engine_address) as box:
            if not states:
                load(box, 0, row("1", "-1", AT[0]))
            box.silver("contacts", 0)
            (seen,) = box.refused("contacts")
            states.append(seen.status)
    assert states == [RowStatus.OPEN, RowStatus.REPLAYED, RowStatus.OPEN]


def test_discarded_rows_stay_so_until_another_contract_refuses_them(
    strict: Catalog, engine_address: str, tmp_path: Path
) -> None:
    """Arriving again they are counted and not opened; a replay leaves them out."""
    with open_box(tmp_path / "box", _only(strict, "contacts"), engine_address) as box:
        load(box, 0, row("1", "-1", AT[0]), row("2", "1", AT[0]))
        rows = box.refused("contacts")
        assert discard("contacts", rows, box.decisions, person="Ada", reason="a test order") == 1
        assert (
            discard("contacts", box.refused("contacts"), box.decisions, person="", reason="") == 0
        )
        load(box, 1, row("1", "-1", AT[0]))
        assert box.loads("contacts")[-1].quarantined == 1
        (seen,) = box.refused("contacts")
        assert (seen.status, seen.decision and seen.decision.person) == (RowStatus.DISCARDED, "Ada")
        assert seen.last_seen > rows[0].last_seen
        assert box.replay("contacts").chosen == 0
    stricter = modes_catalog(tmp_path / "c", version="2.0.0")
    with open_box(tmp_path / "box", _only(stricter, "contacts"), engine_address) as box:
        box.silver("contacts", 1)
        assert [r.status for r in box.refused("contacts")] == [RowStatus.OPEN]


def test_a_replay_waits_for_a_load_and_for_hours_that_silver_has_not_loaded(
    strict: Catalog,
    wide: Catalog,
    engine_address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beside a running load it refuses; a killed load's refused rows wait for their hour."""
    with open_box(tmp_path, _only(strict, "contacts"), engine_address) as box:
        box.bronze_from("contacts", 0, ArrowReader.at(0, [row("1", "-1", AT[0])], NAMES))
        with monkeypatch.context() as patch:
            patch.setattr(silver_load, "commit", _stopped)
            with pytest.raises(KeyboardInterrupt):
                box.silver("contacts", 0)
    with open_box(tmp_path, _only(wide, "contacts"), engine_address) as box:
        replay = box.replay("contacts")
        assert (replay.chosen, replay.absent, replay.hours) == (1, 1, ())
        opened = box.ledger.start(
            asset="silver/contacts",
            layer="silver",
            hour=hour_at(5),
            run_id="other",
            engine="embedded",
            window=None,
        )
        with pytest.raises(
            TransientFailure, match=r"2026-01-05-17:00 is being loaded by run other"
        ):
            box.replay("contacts")
        box.ledger.fail(opened, "stopped")
        box.silver("contacts", 0)
        assert [r.status for r in box.refused("contacts")] == [RowStatus.REPLAYED]


@pytest.mark.parametrize("entity", ["regions", "shelf"])
def test_a_replay_brings_nothing_back_that_a_later_empty_read_lacks(
    strict: Catalog, wide: Catalog, engine_address: str, tmp_path: Path, entity: str
) -> None:
    """Somebody approved that the table is empty: rows that were read before lose against that."""
    with open_box(tmp_path, _only(strict, entity), engine_address) as box:
        rows = [row("1", "1", AT[0]), row("2", "-1", AT[0])]
        for number, read in ((0, rows), (1, [])):
            box.bronze_from(entity, number, ArrowReader.at(number, read, NAMES))
            box.ledger.approvals.approve(
                asset=f"silver/{entity}",
                hour=hour_at(number),
                rule="row_count",
                reason="sold",
                person="Ada",
            )
            box.silver(entity, number)
        assert [r["id"] for r in _in_force(box, entity)] == []
    with open_box(tmp_path, _only(wide, entity), engine_address) as box:
        replay = box.replay(entity)
        assert (replay.chosen, replay.replayed) == (1, 1)
        assert _in_force(box, entity) == []
        box.silver(entity, 0)
        assert _in_force(box, entity) == []


def _in_force(box: Box, entity: str) -> list[Row]:
    return [r for r in box.live(entity) if r.get("valid_to") is None]
