"""Bronze against its source: late rows and deletes that no window finds."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from retail_platform.bronze.comparison import HourDifference, compare_hours, ranges_to_reread
from retail_platform.extract.opening import open_reader
from retail_platform.extract.reader import WatermarkReader
from retail_platform.extract.sql import SqlSource
from retail_platform.failures import PermanentFailure
from retail_platform.metadata.loader import load_catalog
from retail_platform_tests.platform.box import HOUR, Box, hour_at
from retail_platform_tests.platform.catalogs import contract, sql_source, write_catalog
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.platform.sources import Database
from retail_platform_tests.silver.modes import PLAIN, modes_catalog

ZONE = "Europe/London"


@pytest.fixture
def box(new_box: Opener, tmp_path: Path) -> Box:
    return new_box(modes_catalog(tmp_path / "catalog"))


@pytest.fixture
def source(tmp_path: Path) -> Database:
    """Two rows in each of three hours, one more in the hour that nobody has loaded yet.

    They are there from the start, so that the first load also takes those of later hours along, as
    rows from the future.
    """
    database = Database(tmp_path / "box.db")
    database.create("contacts", "id TEXT, amount TEXT, modified_at TEXT")
    for number in range(4):
        database.insert("contacts", (str(number), "1", at(number, 10)))
    for number in range(3):
        database.insert("contacts", (str(10 + number), "1", at(number, 20)))
    return database


def at(number: int, minutes: int) -> str:
    return (hour_at(number) + timedelta(minutes=minutes)).strftime("%Y-%m-%d %H:%M:%S")


def load(box: Box, source: Database, hours: range) -> None:
    for number in hours:
        source.set_clock(number)
        box.bronze("contacts", number, {"BOX_URL": source.url})


def compared(box: Box, source: Database, hours: range = range(3)) -> list[HourDifference]:
    table = box.catalog.by_entity["contacts"]
    with open_reader(table, box.files, {"BOX_URL": source.url}) as reader:
        assert isinstance(reader, WatermarkReader)
        return compare_hours(table, reader, box.lake, [hour_at(n) for n in hours])


def difference(number: int, **found: int) -> HourDifference:
    figures = {"late": 0, "gone": 0, **found}
    return HourDifference(table="contacts", hour=hour_at(number), **figures)


def test_equal_sides_have_no_difference(box: Box, source: Database) -> None:
    """Also when rows have moved on, to a loaded hour or to one that is not loaded yet."""
    load(box, source, range(3))
    assert compared(box, source) == []
    move = "UPDATE contacts SET modified_at = ? WHERE id = ?"
    source.execute(move, [[at(3, 30), "0"]])
    assert compared(box, source) == []
    source.execute(move, [[at(2, 40), "1"]])
    assert compared(box, source) == [difference(2, source_rows=3, bronze_rows=2, late=1)]
    load(box, source, range(2, 3))
    assert compared(box, source) == []


def test_a_row_committed_late_is_found_and_the_reread_brings_it(box: Box, source: Database) -> None:
    """Under an older stamp than the buffer reaches back to; so is a change in place."""
    load(box, source, range(3))
    source.insert("contacts", ("20", "1", at(0, 50)))
    change = "UPDATE contacts SET amount = '9', modified_at = ? WHERE id = ?"
    source.execute(change, [[at(1, 55), "11"]])
    found = compared(box, source)
    assert found == [
        difference(0, source_rows=3, bronze_rows=2, late=1),
        difference(1, source_rows=2, bronze_rows=2, late=1),
    ]
    assert ranges_to_reread(found) == [(hour_at(0), hour_at(2))]
    load(box, source, range(2))
    assert compared(box, source) == []


def test_deletes_are_found_and_no_reread_is_asked_for(box: Box, source: Database) -> None:
    """A load by watermark never sees them."""
    load(box, source, range(3))
    source.execute("DELETE FROM contacts WHERE id = '11'")
    load(box, source, range(3))
    found = compared(box, source)
    assert found == [difference(1, source_rows=1, bronze_rows=2, gone=1)]
    assert ranges_to_reread(found) == []
    source.execute("DELETE FROM contacts")
    assert sum(hour.gone for hour in compared(box, source)) == 6


def test_an_hour_that_was_never_loaded_is_late(box: Box, source: Database) -> None:
    load(box, source, range(1))
    source.insert("contacts", ("41", "1", at(1, 45)))
    load(box, source, range(2, 3))
    assert compared(box, source) == [difference(1, source_rows=3, bronze_rows=2, late=1)]


def test_rows_without_a_watermark_do_not_count(box: Box, source: Database) -> None:
    """They have no hour on either side."""
    source.insert("contacts", ("30", "1", None), ("31", "1", "someday"))
    load(box, source, range(3))
    assert compared(box, source) == []


def test_tables_without_hours_of_a_watermark_are_refused(box: Box, source: Database) -> None:
    table = box.catalog.by_entity["regions"]
    with open_reader(table, box.files, {"BOX_URL": source.url}) as reader:
        assert isinstance(reader, WatermarkReader)
        with pytest.raises(PermanentFailure, match=r"regions: only incremental.*loaded full"):
            compare_hours(table, reader, box.lake, [hour_at(0)])


def test_local_hours_of_the_doubled_and_the_skipped_hour(tmp_path: Path) -> None:
    """A naive value of the doubled hour counts once, in its first pass, as Silver reads it."""
    database = Database(tmp_path / "zone.db", ZONE)
    database.create("things", "id TEXT, modified_at TEXT")
    database.insert(
        "things",
        ("1", "2026-10-25 00:30:00"),
        ("2", "2026-10-25 01:30:00"),
        ("3", "2026-10-25 02:30:00"),
        ("4", "2026-03-29 01:30:00"),
    )
    start = datetime(2026, 10, 24, 23, tzinfo=UTC)
    doubled = [start + number * HOUR for number in range(4)]
    source = SqlSource(database.url, ZONE)
    found = source.hourly("things", "modified_at", doubled)
    assert [found[hour][0] for hour in doubled] == [1, 1, 0, 1]
    assert found[doubled[1]][1] == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert source.hourly("things", "modified_at", [doubled[2]]) == {doubled[2]: (0, None)}
    skipped = datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert source.hourly("things", "modified_at", [skipped])[skipped][0] == 1


def test_more_hours_than_one_query_takes(tmp_path: Path) -> None:
    """A week of hours is asked for in parts."""
    database = Database(tmp_path / "many.db")
    database.create("things", "id TEXT, modified_at TEXT")
    hours = [hour_at(number) for number in range(168)]
    database.insert("things", *((str(n), at(n, 59)) for n in range(168)))
    found = SqlSource(database.url, "UTC").hourly("things", "modified_at", hours)
    assert [found[hour][0] for hour in hours] == [1] * 168


@pytest.mark.postgres
@pytest.mark.parametrize("kind", ["timestamp", "timestamptz"])
def test_on_postgresql(new_box: Opener, tmp_path: Path, postgres_url: str, kind: str) -> None:
    """The same on a typed database, with naive and aware watermarks."""
    row = {
        "table": "moments",
        "load": "incremental",
        "key": ["id"],
        "watermark": {"column": "modified_at"},
        "silver": {"entity": "moments", "merge": "upsert"},
    }
    tree = sql_source("box", [row])
    tree["connection"]["clock_query"] = "select timestamptz '2026-01-05 16:00:00+00'"
    folder = write_catalog(tmp_path / "pg", [tree], [contract("moments", PLAIN, ["id"])])
    box = new_box(load_catalog(folder))
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        for statement in (
            "DROP TABLE IF EXISTS moments",
            f"CREATE TABLE moments (id bigint, amount int, modified_at {kind})",
            "SET TIME ZONE 'UTC'",
            """INSERT INTO moments SELECT n, 1, '2026-01-05 12:10:00'::timestamp
            + n * interval '1 hour' FROM generate_series(0, 2) n""",
        ):
            connection.exec_driver_sql(statement)
    table = box.catalog.by_entity["moments"]
    environ = {"BOX_URL": postgres_url}
    for number in range(3):
        box.bronze("moments", number, environ)
    hours = [hour_at(number) for number in range(3)]
    with open_reader(table, box.files, environ) as reader:
        assert isinstance(reader, WatermarkReader)
        assert compare_hours(table, reader, box.lake, hours) == []
        with engine.begin() as connection:
            connection.exec_driver_sql("SET TIME ZONE 'UTC'")
            connection.exec_driver_sql("INSERT INTO moments VALUES (9, 1, '2026-01-05 12:50:00')")
            connection.exec_driver_sql("DELETE FROM moments WHERE id = 2")
        found = compare_hours(table, reader, box.lake, hours)
    engine.dispose()
    assert [(hour.hour, hour.late, hour.gone) for hour in found] == [
        (hour_at(0), 1, 0),
        (hour_at(2), 0, 1),
    ]
