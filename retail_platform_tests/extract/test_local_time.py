"""Naive local ranges cover a UTC window exactly, around both changes of the clock too."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_platform.extract.local_time import local_hour, naive_ranges

LOS_ANGELES = ZoneInfo("America/Los_Angeles")
LONDON = ZoneInfo("Europe/London")
FALL, SPRING = datetime(2026, 11, 1, 9, tzinfo=UTC), datetime(2026, 3, 8, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def covers(ranges: list, naive: datetime) -> bool:
    return any((low is None or low <= naive) and naive < high for low, high in ranges)


def meanings(naive: datetime, zone: ZoneInfo) -> set[datetime]:
    """The moments that a naive value may mean: two when doubled, shifted forward when left out."""
    first, second = (naive.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return {first, second} if first <= second else {first}


@given(
    transition=st.sampled_from([FALL, SPRING, datetime(2026, 6, 1, tzinfo=UTC)]),
    start=st.integers(-300, 300),
    length=st.integers(1, 400),
    value=st.integers(-900, 900),
    initial=st.booleans(),
)
def test_a_value_is_covered_exactly_when_it_may_mean_a_moment_inside(
    transition: datetime, start: int, length: int, value: int, initial: bool
) -> None:
    low = transition + start * MINUTE
    high = low + length * MINUTE
    naive = transition.replace(tzinfo=None) - timedelta(hours=8) + value * MINUTE
    ranges = naive_ranges(None if initial else low, high, LOS_ANGELES)
    inside = any((initial or low <= m) and m < high for m in meanings(naive, LOS_ANGELES))
    assert covers(ranges, naive) == inside


def test_both_passes_of_the_doubled_hour_read_it() -> None:
    doubled = [(at("2026-11-01 01:00:00"), at("2026-11-01 02:00:00"))]
    hour = timedelta(hours=1)
    assert naive_ranges(FALL - hour, FALL, LOS_ANGELES) == doubled
    assert naive_ranges(FALL, FALL + hour, LOS_ANGELES) == doubled


def test_the_left_out_hour_is_read_with_the_one_after_it() -> None:
    assert naive_ranges(SPRING, SPRING + timedelta(hours=1), LOS_ANGELES) == [
        (at("2026-03-08 02:00:00"), at("2026-03-08 04:00:00"))
    ]


@pytest.mark.parametrize(
    ("utc", "expected"),
    [
        ("2026-10-25 00:00:00+00:00", ("2026-10-25 01:00:00", "")),
        ("2026-10-25 01:00:00+00:00", ("2026-10-25 01:00:00", "b")),
        ("2026-10-25 02:00:00+00:00", ("2026-10-25 02:00:00", "")),
        ("2026-07-01 12:00:00+00:00", ("2026-07-01 13:00:00", "")),
    ],
)
def test_an_hour_has_a_name_of_its_own(utc: str, expected: tuple[str, str]) -> None:
    assert local_hour(at(utc), LONDON) == (at(expected[0]), expected[1])
