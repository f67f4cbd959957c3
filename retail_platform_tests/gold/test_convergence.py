"""Gold is the same whatever the order of hours, and a second build of an hour changes nothing.

The oracle of order is a full refresh of the same Silver; the oracle of meaning is `test_meaning`.
"""

from pathlib import Path
from typing import Any

import pytest

from retail_platform_tests.gold.scenario import BATCHES, HOURS
from retail_platform_tests.gold.silver_lake import SilverLake
from retail_platform_tests.gold.silver_model import SilverModel

MODELS = (
    "dim_customer",
    "dim_product",
    "dim_store",
    "dim_campaign",
    "dim_date",
    "dim_hour",
    "dim_supplier",
    "fct_sales",
    "fct_marketing_spend",
    "fct_stock_level",
    "fct_stock_movement",
    "fct_purchase_line",
    "fct_web_session",
    "fct_customer_interaction",
    "fct_order_click",
    "mart_sales_by_region_category",
    "mart_attributed_sales",
    "mart_sales_vs_spend",
    "mart_stock_turnover",
    "mart_sales_kpi",
    "mart_platform_kpi",
    "mart_platform_table",
    "mart_replenishment",
    "mart_supplier_performance",
    "mart_customer_segment",
)


def _gold(lake: SilverLake) -> dict[str, list[dict[str, Any]]]:
    return {model: lake.gold(model) for model in MODELS}


@pytest.mark.parametrize(
    "order",
    [(0, 1, 2, 3, 4), (2, 4, 0, 3, 1), (4, 3, 2, 1, 0)],
    ids=["forward", "mixed", "backward"],
)
def test_hours_in_any_order_give_what_a_full_refresh_gives(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    silver = SilverModel()
    with SilverLake(root=tmp_path / "lake", work=tmp_path / "work") as lake:
        for index in order:
            silver.process(HOURS[index], BATCHES[index])
            silver.write_to(lake)
            lake.run(HOURS[index])
        by_hours = _gold(lake)
        versions = {model: lake.version(model) for model in MODELS}

        for index in (order[0], order[2]):
            lake.run(HOURS[index])
        assert {model: lake.version(model) for model in MODELS} == versions

        lake.rebuild()
        assert by_hours == _gold(lake)


def test_a_backfill_of_several_hours_gives_what_a_full_refresh_gives(
    tmp_path: Path,
) -> None:
    silver = SilverModel()
    with SilverLake(root=tmp_path / "lake", work=tmp_path / "work") as lake:
        silver.process(HOURS[0], BATCHES[0])
        silver.write_to(lake)
        lake.run(HOURS[0])
        for index in range(1, 5):
            silver.process(HOURS[index], BATCHES[index])
        silver.write_to(lake)
        lake.run(*HOURS[1:])
        by_hours = _gold(lake)
        lake.rebuild()
        assert by_hours == _gold(lake)
