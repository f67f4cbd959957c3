"""Ranges that cut a table into parts: every value lies in exactly one of them."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from retail_platform.extract.sql_ranges import ValueRange, value_ranges

WHOLE = st.integers(-(2**63), 2**63 - 1)
MOMENTS = st.datetimes()


def holds(range_: ValueRange, value: int | datetime) -> bool:
    above = range_.low is None or value >= range_.low  # type: ignore[operator]
    return above and (range_.high is None or value < range_.high)  # type: ignore[operator]


@given(
    st.one_of(st.tuples(WHOLE, WHOLE, WHOLE), st.tuples(MOMENTS, MOMENTS, MOMENTS)),
    st.integers(1, 40),
)
def test_each_value_lies_in_one_range(
    values: tuple[int, int, int] | tuple[datetime, datetime, datetime], number: int
) -> None:
    """Also one that was written after least and greatest were asked for, and NULL."""
    least, greatest, other = min(values[:2]), max(values[:2]), values[2]
    ranges = value_ranges(least, greatest, number)
    assert len(ranges) <= number
    for value in (least, greatest, other):
        assert sum(holds(range_, value) for range_ in ranges) == 1
    assert [range_.low for range_ in ranges].count(None) == 1, "NULL is in the first"


def test_ranges_are_of_equal_length() -> None:
    """And no more than there are values."""
    assert [r.low for r in value_ranges(1, 100, 4)] == [None, 26, 51, 76]
    assert [r.high for r in value_ranges(1, 100, 4)] == [26, 51, 76, None]
    assert len(value_ranges(5, 6, 8)) == 2
    assert len(value_ranges(5, 5, 8)) == 1
    assert len(value_ranges(None, None, 8)) == 1
    noon = datetime(2026, 1, 5, 12, tzinfo=UTC)
    halves = value_ranges(noon, noon + timedelta(hours=2) - timedelta(microseconds=1), 2)
    assert halves[0].high == halves[1].low == noon + timedelta(hours=1)
