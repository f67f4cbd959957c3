"""What the headers of an HTTP answer say of time: the server's present, and how long to wait."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

CLOCK_HEADER = "X-Source-Clock"
"""Tells a source's present where it is not the time at which it answers: the simulator's."""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds until the server wants to be asked again (RFC 9110, 10.2.3), if it says so."""
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    # By the server's own present: its clock and ours need not agree.
    return max((moment - _sent(headers)).total_seconds(), 0.0)


def source_clock(headers: Mapping[str, str]) -> datetime:
    """The server's present, aware UTC; ours where it does not tell."""
    own = headers.get(CLOCK_HEADER)
    return datetime.fromisoformat(own).astimezone(UTC) if own else _sent(headers)


def _sent(headers: Mapping[str, str]) -> datetime:
    sent = headers.get("Date")
    return parsedate_to_datetime(sent).astimezone(UTC) if sent else datetime.now(UTC)
