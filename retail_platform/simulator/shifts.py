"""Time of the simulator: shifts of whole weeks, local text, unique instants.

Here belongs every conversion between the data's own dates, a source's local time and UTC. A feed is
moved by whole weeks in its own local time, so a Sunday of the data is a Sunday of the simulator.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

COMPANY_ZONE = ZoneInfo("America/Los_Angeles")
POS_ZONE = ZoneInfo("Europe/London")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
ONE_HOUR = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Feed:
    """One dated set of the pack and where in it the present is put.

    Attributes:
        anchor: First of the seven days of the data into which the day of the first start falls.
        last_day: Last day of the data.
        zone: The feed's local time.
    """

    anchor: date
    last_day: date
    zone: ZoneInfo

    def weeks(self, now: datetime) -> int:
        """Whole weeks to add to the data's dates so that ``now`` falls into the anchor's week."""
        return (now.astimezone(self.zone).date() - self.anchor).days // 7

    def end(self, weeks: int) -> datetime:
        """The aware UTC instant at which the shifted data is used up."""
        day_after = self.last_day + timedelta(weeks=weeks, days=1)
        return datetime.combine(day_after, datetime.min.time(), self.zone).astimezone(UTC)


WEB = Feed(anchor=date(2021, 10, 31), last_day=date(2021, 12, 31), zone=COMPANY_ZONE)
RESELLER = Feed(anchor=date(2014, 1, 25), last_day=date(2014, 5, 1), zone=COMPANY_ZONE)
POS = Feed(anchor=date(2011, 11, 11), last_day=date(2011, 12, 9), zone=POS_ZONE)
PURCHASES = Feed(anchor=date(2025, 6, 29), last_day=date(2025, 8, 2), zone=COMPANY_ZONE)
FEEDS = {"web": WEB, "reseller": RESELLER, "pos": POS, "purchases": PURCHASES}


def to_micros(at: datetime) -> int:
    """Microseconds since 1970 of an aware instant."""
    return (at - EPOCH) // timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    """The aware UTC instant of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=micros)


def local_micros(day: date, second_of_day: float) -> int:
    """UTC microseconds of a wall-clock second of a day in the company's local time."""
    midnight = datetime.combine(day, datetime.min.time())
    wall = midnight + timedelta(seconds=second_of_day)
    return to_micros(wall.replace(tzinfo=COMPANY_ZONE).astimezone(UTC))


@lru_cache(maxsize=65_536)
def _local_hour(hour_number: int) -> tuple[str, int]:
    local = (EPOCH + timedelta(hours=hour_number)).astimezone(COMPANY_ZONE)
    return local.strftime("%Y-%m-%d %H"), local.fold


def local_text(micros: int) -> str:
    """Naive local text ``YYYY-MM-DD HH:MM:SS.ffffff`` of the company's databases."""
    hour_number, rest = divmod(micros, HOUR)
    prefix, _ = _local_hour(hour_number)
    minute, rest = divmod(rest, MINUTE)
    second, micro = divmod(rest, SECOND)
    return f"{prefix}:{minute:02d}:{second:02d}.{micro:06d}"


def is_repeated_hour(micros: int) -> bool:
    """True in the second pass of the hour that the end of daylight saving time doubles."""
    return _local_hour(micros // HOUR)[1] == 1


class Instants:
    """Hands out instants that are unique per table, so that changes have one strict order.

    In the second pass of a doubled hour the company's databases stand still: what falls there is
    committed in its order within milliseconds after it. Naive local text is therefore unambiguous
    in these databases.
    """

    def __init__(self) -> None:
        """Start with no instant taken."""
        self._taken: dict[str, set[int]] = {}

    def take(self, table: str, micros: int) -> int:
        """The first free instant of ``table`` at or after ``micros``."""
        taken = self._taken.setdefault(table, set())
        if is_repeated_hour(micros):
            hour_start = micros - micros % HOUR
            micros = hour_start + HOUR + (micros - hour_start) // SECOND
        while micros in taken:
            micros += 1
        taken.add(micros)
        return micros
