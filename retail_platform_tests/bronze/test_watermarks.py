"""Lag, gaps and clocks set back: seen before the hour is read, and what metadata asks for then."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from retail_platform.bronze.load import BronzeLoad
from retail_platform.bronze.watermarks import WatermarkState, greatest_watermark
from retail_platform.control.models import RequestStatus
from retail_platform.control.requests import RequestKind
from retail_platform.failures import PermanentFailure
from retail_platform.metadata.loader import load_catalog
from retail_platform_tests.platform.box import HOUR, Box, hour_at
from retail_platform_tests.platform.catalogs import contract, sql_source, write_catalog
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.platform.sources import Database
from retail_platform_tests.silver.modes import PLAIN

LATER = datetime(2027, 1, 1, tzinfo=UTC)


def catalog_folder(folder: Path, policy: Mapping[str, object]) -> Path:
    row = {
        "table": "contacts",
        "load": "incremental",
        "key": ["id"],
        "watermark": {"column": "modified_at", **policy},
        "silver": {"entity": "contacts", "merge": "upsert"},
    }
    return write_catalog(folder, [sql_source("box", [row])], [contract("contacts", PLAIN, ["id"])])


class Place:
    """A box of one table with a policy, and its source."""

    def __init__(self, new_box: Opener, folder: Path, policy: Mapping[str, object]) -> None:
        self.box: Box = new_box(load_catalog(catalog_folder(folder / "catalog", policy)))
        self.source = Database(folder / "box.db")
        self.source.create("contacts", "id TEXT, amount TEXT, modified_at TEXT")

    def put(self, key: int, number: int, minutes: int = 10) -> None:
        moment = hour_at(number) + timedelta(minutes=minutes)
        self.source.insert("contacts", (str(key), "1", self.source.local(moment)))

    def load(self, number: int) -> BronzeLoad:
        self.source.set_clock(number)
        return self.box.bronze("contacts", number, {"BOX_URL": self.source.url})

    def keys(self, number: int) -> list[int]:
        rows = self.box.stored_bronze("contacts")
        return sorted(int(row["id"]) for row in rows if row["_hour"] == hour_at(number))


def test_lag_counts_only_hours_that_were_loaded(new_box: Opener, tmp_path: Path) -> None:
    """A source that catches up behind the loads lags; hours that no run has loaded do not."""
    place = Place(new_box, tmp_path, {"max_lag": "1h"})
    place.put(0, 0)
    assert place.load(0).watermarks is None, "the initial load has nothing to compare with"
    place.load(1)
    place.load(2)
    place.put(1, 2, 40)
    late = place.load(3).watermarks
    assert late == WatermarkState(lag=timedelta(hours=2, minutes=30))
    assert place.keys(3) == [], "it only warns"
    place.put(2, 5)
    place.put(3, 7)
    missed = place.load(7).watermarks
    assert missed is not None
    assert (missed.lag, missed.missing) == (timedelta(hours=2, minutes=30), 3)
    assert place.box.ledger.max_watermark("bronze/box__contacts") == hour_at(7) + HOUR / 6


@pytest.mark.parametrize(("limit", "read"), [("2h", [1]), ("3h", [])])
def test_lag_beyond_its_limit_reads_the_whole_table(
    new_box: Opener, tmp_path: Path, limit: str, read: list[int]
) -> None:
    """``on_lag: full`` is a request by the metadata: recorded, with its reason on the load."""
    place = Place(new_box, tmp_path, {"max_lag": limit, "on_lag": "full"})
    place.put(0, 0)
    for number in range(3):
        place.load(number)
    place.put(1, 2, 40)
    place.load(3)
    assert [key for key in place.keys(3) if key] == read
    requests = place.box.ledger.requests.all()
    assert len(requests) == len(read)
    for request in requests:
        assert (request.kind, request.status) == (RequestKind.FULL_RELOAD, RequestStatus.SUCCESS)
        assert request.requester == "on_lag: full"
        (load,) = place.box.ledger.loads(request_id=request.id)
        assert (load.window_start, load.reprocess, load.hour) == (None, True, hour_at(3))
        assert "lag 2:30:00, expected up to 2:00:00" in (load.reason or "")
    place.load(4)
    assert place.keys(4) == [], "once"


def test_a_gap_is_read_into_the_next_hour(new_box: Opener, tmp_path: Path) -> None:
    """``full``: all rows of the missing hours, ties at both of its ends included, once."""
    place = Place(new_box, tmp_path, {"gap": {"mode": "full"}})
    place.put(0, 0)
    place.load(0)
    place.put(1, 1, 0)
    place.put(2, 2)
    place.put(3, 4, 0)
    place.source.set_clock(4)
    load = place.load(4)
    assert load.watermarks is not None
    assert load.watermarks.missing == 3
    assert place.keys(4) == [1, 2, 3]
    (row,) = place.box.ledger.loads(asset="bronze/box__contacts", hour=hour_at(4))
    assert row.window_start == hour_at(1) - timedelta(minutes=1)
    assert row.reason == "with a gap of 3 hours"
    place.load(5)
    assert place.keys(5) == []


def test_a_gap_in_chunks_leaves_the_current_hour_alone(new_box: Opener, tmp_path: Path) -> None:
    """The current hour first: the missing ones are another job's."""
    place = Place(new_box, tmp_path, {})
    place.put(0, 0)
    place.load(0)
    place.put(1, 1)
    place.put(2, 4)
    assert place.load(4).watermarks == WatermarkState(missing=3)
    assert place.keys(4) == [2]


