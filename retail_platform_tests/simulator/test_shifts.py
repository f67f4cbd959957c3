"""Time: whole weeks, one order of instants, and local text without a doubled hour."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from retail_platform.simulator.shifts import (
    FEEDS,
    MINUTE,
    Instants,
    from_micros,
    is_repeated_hour,
    local_text,
    to_micros,
)

MOMENTS = st.datetimes(
    min_value=datetime.fromisoformat("2024-01-01"),
    max_value=datetime.fromisoformat("2032-01-01"),
    timezones=st.just(UTC),
)


@given(now=MOMENTS)
def test_a_shift_keeps_weekdays_and_leaves_weeks_of_future(now: datetime) -> None:
    for feed in FEEDS.values():
        today = now.astimezone(feed.zone).date()
        source_day = today - timedelta(weeks=feed.weeks(now))
        assert source_day.weekday() == today.weekday()
        assert feed.anchor <= source_day < feed.anchor + timedelta(days=7)
        assert feed.end(feed.weeks(now)) - now > timedelta(weeks=3)


@given(st.lists(st.integers(min_value=0, max_value=20), max_size=40))
def test_instants_of_a_table_are_never_given_twice(offsets: list[int]) -> None:
    base = to_micros(datetime(2026, 11, 20, 12, tzinfo=UTC))
    instants = Instants()
    given_out = [instants.take("orders", base + offset) for offset in offsets]
    assert len(set(given_out)) == len(given_out)
    assert all(at >= base + offset for at, offset in zip(given_out, offsets, strict=True))


def test_the_second_pass_of_the_doubled_hour_is_left_out() -> None:
    first_pass = to_micros(datetime(2026, 11, 1, 8, 30, tzinfo=UTC))
    second_pass = first_pass + 60 * MINUTE
    assert local_text(first_pass) == local_text(second_pass) == "2026-11-01 01:30:00.000000"
    assert not is_repeated_hour(first_pass)
    taken = Instants().take("orders", second_pass)
    assert from_micros(taken) == datetime(2026, 11, 1, 10, 0, 0, 1_800, tzinfo=UTC)
    assert local_text(taken) == "2026-11-01 02:00:00.001800"
