"""Bronze hours from a real SQLite source: re-runs, late clocks, missed hours, broken streams."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from retail_platform.bronze.load import BronzeLoad
from retail_platform.control.models import Status
from retail_platform.extract.window import Window
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.metadata.loader import Table
from retail_platform.quality.verdicts import HeldBack
from retail_platform_tests.platform.box import HOUR, Box, hour_at
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.platform.sources import ArrowReader, Database
from retail_platform_tests.silver.modes import modes_catalog

LONG_AGO = "2025-12-01 00:00:00"


@pytest.fixture
def box(new_box: Opener, tmp_path: Path) -> Box:
    return new_box(modes_catalog(tmp_path / "catalog"))


@pytest.fixture
def source(tmp_path: Path) -> Database:
    database = Database(tmp_path / "box.db")
    for table in ("contacts", "shelf"):
        database.create(table, "id TEXT, amount TEXT, modified_at TEXT")
    return database


def load(box: Box, entity: str, number: int, source: Database) -> BronzeLoad:
    return box.bronze(entity, number, {"BOX_URL": source.url})


def rows(box: Box, entity: str, number: int) -> list[tuple[str, str]]:
    return sorted(
        (row["id"], row["amount"])
        for row in box.stored_bronze(entity)
        if row["_hour"] == hour_at(number)
    )


def at(number: int, minutes: int) -> str:
    return (hour_at(number) + minutes / 60 * HOUR).strftime("%Y-%m-%d %H:%M:%S")


def test_the_first_hour_reads_everything_and_a_rerun_adds_nothing(
    box: Box, source: Database
) -> None:
    """The initial load has all rows up to its hour; loading it again leaves them as they are."""
    source.insert("contacts", ("1", "1", LONG_AGO), ("2", "2", at(0, 5)), ("3", "3", at(1, 0)))
    source.set_clock(1)
    first = load(box, "contacts", 0, source)
    assert first.initial
    assert rows(box, "contacts", 0) == [("1", "1"), ("2", "2")]
    before = box.stored_bronze("contacts")
    again = load(box, "contacts", 0, source)
    assert (again.counts.read, again.counts.applied) == (1, 0), "the row inside of the hour"
    assert box.stored_bronze("contacts") == before


def test_a_rerun_after_a_change_adds_the_new_version_and_keeps_the_old(
    box: Box, source: Database
) -> None:
    """An hour of Bronze is the union of what was read: a row that moved on does not vanish."""
    source.insert("contacts", ("1", "1", at(0, 5)), ("2", "2", at(0, 6)))
    source.set_clock(0)
    load(box, "contacts", 0, source)
    source.execute("UPDATE contacts SET amount = '5', modified_at = ? WHERE id = '1'", [[at(0, 7)]])
    source.execute("UPDATE contacts SET amount = '6', modified_at = ? WHERE id = '2'", [[at(3, 0)]])
    source.set_clock(3)
    load(box, "contacts", 0, source)
    assert rows(box, "contacts", 0) == [("1", "1"), ("1", "5"), ("2", "2")]


def test_an_hour_that_the_source_has_not_closed_is_waited_for(box: Box, source: Database) -> None:
    """Reading an open hour would cut it short: a transient failure that says both times."""
    source.insert("contacts", ("1", "1", LONG_AGO))
    source.set_clock(0)
    with pytest.raises(TransientFailure, match=r"2026-01-05-13:00.*clock says 2026-01-05 13:00:00"):
        load(box, "contacts", 1, source)
    assert box.stored_bronze("contacts") == []
    (attempt,) = box.ledger.loads(asset="bronze/box__contacts")
    assert attempt.status is Status.FAILURE


def test_a_snapshot_hour_that_has_passed_is_missed_and_sweeps_nothing(
    box: Box, source: Database
) -> None:
    """What the table held then is gone: no rows, marked as missed, Silver stays as it was."""
    environ = {"BOX_URL": source.url}
    source.insert("shelf", ("1", "1", LONG_AGO), ("2", "2", LONG_AGO))
    source.set_clock(0)
    box.both("shelf", 0, environ)
    before = box.live("shelf")
    source.execute("DELETE FROM shelf WHERE id = '2'")
    source.set_clock(2)
    missed = box.bronze("shelf", 1, environ)
    assert missed.missed
    assert missed.counts.read == 0
    silver = box.silver("shelf", 1)
    assert silver.missed
    assert box.live("shelf") == before
    assert box.ledger.succeeded_hours("silver/shelf") == [hour_at(0)]
    again = box.bronze("shelf", 0, environ)
    assert not again.missed, "an hour that was read in time keeps its rows"
    assert rows(box, "shelf", 0) == [("1", "1"), ("2", "2")]
    box.both("shelf", 2, environ)
    assert {row["id"]: row["is_current"] for row in box.live("shelf")} == {1: True, 2: False}


class BreaksOff:
    """A source whose stream ends in a failure after its first batch."""

    def __init__(self, failure: Exception, number: int) -> None:
        self.failure = failure
        self.present = hour_at(number) + HOUR

    def clock(self) -> datetime:
        return self.present

    def read(self, table: Table, window: Window) -> pa.RecordBatchReader:
        schema = pa.schema([(name, pa.string()) for name in ("id", "amount", "modified_at")])

        def batches() -> Iterator[pa.RecordBatch]:
            yield pa.RecordBatch.from_pylist(
                [{"id": "1", "amount": "1", "modified_at": LONG_AGO}], schema=schema
            )
            raise self.failure

        return pa.RecordBatchReader.from_batches(schema, batches())

    def committed(self) -> None:
        raise AssertionError("nothing was committed")


@pytest.mark.parametrize("kind", [TransientFailure, PermanentFailure])
def test_a_stream_that_breaks_off_keeps_its_failure_and_commits_nothing(
    box: Box, kind: type[Exception]
) -> None:
    """Whether to retry is known behind the writer too, and no half of an hour is visible."""
    with pytest.raises(kind, match="the line went dead"):
        box.bronze_from("contacts", 0, BreaksOff(kind("the line went dead"), 0))
    assert box.stored_bronze("contacts") == []
    assert not box.ledger.has_succeeded("bronze/box__contacts")


def test_a_column_that_changes_only_its_case_stays_one_column(box: Box, source: Database) -> None:
    """``Amount`` after ``amount`` is the same column: its values go on in Silver."""
    environ = {"BOX_URL": source.url}
    source.insert("contacts", ("1", "1", at(0, 5)))
    source.set_clock(0)
    box.both("contacts", 0, environ)
    source.execute("ALTER TABLE contacts RENAME COLUMN amount TO Amount")
    source.insert("contacts", ("2", "2", at(1, 5)))
    source.set_clock(1)
    box.both("contacts", 1, environ)
    assert {row["id"]: row["amount"] for row in box.live("contacts")} == {1: 1, 2: 2}


def test_columns_that_differ_in_case_only_are_refused(box: Box) -> None:
    """No column silently hides the other one."""
    twins = ArrowReader.at(0, [], ["id", "amount", "Amount", "modified_at"])
    with pytest.raises(PermanentFailure, match=r"differ in case only.*rename one"):
        box.bronze_from("contacts", 0, twins)


def test_added_and_removed_columns_keep_the_table_going(box: Box, source: Database) -> None:
    """A new column is kept in Bronze and named; without a required one the hour is held."""
    environ = {"BOX_URL": source.url}
    source.insert("contacts", ("1", "1", at(0, 5)))
    source.set_clock(0)
    box.both("contacts", 0, environ)
    source.execute("ALTER TABLE contacts ADD COLUMN colour TEXT")
    source.put("contacts", id="2", amount="2", modified_at=at(1, 5), colour="red")
    source.set_clock(1)
    assert load(box, "contacts", 1, source).unknown_columns == ["colour"]
    box.silver("contacts", 1)
    source.execute("ALTER TABLE contacts DROP COLUMN amount")
    source.put("contacts", id="3", modified_at=at(2, 5))
    source.set_clock(2)
    with pytest.raises(HeldBack, match="the source has no amount any more"):
        box.both("contacts", 2, environ)
    assert {row["id"]: row["amount"] for row in box.live("contacts")} == {1: 1, 2: 2}
    assert {row["colour"] for row in box.stored_bronze("contacts")} == {None, "red"}
