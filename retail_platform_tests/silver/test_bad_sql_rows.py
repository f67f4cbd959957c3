"""Rows of a real SQL source that break the contract: quarantined with reasons, never lost."""

from pathlib import Path

import pytest

from retail_platform.failures import TransientFailure
from retail_platform_tests.platform.box import Box, hour_at
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.platform.sources import Database
from retail_platform_tests.silver.modes import modes_catalog

EARLY = "2025-12-01 00:00:00"


@pytest.fixture
def box(new_box: Opener, tmp_path: Path) -> Box:
    return new_box(modes_catalog(tmp_path / "catalog"))


@pytest.fixture
def source(tmp_path: Path) -> Database:
    database = Database(tmp_path / "box.db")
    database.create("contacts", "id TEXT, amount TEXT, modified_at TEXT")
    database.set_clock(0)
    return database


def test_a_null_key_is_quarantined_and_never_merged(box: Box, source: Database) -> None:
    """Two rows without key stay two refused rows; the good one goes on."""
    source.insert("contacts", (None, "1", EARLY), (None, "2", EARLY), ("3", "3", EARLY))
    load = box.both("contacts", 0, {"BOX_URL": source.url})
    assert (load.counts.quarantined, load.counts.applied) == (2, 1)
    assert [row["id"] for row in box.live("contacts")] == [3]
    assert [row["reasons"] for row in box.quarantined("contacts")] == ["id is missing"] * 2
    assert {verdict.check: verdict.passed for verdict in load.verdicts} == {
        "row_rules": False,
        "quarantined_share": True,
        "columns": True,
    }


def test_a_refused_row_is_kept_once_with_the_times_it_was_seen(box: Box, source: Database) -> None:
    """Loading the hour again counts the row again and adds no second refused row."""
    source.insert("contacts", ("1", "-5", EARLY), ("2", "2", EARLY))
    box.both("contacts", 0, {"BOX_URL": source.url})
    first = box.quarantined("contacts")
    again = box.silver("contacts", 0)
    assert again.counts.quarantined == 1
    assert again.counts.unchanged == 1
    assert box.quarantined("contacts") == first
    (refused,) = first
    assert refused["reasons"] == "amount is negative"
    assert refused["payload"] == '{"id":"1","amount":"-5","modified_at":"2025-12-01 00:00:00"}'
    assert refused["hour"] == hour_at(0)
    assert refused["contract_version"] == "1.0.0"


def test_a_database_that_is_gone_names_source_table_and_cure(box: Box, tmp_path: Path) -> None:
    """Unreachable is transient: the next attempt may find it."""
    with pytest.raises(TransientFailure, match=r"source box.*gone\.db cannot be reached.*check"):
        box.bronze("contacts", 0, {"BOX_URL": f"sqlite:///{tmp_path / 'gone.db'}"})
    (attempt,) = box.ledger.loads(asset="bronze/box__contacts")
    assert attempt.error is not None
    assert "cannot be reached" in attempt.error
