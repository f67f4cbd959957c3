"""Deleted rows: tombstones with a place in the order, kept or purged, and revived."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from retail_platform.automation import LATE_WINDOW
from retail_platform.metadata.loader import load_catalog
from retail_platform.silver.upsert import purge_tombstones
from retail_platform_tests.platform.box import HOUR, Box, Row, hour_at
from retail_platform_tests.platform.catalogs import contract, sql_source, write_catalog
from retail_platform_tests.platform.dagster_runs import location
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.platform.sources import ArrowReader, Database

COLUMNS = {"id": "bigint", "amount": "int", "modified_at": "timestamp", "deleted_at": "timestamp"}
T1, T2, T3 = "2026-01-05 12:10:00", "2026-01-05 13:10:00", "2026-01-05 14:10:00"
Open = Callable[..., Box]


@pytest.fixture
def open_box_with(new_box: Opener, tmp_path: Path) -> Open:
    def opener(merge: str, deleted: Row, **silver: Any) -> Box:
        table = {
            "table": "things",
            "load": "incremental",
            "key": ["id"],
            "watermark": {"column": "modified_at"},
            "deleted": deleted,
            "silver": {"entity": "things", "merge": merge, **silver},
        }
        rules = {"amount is negative": "amount >= 0"}
        tree = contract("things", COLUMNS, ["id"], required=["amount"], rules=rules)
        return new_box(load_catalog(write_catalog(tmp_path, [sql_source("b", [table])], [tree])))

    return opener


def load(box: Box, number: int, *rows: tuple[str | None, ...]) -> Row:
    read = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    box.bronze_from("things", number, ArrowReader.at(number, read, list(COLUMNS)))
    return box.silver("things", number).counts.parts


def amounts(box: Box) -> Row:
    rows = [row for row in box.live("things") if row.get("is_current", True)]
    return {row["id"]: row["amount"] for row in rows}


@pytest.mark.parametrize("merge", ["upsert", "scd2"])
def test_delete_and_insert_again(open_box_with: Open, merge: str) -> None:
    """The tombstone beats older rows that come late; a newer row lives."""
    box = open_box_with(merge, {"column": "deleted_at"})
    load(box, 0, ("1", "1", T1, None), ("2", "2", T1, None))
    load(box, 1, ("1", "1", T2, T2))
    assert amounts(box) == {2: 2}
    stale = load(box, 2, ("1", "9", "2026-01-05 12:50:00", None))
    assert amounts(box) == {2: 2}
    assert stale["stale" if merge == "upsert" else "applied"] == 1
    load(box, 3, ("1", "5", T3, None))
    assert amounts(box) == {1: 5, 2: 2}
    box.silver("things", 1)
    assert amounts(box) == {1: 5, 2: 2}, "the deletion processed once more changes nothing"
    if merge == "scd2":
        ends = [row["valid_to"] for row in box.live("things") if row["id"] == 1]
        assert [end and end.strftime("%H:%M") for end in sorted(ends, key=str)] == [
            "12:50",
            "13:10",
            None,
        ]


def test_a_deletion_needs_its_key_and_its_time_only(open_box_with: Open) -> None:
    """Refused for its content, it would leave the deleted row in force."""
    box = open_box_with("upsert", {"column": "deleted_at"})
    load(box, 0, ("1", "1", T1, None), ("2", "2", T1, None), ("3", "3", T1, None))
    parts = load(
        box, 1, ("1", None, T2, T2), ("2", "-2", T2, T2), (None, "1", T2, T2), ("3", "x", T2, T2)
    )
    assert (parts["applied"], parts["quarantined"]) == (3, 1)
    assert amounts(box) == {}
    assert [row["reasons"] for row in box.quarantined("things")] == ["id is missing"]


def test_values_are_compared_as_text_without_case(open_box_with: Open) -> None:
    """A flag column instead of a moment."""
    box = open_box_with("upsert", {"column": "amount", "values": [7, "8"]})
    load(box, 0, ("1", "7", T1, None), ("2", "8", T1, None), ("3", "9", T1, None))
    assert amounts(box) == {3: 9}


def test_hard_deletes_are_purged_after_the_late_window(open_box_with: Open) -> None:
    """Old tombstones go, newer ones stay, and a replay of old hours raises nobody."""
    box = open_box_with("upsert", {"column": "deleted_at"}, deletes="hard")
    table = box.catalog.by_entity["things"]
    load(box, 0, ("1", "1", T1, None), ("2", "2", T1, None), ("3", "3", T1, None))
    load(box, 1, ("1", "1", T2, T2))
    load(box, 2, ("2", "2", T3, T3))
    assert purge_tombstones(box.lake, table, before=hour_at(1)).deleted == 0
    assert purge_tombstones(box.lake, table, before=hour_at(2)).deleted == 1
    assert {row["id"]: row["_deleted"] for row in box.stored_silver("things")} == {
        2: True,
        3: False,
    }
    box.silver("things", 0)
    assert amounts(box) == {3: 3}
    assert purge_tombstones(box.lake, table, before=hour_at(0) - timedelta(days=9)).deleted == 0


def test_the_asset_purges(
    tmp_path: Path, engine_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hour that lies a late window after the deletion, and no earlier one, forgets the key."""
    table = {
        "table": "things",
        "load": "incremental",
        "key": ["id"],
        "watermark": {"column": "modified_at"},
        "deleted": {"column": "deleted_at"},
        "silver": {"entity": "things", "merge": "upsert", "deletes": "hard"},
    }
    catalog = write_catalog(
        tmp_path / "catalog", [sql_source("b", [table])], [contract("things", COLUMNS, ["id"])]
    )
    source = Database(tmp_path / "b.db")
    source.create("things", "id TEXT, amount TEXT, modified_at TEXT, deleted_at TEXT")
    source.insert("things", ("1", "1", T1, T1), ("2", "2", T1, None))
    monkeypatch.setenv("B_URL", source.url)
    hours = LATE_WINDOW // HOUR
    with location(catalog, tmp_path, engine_address) as opened:
        for number, stored in ((0, 2), (hours, 2), (hours + 1, 1)):
            source.set_clock(number)
            result = opened.run(number)
            assert result.success
            assert DeltaTable(str(tmp_path / "lake/silver/things")).count() == stored, number
