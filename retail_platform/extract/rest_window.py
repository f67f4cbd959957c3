"""A window of changes as an API is asked for it, and which of its records lie in it.

Belongs here: moments as parameters, and the judgement of a record's own moment. Not here: pages
(`rest`), what an hour's window is (`window`).
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from retail_platform.extract.local_time import naive_ranges
from retail_platform.extract.rest import member
from retail_platform.extract.window import Window
from retail_platform.metadata.rest import Since

_DAY = timedelta(days=1)


def asked(since: Since, window: Window) -> dict[str, str]:
    """The parameters that ask for a window, or for more than it where they are coarser.

    The end is left out in the latest hour, so that records dated in the future come along.
    """
    parameters: dict[str, str] = {}
    if since.parameter is not None and window.start is not None:
        parameters[since.parameter] = _started(since, window.start)
    if since.until is not None and not window.latest:
        parameters[since.until] = _ended(since, window.end)
    return parameters


class Placing:
    """Which records belong to a window."""

    def __init__(self, since: Since, window: Window, zone: str, clock: datetime) -> None:
        """Fix the window.

        Args:
            since: The endpoint's metadata.
            window: The window.
            zone: IANA zone of moments that name none.
            clock: The source's present, aware UTC.
        """
        self._member = since.member
        self._window = window
        self._clock = clock
        self._zone = ZoneInfo(zone)
        self._naive = naive_ranges(window.start, window.end, self._zone)

    def holds(self, record: object) -> bool:
        """Whether a record's last change lies in the window.

        One without a moment, or with an unreadable one, is never left out: no window would bring it
        back. One that lies beyond the source's clock belongs to the latest hour.
        """
        told = member(record, self._member)
        try:
            moment = datetime.fromisoformat(str(told).strip())
        except ValueError:
            return True
        if moment.tzinfo is None:
            inside = any((not low or low <= moment) and moment < high for low, high in self._naive)
            return inside or self._future(moment.replace(tzinfo=self._zone))
        start = self._window.start
        inside = (start is None or start <= moment) and moment < self._window.end
        return inside or self._future(moment)

    def _future(self, moment: datetime) -> bool:
        return self._window.latest and moment.astimezone(UTC) > self._clock


def _started(since: Since, start: datetime) -> str:
    told = _told(since, start)
    # A clock time that comes twice may be taken for the later one.
    return told if _once(since, start) else _told(since, start - timedelta(hours=2))


def _ended(since: Since, end: datetime) -> str:
    if end.microsecond and since.format != "iso":
        end = end.replace(microsecond=0) + timedelta(seconds=1)
    told = _told(since, end)
    if not _once(since, end):
        return _told(since, end + timedelta(hours=2))
    return told if _whole(since, end) else _told(since, end + _DAY)


def _told(since: Since, moment: datetime) -> str:
    moment = moment.astimezone(ZoneInfo(since.timezone))
    if since.format == "iso":
        text = moment.isoformat()
        return text.replace("+00:00", "Z")
    if since.format == "epoch_seconds":
        return str(int(moment.timestamp()))
    if since.format == "epoch_milliseconds":
        return str(int(moment.timestamp() * 1000))
    return moment.strftime(since.format)


def _once(since: Since, moment: datetime) -> bool:
    """Whether the parameter can mean one moment only."""
    if "%" not in since.format or "%z" in since.format:
        return True
    zone = ZoneInfo(since.timezone)
    local = moment.astimezone(zone)
    return len({local.replace(fold=fold).utcoffset() for fold in (0, 1)}) == 1


def _whole(since: Since, moment: datetime) -> bool:
    """Whether the parameter says the moment to the second, and not only its day, say."""
    if "%" not in since.format:
        return True
    local = moment.astimezone(ZoneInfo(since.timezone))
    read = datetime.strptime(local.strftime(since.format), since.format)  # noqa: DTZ007 - local
    return read.replace(tzinfo=None) == local.replace(tzinfo=None, microsecond=0)
