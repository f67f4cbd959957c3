"""What Gold makes of input that is not as it should be; the models' descriptions say the same.

Three hours are built and tested: the first brings the facts, the second nothing at all, the third
closes the store, moves a product to another category, and has no more stock of one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest

from retail_platform_tests.gold.scenario import (
    HOURS,
    LONG_AGO,
    at,
    customer,
    facebook,
    line,
    order,
    product,
    stock,
)
from retail_platform_tests.gold.silver_lake import NewLake
from retail_platform_tests.gold.silver_model import Batch, Row, SilverModel

pytestmark = pytest.mark.xdist_group("gold_bad_input")

FIRST, EMPTY, LATER = HOURS[:3]
AMOUNT = Decimal("10.5005")
FACTS: Batch = {
    "territories": [{"territory_id": 1, "name": "Northwest", "modified_at": LONG_AGO}],
    "categories": [
        {"subcategory_id": 1, "category": "Bikes", "modified_at": LONG_AGO},
        {"subcategory_id": 2, "category": "Clothing", "modified_at": LONG_AGO},
    ],
    "stores": [{"store_id": 7, "name": "Shop", "territory_id": 1, "modified_at": LONG_AGO}],
    "customers": [customer(1, 1, LONG_AGO)],
    "products": [product(10, 1, LONG_AGO), product(20, 1, LONG_AGO) | {"standard_cost": 4}],
    "orders": [
        order(1, "10:05:00", "10:05:00", customer_id=999),
        order(2, "10:06:00", "10:06:00"),
        order(3, "10:07:00", "10:07:00", customer_id=None),
        order(4, "10:08:00", "10:08:00", currency_code="XXX"),
        order(6, "10:09:00", "10:09:00", channel="reseller", store_id=7),
        order(7, "10:10:00", "10:10:00", currency_code="CAT"),
    ],
    "order_lines": [
        line(1, 1, 10, 1, "10:05:00"),
        line(2, 1, 999, 1, "10:06:00"),
        line(3, 1, 10, 1, "10:07:00"),
        line(4, 1, 20, 1, "10:08:00"),
        line(5, 1, 10, 1, "10:08:30"),
        line(6, 1, 20, 1, "10:09:00"),
        line(7, 1, 10, 1, "10:10:00"),
    ],
    "stock_levels": [stock(10, 50, "09:00:00"), stock(999, 5, "09:00:00")],
    "facebook_insights": [facebook(5, "10.0000", "11:00:00", currency_code="XYZ")],
}
CLOSED: Batch = {
    "stores": [
        {
            "store_id": 7,
            "name": "Shop",
            "territory_id": 1,
            "modified_at": at("12:01:00"),
            "_deleted": True,
        }
    ],
    "products": [product(10, 2, at("12:02:00"))],
    "stock_levels": [stock(999, 5, "12:00:00") | {"_deleted": True}],
    "orders": [
        order(8, "12:05:00", "12:05:00", currency_code="CAT"),
        order(9, "12:06:00", "12:06:00", channel="reseller", store_id=7),
    ],
    "order_lines": [line(8, 1, 10, 1, "12:05:00"), line(9, 1, 20, 1, "12:06:00")],
}


@dataclass(frozen=True)
class Built:
    """The tables after each hour, what dbt printed of the first, and the tables' versions."""

    gold: list[dict[str, list[Row]]]
    printed: str
    versions: list[dict[str, int]]

    def sale(self, number: int) -> Row:
        """The sold line of an order, at the end."""
        (found,) = (
            row for row in self.gold[-1]["fct_sales"] if row["order_number"] == f"SO{number}"
        )
        return found

    def bucket(self, currency: str) -> dict[tuple[str, str], Decimal]:
        """Net amounts by region and category of a currency, at the end."""
        totals: dict[tuple[str, str], Decimal] = {}
        for row in self.gold[-1]["mart_sales_by_region_category"]:
            if row["currency"] == currency:
                place = row["region"], row["category"]
                totals[place] = totals.get(place, Decimal(0)) + row["net_amount"]
        return totals


@pytest.fixture(scope="module")
def built(new_lake: NewLake) -> Iterator[Built]:
    """The three hours, built and tested."""
    silver = SilverModel()
    found = Built([], "", [])
    with new_lake() as lake:
        printed = []
        for hour, batch in ((FIRST, FACTS), (EMPTY, {}), (LATER, CLOSED)):
            silver.process(hour, batch)
            silver.write_to(lake)
            printed.append(lake.build(hour))
            found.gold.append(lake.all_gold())
            found.versions.append(lake.versions())
        yield Built(found.gold, printed[0], found.versions)


def _warned(printed: str, test: str) -> bool:
    return any(test in text and "WARN" in text for text in printed.splitlines())


