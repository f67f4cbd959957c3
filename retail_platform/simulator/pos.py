"""The point-of-sale feed: hourly CSV files with done markers in a landing folder.

Here belongs the folder's layout and the shift of the rows' timestamps. Apart from ``InvoiceDate`` a
row is the pack's own line, byte for byte.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import retail_platform.simulator.pack as pack
from retail_platform.failures import PermanentFailure
from retail_platform.simulator.shifts import ONE_HOUR, POS_ZONE

FOLDER = Path("pos") / "retail" / "transactions"
_INVOICE_DATE = re.compile(r",(\d{4}-\d{2}-\d{2}) (\d{2})(:\d{2}:\d{2}),")


@dataclass(frozen=True)
class PosFeed:
    """POS rows of the pack, moved by whole weeks in London local time.

    Attributes:
        weeks: Whole weeks added to the data's dates.
    """

    weeks: int

    def lines(self, hour: datetime) -> list[str]:
        """The CSV lines (without header and line end) of the hour that starts at ``hour`` (UTC)."""
        local = hour.astimezone(POS_ZONE)
        if local.fold:
            return []
        return self._day(local.date())[1].get(local.hour, [])

    def header(self, hour: datetime) -> str:
        """The header line of the file that has the rows of ``hour``."""
        return self._day(hour.astimezone(POS_ZONE).date())[0]

    def trading_hours(self, count: int, *, before: datetime) -> list[datetime]:
        """Starts (UTC) of the last ``count`` hours with rows that ended at or before ``before``.

        Raises:
            PermanentFailure: The data has fewer such hours.
        """
        found: list[datetime] = []
        day = before.astimezone(POS_ZONE).date()
        first = date.fromisoformat(pack.pos_days()[0]) + timedelta(weeks=self.weeks)
        while len(found) < count and day >= first:
            hours = (self._start(day, hour) for hour in sorted(self._day(day)[1], reverse=True))
            found += [hour for hour in hours if hour + ONE_HOUR <= before]
            day -= timedelta(days=1)
        if len(found) < count:
            raise PermanentFailure(
                f"simulator: {count} trading hours before {before.isoformat()} were asked for, "
                f"the data has {len(found)} (it begins on {first}); "
                "ask for fewer hours or a later end"
            )
        return sorted(found[:count])

    def drop(self, landing: Path, *, after: datetime, until: datetime) -> int:
        """Write files and markers of all hours that ended in ``(after, until]``; returns the files.

        A file appears whole (it is renamed into place) and its marker after it; dropping again what
        is there already changes nothing.
        """
        files = 0
        for hour in hours_ended(after=after, until=until):
            target = landing / relative_path(hour)
            target.parent.mkdir(parents=True, exist_ok=True)
            lines = self.lines(hour)
            if lines:
                text = "\n".join([self.header(hour), *lines]) + "\n"
                part = target.with_suffix(".part")
                part.write_bytes(text.encode("utf-8"))
                part.replace(target)
                files += 1
            target.with_suffix(".done").touch()
        return files

    def _start(self, day: date, hour: int) -> datetime:
        local = datetime(day.year, day.month, day.day, hour, tzinfo=POS_ZONE)
        return local.astimezone(UTC)

    def _day(self, day: date) -> tuple[str, dict[int, list[str]]]:
        return _shifted_day(day, self.weeks)


def relative_path(hour: datetime) -> Path:
    """Where the file of a UTC hour lies below the landing folder; the name is London local time.

    The second pass of the hour that daylight saving time doubles has the suffix ``b``.
    """
    local = hour.astimezone(POS_ZONE)
    name = f"transactions_{local:%Y%m%d}T{local:%H}{'b' if local.fold else ''}.csv"
    return FOLDER / f"{local:%Y-%m-%d}" / name


def hours_ended(*, after: datetime, until: datetime) -> Iterator[datetime]:
    """Starts of the UTC hours whose end lies in ``(after, until]``."""
    end = after.replace(minute=0, second=0, microsecond=0) + ONE_HOUR
    while end <= until:
        yield end - ONE_HOUR
        end += ONE_HOUR


@lru_cache(maxsize=16)
def _shifted_day(day: date, weeks: int) -> tuple[str, dict[int, list[str]]]:
    """Header and lines by local hour of one simulated day."""
    text = pack.pos_day((day - timedelta(weeks=weeks)).isoformat())
    if text is None:
        return "", {}
    header, *lines = text.removesuffix("\n").split("\n")
    by_hour: dict[int, list[str]] = {}
    for number, line in enumerate(lines, start=2):
        match = _INVOICE_DATE.search(line)
        if match is None:
            raise PermanentFailure(
                f"data pack: POS rows of {day - timedelta(weeks=weeks)}, line {number}: "
                "no InvoiceDate as YYYY-MM-DD HH:MM:SS; reinstall the package"
            )
        shifted = f"{line[: match.start(1)]}{day.isoformat()}{line[match.end(1) :]}"
        by_hour.setdefault(int(match.group(2)), []).append(shifted)
    return header, by_hour
