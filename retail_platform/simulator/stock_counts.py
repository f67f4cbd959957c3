"""Stock counts: what the warehouses' staff found on the shelves, sent by their operator each hour.

Here belong the counts and the form of their files. The operator's SFTP server is in
:mod:`sftp_server`, what lies on the shelves in :mod:`stock`.
"""

import gzip
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from retail_platform.simulator.chance import dice
from retail_platform.simulator.changes import ChangeLog
from retail_platform.simulator.pos import hours_ended
from retail_platform.simulator.shifts import COMPANY_ZONE, ONE_HOUR

FOLDER = Path("outgoing")
"""Where the operator puts them, below the server's root."""
COUNTS_AN_HOUR = 12
_HEADER = "CountNo;ProductId;LocationId;Counted;CountedAt"
_WRONG, _ILLEGIBLE = 0.15, 0.03
_ILLEGIBLE_TEXT = "?"


@dataclass(frozen=True)
class Count:
    """One count.

    Attributes:
        number: The operator's number of the count.
        product_id: What was counted.
        location_id: Where.
        counted: Units found; None where nobody can read what was written.
        at: When, aware UTC.
    """

    number: str
    product_id: int
    location_id: int
    counted: int | None
    at: datetime

    @property
    def line(self) -> str:
        """The line of the file, in the company's local time."""
        counted = _ILLEGIBLE_TEXT if self.counted is None else self.counted
        at = self.at.astimezone(COMPANY_ZONE)
        return (
            f"{self.number};{self.product_id};{self.location_id};{counted};{at:%Y-%m-%d %H:%M:%S}"
        )


@dataclass(frozen=True)
class StockCountFeed:
    """Counts of some shelves each hour, most of them as the books have it.

    Attributes:
        seed: Seed of every draw.
    """

    seed: int

    def counts(self, hour: datetime, log: ChangeLog) -> list[Count]:
        """The counts of the hour that starts at ``hour`` (UTC)."""
        rng = dice(self.seed, "stock counts", hour.isoformat())
        shelves = log.state("stock_levels", hour + ONE_HOUR)
        keys = rng.sample(sorted(shelves), COUNTS_AN_HOUR)
        found = []
        for place, key in enumerate(keys, start=1):
            book = int(shelves[key]["quantity"] or 0)
            fate = rng.random()
            counted = max(0, book + rng.choice((-3, -2, -1, -1, 1, 2))) if fate < _WRONG else book
            found.append(
                Count(
                    number=f"{hour:%y%m%d%H}-{place:02}",
                    product_id=key[0],
                    location_id=key[1],
                    counted=None if fate > 1 - _ILLEGIBLE else counted,
                    at=hour + timedelta(seconds=place * 3600 // (COUNTS_AN_HOUR + 1)),
                )
            )
        return found

    def drop(self, root: Path, log: ChangeLog, *, after: datetime, until: datetime) -> int:
        """Write files and markers of all hours that ended in ``(after, until]``; returns the files.

        A file appears whole (it is renamed into place) and its marker after it; dropping again what
        is there already changes nothing.
        """
        files = 0
        for hour in hours_ended(after=after, until=until):
            target = root / FOLDER / relative_path(hour)
            marker = target.with_name(target.name.replace(".csv.gz", ".done"))
            if marker.exists():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            lines = [_HEADER, *(count.line for count in self.counts(hour, log))]
            part = target.with_suffix(".part")
            part.write_bytes(gzip.compress("".join(f"{x}\r\n" for x in lines).encode(), mtime=0))
            part.replace(target)
            marker.touch()
            files += 1
        return files


def relative_path(hour: datetime) -> Path:
    """Where the file of a UTC hour lies below the operator's folder; named by local time.

    The second pass of the hour that daylight saving time doubles has the suffix ``b``.
    """
    local = hour.astimezone(COMPANY_ZONE)
    name = f"counts_{local:%Y%m%d}T{local:%H}{'b' if local.fold else ''}.csv.gz"
    return Path("counts") / f"{local:%Y-%m-%d}" / name
