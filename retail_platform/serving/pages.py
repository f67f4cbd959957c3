"""The five report pages: what each asks, shows and counts.

Not here: where the rows come from (``datasets``), how charts look (``charts``), HTML (``page``).
"""

from collections.abc import Callable, Mapping

from retail_platform.serving.charts import bars_by_time, heat_map, lines_by_time, ranked_bars
from retail_platform.serving.page import Filter, Page, Table, Value

TITLES: Mapping[str, str] = {
    "sales": "Sales by region and category",
    "stock": "Inventory and replenishment",
    "customers": "Segments and buying behaviour",
    "marketing": "Sales against spend",
    "platform": "The platform: freshness, checks, quarantine",
}
"""Name of each page, its file and its asset, to its title."""
EVERY = "all"
CURRENCY = Filter(column="currency", label="Currency", start="USD")
REGION = Filter(column="region", label="Region", every=EVERY)
CATEGORY = Filter(column="category", label="Category", every=EVERY)
GRAIN = Filter(column="grain", label="By", start="day")
PERIOD = Filter(
    column="period_start",
    label="Period",
    start="28",
    days=[(1, "last 24 hours"), (7, "last 7 days"), (28, "last 28 days"), (56, "last 56 days")],
)


def report_page(name: str) -> Page:
    """The page of this name; its charts are drawn now."""
    return _PAGES[name]()


def _sales() -> Page:
    money = [
        Value(label="net sales", format="money", sum="net_amount"),
        Value(
            label="to last week", format="percent", change=("net_amount", "net_amount_last_week")
        ),
        Value(
            label="to last year", format="percent", change=("net_amount", "net_amount_last_year")
        ),
        Value(label="units", format="count", sum="quantity"),
        Value(label="return rate", format="percent", ratio=("returns_amount", "gross_amount")),
        Value(label="gross margin", format="percent", ratio=("margin_amount", "costed_amount")),
    ]
    return Page(
        name="sales",
        title=TITLES["sales"],
        note=(
            "Cancelled orders are left out; currencies are never added up. Last week is the period "
            "7 days before, last year 364 days before: the same weekday. Hours of the last 7 days."
        ),
        filters=[CURRENCY, REGION, CATEGORY, GRAIN, PERIOD],
        tiles=money,
        charts=[
            bars_by_time(
                "Net sales by category",
                time="period_start",
                value="net_amount",
                label="net sales",
                color="category",
            ),
            lines_by_time(
                "Net sales against last week and last year",
                time="period_start",
                values={
                    "net_amount": "now",
                    "net_amount_last_week": "last week",
                    "net_amount_last_year": "last year",
                },
                label="net sales",
            ),
            ranked_bars(
                "Net sales by region", name="region", value="net_amount", label="net sales"
            ),
        ],
        table=Table(group=["region", "category"], values=money, sort="net sales"),
    )


def _stock() -> Page:
    return Page(
        name="stock",
        title=TITLES["stock"],
        note=(
            "One row per product. Advice: order at or below the reorder point, which is the demand "
            "expected until the delivery and a safety stock; costs are standard costs in USD."
        ),
        filters=[CATEGORY, Filter(column="advice", label="Advice", every=EVERY)],
        tiles=[
            Value(label="products", format="count", count=True),
            Value(label="pieces in stock", format="count", sum="on_hand"),
            Value(label="pieces to order", format="count", sum="suggested_quantity"),
            Value(label="cost of the order", format="money", sum="suggested_cost"),
        ],
        charts=[
            ranked_bars(
                "What to order", name="name", value="suggested_quantity", label="pieces", top=15
            ),
            ranked_bars("Stock by category", name="category", value="on_hand", label="pieces"),
        ],
        table=Table(
            values=[
                Value(label="product", column="name"),
                Value(label="category", column="category"),
                Value(label="advice", column="advice"),
                Value(label="in stock", format="count", column="on_hand"),
                Value(label="on order", format="count", column="on_order"),
                Value(label="reorder point", format="count", column="reorder_point"),
                Value(label="to order", format="count", column="suggested_quantity"),
                Value(label="cost", format="money", column="suggested_cost"),
                Value(label="days of cover", format="decimal", column="days_of_cover"),
                Value(label="turnover", format="decimal", column="turnover"),
                Value(label="sell-through", format="percent", column="sell_through"),
                Value(label="why", column="reason"),
            ],
            sort="to order",
        ),
    )


def _customers() -> Page:
    return Page(
        name="customers",
        title=TITLES["customers"],
        note=(
            "Customers who bought in the last 365 days, by recency, frequency and value; "
            "amounts in USD. Region is that of today, category the preferred one."
        ),
        filters=[
            REGION,
            Filter(column="category", label="Preferred category", every=EVERY),
            Filter(column="channel", label="Preferred channel", every=EVERY),
        ],
        tiles=[
            Value(label="customers", format="count", sum="customers"),
            Value(label="orders", format="count", sum="orders"),
            Value(label="net sales", format="money", sum="net_amount"),
            Value(label="a customer", format="money", ratio=("net_amount", "customers")),
        ],
        charts=[
            ranked_bars(
                "Customers by segment", name="segment", value="customers", label="customers"
            ),
            ranked_bars(
                "Net sales by segment", name="segment", value="net_amount", label="net sales"
            ),
            heat_map(
                "What segments prefer",
                x="category",
                y="segment",
                value="customers",
                label="customers",
                x_is_time=False,
            ),
        ],
        table=Table(
            group=["segment"],
            values=[
                Value(label="customers", format="count", sum="customers"),
                Value(label="orders", format="count", sum="orders"),
                Value(label="net sales", format="money", sum="net_amount"),
                Value(label="a customer", format="money", ratio=("net_amount", "customers")),
                Value(label="orders a customer", format="decimal", ratio=("orders", "customers")),
                Value(
                    label="days since the last", format="decimal", ratio=("recency", "customers")
                ),
            ],
            sort="net sales",
        ),
    )


