"""What the source's watermarks say before an hour is read: lag, gaps, and clocks set back.

Pure arithmetic over what source and ledger tell. Reading and acting on it belongs in ``load``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from retail_platform.extract.window import HOUR

_SECONDS = "%Y-%m-%d %H:%M:%S"
_LARGEST_SHIFT = timedelta(hours=4)
"""More than the clocks of any zone are ever moved."""
_OFFSET = r"(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)$"


@dataclass(frozen=True, kw_only=True)
class WatermarkState:
    """How a source's watermarks stand to those that were loaded.

    Attributes:
        lag: How far the source's greatest watermark of the hours that were loaded lies beyond the
            greatest that is stored: rows of those hours came after they were read. Hours that no
            run has loaded do not count.
        missing: Hours between the last loaded one and the hour at hand that no run has loaded.
        set_back: By how much the source's greatest watermark lies before the stored one: the
            source was restored from a copy, or its clock was set back.
    """

    lag: timedelta = timedelta(0)
    missing: int = 0
    set_back: timedelta = timedelta(0)


def watermark_state(
    *,
    hour: datetime,
    last_loaded: datetime,
    stored: datetime | None,
    source_of_loaded: datetime | None,
    source: datetime | None,
) -> WatermarkState:
    """Compares the watermarks.

    Args:
        hour: The hour at hand, aware UTC.
        last_loaded: The last loaded hour before it.
        stored: Greatest watermark stored, to the second.
        source_of_loaded: Greatest watermark at the source before the end of ``last_loaded``.
        source: Greatest watermark at the source that is not in its future.
    """
    none = timedelta(0)
    missing = max((hour - last_loaded) // HOUR - 1, 0)
    if stored is None:
        return WatermarkState(missing=missing)
    lag = source_of_loaded - stored if source_of_loaded is not None else none
    set_back = stored - source if source is not None else none
    return WatermarkState(
        lag=max(timedelta(seconds=int(lag.total_seconds())), none),
        missing=missing,
        set_back=max(set_back, none),
    )


def greatest_watermark(column: pa.Array, zone: str, until: datetime) -> datetime | None:
    """The greatest moment of a received column that is not after ``until``, to the second.

    Args:
        column: Timestamps, days, or the text of timestamps; what is no timestamp is passed over.
        zone: IANA zone of naive values; a doubled hour is read as its first pass.
        until: Aware UTC; later ones belong to no hour.
    """
    if pa.types.is_date32(column.type):
        # As the source's windows compare it: a day is the moment at which it begins.
        column = column.cast(pa.timestamp("us"))
    if pa.types.is_timestamp(column.type):
        return _greatest_moment(column, zone, until)
    text = pc.replace_substring(column.cast(pa.string()), "T", " ")
    moments = pc.strptime(
        pc.utf8_slice_codeunits(text, 0, 19), format=_SECONDS, unit="s", error_is_null=True
    )
    local = pc.assume_timezone(moments, zone, ambiguous="earliest", nonexistent="latest")
    offset = pc.extract_regex(text, _OFFSET)
    sign = pc.if_else(pc.equal(pc.struct_field(offset, "sign"), "-"), -1, 1)
    minutes = pc.add(
        pc.multiply(pc.struct_field(offset, "hours").cast(pa.int64()), 60),
        pc.struct_field(offset, "minutes").cast(pa.int64()),
    )
    shift = pc.multiply(pc.multiply(sign, minutes), 60)
    exact = pc.subtract(moments.cast(pa.int64()), shift)
    utc = pc.if_else(pc.ends_with(text, "Z"), moments.cast(pa.int64()), exact)
    seconds = pc.coalesce(utc, local.cast(pa.int64()))
    latest = pc.max(pc.filter(seconds, pc.less_equal(seconds, int(until.timestamp())))).as_py()
    return None if latest is None else datetime.fromtimestamp(latest, until.tzinfo)


def _greatest_moment(column: pa.Array, zone: str, until: datetime) -> datetime | None:
    """The same of timestamps: nothing has to be read, and only the greatest are converted."""
    naive = column.type.tz is None
    bound = until.astimezone(ZoneInfo(zone)).replace(tzinfo=None) if naive else until
    last = pa.scalar(bound + _LARGEST_SHIFT if naive else bound, column.type)
    greatest = pc.max(column)
    if pc.greater(greatest, last).as_py():
        column = pc.filter(column, pc.less_equal(column, last))
        greatest = pc.max(column)
    if not greatest.is_valid:
        return None
    if naive:
        column = _in_utc(column, greatest.as_py(), bound, zone)
        greatest = pc.max(pc.filter(column, pc.less_equal(column, pa.scalar(until, column.type))))
    latest = greatest.as_py()
    return None if latest is None else latest.replace(microsecond=0).astimezone(until.tzinfo)


def _in_utc(column: pa.Array, greatest: datetime, bound: datetime, zone: str) -> pa.Array:
    """Those of naive moments as UTC among which the greatest is, but for what lies beyond."""
    earliest = datetime.min + _LARGEST_SHIFT  # noqa: DTZ901 (naive, as the column)
    near = max(min(greatest, bound), earliest) - _LARGEST_SHIFT
    if greatest <= bound and _same_offset(zone, near, greatest):
        column = pa.array([greatest], column.type)
    else:
        column = pc.filter(column, pc.greater_equal(column, pa.scalar(near, column.type)))
    moments = pc.assume_timezone(column, zone, ambiguous="earliest", nonexistent="latest")
    return moments.cast(pa.timestamp(column.type.unit, "UTC"))


def later(moments: Sequence[datetime | None]) -> datetime | None:
    """The latest of those that are there."""
    return max((moment for moment in moments if moment is not None), default=None)


def _same_offset(zone: str, *moments: datetime) -> bool:
    """Whether the clocks of a zone are as far from UTC at each of these naive moments."""
    return len({moment.replace(tzinfo=ZoneInfo(zone)).utcoffset() for moment in moments}) == 1
