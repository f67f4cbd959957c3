"""Which window a Bronze load reads, by ledger, request and how the source's watermarks stand.

Windows themselves are in ``extract.window``, and what watermarks say in `watermarks`; nothing is
read into the lake here.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from retail_platform.bronze.watermarks import WatermarkState, watermark_state
from retail_platform.control.ledger import Ledger
from retail_platform.control.requests import Request, RequestKind
from retail_platform.extract.reader import SourceReader, WatermarkReader
from retail_platform.extract.window import HOUR, Window
from retail_platform.metadata.loader import Table


def window_of(
    table: Table, hour: datetime, ledger: Ledger, request: Request | None, *, loaded: bool
) -> Window:
    """The window of an hour.

    Args:
        table: The table's metadata.
        hour: The hour, aware UTC.
        ledger: The load ledger.
        request: Request that the load works on, if it does.
        loaded: Whether the hour was loaded before.
    """
    initial = begins_open(table) and not ledger.has_succeeded(f"bronze/{table.bronze}")
    window = Window.of_hour(hour, buffer=buffer_of(table), initial=initial)
    if table.row.load == "restated":
        return replace(window, days_back=days_back(table, hour, ledger))
    if request is None:
        return window
    if request.kind is RequestKind.FULL_RELOAD:
        return whole_table(window)
    # An hour that was never loaded is read whole: a part of it would pass for all of it.
    if request.kind is RequestKind.OVERRIDE and loaded:
        assert request.range_start is not None, "an override has its range"
        assert request.range_end is not None, "an override has its range"
        return replace(
            window,
            start=max(request.range_start, hour),
            end=min(request.range_end, hour + HOUR),
        )
    return window


def whole_table(window: Window) -> Window:
    """The window of a full reload: positions begin anew with it, also where it is the first load.

    What a failed load before it had recorded is not gone on from.

    Args:
        window: The hour's own.
    """
    return replace(window, start=None, initial=False)


def begins_open(table: Table) -> bool:
    """Whether the first loaded hour of a table reads all that came before, too."""
    stream = table.row.stream
    if stream is not None:
        return stream.start == "earliest"
    return table.row.load in ("incremental", "changes")


def buffer_of(table: Table) -> timedelta:
    """How far before its hour a window reaches back."""
    if table.row.watermark is None or table.row.positions is not None:
        return timedelta(0)
    return table.row.watermark.buffer


def days_back(table: Table, hour: datetime, ledger: Ledger) -> int:
    """How many days before the hour's own a fetch of a restated table reads.

    ``restate_daily_days`` as long as no fetch of the same day of the source has read so many:
    where the one that was to do so has failed or was missed, the next one does.

    Args:
        table: The table's metadata.
        hour: The hour, aware UTC.
        ledger: The load ledger.
    """
    usual, daily = table.row.restate_days, table.row.restate_daily_days
    if daily is None or daily <= usual:
        return usual
    zone = ZoneInfo(table.connection.timezone)
    today = hour.astimezone(zone).date()
    # A day has 25 hours at most.
    around = [hour + offset * HOUR for offset in range(-25, 26)]
    of_today = [other for other in around if other.astimezone(zone).date() == today]
    reads = ledger.covered(f"bronze/{table.bronze}", of_today)
    return usual if any((read.days or 0) >= daily for read in reads) else daily


def watermarks_of(
    table: Table,
    window: Window,
    clock: datetime,
    ledger: Ledger,
    reader: SourceReader,
    request: Request | None,
) -> WatermarkState | None:
    """How the watermarks stand; asked once an hour, by the load of the latest one.

    Args:
        table: The table's metadata.
        window: The load's window.
        clock: What the source's clock says, aware UTC.
        ledger: The load ledger.
        reader: The source.
        request: Request that the load works on, if it does.
    """
    if table.row.load != "incremental" or window.initial or not window.latest:
        return None
    asset = f"bronze/{table.bronze}"
    before = [hour for hour in ledger.succeeded_hours(asset) if hour < window.hour]
    if request is not None or not before or not isinstance(reader, WatermarkReader):
        return None
    last = before[-1]
    of_loaded, present = reader.greatest(table, [last + HOUR, clock])
    return watermark_state(
        hour=window.hour,
        last_loaded=last,
        stored=ledger.max_watermark(asset),
        source_of_loaded=of_loaded,
        source=present,
    )
