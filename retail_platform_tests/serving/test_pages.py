"""The report pages in a real browser: their numbers are Gold's, filtered or not."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from retail_platform.control.database import open_control
from retail_platform.control.ledger import Ledger
from retail_platform.control.loads import Counts
from retail_platform.serving.datasets import (
    DAYS,
    KPI,
    MARTS,
    SALES,
    SPEND,
    STOCK,
    Dataset,
    mart_dataset,
    platform_headline,
    platform_rows,
)
from retail_platform.serving.page import page_html
from retail_platform.serving.pages import TITLES, report_page
from retail_platform.serving.vega import vega_script
from retail_platform_tests.serving.browser import Shown, headless, shown

HOUR = datetime(2026, 11, 20, 17, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
NASTY = "</script><script>document.title='hacked'</script>"


def sale(
    days_ago: int, region: str, category: str, net: str, currency: str = "USD"
) -> dict[str, Any]:
    return {
        "grain": "day",
        "period_start": MIDNIGHT - timedelta(days=days_ago),
        "region": region,
        "category": category,
        "currency": currency,
        "order_count": 2,
        "quantity": 3,
        "gross_amount": Decimal(net) + 1,
        "returns_amount": Decimal(1),
        "net_amount": Decimal(net),
        "net_amount_last_week": Decimal("10.0001"),
        "net_amount_last_year": None,
        "margin_amount": Decimal("2.5"),
        "costed_amount": Decimal(net),
    }


SALES_ROWS = [
    sale(0, "Central", "Bikes", "1000.1005"),
    sale(3, "Central", "Clothing", "200.2005"),
    sale(3, "Germany", "Bikes", "0.3335"),
    sale(20, "Central", "Bikes", "5000.0000"),
    sale(DAYS + 1, "Central", "Bikes", "77777.0000"),
    sale(1, "France", NASTY, "3.9999", "GBP"),
]
SPEND_ROWS = [
    {
        "grain": "day",
        "period_start": MIDNIGHT - timedelta(days=days_ago),
        "currency": "USD",
        "order_count": 4,
        "sales_net": Decimal("100.5000"),
        "spend_facebook": Decimal("1.2500"),
        "spend_google": Decimal("2.2500"),
        "spend_total": Decimal("3.5000"),
        "clicks": 7,
        "sales_facebook": Decimal("40.0000"),
        "sales_google": Decimal("50.4000"),
        "sales_unattributed": Decimal("10.1000"),
        "sales_last_click": Decimal("20.1000"),
    }
    for days_ago in range(2)
]
STOCK_ROWS = [
    {
        "product_id": number,
        "name": f"Product {number}",
        "category": "Bikes",
        "advice": advice,
        "on_hand": 10 * number,
        "on_order": 0,
        "reorder_point": 25,
        "suggested_quantity": quantity,
        "suggested_cost": Decimal(quantity) * 2,
        "days_of_cover": 1.5,
        "reason": "Because.",
    }
    for number, advice, quantity in ((1, "order", 30), (2, "order", 12), (3, "enough", 0))
]
CUSTOMER_ROWS = [
    {
        "customer_key": f"key of {number}",
        "segment": segment,
        "region": "Central",
        "preferred_category": "Bikes",
        "preferred_channel": "online",
        "order_count": number,
        "net_amount": Decimal("10.1000"),
        "recency_days": 10,
    }
    for number, segment in ((1, "new"), (2, "loyal"), (3, "loyal"))
]


def kpi(hours_ago: int, layer: str, figures: tuple[int, ...], lag: float | None) -> dict[str, Any]:
    return {
        "grain": "hour",
        "period_start": HOUR - timedelta(hours=hours_ago),
        "layer": layer,
        **dict(zip(KPI, figures, strict=True)),
        "mean_lag_minutes": lag,
        "max_lag_minutes": lag and lag + 10,
    }


KPI_ROWS = [
    kpi(0, "silver", (3, 2, 4, 2, 1, 100, 5), 2.0),
    kpi(1, "silver", (2, 2, 2, 2, 2, 60, 3), 2.0),
    kpi(0, "gold", (4, 4, 4, 4, 0, 0, 0), 7.5),
    kpi(1, "gold", (4, 4, 4, 4, 4, 0, 0), 4.5),
    kpi(2, "gold", (4, 0, 4, 0, 0, 0, 0), None),
    kpi(24 * 7, "gold", (99, 99, 99, 99, 99, 99, 99), 99.0),
    kpi(0, "gold", (99, 99, 99, 99, 99, 99, 99), 99.0) | {"grain": "day"},
]
TABLE_ROWS = [
    {"asset": f"{layer}/{number}", "layer": layer}
    for layer, count in (("silver", 3), ("gold", 4))
    for number in range(count)
]


@pytest.fixture(scope="module")
def gold(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Marts with few rows."""
    root = tmp_path_factory.mktemp("gold")
    amount = pa.decimal128(19, 4)
    _write(root / "mart_sales_kpi", SALES_ROWS, SALES, amount)
    _write(root / "mart_sales_vs_spend", SPEND_ROWS, SPEND, amount)
    _write(root / "mart_replenishment", STOCK_ROWS, [*STOCK, "product_id"], amount)
    _write(root / "mart_customer_segment", CUSTOMER_ROWS, list(CUSTOMER_ROWS[0]), amount)
    turnover = [
        {
            "product_id": 1,
            "stock_date": date(2026, 11, day),
            "turnover": float(day),
            "sell_through": 0.5,
        }
        for day in (19, 20)
    ]
    _write(root / "mart_stock_turnover", turnover, list(turnover[0]), amount)
    _write(root / "mart_platform_kpi", KPI_ROWS, list(KPI_ROWS[0]), amount)
    _write(root / "mart_platform_table", TABLE_ROWS, list(TABLE_ROWS[0]), amount)
    return str(root)


