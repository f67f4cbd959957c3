"""The ledger: attempts, the balance, abandoned loads, and what others ask of it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import StatementError

from retail_platform.control.ledger import ABANDONED, Counts, Ledger
from retail_platform.control.loads import LIVE_LAYER
from retail_platform.control.models import Status
from retail_platform.extract.window import Window
from retail_platform.failures import PermanentFailure

HOUR = datetime(2026, 11, 20, 5, tzinfo=UTC)
WINDOW = Window.of_hour(HOUR, buffer=timedelta(minutes=1), initial=False)


def start(ledger: Ledger, *, asset: str = "silver/orders", hour: datetime = HOUR) -> int:
    return ledger.start(
        asset=asset, layer="silver", hour=hour, run_id="run", engine="embedded", window=WINDOW
    )


def test_a_success_keeps_counts_and_facts(engine: sa.Engine) -> None:
    ledger = Ledger(engine)
    counts = Counts(
        read=10, rejected=1, quarantined=2, duplicates=3, stale=1, unchanged=1, applied=2
    )
    extracted = datetime(2026, 11, 20, 6, 0, 3, 123456, tzinfo=UTC)
    ledger.succeed(start(ledger), counts, extracted_max=extracted, target_version_after=7, bytes=99)
    (row,) = ledger.loads()
    assert row.status is Status.SUCCESS
    assert (row.attempt, row.read, row.applied, row.bytes) == (1, 10, 2, 99)
    assert (row.window_start, row.window_end) == (HOUR - timedelta(minutes=1), WINDOW.end)
    assert row.extracted_max is not None
    assert row.extracted_max == extracted
    assert row.extracted_max.tzinfo is UTC
    assert row.seconds is not None
    assert row.seconds >= 0


def test_an_unbalanced_load_fails_naming_both_sides(engine: sa.Engine) -> None:
    ledger = Ledger(engine)
    load = start(ledger)
    with pytest.raises(PermanentFailure, match=r"silver/orders.*read 10.*add up to 9.*applied 9"):
        ledger.succeed(load, Counts(read=10, applied=9))
    (row,) = ledger.loads()
    assert row.status is Status.FAILURE
    assert "does not balance" in (row.error or "")


def test_swept_and_inferred_stay_outside_of_the_balance(engine: sa.Engine) -> None:
    ledger = Ledger(engine)
    ledger.succeed(start(ledger), Counts(read=1, applied=1, swept=5, inferred=2))
    assert ledger.loads()[0].swept == 5


@given(st.lists(st.integers(0, 1000), min_size=6, max_size=6), st.integers(-3, 3))
def test_balance_is_exact(parts: list[int], off: int) -> None:
    names = ("rejected", "quarantined", "duplicates", "stale", "unchanged", "applied")
    counts = Counts(read=sum(parts) + off, **dict(zip(names, parts, strict=True)))
    assert counts.balanced == (off == 0)


def test_a_negative_part_never_balances() -> None:
    assert not Counts(read=0, applied=1, stale=-1).balanced


def test_an_abandoned_load_is_closed_by_the_next_attempt_and_cannot_come_back(
    engine: sa.Engine,
) -> None:
    ledger = Ledger(engine)
    first, second = start(ledger), start(ledger)
    rows = ledger.loads()
    assert [(row.attempt, row.status) for row in rows] == [(1, "FAILURE"), (2, "RUNNING")]
    assert rows[0].error == ABANDONED
    with pytest.raises(PermanentFailure, match=r"attempt 1.*already FAILURE"):
        ledger.succeed(first, Counts())
    ledger.succeed(second, Counts())


def test_other_hours_and_assets_are_not_abandoned(engine: sa.Engine) -> None:
    ledger = Ledger(engine)
    start(ledger)
    start(ledger, hour=HOUR + timedelta(hours=1))
    start(ledger, asset="silver/customers")
    assert len(ledger.loads(status="RUNNING")) == 3


def test_a_micro_batch_closes_the_one_that_was_killed_in_another_hour(engine: sa.Engine) -> None:
    """Micro-batches follow each other: none comes back to the hour of an earlier one."""
    ledger = Ledger(engine)
    for hour in (HOUR, HOUR + timedelta(hours=1)):
        ledger.start(
            asset="silver/stock_live",
            layer=LIVE_LAYER,
            hour=hour,
            run_id="run",
            engine="delta-rs",
            window=None,
        )
    rows = ledger.loads()
    assert [(row.attempt, row.status) for row in rows] == [(1, "FAILURE"), (1, "RUNNING")]
    assert rows[0].error == ABANDONED


def test_failures_hide_secrets_and_keep_the_first_error(engine: sa.Engine) -> None:
    ledger = Ledger(engine)
    load = start(ledger)
    ledger.fail(load, "no route to postgresql://loader:s3cret@db/sales", Counts(read=3))
    ledger.fail(load, "second")
    (row,) = ledger.loads(status=Status.FAILURE)
    assert row.error == "no route to postgresql://loader:***@db/sales"
    assert row.read == 3


def test_a_success_cannot_be_undone(engine: sa.Engine) -> None:
    ledger = Ledger(engine)
    load = start(ledger)
    ledger.succeed(load, Counts())
    with pytest.raises(PermanentFailure, match="already SUCCESS"):
        ledger.fail(load, "too late")


def test_missed_hours_count_as_hours_but_not_as_loads(engine: sa.Engine) -> None:
    ledger = Ledger(engine)
    ledger.miss(start(ledger))
    assert ledger.succeeded_hours("silver/orders") == []
    assert ledger.succeeded_hours("silver/orders", include_missed=True) == [HOUR]
    assert not ledger.has_succeeded("silver/orders")


def test_hours_and_history_of_an_asset(engine: sa.Engine) -> None:
    ledger = Ledger(engine)
    later = HOUR + timedelta(hours=1)
    assert ledger.max_extracted("silver/orders") is None
    for hour, minute in ((later, 5), (HOUR, 9), (HOUR, 7)):
        moment = datetime(2026, 11, 20, 7, minute, tzinfo=UTC)
        ledger.succeed(start(ledger, hour=hour), Counts(), extracted_max=moment)
    ledger.fail(start(ledger, hour=later + timedelta(hours=1)), "broken")
    assert ledger.succeeded_hours("silver/orders") == [HOUR, later]
    assert ledger.max_extracted("silver/orders") == datetime(2026, 11, 20, 7, 9, tzinfo=UTC)
    assert ledger.has_succeeded("silver/orders", other_than=HOUR)
    assert not ledger.has_succeeded("silver/customers")
    assert [row.attempt for row in ledger.loads(asset="silver/orders") if row.hour == HOUR] == [
        1,
        2,
    ]
    assert ledger.loads(since=datetime.now(UTC) + timedelta(minutes=1)) == []


def test_an_unknown_fact_or_load_is_an_error(engine: sa.Engine) -> None:
    ledger = Ledger(engine)
    with pytest.raises(TypeError, match="target_rows"):
        ledger.succeed(start(ledger), Counts(), target_rows=3)  # type: ignore[call-arg]
    with pytest.raises(PermanentFailure, match="load 4711"):
        ledger.fail(4711, "what")


def test_other_zones_become_utc_and_naive_times_are_refused(engine: sa.Engine) -> None:
    ledger = Ledger(engine)
    start(ledger, hour=HOUR.astimezone(timezone(timedelta(hours=-8))))
    assert ledger.loads()[0].hour == HOUR
    assert ledger.loads()[0].hour.tzinfo is UTC
    with pytest.raises(StatementError, match="naive timestamp"):
        start(ledger, hour=HOUR.replace(tzinfo=None))


def test_threads_write_side_by_side(engine: sa.Engine) -> None:
    ledger = Ledger(engine)

    def load(number: int) -> None:
        ledger.succeed(start(ledger, asset=f"silver/t{number % 8}"), Counts())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(load, range(8)))
    assert len(ledger.loads(status="SUCCESS")) == 8
