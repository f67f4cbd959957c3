"""Whose sales are whose: the rule of attribution against plain Python over the same facts."""

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from retail_platform_tests.gold.scenario import BATCHES, HOURS, at
from retail_platform_tests.gold.silver_lake import NewLake, SilverLake
from retail_platform_tests.gold.silver_model import Row, SilverModel

pytestmark = pytest.mark.xdist_group("gold_five_hours")

WINDOW = timedelta(days=30)
LAST_DIGIT = Fraction(1, 10_000)
Part = dict[tuple[Any, Any, str], Fraction]


def test_orders_take_the_last_click_of_buyer_or_device(lake: SilverLake) -> None:
    """SO100 by its customer; SO106 by its device, which clicked last month; the others by none."""
    orders = {row["order_number"]: row for row in lake.gold("fct_order_click")}
    assert set(orders) == {"SO100", "SO102", "SO105", "SO106", "SO107"}
    assert orders["SO100"]["click_id"] == "click-a"
    assert orders["SO100"]["clicked_at"] == at("10:00:00")
    assert (orders["SO106"]["platform"], orders["SO106"]["click_id"]) == ("google", "click-b")
    assert {orders[name]["platform"] for name in ("SO102", "SO105", "SO107")} == {None}


def test_parts_add_up_to_all_sales_to_the_last_digit(lake: SilverLake) -> None:
    """Of every hour, region and currency; and those of the platforms to the sales of the period."""
    expected: dict[Any, Decimal] = defaultdict(Decimal)
    for sale in _live(lake):
        expected[sale["sold_hour"], sale["region"], sale["currency"]] += sale["net_amount"]
    found: dict[Any, Decimal] = defaultdict(Decimal)
    for row in lake.gold("mart_attributed_sales"):
        found[row["sold_hour"], row["region"], row["currency"]] += row["net_amount"]
    assert found == expected
    for row in lake.gold("mart_sales_vs_spend"):
        parts = row["sales_facebook"] + row["sales_google"] + row["sales_unattributed"]
        assert parts == row["sales_net"]
        assert row["orders_facebook"] + row["orders_google"] <= row["order_count"]


def test_sales_without_a_click_are_divided_by_region_and_day(lake: SilverLake) -> None:
    """By the region's clicks of the day, else by the day's spend, else they are no campaign's."""
    clicks = {row["order_number"]: row for row in lake.gold("fct_order_click") if row["platform"]}
    weights = _weights(lake, clicks)
    expected: dict[Any, Fraction] = defaultdict(Fraction)
    for sale in _live(lake):
        place = (sale["sold_date"], sale["region"], sale["currency"])
        parts: Part = weights[place]
        if sale["order_number"] in clicks:
            click = clicks[sale["order_number"]]
            parts = {(click["platform"], click["campaign_key"], "last_click"): Fraction(1)}
        for part, share in parts.items():
            expected[(*place, sale["sold_hour"], *part)] += Fraction(sale["net_amount"]) * share
    found = {
        (
            *(row["sold_date"], row["region"], row["currency"], row["sold_hour"]),
            *(row["platform"], row["campaign_key"], row["rule"]),
        ): Fraction(row["net_amount"])
        for row in lake.gold("mart_attributed_sales")
    }
    assert set(found) == set(expected)
    for key, amount in expected.items():
        assert abs(found[key] - amount) <= LAST_DIGIT, key
    assert {key[-1] for key in found} == {"last_click", "region_clicks", "day_spend", "none"}


def test_a_click_that_arrives_late_takes_the_sale_from_the_others(new_lake: NewLake) -> None:
    """SO100 is bought in the first two hours; that its buyer had clicked is learnt afterwards."""
    silver = SilverModel()
    with new_lake() as lake:
        late = {"web_events": BATCHES[0]["web_events"]}
        early = {name: rows for name, rows in BATCHES[0].items() if name != "web_events"}
        rules: list[set[str]] = []
        for hour, batch in zip(HOURS, (early, BATCHES[1], late), strict=False):
            silver.process(hour, batch)
            silver.write_to(lake)
            lake.dbt("run", "--select", "+mart_sales_vs_spend", hours=[hour])
            rules.append(
                {
                    row["rule"]
                    for row in lake.gold("mart_attributed_sales")
                    if row["region"] == "Northwest" and row["sold_hour"] == HOURS[0]
                }
            )
        assert "last_click" not in rules[1]
        assert "last_click" in rules[2]
        sales = sum(row["net_amount"] for row in _live(lake))
        assert sum(row["net_amount"] for row in lake.gold("mart_attributed_sales")) == sales


def _live(lake: SilverLake) -> list[Row]:
    sales = lake.gold("fct_sales")
    return [row for row in sales if not row["is_deleted"] and not row["is_cancelled"]]


def _weights(lake: SilverLake, clicks: dict[str, Row]) -> dict[Any, Part]:
    """Shares of the campaigns of every day, region and currency."""
    clicked: dict[Any, dict[Any, set[str]]] = defaultdict(lambda: defaultdict(set))
    spent: dict[Any, dict[Any, Fraction]] = defaultdict(lambda: defaultdict(Fraction))
    for sale in _live(lake):
        if click := clicks.get(sale["order_number"]):
            place = (sale["sold_date"], sale["region"], sale["currency"])
            clicked[place][click["platform"], click["campaign_key"]].add(sale["order_number"])
    for row in lake.gold("fct_marketing_spend"):
        if not row["is_deleted"]:
            campaign = (row["platform"], row["campaign_key"])
            spent[row["spend_hour"].date(), row["currency"]][campaign] += Fraction(row["spend"])
    weights: dict[Any, Part] = {}
    for sale in _live(lake):
        place = (sale["sold_date"], sale["region"], sale["currency"])
        day, _, currency = place
        rule, counted = "region_clicks", {c: Fraction(len(n)) for c, n in clicked[place].items()}
        if not counted:
            rule, counted = "day_spend", dict(spent[day, currency])
        if not counted:
            rule, counted = "none", {("none", None): Fraction(1)}
        total = sum(counted.values(), Fraction())
        weights[place] = {
            (platform, campaign, rule): n / total for (platform, campaign), n in counted.items()
        }
    return weights