def test_a_source_that_was_set_back_is_seen(new_box: Opener, tmp_path: Path) -> None:
    """Restored from a copy: its greatest watermark lies before the stored one."""
    place = Place(new_box, tmp_path, {})
    place.put(0, 0)
    place.put(1, 1)
    place.load(1)
    place.source.execute("DELETE FROM contacts WHERE id = '1'")
    assert place.load(2).watermarks == WatermarkState(set_back=HOUR)


@pytest.mark.parametrize(
    ("values", "zone", "greatest"),
    [
        (["2026-01-05 12:00:00.123", None, "someday", ""], "UTC", "2026-01-05T12:00:00"),
        (["2026-01-05 12:00:00", "2026-01-05T13:30:00+02:00"], "UTC", "2026-01-05T12:00:00"),
        (["2026-01-05 12:00:00", "2026-01-05 11:30:00-0100"], "UTC", "2026-01-05T12:30:00"),
        (
            ["2026-01-05 12:00:00", "2026-01-05 19:00:00Z"],
            "America/Los_Angeles",
            "2026-01-05T20:00:00",
        ),
        (["2026-10-25 01:30:00"], "Europe/London", "2026-10-25T00:30:00"),
        (["2026-01-05 12:00:00", "2100-01-01 00:00:00"], "UTC", "2026-01-05T12:00:00"),
        ([], "UTC", None),
        ([None], "UTC", None),
    ],
)
def test_the_greatest_watermark_of_what_came(
    values: list[str | None], zone: str, greatest: str | None
) -> None:
    """Naive and aware values mixed, doubled hours, the future, and what is no time."""
    found = greatest_watermark(pa.array(values, pa.string()), zone, LATER)
    assert found == (datetime.fromisoformat(greatest).replace(tzinfo=UTC) if greatest else None)


@pytest.mark.parametrize(
    ("values", "zone", "greatest"),
    [
        (["2026-01-05 12:00:00.123", None, "2026-01-05 11:00"], "UTC", "2026-01-05T12:00:00"),
        (["2026-01-05 12:00", "2100-01-01 00:00"], "America/New_York", "2026-01-05T17:00:00"),
        (["2026-10-25 01:30", "2026-10-25 00:59"], "Europe/London", "2026-10-25T00:30:00"),
        (["2026-10-25 02:10", "2026-10-25 01:59:59.9"], "Europe/London", "2026-10-25T02:10:00"),
        (["2026-03-29 01:30", "2026-03-29 00:30"], "Europe/London", "2026-03-29T01:00:00"),
        (["0001-01-01 00:00"], "Europe/London", "0001-01-01T00:01:15"),
        (["2100-01-01 00:00"], "UTC", None),
        ([], "UTC", None),
    ],
)
@pytest.mark.parametrize("aware", [False, True], ids=["naive", "aware"])
def test_the_greatest_of_timestamps(
    values: list[str | None], zone: str, greatest: str | None, aware: bool
) -> None:
    """Doubled and skipped hours, the future, and the first moment that there is."""
    column = pa.array(values, pa.string()).cast(pa.timestamp("us"))
    if aware:
        column = pc.assume_timezone(column, zone, ambiguous="earliest", nonexistent="latest")
    found = greatest_watermark(column, zone, LATER)
    assert found == (datetime.fromisoformat(greatest).replace(tzinfo=UTC) if greatest else None)


def test_rounding_to_three_milliseconds_loses_no_row(new_box: Opener, tmp_path: Path) -> None:
    """``datetime`` of SQL Server stores .997 for .999 and the next hour for .9999: read once."""
    place = Place(new_box, tmp_path, {})
    place.put(0, 0)
    place.load(0)
    end = hour_at(1).strftime("%Y-%m-%d ")
    for key, time in enumerate(("13:59:59.997", "14:00:00.000", "14:00:00.003"), start=1):
        place.source.insert("contacts", (str(key), "1", f"{end}{time}"))
    place.source.execute("UPDATE clock SET now = ?", [[f"{end}14:00:05"]])
    place.box.bronze("contacts", 1, {"BOX_URL": place.source.url})
    assert place.keys(1) == [1]
    place.load(2)
    assert place.keys(2) == [1, 2, 3], "the buffer reads the first again; Silver knows it"
    place.box.silver("contacts", 0)
    place.box.silver("contacts", 1)
    counts = place.box.silver("contacts", 2).counts
    assert (counts.applied, counts.unchanged) == (2, 1)


@pytest.mark.parametrize(
    ("policy", "found"),
    [
        ({"on_lag": "full"}, "on_lag: full needs max_lag"),
        ({"max_lag": "soon"}, "not a duration"),
        ({"gap": {"mode": "half"}}, "'chunk' or 'full'"),
        ({"gap": {"hours": 0}}, "greater than or equal to 1"),
        ({"gap": {"days": 1}}, "Extra inputs"),
    ],
)
def test_wrong_policies_are_errors_at_load(
    tmp_path: Path, policy: dict[str, object], found: str
) -> None:
    """With file, table and field."""
    folder = catalog_folder(tmp_path, policy)
    with pytest.raises(PermanentFailure, match=rf"box.yaml.*tables.contacts.watermark.*{found}"):
        load_catalog(folder)


def test_the_greatest_of_days() -> None:
    """A day is the moment at which it begins in the source's zone."""
    days = pa.array([date(2026, 1, 4), None, date(2026, 1, 5), date(2100, 1, 1)])
    found = greatest_watermark(days, "America/New_York", LATER)
    assert found == datetime(2026, 1, 5, 5, tzinfo=UTC)
