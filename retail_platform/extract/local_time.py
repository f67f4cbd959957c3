"""Local time of a source: which naive values a UTC window covers, and what an hour is called.

Converting values to UTC is Silver's work; here is only what is needed to ask for the right rows and
the right files around the hour that the clocks double or leave out.
"""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

from retail_platform.extract.window import HOUR

# Farther back than any transition can reach into a window; clocks move by three hours at most.
_REACH = timedelta(days=2)
_LARGEST_SHIFT = timedelta(hours=3)

NaiveRange = tuple[datetime | None, datetime]


def naive_ranges(start: datetime | None, end: datetime, zone: ZoneInfo) -> list[NaiveRange]:
    """The half-open ranges of naive local times that may mean a moment in ``[start, end)``.

    A value in the doubled hour may mean either of two moments and is covered by the windows of
    both. A value in the hour that is left out means the moment that lies forward by the shift.

    Args:
        start: Inclusive, aware; None leaves the first range open below.
        end: Exclusive, aware.
        zone: The source's zone.

    Returns:
        Ranges in ascending order that do not touch each other.
    """
    end = end.astimezone(UTC)
    lowest = start.astimezone(UTC) if start is not None else end - _REACH
    transitions = _transitions(lowest - _LARGEST_SHIFT, end, zone)
    inside = [moment for moment in transitions if lowest < moment < end]
    bounds = [lowest, *inside, end]
    ranges: list[NaiveRange] = [
        (_shift(low, _offset(low, zone)), _shift(high, _offset(low, zone)))
        for low, high in pairwise(bounds)
    ]
    if start is None:
        ranges[0] = (None, ranges[0][1])
    for moment in transitions:
        before, after = _offset(moment - timedelta(seconds=1), zone), _offset(moment, zone)
        low, high = max(moment, lowest), min(moment + (after - before), end)
        if low < high:
            ranges.append((_shift(low, before), _shift(high, before)))
    return _merged(ranges)


def local_now(moment: datetime, zone: ZoneInfo) -> datetime:
    """The naive local time of an aware moment."""
    return moment.astimezone(zone).replace(tzinfo=None)


def local_hour(hour: datetime, zone: ZoneInfo) -> tuple[datetime, str]:
    """The naive local start of a UTC hour, and the suffix that tells a doubled hour apart.

    Returns:
        The naive local time and ``"b"`` for the second pass of a doubled hour, else ``""``.
    """
    local = hour.astimezone(zone)
    return local.replace(tzinfo=None), "b" if local.fold else ""


def _transitions(low: datetime, high: datetime, zone: ZoneInfo) -> list[datetime]:
    found = []
    while low < high:
        following = min(low + HOUR, high)
        if _offset(low, zone) != _offset(following, zone):
            found.append(_transition(low, following, zone))
        low = following
    return found


def _transition(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    offset = _offset(low, zone)
    low, high = low.replace(microsecond=0), high.replace(microsecond=0)
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low).total_seconds() // 2)
        if _offset(middle, zone) == offset:
            low = middle
        else:
            high = middle
    return high


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _shift(moment: datetime, offset: timedelta) -> datetime:
    return (moment + offset).replace(tzinfo=None)


def _merged(ranges: list[NaiveRange]) -> list[NaiveRange]:
    merged: list[NaiveRange] = []
    for low, high in sorted(ranges, key=lambda item: (item[0] is not None, item[0] or item[1])):
        if merged and (low is None or low <= merged[-1][1]):
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged


def utc_of(moment: datetime, zone: tzinfo) -> datetime:
    """Aware UTC; a naive moment is read in ``zone``, in a doubled hour as its first pass."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def watermark_of(value: object, zone: tzinfo) -> datetime | None:
    """A watermark as a database gave it, aware UTC; None where it gave none."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if isinstance(moment, date) and not isinstance(moment, datetime):
        # As windows compare it: a day is the moment at which it begins.
        moment = datetime.combine(moment, time())
    return utc_of(moment, zone) if isinstance(moment, datetime) else None