def _marketing() -> Page:
    figures = [
        Value(label="net sales", format="money", sum="sales_net"),
        Value(label="spend", format="money", sum="spend_total"),
        Value(label="ROAS", format="decimal", ratio=("sales_net", "spend_total")),
        Value(label="ROAS Facebook", format="decimal", ratio=("sales_facebook", "spend_facebook")),
        Value(label="ROAS Google", format="decimal", ratio=("sales_google", "spend_google")),
        Value(label="by a known click", format="percent", ratio=("sales_last_click", "sales_net")),
        Value(label="cost per order", format="money", ratio=("spend_total", "order_count")),
        Value(label="share of spend", format="percent", ratio=("spend_total", "sales_net")),
        Value(label="clicks", format="count", sum="clicks"),
        Value(label="order value", format="money", ratio=("sales_net", "order_count")),
    ]
    return Page(
        name="marketing",
        title=TITLES["marketing"],
        note=(
            "All sales of a period in a currency against all spend of that period in the currency. "
            "A sale is attributed to the last ad that its buyer clicked in the 30 days before it. "
            "Without a known click, sales are divided by region and UTC day: as the region's known "
            "clicks of the day went, else as the day's spend went; without spend they are "
            "unattributed. Hours of the last 7 days."
        ),
        filters=[CURRENCY, GRAIN, PERIOD],
        tiles=figures,
        charts=[
            lines_by_time(
                "Spend by platform",
                time="period_start",
                values={"spend_facebook": "Facebook", "spend_google": "Google"},
                label="spend",
            ),
            lines_by_time(
                "Net sales by what they are attributed to",
                time="period_start",
                values={
                    "sales_facebook": "Facebook",
                    "sales_google": "Google",
                    "sales_unattributed": "unattributed",
                },
                label="net sales",
            ),
        ],
        table=Table(group=["period"], values=figures, sort="period", limit=100),
    )


def _platform() -> Page:
    return Page(
        name="platform",
        title=TITLES["platform"],
        note=(
            "The figures at the top are those of the marts of the platform, by layer and hour of "
            "the last 7 days: tables and hours expected and loaded, attempts that ended and "
            "succeeded, minutes from the end of an hour to the end of its first load into Gold. "
            "Tables and hours below are the ledger's, the last attempt of each; a choice of a "
            "table or a status is one of these alone. Checks are those that did not pass when "
            "they last ran."
        ),
        filters=[
            Filter(column="layer", label="Layer", every=EVERY),
            Filter(column="asset", label="Table", every=EVERY),
            Filter(column="hour_text", label="Hour", every=EVERY),
            Filter(column="status", label="Status", every=EVERY),
        ],
        tiles=[
            Value(label="completeness", format="percent", ratio=("loaded_count", "expected_count")),
            Value(
                label="success rate",
                format="percent",
                ratio=("succeeded_attempt_count", "ended_attempt_count"),
            ),
            Value(label="minutes to Gold, mean", format="decimal", mean="mean_to_gold"),
            Value(label="minutes to Gold, most", format="decimal", greatest="greatest_to_gold"),
            Value(label="tables", format="count", sum="tables"),
            Value(label="tables onboarded", format="count", sum="onboarded_table_count"),
            Value(label="rows read", format="count", sum="read_rows"),
            Value(label="rows in quarantine", format="count", sum="quarantined_rows"),
            Value(
                label="rate of quarantine",
                format="percent",
                ratio=("quarantined_rows", "read_rows"),
            ),
            Value(label="checks that failed", format="count", sum="failed_checks"),
        ],
        charts=[
            heat_map(
                "Seconds by table and hour",
                x="hour",
                y="asset",
                value="seconds",
                label="seconds",
                x_is_time=True,
            ),
            ranked_bars("Quarantine by table", name="asset", value="quarantined", label="rows"),
        ],
        table=Table(
            values=[
                Value(label="hour", column="hour_text"),
                Value(label="table", column="asset"),
                Value(label="status", column="status"),
                Value(label="read", format="count", column="read"),
                Value(label="applied", format="count", column="applied"),
                Value(label="quarantined", format="count", column="quarantined"),
                Value(label="seconds", format="decimal", column="seconds"),
                Value(label="finished", format="time", column="finished"),
                Value(label="failed checks", format="count", column="failed_checks"),
                Value(label="what happened", column="words"),
            ],
            sort="finished",
            limit=300,
        ),
    )


_PAGES: Mapping[str, Callable[[], Page]] = {
    "sales": _sales,
    "stock": _stock,
    "customers": _customers,
    "marketing": _marketing,
    "platform": _platform,
}
