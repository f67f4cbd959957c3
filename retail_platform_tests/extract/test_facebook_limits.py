"""Usage headers obeyed before the limit is hit, and what error codes mean."""

import json
from typing import Any

import pytest

from retail_platform.extract.facebook_limits import Throttle, is_busy, is_token, is_too_much
from retail_platform.failures import TransientFailure


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


def throttle(clock: Clock) -> Throttle:
    return Throttle("facebook_ads", 60.0, sleep=clock.sleep, now=clock.now)


def insights(account: float, app: float = 0) -> dict[str, str]:
    usage = {"app_id_util_pct": app, "acc_id_util_pct": account, "ads_api_access_tier": "x"}
    return {"x-fb-ads-insights-throttle": json.dumps(usage)}


def business(percent: int, minutes: int) -> dict[str, str]:
    case = {
        "type": "ads_insights",
        "call_count": percent,
        "total_cputime": 1,
        "total_time": 2,
        "estimated_time_to_regain_access": minutes,
    }
    return {"X-Business-Use-Case-Usage": json.dumps({"42": [case]})}


@pytest.mark.parametrize(
    ("headers", "waits"),
    [
        ({}, []),
        (insights(79.9), []),
        (insights(0, app=90), [30.0]),
        (insights(95), [45.0]),
        (business(90, 0), [30.0]),
        (business(100, 1), [60.0]),
        ({"x-fb-ads-insights-throttle": "no json"}, []),
        ({"X-Business-Use-Case-Usage": '{"42": "none"}'}, []),
    ],
    ids=str,
)
def test_near_the_limit_it_slows_down(headers: dict[str, str], waits: list[float]) -> None:
    clock = Clock()
    slow = throttle(clock)
    slow.seen(headers)
    slow.pause()
    slow.pause()
    assert clock.slept == pytest.approx(waits), "once an answer"


@pytest.mark.parametrize("headers", [business(100, 12), insights(100)], ids=str)
def test_at_the_limit_nothing_more_is_asked_in_this_run(headers: dict[str, str]) -> None:
    clock = Clock()
    full = throttle(clock)
    full.seen(headers)
    with pytest.raises(TransientFailure, match=r"at 100 % .* free again in (12|5) minutes"):
        full.pause()
    clock.seconds += 12 * 60
    full.pause()
    assert not clock.slept


def error(code: int, subcode: int | None = None, **more: Any) -> dict[str, Any]:
    return {
        "error": {"message": "m", "code": str(code), "error_subcode": str(subcode or 0), **more}
    }


@pytest.mark.parametrize(
    ("body", "means"),
    [
        (error(4, 1504022), is_busy),
        (error(17, 2446079), is_busy),
        (error(32), is_busy),
        (error(613, 1487742), is_busy),
        (error(80000, 2446079), is_busy),
        (error(80014), is_busy),
        (error(2, 1504043), is_busy),
        (error(9999, is_transient=True), is_busy),
        (error(190, 463), is_token),
        (error(100, 1487534), is_too_much),
        (error(2, 1504038), is_too_much),
        (error(100), None),
        (error(2, 1504041), None),
        (error(10), None),
        ({}, None),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_every_code_means_one_thing(body: dict[str, Any], means: Any) -> None:
    found = [
        test
        for test, says in (
            (is_busy, is_busy(400, body)),
            (is_token, is_token(400, body)),
            (is_too_much, is_too_much(body)),
        )
        if says
    ]
    assert found == ([means] if means else [])
