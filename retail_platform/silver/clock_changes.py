"""How many naive local times of a batch lie in an hour that the clocks double or leave out.

Such values are converted all the same (the first pass of a doubled hour, a skipped one forward by
the shift); they are counted so that somebody can see how many moments were a choice. Here is the
SQL; the conversion itself is in ``casting``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pyarrow as pa

from retail_platform.silver.casting import MOMENT

DOUBLED = "_doubled_times"
SKIPPED = "_skipped_times"
_FIRST_YEAR, _LAST_YEAR = 1970, 2050
_STEP = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class ClockChanges:
    """Values of a batch that the source's clock changes make doubtful.

    Attributes:
        doubled: Values in an hour that happened twice; taken for its first pass.
        skipped: Values in an hour that did not happen; moved forward by the shift.
    """

    doubled: int = 0
    skipped: int = 0


@dataclass(frozen=True, kw_only=True)
class LocalTime:
    """A column whose values may be naive local times.

    Attributes:
        local: SQL of the naive local time as a timestamp, NULL where the value has a zone.
        moment: SQL of the moment that it was converted to.
    """

    local: str
    moment: str


def local_time(received: str, arrow: pa.DataType, moment: str) -> LocalTime | None:
    """How a timestamp column's naive local times are found.

    Args:
        received: SQL of the received value.
        arrow: Its Arrow type.
        moment: SQL of the converted value.

    Returns:
        None where the received type is never naive.
    """
    if pa.types.is_string(arrow) or pa.types.is_large_string(arrow):
        local = f"case when {received} rlike '{MOMENT}' then try_cast({received} as timestamp) end"
        return LocalTime(local=local, moment=moment)
    if pa.types.is_timestamp(arrow) and arrow.tz is None:
        return LocalTime(local=f"cast({received} as timestamp)", moment=moment)
    return None


def clock_changes(times: list[LocalTime], zone: str) -> dict[str, str]:
    """SQL of how many of a row's values are doubled and skipped, by column name."""
    shifts = shifts_back(zone)
    if not times or not shifts:
        return {DOUBLED: "0", SKIPPED: "0"}
    return {
        DOUBLED: _sum(
            " or ".join(
                f"from_utc_timestamp({time.moment} + interval {seconds} seconds, '{zone}') = "
                f"{time.local}"
                for seconds in shifts
            )
            for time in times
        ),
        SKIPPED: _sum(
            f"from_utc_timestamp({time.moment}, '{zone}') <> {time.local}" for time in times
        ),
    }


@cache
def shifts_back(zone: str) -> tuple[int, ...]:
    """By how many seconds a zone's clocks have been or will be set back, ascending.

    Empty for a zone whose clocks never change.
    """
    info = ZoneInfo(zone)
    weeks = (_LAST_YEAR - _FIRST_YEAR) * 53
    first = datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC)
    offsets = [
        (first + week * _STEP).astimezone(info).utcoffset() or timedelta() for week in range(weeks)
    ]
    back = {before - after for before, after in pairwise(offsets) if after < before}
    return tuple(sorted(int(shift.total_seconds()) for shift in back))


def _sum(conditions: Iterable[str]) -> str:
    return " + ".join(f"cast(coalesce({condition}, false) as int)" for condition in conditions)
