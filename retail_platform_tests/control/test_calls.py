"""The budget of calls: counted over all runs, refused when used up, free again after an hour."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from retail_platform.control.calls import ApiCalls
from retail_platform.failures import TransientFailure

NOON = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_the_budget_is_shared_and_frees_itself(engine: sa.Engine) -> None:
    """What one run spends another one lacks; the message says when there is more."""
    first, second = ApiCalls(engine), ApiCalls(engine)
    for number in range(4):
        (first if number % 2 else second).spend("shop", limit=4, now=NOON + number * 10 * MINUTE)
    second.spend("other", limit=1, now=NOON)
    with pytest.raises(TransientFailure, match=r"source shop: its budget of 4 .*2026-11-20 13:01"):
        second.spend("shop", limit=4, now=NOON + 40 * MINUTE)
    with pytest.raises(TransientFailure):
        first.spend("shop", limit=4, now=NOON + 60 * MINUTE)
    assert first.used("shop", now=NOON + 60 * MINUTE) == 4
    first.spend("shop", limit=4, now=NOON + 61 * MINUTE)
    assert first.used("shop", now=NOON + 61 * MINUTE) == 4, "the oldest one is forgotten"


def test_a_budget_of_nothing_says_so(engine: sa.Engine) -> None:
    with pytest.raises(TransientFailure, match="budget of 0 calls"):
        ApiCalls(engine).spend("shop", limit=0, now=NOON)
