"""The rows of the report pages, read from Gold and from the ledger. No HTML here."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from retail_platform.control.loads import LIVE_LAYER, LoadRow
from retail_platform.serving.page import Rows

DAYS = 56
HOURLY_DAYS = 7
SALES = (
    *("grain", "period_start", "region", "category", "currency", "order_count", "quantity"),
    *("gross_amount", "returns_amount", "net_amount", "net_amount_last_week"),
    *("net_amount_last_year", "margin_amount", "costed_amount"),
)
SPEND = (
    *("grain", "period_start", "currency", "order_count", "sales_net", "spend_facebook"),
    *("spend_google", "spend_total", "clicks", "sales_facebook", "sales_google"),
    *("sales_unattributed", "sales_last_click"),
)
STOCK = (
    *("name", "category", "advice", "on_hand", "on_order", "reorder_point", "suggested_quantity"),
    *("suggested_cost", "days_of_cover", "reason"),
)
MARTS: Mapping[str, Sequence[str]] = {
    "sales": ("mart_sales_kpi",),
    "stock": ("mart_replenishment", "mart_stock_turnover"),
    "customers": ("mart_customer_segment",),
    "marketing": ("mart_sales_vs_spend",),
}
"""Gold tables that each page is made from."""
PLATFORM_MARTS = ("mart_platform_kpi", "mart_platform_table")
"""Gold tables of the figures at the top of the platform's page; the rest of it is the ledger's."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Rows of a page, and what they were made from.

    Attributes:
        rows: The rows.
        made_from: Tables with their Delta versions.
        headline: Rows of the figures at the top, where those are others.
    """

    rows: Rows
    made_from: Mapping[str, int]
    headline: Rows | None = None


def mart_dataset(name: str, *, gold_root: str, hour: datetime) -> Dataset:
    """The rows of a page that is made from marts.

    Args:
        name: Name of the page.
        gold_root: Location of the Gold tables.
        hour: The hour at hand, aware UTC.
    """
    tables = {mart: DeltaTable(f"{gold_root}/{mart}") for mart in MARTS[name]}
    read = [pa.table(table.to_pyarrow_table()) for table in tables.values()]
    made = {
        "sales": lambda: _periods(read[0], SALES, hour),
        "stock": lambda: _stock(read[0], read[1]),
        "customers": lambda: _customers(read[0]),
        "marketing": lambda: _spend(read[0], hour),
    }[name]()
    return Dataset(rows=made, made_from={m: table.version() for m, table in tables.items()})


def _periods(rows: Any, columns: Sequence[str], hour: datetime) -> Rows:  # noqa: ANN401
    """Days of the last 56, hours of the last 7 days."""
    day, start = pc.equal(rows["grain"], "day"), rows["period_start"]
    since = pc.if_else(
        day,
        pa.scalar(hour - timedelta(days=DAYS), start.type),
        pa.scalar(hour - timedelta(days=HOURLY_DAYS), start.type),
    )
    kept = pc.and_(pc.greater(start, since), pc.less_equal(start, pa.scalar(hour, start.type)))
    return _rows(rows.filter(kept).select(list(columns)).sort_by("period_start"))


def _spend(rows: Any, hour: datetime) -> Rows:  # noqa: ANN401
    found = _periods(rows, SPEND, hour)
    start, grain = found.columns.index("period_start"), found.columns.index("grain")
    return Rows(
        columns=[*found.columns, "period"],
        values=[
            [*one, f"{one[start]:%Y-%m-%d}" if one[grain] == "day" else f"{one[start]:%m-%d %H:%M}"]
            for one in found.values
        ],
    )


def _stock(advice: Any, turnover: Any) -> Rows:  # noqa: ANN401
    latest = turnover.filter(pc.equal(turnover["stock_date"], pc.max(turnover["stock_date"])))
    joined = advice.select([*STOCK, "product_id"]).join(
        latest.select(["product_id", "turnover", "sell_through"]), "product_id", "product_id"
    )
    return _rows(joined.drop_columns(["product_id"]).sort_by("name"))


def _customers(rows: Any) -> Rows:  # noqa: ANN401
    """Sums over customers: no page holds a single one."""
    keys = ["segment", "region", "preferred_category", "preferred_channel"]
    summed = rows.group_by(keys).aggregate(
        [
            ("customer_key", "count"),
            ("order_count", "sum"),
            ("net_amount", "sum"),
            ("recency_days", "sum"),
        ]
    )
    figures = ["customer_key_count", "order_count_sum", "net_amount_sum", "recency_days_sum"]
    names = ["segment", "region", "category", "channel"]
    names += ["customers", "orders", "net_amount", "recency"]
    return _rows(summed.select([*keys, *figures]).rename_columns(names).sort_by("segment"))


def _rows(table: Any) -> Rows:  # noqa: ANN401
    columns = [table[name].to_pylist() for name in table.column_names]
    return Rows(columns=table.column_names, values=list(zip(*columns, strict=True)))


def platform_headline(*, gold_root: str, hour: datetime) -> Dataset:
    """What Gold says of the platform: a row for each hour and layer, and one for each table.

    A mart that is not there yet gives no rows: the page is needed where Gold could not be built.

    Args:
        gold_root: Location of the Gold tables.
        hour: The hour at hand, aware UTC; hours of the last days count.
    """
    stored = {
        mart: DeltaTable(f"{gold_root}/{mart}")
        for mart in PLATFORM_MARTS
        if DeltaTable.is_deltatable(f"{gold_root}/{mart}")
    }
    read = {name: pa.table(table.to_pyarrow_table()).to_pylist() for name, table in stored.items()}
    values: list[list[object]] = []
    for row in read.get("mart_platform_kpi", ()):
        start, in_gold = row["period_start"], row["layer"] == "gold"
        if row["grain"] == "hour" and hour - timedelta(days=HOURLY_DAYS) < start <= hour:
            lags = (row["mean_lag_minutes"], row["max_lag_minutes"]) if in_gold else (None, None)
            figures = [row[name] for name in KPI]
            values.append([row["layer"], f"{start:%Y-%m-%d %H:%M}", *figures, *lags, None])
    values += [
        [row["layer"], None, *(None for _ in KPI), None, None, 1]
        for row in read.get("mart_platform_table", ())
    ]
    return Dataset(
        rows=Rows(columns=HEADLINE, values=values),
        made_from={name: table.version() for name, table in stored.items()},
    )


KPI = (
    *("expected_count", "loaded_count", "ended_attempt_count", "succeeded_attempt_count"),
    *("onboarded_table_count", "read_rows", "quarantined_rows"),
)
HEADLINE = ("layer", "hour_text", *KPI, "mean_to_gold", "greatest_to_gold", "tables")


def platform_rows(
    loads: Iterable[LoadRow],
    *,
    hour: datetime,
    failed_checks: Mapping[str, Collection[str]],
) -> Rows:
    """Loads of the last days, the last attempt of each table and hour.

    Micro-batches are left out: the last one of an hour tells nothing of the hour.

    Args:
        loads: Rows of the ledger, in the order in which they started.
        hour: The hour at hand, aware UTC.
        failed_checks: Names of the checks that did not pass when they last ran, by asset; they
            count at the asset's last hour.
    """
    since = hour - timedelta(days=HOURLY_DAYS)
    last = {
        (row.asset, row.hour): row
        for row in loads
        if since < row.hour <= hour and row.layer != LIVE_LAYER
    }
    newest: dict[str, datetime] = {}
    for asset, of in last:
        newest[asset] = max(of, newest.get(asset, of))
    values = []
    for (asset, of), row in sorted(last.items(), key=lambda item: (item[0][1], item[0][0])):
        failed = sorted(failed_checks.get(asset, ())) if newest[asset] == of else []
        words = [f"failed checks: {', '.join(failed)}"] if failed else []
        words += [text for text in (row.error, row.causes) if text]
        values.append(
            [
                *(asset, row.layer, of, f"{of:%Y-%m-%d %H:%M}", f"{row.status}"),
                *(row.read, row.applied, row.quarantined),
                *(Decimal(str(round(row.seconds or 0, 3))), row.finished_at),
                *(len(failed), "; ".join(words)),
            ]
        )
    return Rows(columns=PLATFORM, values=values)


PLATFORM = (
    *("asset", "layer", "hour", "hour_text", "status", "read", "applied"),
    *("quarantined", "seconds", "finished", "failed_checks", "words"),
)