def _write(path: Path, rows: list[dict[str, Any]], names: Sequence[str], amount: Any) -> None:
    assert set(names) == set(rows[0])
    table = pa.Table.from_pylist(rows)
    for index, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type) or pa.types.is_null(field.type):
            table = table.set_column(index, field.name, table[field.name].cast(amount))
    write_deltalake(path, table)


@pytest.fixture(scope="module")
def folder(gold: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All pages, written."""
    folder = tmp_path_factory.mktemp("reports")
    script = vega_script(folder / "scripts")
    control = folder / "control.db"
    ledger = Ledger(open_control(f"sqlite:///{control}"))
    for hour, rows in ((HOUR - timedelta(hours=1), 10), (HOUR, 20)):
        load = ledger.start(
            asset="silver/orders",
            layer="silver",
            hour=hour,
            run_id="r",
            engine="embedded",
            window=None,
        )
        ledger.succeed(load, Counts(read=rows, applied=rows - 1, quarantined=1))
    load = ledger.start(
        asset="silver/stores",
        layer="silver",
        hour=HOUR,
        run_id="r",
        engine="embedded",
        window=None,
    )
    ledger.fail(load, "the source hung up")
    platform = platform_rows(
        ledger.loads(), hour=HOUR, failed_checks={"silver/orders": ["row_count"]}
    )
    datasets = {name: mart_dataset(name, gold_root=gold, hour=HOUR) for name in MARTS}
    told = platform_headline(gold_root=gold, hour=HOUR)
    datasets["platform"] = Dataset(
        rows=platform, made_from={**told.made_from, "ledger": 3}, headline=told.rows
    )
    for name in TITLES:
        page = page_html(
            report_page(name),
            datasets[name].rows,
            hour=HOUR,
            made_at=datetime(2026, 11, 20, 18, 7, tzinfo=UTC),
            made_from=datasets[name].made_from,
            others=[],
            script=script,
            headline=datasets[name].headline,
        )
        (folder / f"{name}.html").write_text(page, "utf-8")
    return folder


@pytest.fixture(scope="module")
def pages(folder: Path) -> Iterator[dict[str, Shown]]:
    """Every page, drawn on a telephone."""
    with headless() as browser:
        found = {name: shown(browser, (folder / f"{name}.html").as_uri()) for name in TITLES}
        for name in TITLES:
            _wait(found[name], 1)
        yield found


def _wait(one: Shown, times: int) -> None:
    one.page.wait_for_function(f"document.body.dataset.shown === '{times}'", timeout=30_000)


def tiles(one: Shown) -> dict[str, str]:
    names = one.page.locator(".tile span").all_inner_texts()
    return dict(zip(names, one.page.locator(".tile b").all_inner_texts(), strict=True))


def choose(one: Shown, column: str, value: str) -> None:
    times = int(one.page.evaluate("document.body.dataset.shown"))
    one.page.select_option(f"#filter-{column}", value)
    _wait(one, times + 1)


@pytest.mark.browser
@pytest.mark.parametrize("name", TITLES)
def test_every_page_is_drawn_without_errors_and_without_a_network(
    pages: dict[str, Shown], name: str
) -> None:
    """It fits a telephone, says when and from what it was made, and every chart is drawn."""
    one = pages[name]
    assert one.errors == []
    assert one.outside() == []
    assert one.page.inner_text("h1") == TITLES[name]
    assert one.page.title() == TITLES[name]
    said = one.page.inner_text("h1 + p")
    assert "Up to the hour 2026-11-20 17:00 UTC. Made 2026-11-20 18:07:00 UTC from" in said
    assert "(version " in said
    assert one.page.evaluate("document.documentElement.scrollWidth") <= 390
    charts = one.page.locator(".chart").count()
    assert charts == len(report_page(name).charts)
    assert one.page.locator(".chart svg .mark-rect path, .chart svg .mark-line path").count() > 0


@pytest.mark.browser
def test_sales_are_golds_for_every_choice(pages: dict[str, Shown]) -> None:
    """Sums over what is chosen, exact to the cent; currencies apart; old days left out."""
    one = pages["sales"]
    assert tiles(one)["net sales"] == "6,200.63"  # 1000.1005 + 200.2005 + 0.3335 + 5000
    assert tiles(one)["to last week"] == f"+{100 * (6200.6345 / 40.0004 - 1):,.1f} %"
    assert tiles(one)["to last year"] == "\u2013"
    choose(one, "region", "Central")
    choose(one, "period_start", "7")
    assert tiles(one)["net sales"] == "1,200.30"
    assert tiles(one)["units"] == "6"
    table = one.page.locator("#table tbody tr").all_inner_texts()
    assert [line.split("\t")[:3] for line in table] == [
        ["Central", "Bikes", "1,000.10"],
        ["Central", "Clothing", "200.20"],
    ]
    choose(one, "category", "Clothing")
    assert tiles(one)["net sales"] == "200.20"
    choose(one, "category", "")
    choose(one, "region", "")
    choose(one, "currency", "GBP")
    assert tiles(one)["net sales"] == "4.00"
    assert NASTY in one.page.inner_text("#table tbody")


@pytest.mark.browser
def test_stock_segments_and_spend_are_those_of_their_tables(pages: dict[str, Shown]) -> None:
    assert tiles(pages["stock"]) == {
        "products": "3",
        "pieces in stock": "60",
        "pieces to order": "42",
        "cost of the order": "84.00",
    }
    first = pages["stock"].page.locator("#table tbody tr").first.inner_text().split("\t")
    assert first[:3] == ["Product 1", "Bikes", "order"]
    assert "20.0" in first  # the turnover of the last day, not of the one before
    assert tiles(pages["customers"]) == {
        "customers": "3",
        "orders": "6",
        "net sales": "30.30",
        "a customer": "10.10",
    }
    assert "key of" not in pages["customers"].page.content()
    spend = tiles(pages["marketing"])
    assert (spend["spend"], spend["net sales"], spend["cost per order"]) == (
        "7.00",
        "201.00",
        "0.88",
    )
    assert (spend["ROAS Facebook"], spend["by a known click"]) == ("32.0", "20 %")
    assert "last ad that its buyer clicked" in pages["marketing"].page.inner_text("body")


@pytest.mark.browser
def test_the_platform_s_figures_are_golds_and_its_loads_are_the_ledgers(
    pages: dict[str, Shown],
) -> None:
    """At the top of all layers, of one, and of one hour; below by table, status and hour."""
    one = pages["platform"]
    assert tiles(one) == {
        "completeness": "70.6 %",  # 12 of 17
        "success rate": "66.7 %",  # 12 of 18
        "minutes to Gold, mean": "6.0",
        "minutes to Gold, most": "17.5",
        "tables": "7",
        "tables onboarded": "7",
        "rows read": "160",
        "rows in quarantine": "8",
        "rate of quarantine": "5 %",
        "checks that failed": "1",
    }
    said = one.page.inner_text("h1 + p")
    assert "mart_platform_kpi (version 0), mart_platform_table (version 0), ledger" in said
    choose(one, "asset", "silver/stores")
    assert "the source hung up" in one.page.inner_text("#table tbody")
    assert tiles(one)["rows read"] == "160"
    choose(one, "asset", "silver/orders")
    choose(one, "hour_text", "2026-11-20 17:00")
    assert "failed checks: row_count" in one.page.inner_text("#table tbody")
    assert tiles(one)["completeness"] == "85.7 %"  # 6 of 7
    assert tiles(one)["minutes to Gold, mean"] == "7.5"
    choose(one, "layer", "silver")
    found = tiles(one)
    assert (found["completeness"], found["rows read"], found["tables"]) == ("66.7 %", "100", "3")
    assert found["minutes to Gold, most"] == "\u2013"
