"""The trailing days of an ad account as Bronze reads them, in the account's own days."""

from datetime import date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

import pyarrow as pa

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
        until = window.hour.astimezone(self.zone).date()
        since = until - timedelta(days=table.row.restate_days)
        return self.client.read(since=since, until=until)

    def expect(self, table: Table, window: Window) -> Expected:
        """What `read` of the same window would give."""
        until = window.hour.astimezone(self.zone).date()
        since = until - timedelta(days=table.row.restate_days)
        return Expected(rows=None, text=f"the days {since} to {until}, whole")

    def committed(self) -> None:
        """Nothing to remember: every fetch reads its days anew."""
