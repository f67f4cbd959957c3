"""The checks that every mart adds up to Silver: they pass where it does, and each can fail."""

import pytest
from deltalake import DeltaTable

from retail_platform_tests.gold.scenario import HOURS
from retail_platform_tests.gold.silver_lake import SilverLake

pytestmark = pytest.mark.xdist_group("gold_five_hours")

CHECK = "reconciles_with_silver"
TAMPERED = [
    ("mart_sales_by_region_category", "net_amount", "sold_hour = '2026-03-01T14:00:00Z'"),
    ("mart_sales_kpi", "quantity", "period_start = '2026-03-01T14:00:00Z'"),
    ("mart_sales_vs_spend", "spend_total", "grain = 'day' and currency = 'USD'"),
    ("mart_attributed_sales", "net_amount", "sold_hour = '2026-03-01T14:00:00Z'"),
    ("mart_stock_turnover", "closing_stock", "product_id = 10"),
    ("mart_replenishment", "on_order", "product_id = 20"),
    ("mart_customer_segment", "net_amount", "customer_id = 1"),
    ("mart_supplier_performance", "line_count", "supplier_id = 5"),
]


def differing(lake: SilverLake, *, by_hand: bool = False) -> set[str]:
    """Marts whose check warns, in the last hour's build or for everything by hand."""
    output = lake.dbt(
        "test", "--select", f"test_name:*_{CHECK}", hours=[] if by_hand else HOURS[-1:]
    )
    warned = [text for text in output.splitlines() if "WARN" in text and f"_{CHECK}" in text]
    return {mart for mart, _, _ in TAMPERED if any(f"{mart}_{CHECK}" in text for text in warned)}


def test_marts_of_the_hours_add_up_to_silver(lake: SilverLake) -> None:
    assert differing(lake) == set()
    assert differing(lake, by_hand=True) == set()


def test_a_number_that_silver_does_not_give_is_found(lake: SilverLake) -> None:
    """One row of every mart is told as one more: the last hour's check finds each."""
    versions = lake.versions()
    for mart, measure, place in TAMPERED:
        table = DeltaTable(f"{lake.gold_root}/{mart}")
        changed = table.update(predicate=place, updates={measure: f"{measure} + 1"})
        assert changed["num_updated_rows"] > 0, mart
    found = differing(lake)
    for mart, _, _ in TAMPERED:
        DeltaTable(f"{lake.gold_root}/{mart}").restore(versions[mart])
    assert found == {mart for mart, _, _ in TAMPERED}


def test_a_fact_that_never_reached_gold_is_found(lake: SilverLake) -> None:
    """A sale of Silver's last hour whose fact is missing."""
    orders = DeltaTable(lake.root / "silver" / "orders").to_pyarrow_table().to_pylist()
    lines = DeltaTable(lake.root / "silver" / "order_lines").to_pyarrow_table().to_pylist()
    one = next(row for row in orders if row["order_id"] == 105)
    lake.write("orders", [*orders, one | {"order_id": 999, "_hour": HOURS[-1]}])
    sold = next(row for row in lines if row["order_id"] == 105)
    lake.write("order_lines", [*lines, sold | {"order_id": 999, "_hour": HOURS[-1]}])
    found = differing(lake)
    lake.write("orders", orders)
    lake.write("order_lines", lines)
    assert found == {
        "mart_sales_by_region_category",
        "mart_sales_kpi",
        "mart_sales_vs_spend",
        "mart_attributed_sales",
        "mart_customer_segment",
    }


def test_nothing_is_compared_while_silver_is_ahead(lake: SilverLake) -> None:
    """Another run has loaded the next hour: this build's marts cannot have it yet."""
    orders = DeltaTable(lake.root / "silver" / "orders").to_pyarrow_table().to_pylist()
    one = next(row for row in orders if row["order_id"] == 105)
    later = HOURS[-1].replace(hour=23)
    lake.write("orders", [*orders[1:], one | {"_hour": later}])
    found = differing(lake)
    lake.write("orders", orders)
    assert found == set()
