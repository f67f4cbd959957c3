"""Days on which clocks change, by synthetic events: every ten minutes of two days in Los Angeles.

On 8 March 2026 clocks go from 2:00 to 3:00, on 1 November from 2:00 back to 1:00. The shop's visits
and a reseller's sales, told by UTC hours, are read by the store's local day and hour through
dim_hour; each ten minutes have one visit of a visitor of their own and, each hour, one sale.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from retail_platform_tests.gold.scenario import LONG_AGO, customer, facebook, line, order, product
from retail_platform_tests.gold.silver_lake import NewLake, SilverLake, utc
from retail_platform_tests.gold.silver_model import Batch, SilverModel

pytestmark = pytest.mark.xdist_group("gold_clock_changes")

ZONE = "America/Los_Angeles"
SPRING, AUTUMN = date(2026, 3, 8), date(2026, 11, 1)
HOURS_OF = {SPRING: 23, AUTUMN: 25}
BUILT = [utc("2026-03-09T08:00:00"), utc("2026-11-02T09:00:00")]
HOUR = timedelta(hours=1)
PRICE = Decimal("10.5005")


def starts(day: date) -> list[datetime]:
    """The UTC hours of a local day."""
    midnight = datetime.combine(day, datetime.min.time(), ZoneInfo(ZONE)).astimezone(
        BUILT[0].tzinfo
    )
    return [midnight + number * HOUR for number in range(HOURS_OF[day])]


def told_in(day: date) -> Batch:
    """The day's visits, sales and ads."""
    moments = [
        start + timedelta(minutes=minute) for start in starts(day) for minute in range(0, 60, 10)
    ]
    at = max(moments)
    numbers = [day.month * 100 + number for number in range(HOURS_OF[day])]
    return {
        "web_events": [
            {
                "event_id": f"e{moment:%m%d%H%M}",
                "event_name": "page_view",
                "occurred_at": moment,
                "arrived_at": moment,
                "session_id": f"s{moment:%m%d%H%M}",
                "client_id": f"c{moment:%m%d%H%M}",
                "modified_at": moment,
            }
            for moment in moments
        ],
        "orders": [
            order(number, "00:00:00", "00:00:00")
            | {
                "ordered_at": start + HOUR / 2,
                "modified_at": at,
                "channel": "reseller",
                "store_id": 7,
            }
            for number, start in zip(numbers, starts(day), strict=True)
        ],
        "order_lines": [
            line(number, 1, 10, 1, "00:00:00") | {"modified_at": at} for number in numbers
        ],
        "facebook_insights": [
            facebook(hour, "1.0000", "00:00:00", date_start=day, _extracted_at=at)
            for hour in range(24)
            if (day, hour) != (SPRING, 2)
        ],
    }


@pytest.fixture(scope="module")
def lake(new_lake: NewLake) -> Iterator[SilverLake]:
    """The lake after the hours in which the two days were learnt."""
    silver = SilverModel()
    masters: Batch = {
        "territories": [{"territory_id": 1, "name": "Northwest", "modified_at": LONG_AGO}],
        "stores": [
            {
                "store_id": 7,
                "name": "Shop",
                "territory_id": 1,
                "country_code": "US",
                "state_province": "WA",
                "modified_at": LONG_AGO,
            }
        ],
        "customers": [customer(1, 1, LONG_AGO)],
        "products": [product(10, None, LONG_AGO)],
    }
    with new_lake() as lake:
        for hour, batch in zip(
            BUILT, ({**masters, **told_in(SPRING)}, told_in(AUTUMN)), strict=True
        ):
            silver.process(hour, batch)
            silver.write_to(lake)
            lake.run(hour)
        yield lake


def local_hours(lake: SilverLake) -> dict[datetime, tuple[date, int, bool]]:
    """Local day and hour of each UTC hour in the store's zone, and whether clocks show it again."""
    (zone,) = {row["time_zone"] for row in lake.gold("dim_store") if row["store_id"] == 7}
    assert zone == ZONE
    return {
        row["hour_start"]: (row["local_date"], row["local_hour"], row["is_repeated"])
        for row in lake.gold("dim_hour")
        if row["time_zone"] == zone
    }


def hours_of(counts: dict[tuple[date, int, bool], Any], day: date) -> dict[tuple[int, bool], Any]:
    """What is told of a local day, by hour."""
    return {(hour, again): told for (of, hour, again), told in counts.items() if of == day}


def expected_hours(day: date, told: Any) -> dict[tuple[int, bool], Any]:
    """The same for every hour of the day's own clock."""
    hours: dict[tuple[int, bool], Any] = {(hour, False): told for hour in range(24)}
    if day == SPRING:
        del hours[2, False]
    else:
        hours[1, True] = told
    return hours


@pytest.mark.parametrize("day", [SPRING, AUTUMN], ids=["spring", "autumn"])
def test_visits_by_local_hour(lake: SilverLake, day: date) -> None:
    """Six an hour: none in the hour that is skipped, twice six in the one that is doubled."""
    local = local_hours(lake)
    visits = Counter(local[row["started_hour"]] for row in lake.gold("fct_web_session"))
    assert hours_of(dict(visits), day) == expected_hours(day, 6)


@pytest.mark.parametrize("day", [SPRING, AUTUMN], ids=["spring", "autumn"])
@pytest.mark.parametrize("mart", ["mart_sales_by_region_category", "mart_sales_kpi"])
def test_sales_by_local_hour_and_day(lake: SilverLake, mart: str, day: date) -> None:
    local = local_hours(lake)
    sold: dict[tuple[date, int, bool], Decimal] = {}
    for row in lake.gold(mart):
        if row.get("grain", "hour") == "hour":
            hour = local[row.get("sold_hour") or row["period_start"]]
            sold[hour] = sold.get(hour, Decimal(0)) + row["net_amount"]
    assert hours_of(sold, day) == expected_hours(day, PRICE)
    assert sum(hours_of(sold, day).values()) == HOURS_OF[day] * PRICE


def test_spend_of_an_accounts_local_hour_lands_in_one_utc_hour(lake: SilverLake) -> None:
    """Accounts tell 24 hours of a local day: the doubled hour counts in its first pass (New York).

    So 5:00 UTC of 1 November has the spend of both passes, and 6:00 none; no hour is lost.
    """
    spent = {
        row["period_start"]: row["spend_facebook"]
        for row in lake.gold("mart_sales_vs_spend")
        if row["grain"] == "hour" and row["spend_facebook"]
    }
    one = Decimal("1.0000")
    autumn = [utc("2026-11-01T04:00:00") + number * HOUR for number in range(25)]
    assert {hour: spent.get(hour) for hour in autumn} == {
        hour: None if hour == utc("2026-11-01T06:00:00") else one for hour in autumn
    }
    spring = [utc("2026-03-08T05:00:00") + number * HOUR for number in range(23)]
    assert {hour: spent.get(hour) for hour in spring} == dict.fromkeys(spring, one)
    assert len(spent) == 24 + 23
