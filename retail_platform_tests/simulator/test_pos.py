"""The landing folder: hours, markers, names in London time, rows as they came."""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from retail_platform.failures import PermanentFailure
from retail_platform.simulator import pack
from retail_platform.simulator.pos import PosFeed, hours_ended, relative_path
from retail_platform.simulator.shifts import POS, POS_ZONE
from retail_platform_tests.simulator.conftest import HOUR, NOW

FEED = PosFeed(POS.weeks(NOW))
DATE = re.compile(r",\d{4}-\d{2}-\d{2} (\d{2}:\d{2}:\d{2}),")


def test_rows_of_a_day_are_the_packs_rows_with_another_date() -> None:
    day = date(2011, 11, 17) + timedelta(weeks=FEED.weeks)
    midnight = datetime(day.year, day.month, day.day, tzinfo=POS_ZONE)
    lines = [line for hour in range(24) for line in FEED.lines(midnight + hour * HOUR)]
    assert all(f",{day.isoformat()} " in line for line in lines)
    original = (pack.pos_day("2011-11-17") or "").splitlines()[1:]
    assert len(lines) == 3_621
    strip = [DATE.sub(r",\1,", line) for line in original]
    assert sorted(DATE.sub(r",\1,", line) for line in lines) == sorted(strip)


def test_every_closed_hour_has_a_marker_and_hours_with_trade_a_file(tmp_path: Path) -> None:
    after, until = NOW - 26 * HOUR, NOW + timedelta(minutes=59)
    files = FEED.drop(tmp_path, after=after, until=until)
    markers = sorted(tmp_path.rglob("*.done"))
    assert len(markers) == 26
    found = sorted(tmp_path.rglob("*.csv"))
    assert len(found) == files > 5
    assert not list(tmp_path.rglob("*.part"))
    for hour in hours_ended(after=after, until=until):
        path = tmp_path / relative_path(hour)
        assert path.with_suffix(".done").exists()
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        assert lines[1:] == FEED.lines(hour)
    before = {path: path.read_bytes() for path in found}
    FEED.drop(tmp_path, after=after, until=until)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.csv")} == before


def test_names_are_london_time_and_the_doubled_hour_has_a_suffix() -> None:
    def name(hour: datetime) -> str:
        return relative_path(hour).as_posix().removeprefix("pos/retail/transactions/")

    summer = datetime(2026, 10, 25, 0, tzinfo=UTC)
    assert name(summer - HOUR) == "2026-10-25/transactions_20261025T00.csv"
    assert name(summer) == "2026-10-25/transactions_20261025T01.csv"
    assert name(summer + HOUR) == "2026-10-25/transactions_20261025T01b.csv"
    assert name(summer + 2 * HOUR) == "2026-10-25/transactions_20261025T02.csv"
    spring = datetime(2026, 3, 29, 0, tzinfo=UTC)
    assert name(spring) == "2026-03-29/transactions_20260329T00.csv"
    assert name(spring + HOUR) == "2026-03-29/transactions_20260329T02.csv"


def test_trading_hours_are_closed_and_skip_nights_and_saturdays() -> None:
    saturday = datetime(2026, 11, 28, 20, tzinfo=UTC)
    found = FEED.trading_hours(12, before=saturday)
    assert len(found) == 12
    assert found == sorted(found)
    assert {hour.astimezone(POS_ZONE).date().isoweekday() for hour in found} <= {4, 5}
    assert all(FEED.lines(hour) for hour in found)
    inside = found[-1] + timedelta(minutes=30)
    assert FEED.trading_hours(1, before=inside) == [found[-2]]


def test_asking_for_more_hours_than_the_data_has_is_refused() -> None:
    with pytest.raises(PermanentFailure, match="ask for fewer hours"):
        FEED.trading_hours(5_000, before=NOW)
