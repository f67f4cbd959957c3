"""What the platform tells of itself: the ledger's copy, and the figures made of it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from retail_platform.bronze.ledger_copy import NAME, copy_ledger, ensure_ledger_copy
from retail_platform.control.database import open_control
from retail_platform.control.ledger import Counts, Ledger
from retail_platform.lakehouse.engine import open_engine
from retail_platform.lakehouse.tables import Lakehouse
from retail_platform.settings import Engine
from retail_platform_tests.gold.scenario import HOURS, START, at
from retail_platform_tests.gold.silver_lake import NewLake, SilverLake

pytestmark = pytest.mark.xdist_group("gold_platform")

HOUR = timedelta(hours=1)
MODELS = ("--select", "mart_platform_kpi", "mart_platform_table")
TESTED = (*MODELS, "--indirect-selection", "cautious", "--exclude", "tag:daily")
SILENT = START + 3 * HOUR
"""An hour in which nothing was loaded at all."""


def attempt(
    number: int, asset: str, hour: datetime, status: str, copied: datetime, **changes: Any
) -> dict[str, Any]:
    """A row of the copy: an attempt that ended 90 minutes after its hour began."""
    return {
        "id": number,
        "asset": asset,
        "layer": asset.partition("/")[0],
        "hour": hour,
        "attempt": 1,
        "status": status,
        "read": 10,
        "applied": 8,
        "quarantined": 2,
        "seconds": 1.5,
        "started_at": hour + HOUR,
        "finished_at": None if status == "RUNNING" else hour + timedelta(minutes=90),
        "_hour": copied,
    } | changes


FIRST = [
    attempt(1, "silver/orders", HOURS[0], "SUCCESS", HOURS[0]),
    attempt(2, "silver/stores", HOURS[0], "FAILURE", HOURS[0]),
    attempt(3, "gold/fct_sales", HOURS[0], "RUNNING", HOURS[0]),
]
SECOND = [
    FIRST[0],
    FIRST[1],
    attempt(3, "gold/fct_sales", HOURS[0], "SUCCESS", HOURS[1]),
    attempt(
        4,
        "silver/stores",
        HOURS[0],
        "SUCCESS",
        HOURS[1],
        attempt=2,
        finished_at=HOURS[0] + timedelta(minutes=150),
    ),
    attempt(5, "silver/orders", HOURS[1], "BLOCKED", HOURS[1], read=0, applied=0, quarantined=0),
    attempt(6, "silver/stores", HOURS[1], "SUCCESS", HOURS[1]),
    attempt(7, "silver/customers", HOURS[1], "SUCCESS", HOURS[1]),
]
LAST = [*SECOND, attempt(8, "silver/orders", HOURS[4], "SUCCESS", HOURS[4])]
# Micro-batches that ran while the newest hour was loaded, and lie in the one after it.
LAST += [
    attempt(10 + n, "silver/stock_live", HOURS[4] + HOUR, status, HOURS[4], layer="live", attempt=n)
    for n, status in enumerate(("SUCCESS", "FAILURE", "RUNNING"), start=1)
]
# A backfill: the table of customers is older than it was thought to be.
BACKFILLED = [*LAST, attempt(9, "silver/customers", HOURS[0], "SUCCESS", HOURS[0])]


@pytest.fixture(scope="module")
def lake(new_lake: NewLake) -> Iterator[SilverLake]:
    """The lake after the copies of three hours and a backfill, each built and tested."""
    with new_lake() as lake:
        copies = ((HOURS[0], FIRST), (HOURS[1], SECOND), (HOURS[4], LAST), (HOURS[0], BACKFILLED))
        for hour, rows in copies:
            lake.write_ledger(rows)
            lake.dbt("build", *TESTED, hours=[hour])
        yield lake


def test_an_hour_is_told_by_last_attempts_and_its_freshness_by_the_first_success(
    lake: SilverLake,
) -> None:
    """The second attempt mended stores, an hour later than orders were there."""
    row = _kpi(lake)["hour", HOURS[0], "silver"]
    assert (row["expected_count"], row["loaded_count"], row["completeness"]) == (3, 3, 1.0)
    assert (row["ended_attempt_count"], row["succeeded_attempt_count"]) == (4, 3)
    assert row["success_rate"] == 0.75
    assert (row["mean_lag_minutes"], row["max_lag_minutes"]) == (50.0, 90.0)
    assert (row["read_rows"], row["quarantined_rows"], row["quarantine_rate"]) == (30, 6, 0.2)
    gold = _kpi(lake)["hour", HOURS[0], "gold"]
    assert (gold["completeness"], gold["max_lag_minutes"]) == (1.0, 30.0)


def test_tables_are_expected_since_their_first_hour_also_where_nothing_was_loaded(
    lake: SilverLake,
) -> None:
    rows = _kpi(lake)
    blocked = rows["hour", HOURS[1], "silver"]
    assert (blocked["expected_count"], blocked["blocked_count"]) == (3, 1)
    silent = rows["hour", SILENT, "silver"]
    assert (silent["expected_count"], silent["completeness"]) == (3, 0.0)
    assert silent["success_rate"] is None
    assert silent["max_lag_minutes"] is None
    assert rows["hour", HOURS[0], "silver"]["onboarded_table_count"] == 3
    day = rows["day", at("00:00:00"), "silver"]
    # Of the newest hour only the load that has ended counts.
    assert (day["expected_count"], day["loaded_count"]) == (13, 6)
    assert day["onboarded_table_count"] == 3


def test_tables_tell_since_when_they_are_loaded(lake: SilverLake) -> None:
    rows = {row["asset"]: row for row in lake.gold("mart_platform_table")}
    assert rows["silver/customers"]["onboarded_hour"] == HOURS[0]
    assert (rows["silver/orders"]["last_hour"], rows["silver/orders"]["last_status"]) == (
        HOURS[4],
        "SUCCESS",
    )
    assert (rows["silver/orders"]["hour_count"], rows["silver/orders"]["loaded_hour_count"]) == (
        3,
        2,
    )


def test_micro_batches_are_no_hours_of_a_table(lake: SilverLake) -> None:
    """They are in no figure, and the open hour in which they run is expected of no table."""
    assert {layer for _, _, layer in _kpi(lake)} == {"silver", "gold"}
    assert max(start for grain, start, _ in _kpi(lake) if grain == "hour") == HOURS[4]
    assert "silver/stock_live" not in {row["asset"] for row in lake.gold("mart_platform_table")}


def test_hours_give_what_a_full_refresh_gives_and_again_nothing(lake: SilverLake) -> None:
    names = ("mart_platform_kpi", "mart_platform_table")
    by_hours = {name: lake.gold(name) for name in names}
    versions = {name: lake.version(name) for name in names}
    lake.dbt("run", *MODELS, hours=[HOURS[4]])
    assert {name: lake.version(name) for name in names} == versions
    lake.dbt("run", *MODELS, "--full-refresh")
    assert {name: lake.gold(name) for name in names} == by_hours


def test_the_copy_follows_the_ledger(tmp_path: Path) -> None:
    """Attempts are added, one that was running is closed, and what stands is not written again."""
    ledger = Ledger(open_control(f"sqlite:///{tmp_path / 'control.db'}"))
    done = _start(ledger, "silver/orders")
    ledger.succeed(done, Counts(read=3, applied=2, quarantined=1))
    running = _start(ledger, "gold/fct_sales")
    with open_engine(Engine.EMBEDDED) as session:
        lake = Lakehouse(session.spark, str(tmp_path / "lake"))
        ensure_ledger_copy(lake)
        counts, _ = copy_ledger(lake, ledger, hour=HOURS[0], now=HOURS[1])
        assert (counts.read, counts.applied) == (2, 2)
        counts, commit = copy_ledger(lake, ledger, hour=HOURS[1], now=HOURS[2])
        assert (counts.read, counts.unchanged, commit) == (2, 2, None)
        ledger.fail(running, "the engine is gone")
        counts, _ = copy_ledger(lake, ledger, hour=HOURS[1], now=HOURS[2])
        assert (counts.applied, counts.unchanged) == (1, 1)
        rows = lake.delta("bronze", NAME).to_pyarrow_table().sort_by("id").to_pylist()
    assert [(row["asset"], row["status"], row["_hour"]) for row in rows] == [
        ("silver/orders", "SUCCESS", HOURS[0]),
        ("gold/fct_sales", "FAILURE", HOURS[1]),
    ]
    assert rows[0]["quarantined"] == 1
    assert rows[1]["error"] == "the engine is gone"


def _start(ledger: Ledger, asset: str) -> int:
    return ledger.start(
        asset=asset,
        layer=asset.partition("/")[0],
        hour=HOURS[0],
        run_id="run",
        engine="embedded",
        window=None,
    )


def _kpi(lake: SilverLake) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {
        (row["grain"], row["period_start"], row["layer"]): row
        for row in lake.gold("mart_platform_kpi")
    }
