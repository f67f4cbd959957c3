"""What each Bronze load must have received, told from change log, pack and ads' arithmetic.

Here belongs the source's side of the oracle. What must become of the rows is in :mod:`expected`.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from retail_platform.failures import PermanentFailure
from retail_platform.simulator.ads_model import FACEBOOK, GOOGLE, Account, Figures
from retail_platform.simulator.changes import State
from retail_platform.simulator.expected_events import WEB, told
from retail_platform.simulator.expected_feeds import FED, received
from retail_platform.simulator.shifts import COMPANY_ZONE
from retail_platform.simulator.simulator import Simulator
from retail_platform.simulator.stock_counts import Count
from retail_platform.simulator.world import TABLES

RESTATE_DAYS = 3
SNAPSHOTS = frozenset({"stock_levels", "suppliers", "locations", "categories", "territories"})
ADS = {"facebook_insights": FACEBOOK, "google_campaign_performance": GOOGLE}
POS = "pos_transactions"
COUNTS = "stock_counts"
_BY_SOURCE = {
    "pos": POS,
    "warehouse": COUNTS,
    "facebook_ads": "facebook_insights",
    "google_ads": "google_campaign_performance",
}


@dataclass(frozen=True, kw_only=True)
class Read:
    """One successful Bronze load as the ledger recorded it.

    Attributes:
        table: Bronze table, for instance ``sales__orders``.
        hour: Start of the partition hour, aware UTC.
        start: Inclusive lower bound of the watermark, aware UTC; None reads from the beginning.
        end: Exclusive upper bound of the watermark, aware UTC.
        clock: The source's clock at the read: it showed the changes with ``at < clock``.
        days: Local days before the hour's day that were asked of an ad platform; None:
            ``restate_days``.
        since: First local day asked of an ad platform; None: ``days`` before the hour's day.
        until: Last local day asked of an ad platform; None: the local day of the hour's start.
    """

    table: str
    hour: datetime
    start: datetime | None
    end: datetime
    clock: datetime
    days: int | None = None
    since: date | None = None
    until: date | None = None

    @property
    def entity(self) -> str:
        """The Silver entity that the table feeds.

        Raises:
            PermanentFailure: The simulator has no such table.
        """
        if self.table in FED:
            return FED[self.table].entity
        source, _, name = self.table.partition("__")
        entity = WEB.get(self.table) or _BY_SOURCE.get(source, name)
        if entity in WEB.values():
            return entity
        if entity not in TABLES and entity not in _BY_SOURCE.values():
            raise PermanentFailure(
                f"reconciliation: table {self.table} is not served by the simulator; it has "
                f"{', '.join(sorted([*TABLES, *_BY_SOURCE, *FED]))}"
            )
        return entity


@dataclass(frozen=True, kw_only=True)
class PosRow:
    """One POS line; amounts are None if the line cannot be understood."""

    hour: datetime
    number: int
    text: str
    quantity: int | None
    unit_price: Decimal | None

    @property
    def is_valid(self) -> bool:
        """True if no rule of the platform sends the row to quarantine."""
        return self.quantity is not None and self.unit_price is not None and self.unit_price >= 0


@dataclass(kw_only=True)
class Sources:
    """The simulator's sources as readers found them.

    Attributes:
        simulator: Where the change log, the POS feed and the seed come from.
        restate_days: Days before the hour's local day that an ads load fetches again, per Bronze
            table or for all.
    """

    simulator: Simulator
    restate_days: int | Mapping[str, int] = RESTATE_DAYS
    _states: dict[tuple[str, datetime], State] = field(default_factory=dict)

    def rows(self, read: Read) -> State:
        """Database rows that a read received, by key."""
        state = self.state(read.entity, read.clock)
        if read.entity in SNAPSHOTS:
            return state
        return {
            key: row
            for key, row in state.items()
            if (at := watermark(str(row["modified_at"]))) < read.end
            and (read.start is None or at >= read.start)
        }

    def state(self, table: str, clock: datetime) -> State:
        """A table as it stood at ``clock``."""
        if (table, clock) not in self._states:
            self._states[table, clock] = self.simulator.log.state(table, clock)
        return self._states[table, clock]

    def pos_rows(self, hour: datetime) -> list[PosRow]:
        """POS rows of one hour's file."""
        lines = self.simulator.pos.lines(hour)
        return [_pos_row(hour, number, line) for number, line in enumerate(lines, start=2)]

    def stock_counts(self, hour: datetime) -> list[Count]:
        """Counts of one hour's file."""
        return self.simulator.stock_counts.counts(hour, self.simulator.log)

    def ads(self, read: Read) -> dict[date, list[Figures]]:
        """Rows that an ads load received, by local day; a day without rows is there, empty."""
        account = ADS[read.entity]
        found: dict[date, list[Figures]] = {day: [] for day in self._days(read, account)}
        if found:
            figures = account.figures(
                min(found), max(found), clock=read.clock, seed=self.simulator.seed
            )
            for row in figures:
                found[row.day].append(row)
        return found

    def _days(self, read: Read, account: Account) -> Sequence[date]:
        until = read.until or account.local_day(read.hour)
        days = self.restate_days
        back = days if isinstance(days, int) else days.get(read.table, RESTATE_DAYS)
        back = back if read.days is None else read.days
        since = read.since or account.local_day(read.hour) - timedelta(days=back)
        return [since + timedelta(days=offset) for offset in range((until - since).days + 1)]

    def count(self, read: Read) -> int:
        """How many rows a read received."""
        if read.table in FED:
            return len(received(self.simulator, read))
        if read.entity == POS:
            return len(self.pos_rows(read.hour))
        if read.entity == COUNTS:
            return len(self.stock_counts(read.hour))
        if read.entity in WEB.values():
            return len(told(self.simulator, read.entity, [(read.start, read.end)]).rows)
        if read.entity in ADS:
            return sum(map(len, self.ads(read).values()))
        return len(self.rows(read))


@lru_cache(maxsize=1_000_000)
def watermark(text: str) -> datetime:
    """UTC instant of the databases' naive local text (first pass of a doubled hour)."""
    return datetime.fromisoformat(text).replace(tzinfo=COMPANY_ZONE).astimezone(UTC)


def _pos_row(hour: datetime, number: int, line: str) -> PosRow:
    fields: list[Any] = next(csv.reader([line]))
    quantity, unit_price = None, None
    if len(fields) == 8 and fields[0].strip() and fields[1].strip():
        try:
            quantity, unit_price = int(fields[3]), Decimal(fields[5])
        except (ValueError, InvalidOperation):
            # Not numbers: the row stays without amounts, which makes it invalid.
            quantity, unit_price = None, None
    return PosRow(hour=hour, number=number, text=line, quantity=quantity, unit_price=unit_price)
