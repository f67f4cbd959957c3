"""Every mart equals the same computed in pandas from the data pack and the simulator's change log.

Row by row over all that was loaded: three days with returns, cancelled and corrected orders, and
ads that are restated from one day to the next. Counts, money and words are equal; rates agree to
their sixth place, days of waiting and parts of amounts to their fourth. What it does not prove is
in the oracle's own words (`simulator.expected`).
"""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import pytest

from retail_platform_tests.gold import goods_books, mart_books
from retail_platform_tests.gold.books import Books, Rows
from retail_platform_tests.gold.dbt_process import DbtProcess
from retail_platform_tests.gold.silver_lake import SilverLake, catalog
from retail_platform_tests.gold.three_days import DAYS, days_lake, load_three_days

pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.xdist_group("gold_books"),
]

Mart = tuple[str, tuple[str, ...], Callable[[Books], Rows]]
DAYS_TOLD = ("lead_time_days", "lead_time_spread", "lead_time_spread_days", "days_of_cover")
"""Columns that are told to their fourth place."""
LAST_DIGIT = Fraction(1, 10_000)
PLACE = ("region", "category")
MARTS: list[Mart] = [
    (
        "mart_sales_by_region_category",
        ("sold_hour", *PLACE, "channel", "currency"),
        mart_books.sales_by_region_category,
    ),
    ("mart_sales_kpi", ("grain", "period_start", *PLACE, "currency"), mart_books.sales_kpi),
    ("mart_sales_vs_spend", ("grain", "period_start", "currency"), mart_books.sales_vs_spend),
    (
        "mart_attributed_sales",
        ("sold_hour", "region", "currency", "platform", "campaign_key", "rule"),
        mart_books.attributed_sales,
    ),
    ("mart_stock_turnover", ("product_id", "stock_date"), goods_books.stock_turnover),
    ("mart_replenishment", ("product_id",), goods_books.replenishment),
    ("mart_customer_segment", ("customer_id",), mart_books.customer_segment),
    ("mart_supplier_performance", ("supplier_id",), goods_books.supplier_performance),
]


@pytest.fixture(scope="module")
def loaded(
    dbt: DbtProcess, engine_address: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[SilverLake, Books]]:
    """The lake after the three days, and the books of its loads."""
    home = tmp_path_factory.mktemp("three_days")
    with days_lake(home, dbt) as lake:
        days = load_three_days(lake, home, engine_address)
        restate_days = max(t.row.restate_days for t in catalog().tables if t.row.load == "restated")
        yield lake, Books(days.simulator, days.reads, days.hours, restate_days)


@pytest.mark.parametrize(("mart", "key", "books_of"), MARTS, ids=[mart for mart, _, _ in MARTS])
def test_a_mart_equals_the_books(
    loaded: tuple[SilverLake, Books],
    mart: str,
    key: tuple[str, ...],
    books_of: Callable[[Books], Rows],
) -> None:
    lake, books = loaded
    expected = books_of(books)
    found = {tuple(row[name] for name in key): row for row in lake.gold(mart)}
    assert found.keys() == expected.keys()
    differing = [
        f"{place}: {column}: expected {value}, found {found[place][column]}"
        for place, row in expected.items()
        for column, value in row.items()
        if not _agree(column, value, found[place][column])
    ]
    assert differing == []


def test_the_days_have_what_makes_them_hard(loaded: tuple[SilverLake, Books]) -> None:
    """Each has sales and returns; orders were cancelled; the ads of a day were restated."""
    lake, books = loaded
    sales = books.sales.assign(day=[moment.date() for moment in books.sales["sold_at"]])
    for day in DAYS:
        of_day = sales[sales["day"] == day]
        assert set(of_day["source"]) == {"sales", "pos"}
        assert of_day["is_return"].any()
    assert sales[sales["day"].isin(DAYS)]["is_cancelled"].any()
    first, *_, last = books.spend_told("facebook_insights", DAYS[0])
    assert any(last[hour] != spend for hour, spend in first.items())
    assert any(row["net_amount_last_year"] for row in lake.gold("mart_sales_kpi"))


def _agree(column: str, expected: Any, found: Any) -> bool:
    if isinstance(expected, Fraction):
        return abs(expected - Fraction(found)) <= LAST_DIGIT
    if not isinstance(expected, float) or found is None:
        return expected == found
    if column in DAYS_TOLD:
        return abs(expected - float(found)) <= 0.000051
    return abs(expected - float(found)) <= 1e-6 * max(1.0, abs(expected))