def test_a_fact_without_its_dimension_counts_under_unknown(built: Built) -> None:
    """An unknown customer has an inferred member; of an unknown product a warning check tells."""
    assert built.sale(1)["region"] == "Unknown"
    members = {row["customer_key"]: row for row in built.gold[-1]["dim_customer"]}
    assert members[built.sale(1)["customer_key"]]["is_inferred"]
    assert (built.sale(3)["region"], built.sale(3)["category"]) == ("Unknown", "Bikes")
    assert members[built.sale(3)["customer_key"]]["customer_type"] == "unknown"

    assert (built.sale(2)["region"], built.sale(2)["category"]) == ("Northwest", "Unclassified")
    assert built.sale(2)["cost_amount"] is None
    assert built.bucket("USD")["Northwest", "Unclassified"] == AMOUNT
    (advice,) = (r for r in built.gold[0]["mart_replenishment"] if r["product_id"] == 999)
    assert (advice["name"], advice["category"], advice["on_hand"]) == (
        "Unknown",
        "Unclassified",
        5,
    )
    assert _warned(built.printed, "relationships_fct_sales_v1_product_key")
    assert not _warned(built.printed, "relationships_fct_sales_v1_customer_key")


def test_a_line_without_its_order_waits(built: Built) -> None:
    assert "SO5" not in {row["order_number"] for row in built.gold[-1]["fct_sales"]}


def test_an_unknown_currency_stands_alone(built: Built) -> None:
    """It has its own buckets, no cost and no margin, adds nothing to a customer, and is told of."""
    assert built.bucket("XXX") == {("Northwest", "Bikes"): AMOUNT}
    assert built.sale(4)["cost_amount"] is None
    (kpi,) = (
        row
        for row in built.gold[-1]["mart_sales_kpi"]
        if row["currency"] == "XXX" and row["grain"] == "day"
    )
    assert (kpi["margin_amount"], kpi["margin_rate"]) == (Decimal("0.0000"), None)
    spend = {
        row["currency"]: (row["sales_net"], row["spend_total"], row["roas"])
        for row in built.gold[-1]["mart_sales_vs_spend"]
        if row["grain"] == "day"
    }
    assert spend["XXX"] == (AMOUNT, Decimal("0.0000"), None)
    assert spend["XYZ"] == (Decimal("0.0000"), Decimal("10.0000"), 0.0)
    (bought,) = (r for r in built.gold[-1]["mart_customer_segment"] if r["customer_id"] == 1)
    # Orders 2, 4, 6, 7, 8 and 9 are its own; 2, 6 and 9 are in dollars.
    assert (bought["order_count"], bought["net_amount"]) == (6, 3 * AMOUNT)
    assert _warned(built.printed, "accepted_values_fct_sales_v1_currency")


def test_an_empty_hour_adds_its_stock_and_nothing_else(built: Built) -> None:
    """No table of sales, spend or purchases has a commit; stock stands as it stood."""
    before, after = built.versions[:2]
    written = {table for table, version in after.items() if version != before[table]}
    assert written == {"fct_stock_level", "mart_stock_turnover"}
    levels = {
        (row["product_id"], row["stock_hour"]): row["quantity"]
        for row in built.gold[1]["fct_stock_level"]
    }
    assert levels == {
        (10, FIRST): 50,
        (10, EMPTY): 50,
        (999, FIRST): 5,
        (999, EMPTY): 5,
    }


def test_stock_that_a_snapshot_lacks_is_gone_of_its_hour(built: Built) -> None:
    """And is advised of no more; that it went is a movement."""
    hours = {
        row["stock_hour"] for row in built.gold[-1]["fct_stock_level"] if row["product_id"] == 999
    }
    assert hours == {FIRST, EMPTY}
    assert {row["product_id"] for row in built.gold[-1]["mart_replenishment"]} == {10}
    moved = {
        row["kind"]: row["quantity_change"]
        for row in built.gold[-1]["fct_stock_movement"]
        if row["product_id"] == 999
    }
    assert moved == {"opening": 5, "removal": -5}


def test_a_closed_store_keeps_what_it_sold_and_sells(built: Built) -> None:
    """Its member is flagged; a sale that names it afterwards is still its own."""
    stores = {row["store_key"]: row for row in built.gold[-1]["dim_store"]}
    for number in (6, 9):
        assert stores[built.sale(number)["store_key"]]["store_id"] == 7
    assert stores[built.sale(6)["store_key"]]["is_deleted"]
    assert built.bucket("USD")["Northwest", "Bikes"] == 2 * AMOUNT
    (opened,) = (row for row in built.gold[1]["dim_store"] if row["store_id"] == 7)
    assert not opened["is_deleted"]


def test_a_product_that_changed_category_counts_under_each_in_its_time(built: Built) -> None:
    assert built.bucket("CAT") == {
        ("Northwest", "Bikes"): AMOUNT,
        ("Northwest", "Clothing"): AMOUNT,
    }
    hours = {
        row["category"]: row["sold_hour"]
        for row in built.gold[-1]["mart_sales_by_region_category"]
        if row["currency"] == "CAT"
    }
    assert hours == {"Bikes": FIRST, "Clothing": FIRST + timedelta(hours=2)}
