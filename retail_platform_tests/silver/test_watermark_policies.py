"""Rows without a watermark: flagged, left out or dated, each time counted and never lost."""

from datetime import timedelta
from pathlib import Path

import pytest

from retail_platform.metadata.loader import load_catalog
from retail_platform_tests.platform.box import HOUR, Box, hour_at
from retail_platform_tests.platform.catalogs import contract, sql_source, write_catalog
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.platform.sources import Database

COLUMNS = {"id": "bigint", "amount": "int", "modified_at": "timestamp"}
SECOND = timedelta(seconds=1)
EARLY = "2025-12-01 00:00:00"


def box_with(
    new_box: Opener, folder: Path, policy: str, merge: str, *, future: str = "flag"
) -> Box:
    table = {
        "table": "things",
        "load": "incremental",
        "key": ["id"],
        "watermark": {"column": "modified_at", "null": policy, "future": future},
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


@pytest.mark.parametrize("merge", ["upsert", "scd2"])
def test_default_dates_by_the_clock_of_the_first_read(
    new_box: Opener, tmp_path: Path, source: Database, merge: str
) -> None:
    """The row counts as changed when its content was first read; reading it again is no change."""
    box = box_with(new_box, tmp_path, "default", merge)
    counts = box.both("things", 0, {"BOX_URL": source.url}).counts
    assert (counts.read, counts.applied) == (3, 3)
    (dated,) = [row for row in box.stored_silver("things") if row["id"] == 3]
    assert dated["modified_at"] is None
    assert dated["_watermark"] == hour_at(1), "the source's clock"
    before = box.stored_silver("things")
    source.set_clock(1)
    again = box.both("things", 1, {"BOX_URL": source.url}).counts
    assert (again.read, again.unchanged) == (1, 1)
    assert box.stored_silver("things") == before
    source.execute("UPDATE things SET amount = '4' WHERE id = '3'")
    source.set_clock(2)
    box.both("things", 2, {"BOX_URL": source.url})
    current = [row for row in box.live("things") if row.get("is_current", True)]
    assert {row["id"]: row["amount"] for row in current} == {1: 1, 2: 2, 3: 4}
    assert len(box.live("things")) == (4 if merge == "scd2" else 3)


FAR = "2031-01-01 00:00:00"


@pytest.mark.parametrize("merge", ["upsert", "scd2"])
@pytest.mark.parametrize("policy", ["flag", "exclude", "default"])
def test_a_row_from_the_future_blocks_no_later_update(
    new_box: Opener, tmp_path: Path, source: Database, merge: str, policy: str
) -> None:
    """Flagged, left out or dated, and the same once more when the hour is replayed."""
    source.execute(f"UPDATE things SET modified_at = '{FAR}', amount = '7' WHERE id = '1'")
    source.insert("things", ("4", "4", EARLY))
    box = box_with(new_box, tmp_path, "flag", merge, future=policy)
    first = box.both("things", 0, {"BOX_URL": source.url}).counts
    assert (first.quarantined, first.rejected) == {
        "flag": (2, 0),
        "exclude": (1, 1),
        "default": (1, 0),
    }[policy]
    reasons = sorted(row["reasons"] for row in box.quarantined("things"))
    missing = "modified_at is missing"
    assert reasons == (["modified_at is in the future", missing] if policy == "flag" else [missing])
    assert (1 in {row["id"] for row in box.live("things")}) == (policy == "default")
    source.execute(
        "UPDATE things SET amount = '8', modified_at = ? WHERE id = '1'",
        [[source.local(hour_at(1) + HOUR / 2)]],
    )
    source.set_clock(1)
    box.both("things", 1, {"BOX_URL": source.url})
    box.silver("things", 0)
    current = [row for row in box.live("things") if row.get("is_current", True)]
    assert {row["id"]: row["amount"] for row in current} == {1: 8, 2: 2, 4: 4}


def test_the_buffer_is_the_leeway_of_a_clock(
    new_box: Opener, tmp_path: Path, source: Database
) -> None:
    """A row within the buffer beyond the clock is no row from the future."""
    source.insert("things", ("7", "7", source.local(hour_at(1) + 59 * SECOND)))
    source.insert("things", ("8", "8", source.local(hour_at(1) + 61 * SECOND)))
    box = box_with(new_box, tmp_path, "exclude", "upsert")
    box.both("things", 0, {"BOX_URL": source.url})
    assert [row["id"] for row in box.live("things")] == [1, 2, 7]
    assert [row["reasons"] for row in box.quarantined("things")] == ["modified_at is in the future"]


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
