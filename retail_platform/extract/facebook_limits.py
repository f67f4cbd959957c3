"""What the Marketing API says of its limits: usage headers obeyed in time, and errors that pass.

Belongs here: the meaning of headers and error codes. Not here: requests and rows.

Usage headers are described at
https://developers.facebook.com/docs/graph-api/overview/rate-limiting (X-Business-Use-Case-Usage)
and https://developers.facebook.com/docs/marketing-api/insights/best-practices
(X-FB-Ads-Insights-Throttle), codes at
https://developers.facebook.com/docs/marketing-api/insights/error-codes and
https://developers.facebook.com/docs/marketing-apis/rate-limiting.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from retail_platform.failures import TransientFailure

_INSIGHTS = "x-fb-ads-insights-throttle"
_BUSINESS = "x-business-use-case-usage"
_ACCOUNT = "x-ad-account-usage"
_PERCENT = ("call_count", "total_cputime", "total_time", "acc_id_util_pct", "app_id_util_pct")
_SLOW_FROM, _FULL = 80.0, 100.0
_LONGEST_PAUSE = 60.0
_BLOCKED = 300.0
"""Seconds for which an account is blocked at most, and after which its score has decayed."""

_BUSY = frozenset({1, 2, 4, 17, 32, 341, 613})
_BUSINESS_CASES = range(80_000, 80_100)
_WRONG_QUESTION = frozenset({1504041, 1504042})
"""Subcodes of a passing code whose cause is the question."""
_TOO_MUCH = frozenset({(100, 1487534), (100, 1504018), (2, 1504038)})
_TOKEN = frozenset({102, 190})
_PARAMETER = 100


def error_code(body: Mapping[str, Any]) -> tuple[int, int]:
    """Code and subcode of an error answer; 0 where it has none."""
    error = body.get("error")
    if not isinstance(error, Mapping):
        return 0, 0
    return _number(error.get("code")), _number(error.get("error_subcode"))


def is_busy(_status: int, body: Mapping[str, Any]) -> bool:
    """Whether an error passes by itself: Facebook sends rate limits as 400 or 403 too."""
    code, subcode = error_code(body)
    if subcode in _WRONG_QUESTION or (code, subcode) in _TOO_MUCH:
        return False
    error = body.get("error")
    told = isinstance(error, Mapping) and error.get("is_transient") is True
    return told or code in _BUSY or code in _BUSINESS_CASES


def is_token(_status: int, body: Mapping[str, Any]) -> bool:
    """Whether the token has expired or was withdrawn."""
    return error_code(body)[0] in _TOKEN


def is_too_much(body: Mapping[str, Any]) -> bool:
    """Whether the question is too large for an answer at once: it is one for a report run."""
    return error_code(body) in _TOO_MUCH


def is_parameter(body: Mapping[str, Any]) -> bool:
    """Whether a parameter is refused, which an expired cursor is too."""
    return error_code(body)[0] == _PARAMETER


@dataclass
class Throttle:
    """Slows down as an account comes near its limit, and stops before it is there.

    Attributes:
        name: The source in messages.
        longest_wait: Seconds beyond which a wait is left to a later run.
        sleep: How to wait.
        now: Seconds that pass.
    """

    name: str
    longest_wait: float
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic
    usage: float = field(default=0.0, init=False)
    _until: float = field(default=0.0, init=False)

    def seen(self, headers: Mapping[str, str]) -> None:
        """Takes in the headers of an answer; one without usage says nothing."""
        found = list(_usages(headers))
        if not found:
            return
        self.usage = max(_percent(usage) for usage in found)
        wait = max(_regain(usage) for usage in found)
        if wait == 0.0 and self.usage >= _FULL:
            wait = _BLOCKED
        elif wait == 0.0 and self.usage >= _SLOW_FROM:
            wait = _LONGEST_PAUSE * (self.usage - _SLOW_FROM) / (_FULL - _SLOW_FROM)
        self._until = self.now() + wait

    def delay(self, _body: Mapping[str, Any]) -> float | None:
        """Seconds until an error of the limit is over, where the headers told."""
        return max(self._until - self.now(), 0.0) or None

    def pause(self) -> None:
        """Waits as long as the last answer asked for.

        Raises:
            TransientFailure: that is too long for this run.
        """
        wait = self._until - self.now()
        if wait <= 0:
            return
        if wait > self.longest_wait:
            raise TransientFailure(
                f"source {self.name}: the account is at {self.usage:.0f} % of what the API lets "
                f"it ask, and free again in {wait / 60:.0f} minutes; nothing more is asked until "
                "then. It is tried again; if this happens often, ask for fewer days "
                "(restate_daily_days) or set connection.budget"
            )
        self.sleep(wait)


def _usages(headers: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    for name, text in headers.items():
        if name.lower() not in (_INSIGHTS, _BUSINESS, _ACCOUNT):
            continue
        try:
            content = json.loads(text)
        except ValueError:
            # A header that nobody can read limits nobody; the error that follows would.
            continue
        if not isinstance(content, Mapping):
            continue
        if name.lower() == _BUSINESS:
            listed = [cases for cases in content.values() if isinstance(cases, list)]
            parts = [part for cases in listed for part in cases]
            yield from (part for part in parts if isinstance(part, Mapping))
        else:
            yield content


def _percent(usage: Mapping[str, Any]) -> float:
    return max((_float(usage.get(name)) for name in _PERCENT), default=0.0)


def _regain(usage: Mapping[str, Any]) -> float:
    """Seconds until access is regained; 0 where it is not lost."""
    minutes = _float(usage.get("estimated_time_to_regain_access"))
    lost = _percent(usage) >= _FULL
    seconds = _float(usage.get("reset_time_duration")) if lost else 0.0
    return max(minutes * 60, seconds)


def _float(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return 0.0


def _number(value: object) -> int:
    text = str(value)
    return int(text) if text.isdecimal() else 0
