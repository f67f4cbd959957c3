"""The window of one load: which hour it fills and which watermarks it may read."""

from dataclasses import dataclass
from datetime import datetime, timedelta

HOUR = timedelta(hours=1)
LATE_WINDOW = timedelta(hours=72)
"""How late an hour may land and still be carried on by itself."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """What one load of one hour reads.

    Attributes:
        hour: Start of the partition hour, aware UTC.
        start: Inclusive lower bound of the watermark, aware UTC; None reads from the beginning.
        end: Exclusive upper bound of the watermark, aware UTC.
        initial: True for the first materialised hour of a table, unless it is a full reload.
        latest: True when no later hour is closed: rows whose watermark is NULL or in the source's
            future belong to no hour and are read with the latest one.
        days_back: Of a source that is read by days: how many before the hour's own.
    """

    hour: datetime
    start: datetime | None
    end: datetime
    initial: bool
    latest: bool = False
    days_back: int = 0

    @property
    def whole(self) -> bool:
        """Whether it reaches to the end of its hour."""
        return self.end == self.hour + HOUR

    @classmethod
    def of_hour(
        cls, hour: datetime, *, buffer: timedelta, initial: bool, latest: bool = False
    ) -> "Window":
        """The window of one hour: ``[hour - buffer, hour + 1h)``, open below when initial."""
        return cls(
            hour=hour,
            start=None if initial else hour - buffer,
            end=hour + HOUR,
            initial=initial,
            latest=latest,
        )
