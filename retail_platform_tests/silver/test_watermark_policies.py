"""Rows without a watermark: flagged, left out or dated, each time counted and never lost."""

from pathlib import Path

import pytest

from retail_platform.metadata.loader import load_catalog
from retail_platform_tests.platform.box import Box, hour_at
from retail_platform_tests.platform.catalogs import contract, sql_source, write_catalog
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.platform.sources import Database

COLUMNS = {"id": "bigint", "amount": "int", "modified_at": "timestamp"}
EARLY = "2025-12-01 00:00:00"


def box_with(new_box: Opener, folder: Path, policy: str, merge: str) -> Box:
    table = {
        "table": "things",
        "load": "incremental",
        "key": ["id"],
        "watermark": {"column": "modified_at", "null": policy},
        "silver": {"entity": "things", "merge": merge},
    }
    rules = {"amount is negative": "amount >= 0"}
    tree = contract("things", COLUMNS, ["id"], required=["modified_at"], rules=rules)
    return new_box(load_catalog(write_catalog(folder, [sql_source("box", [table])], [tree])))


@pytest.fixture
def source(tmp_path: Path) -> Database:
    database = Database(tmp_path / "box.db")
    database.create("things", "id TEXT, amount TEXT, modified_at TEXT")
    database.insert("things", ("1", "1", EARLY), ("2", "2", EARLY), ("3", "3", None))
    database.set_clock(0)
    return database


@pytest.mark.parametrize("merge", ["upsert", "scd2"])
def test_flag_quarantines(new_box: Opener, tmp_path: Path, source: Database, merge: str) -> None:
    """The default: a row that cannot be ordered is refused with that reason."""
    box = box_with(new_box, tmp_path, "flag", merge)
    counts = box.both("things", 0, {"BOX_URL": source.url}).counts
    assert (counts.read, counts.quarantined, counts.applied) == (3, 1, 2)
    assert [row["reasons"] for row in box.quarantined("things")] == ["modified_at is missing"]
    assert sorted(row["id"] for row in box.live("things")) == [1, 2]


@pytest.mark.parametrize("merge", ["upsert", "scd2"])
def test_exclude_leaves_in_bronze(
    new_box: Opener, tmp_path: Path, source: Database, merge: str
) -> None:
    """Left out of Silver and quarantine, counted as rejected, in every hour that reads it."""
    source.insert("things", ("1", "9", None), ("4", "-4", None), ("5", "5", "someday"))
    box = box_with(new_box, tmp_path, "exclude", merge)
    counts = box.both("things", 0, {"BOX_URL": source.url}).counts
    assert (counts.read, counts.rejected, counts.quarantined, counts.applied) == (6, 2, 2, 2)
    assert {row["id"]: row["amount"] for row in box.live("things")} == {1: 1, 2: 2}
    assert sorted(row["reasons"] for row in box.quarantined("things")) == [
        "amount is negative",
        "modified_at: cannot read someday as timestamp",
    ]
    source.set_clock(1)
    again = box.both("things", 1, {"BOX_URL": source.url}).counts
    assert (again.read, again.rejected, again.quarantined) == (4, 2, 2)
    replayed = box.silver("things", 0).counts
    assert (replayed.rejected, replayed.quarantined, replayed.unchanged) == (2, 2, 2)
    assert {row["id"]: row["amount"] for row in box.live("things")} == {1: 1, 2: 2}


@pytest.mark.parametrize(("merge", "rows"), [("upsert", 3), ("scd2", 4)])
def test_default_dates_by_the_read(
    new_box: Opener, tmp_path: Path, source: Database, merge: str, rows: int
) -> None:
    """The row counts as changed when it was read: one row, or one version for each read of it."""
    box = box_with(new_box, tmp_path, "default", merge)
    counts = box.both("things", 0, {"BOX_URL": source.url}).counts
    assert (counts.read, counts.applied) == (3, 3)
    (dated,) = [row for row in box.stored_silver("things") if row["id"] == 3]
    assert dated["modified_at"] is None
    assert dated["_watermark"] == dated["_extracted_at"]
    source.set_clock(1)
    box.both("things", 1, {"BOX_URL": source.url})
    assert len(box.live("things")) == rows
    source.execute("UPDATE things SET amount = '4' WHERE id = '3'")
    source.set_clock(2)
    box.both("things", 2, {"BOX_URL": source.url})
    current = [row for row in box.live("things") if row.get("is_current", True)]
    assert {row["id"]: row["amount"] for row in current} == {1: 1, 2: 2, 3: 4}


def test_ties_at_the_boundary_are_neither_lost_nor_doubled(
    new_box: Opener, tmp_path: Path, source: Database
) -> None:
    """A row stamped exactly at the full hour, and one a microsecond before it."""
    box = box_with(new_box, tmp_path, "flag", "upsert")
    box.both("things", 0, {"BOX_URL": source.url})
    before = hour_at(1).strftime("%Y-%m-%d ") + "12:59:59.999999"
    source.insert("things", ("7", "7", source.local(hour_at(1))), ("8", "8", before))
    source.set_clock(1)
    box.both("things", 0, {"BOX_URL": source.url})
    assert sorted(row["id"] for row in box.live("things")) == [1, 2, 8]
    box.both("things", 1, {"BOX_URL": source.url})
    assert sorted(row["id"] for row in box.live("things")) == [1, 2, 7, 8]


def test_a_late_commit_under_an_older_stamp_within_the_buffer_is_found(
    new_box: Opener, tmp_path: Path, source: Database
) -> None:
    """The window reaches back by the buffer; a row older than what is stored stays beaten."""
    box = box_with(new_box, tmp_path, "flag", "upsert")
    box.both("things", 0, {"BOX_URL": source.url})
    late = source.local(hour_at(1))[:-15] + "12:59:30.000000"
    source.insert("things", ("6", "6", late))
    source.execute("DELETE FROM things WHERE id = '1'")
    source.insert("things", ("1", "5", "2025-11-01 00:00:00"))
    source.set_clock(1)
    counts = box.both("things", 1, {"BOX_URL": source.url}).counts
    assert counts.applied == 1
    assert {row["id"]: row["amount"] for row in box.live("things")} == {1: 1, 2: 2, 6: 6}
