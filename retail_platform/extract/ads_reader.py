"""The trailing days of an ad account as Bronze reads them, in the account's own days."""

from datetime import date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

import pyarrow as pa

from retail_platform.extract.coverage import Bounds
from retail_platform.extract.reader import Expected
from retail_platform.extract.window import Window
from retail_platform.metadata.loader import Table


class AdsClient(Protocol):
    """What the clients of all ad platforms have in common."""

    def clock(self) -> datetime:
        """The platform's present, aware UTC."""
        ...

    def read(self, *, since: date, until: date) -> pa.RecordBatchReader:
        """The rows of these days of the account, both included."""
        ...

    def bounds(self, since: date, until: date) -> Bounds:
        """What such a read brings whole, by the columns of its rows."""
        ...


class AdsReader:
    """The trailing days of an ad account, in the account's own days."""

    def __init__(self, client: AdsClient, timezone: str) -> None:
        self.client = client
        self.zone = ZoneInfo(timezone)

    def clock(self) -> datetime:
        """The source's present, aware UTC."""
        return self.client.clock()

    def read(self, table: Table, window: Window) -> pa.RecordBatchReader:
        """Streams the rows of a window as received."""
        del table  # The client knows its report.
        since, until = self._days(window.hour, window.days_back)
        return self.client.read(since=since, until=until)

    def covered(self, table: Table, window: Window) -> Bounds:
        """The account's days that the read has brought whole."""
        since, until = self._days(window.hour, window.days_back)
        bounds = self.client.bounds(since, until)
        return {table.row.columns.get(name, name): pair for name, pair in bounds.items()}

    def expect(self, table: Table, window: Window) -> Expected:
        """What `read` of the same window would give."""
        del table
        since, until = self._days(window.hour, window.days_back)
        return Expected(rows=None, text=f"the days {since} to {until}, whole")

    def committed(self) -> None:
        """Nothing to remember: every fetch reads its days anew."""

    def _days(self, hour: datetime, back: int) -> tuple[date, date]:
        until = hour.astimezone(self.zone).date()
        return until - timedelta(days=back), until
