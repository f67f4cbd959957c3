"""Figures of the overview report, read from the marts and the ledger. No HTML here."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from retail_platform.control.ledger import LoadRow
from retail_platform.serving.overview import Section

SALES_DAYS = 7
SPEND_DAYS = 7
PRODUCTS = 15


def sections(*, gold_root: str, loads: Sequence[LoadRow], hour: datetime) -> list[Section]:
    """The report's tables.

    Args:
        gold_root: Location of the Gold tables.
        loads: The ledger's rows of the hour.
        hour: The hour at hand, aware UTC.
    """
    return [
        _sales(gold_root, hour),
        _spend(gold_root, hour),
        _stock(gold_root, hour),
        _loads(loads),
    ]


def _sales(gold_root: str, hour: datetime) -> Section:
    since = hour - timedelta(days=SALES_DAYS)
    rows = _rows(f"{gold_root}/mart_sales_by_region_category")
    recent = rows.filter(
        pc.and_(
            pc.greater(rows["sold_hour"], pa.scalar(since)),
            pc.less_equal(rows["sold_hour"], pa.scalar(hour)),
        )
    )
    totals = recent.group_by(["region", "category", "currency"]).aggregate(
        [("net_amount", "sum"), ("quantity", "sum"), ("order_count", "sum")]
    )
    ordered = totals.sort_by([("currency", "descending"), ("net_amount_sum", "descending")])
    return Section(
        title="Sales by region and category",
        note=f"Last {SALES_DAYS} days, cancelled orders left out; currencies are never added up.",
        columns=["region", "category", "currency", "net sales", "units", "orders"],
        rows=[
            [
                row["region"],
                row["category"],
                row["currency"],
                row["net_amount_sum"],
                row["quantity_sum"],
                row["order_count_sum"],
            ]
            for row in ordered.to_pylist()
        ],
        bar=3,
        bar_scale=2,
    )


def _spend(gold_root: str, hour: datetime) -> Section:
    rows = _rows(f"{gold_root}/mart_sales_vs_spend")
    since = hour - timedelta(days=SPEND_DAYS)
    days = rows.filter(
        pc.and_(
            pc.equal(rows["grain"], "day"),
            pc.and_(
                pc.greater(rows["period_start"], pa.scalar(since)),
                pc.less_equal(rows["period_start"], pa.scalar(hour)),
            ),
        )
    ).sort_by([("period_start", "descending"), ("currency", "descending")])
    return Section(
        title="Sales against marketing spend",
        note="By UTC day; ROAS is net sales per unit of spend, in the currency of the spend.",
        columns=["day", "currency", "net sales", "Facebook", "Google", "spend", "ROAS"],
        rows=[
            [
                f"{row['period_start']:%Y-%m-%d}",
                row["currency"],
                row["sales_net"],
                row["spend_facebook"],
                row["spend_google"],
                row["spend_total"],
                row["roas"],
            ]
            for row in days.to_pylist()
        ],
    )


def _stock(gold_root: str, hour: datetime) -> Section:
    rows = _rows(f"{gold_root}/mart_stock_turnover")
    products = _rows(f"{gold_root}/dim_product")
    names = dict(
        zip(
            products.filter(products["is_current"])["product_id"].to_pylist(),
            products.filter(products["is_current"])["name"].to_pylist(),
            strict=True,
        )
    )
    today = rows.filter(
        pc.and_(
            pc.equal(rows["stock_date"], pa.scalar(hour.date())),
            pc.greater(rows["units_sold"], 0),
        )
    ).sort_by([("turnover", "descending")])
    return Section(
        title="Stock turnover",
        note="Products sold fastest against their average stock of the day.",
        columns=["product", "units sold", "average stock", "turnover", "days of cover"],
        rows=[
            [
                names.get(row["product_id"]) or str(row["product_id"]),
                row["units_sold"],
                row["average_stock"],
                row["turnover"],
                row["days_of_cover"],
            ]
            for row in today.slice(0, PRODUCTS).to_pylist()
        ],
    )


def _loads(loads: Sequence[LoadRow]) -> Section:
    return Section(
        title="Loads of the hour",
        note="From the ledger; every row read is in exactly one of the parts.",
        columns=[
            "asset",
            "status",
            "read",
            "applied",
            "unchanged",
            "stale",
            "duplicates",
            "quarantined",
            "seconds",
        ],
        rows=[
            [
                row.asset,
                f"{row.status}",
                row.read,
                row.applied,
                row.unchanged,
                row.stale,
                row.duplicates,
                row.quarantined,
                Decimal(str(round(row.seconds or 0, 2))),
            ]
            for row in loads
        ],
    )


def _rows(location: str) -> Any:  # noqa: ANN401 - pyarrow's own stubs are partial
    return pa.table(DeltaTable(location).to_pyarrow_table())
