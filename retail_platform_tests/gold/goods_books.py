"""The marts of stock and suppliers once more, in pandas over `books`.

Written from the marts' descriptions and from the books' own columns, without their SQL, as those of
sales are in `mart_books`.
"""

import math
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pandas as pd

from retail_platform_tests.gold.books import Books, Rows, key_of, row_of, summed, whole_number

DEMAND_DAYS, SERVICE_QUANTILE, REVIEW_DAYS = 56, 1.644854, 7
LEAD_DAYS, LEAD_SPREAD, LEAST_DELIVERIES = 14.0, 4.0, 3
TRAILING_DAYS = 30


def stock_turnover(books: Books) -> Rows:
    """By product and day."""
    stock = books.stock.assign(day=[hour.date() for hour in books.stock["hour"]])
    hourly = stock.groupby(["product_id", "day", "hour"])["quantity"].sum()
    sold = _units_by_day(books)
    rows: Rows = {}
    for key, levels in hourly.groupby(level=["product_id", "day"]):
        product, day = key_of(key)
        units = _units(sold, product, day - timedelta(days=TRAILING_DAYS - 1), day)
        average, closing = float(levels.mean()), int(levels.iloc[-1])
        rows[product, day] = {
            "hours_known": len(levels),
            "units_sold": units,
            "average_stock": average,
            "closing_stock": closing,
            "sell_through": units / (units + closing) if units + closing > 0 else None,
            "turnover": units / average if average > 0 else None,
            "days_of_cover": average * TRAILING_DAYS / units if units > 0 else None,
        }
    return rows


def replenishment(books: Books) -> Rows:
    """By product with stock at the last hour."""
    last = books.stock["hour"].max()
    today = last.date()
    on_hand = books.stock[books.stock["hour"] == last].groupby("product_id")["quantity"].sum()
    sold = _units_by_day(books)
    products, categories = books.versions("products"), books.present("categories")
    window = [today - timedelta(days=back) for back in range(DEMAND_DAYS, 0, -1)]
    rows: Rows = {}
    for product, pieces in on_hand.items():
        row = products[(whole_number(product),)][-1]
        ends = row["sell_end_date"]
        demand = pd.Series([float(sold.get((product, day), 0)) for day in window], dtype="float64")
        weekdays = demand.groupby([day.weekday() for day in window]).mean()
        bought = books.purchases[books.purchases["product_id"] == product]
        minutes = bought["minutes"].dropna()
        lead, spread = LEAD_DAYS, LEAD_SPREAD
        if len(minutes) >= LEAST_DELIVERIES:
            lead = _to_fourth_place(minutes.sum() / (len(minutes) * 1440))
            spread = _to_fourth_place(minutes.std() / 1440)
        coming = [today + timedelta(days=n + 1) for n in range(math.ceil(lead) + REVIEW_DAYS)]
        expected = [float(weekdays[day.weekday()]) for day in coming]
        lead_demand = round(sum(expected[: math.ceil(lead)]), 6)
        variance = lead * float(demand.var()) + float(demand.mean()) ** 2 * spread**2
        safety = math.ceil(round(SERVICE_QUANTILE * math.sqrt(variance), 6))
        reorder, stocked = math.ceil(lead_demand) + safety, int(pieces)
        on_order = int(bought.loc[bought["is_open"], "ordered"].sum())
        units = int(demand.sum())
        advice = _advice(
            discontinued=bool(ends) and date.fromisoformat(str(ends)) <= today,
            units=units,
            reach=stocked + on_order,
            reorder=reorder,
        )
        ordered = 0
        if advice == "order":
            review = math.ceil(round(sum(expected[math.ceil(lead) :]), 6))
            ordered = reorder + review - stocked - on_order
        category = row_of(categories, row["subcategory_id"])
        rows[(product,)] = {
            "name": row["name"],
            "category": category.get("category", "Unclassified"),
            "as_of_date": today,
            "on_hand": stocked,
            "on_order": on_order,
            "units_sold": units,
            "demand_a_day": float(demand.mean()),
            "demand_spread": float(demand.std()),
            "lead_time_days": lead,
            "lead_time_spread": spread,
            "lead_time_demand": lead_demand,
            "safety_stock": safety,
            "reorder_point": reorder,
            "days_of_cover": stocked * DEMAND_DAYS / units if units else None,
            "advice": advice,
            "suggested_quantity": ordered,
            "suggested_cost": ordered * Decimal(str(row["standard_cost"]))
            if advice == "order"
            else None,
        }
    return rows


def supplier_performance(books: Books) -> Rows:
    """By supplier who was ordered from."""
    suppliers = books.present("suppliers")
    rows: Rows = {}
    for supplier, lines in books.purchases.groupby("supplier_id"):
        here = lines[lines["received_at"].notna()]
        days = here["minutes"].astype("float64") / 1440
        accepted = summed(here["received"]) - summed(here["rejected"])
        received, ordered = summed(here["received"]), int(here["ordered"].sum())
        known = suppliers[(whole_number(supplier),)]
        rows[(supplier,)] = {
            "name": known["name"],
            "is_preferred": bool(known["is_preferred"]),
            "order_count": lines["order_id"].nunique(),
            "line_count": len(lines),
            "received_line_count": len(here),
            "open_line_count": int(lines["is_open"].sum()),
            "ordered_amount": summed(lines["amount"]),
            "lead_time_days": float(days.mean()) if len(here) else None,
            "lead_time_spread_days": float(days.std()) if len(here) > 1 else None,
            "fill_rate": float(accepted) / ordered if ordered else None,
            "reject_rate": 1 - float(accepted) / float(received) if received else None,
            "on_time_rate": float((~here["is_late"]).mean()) if len(here) else None,
        }
    return rows


def _advice(*, discontinued: bool, units: int, reach: int, reorder: int) -> str:
    if discontinued:
        return "discontinued"
    if not units:
        return "no demand"
    return "order" if reach <= reorder else "enough"


def _units_by_day(books: Books) -> Mapping[tuple[Any, date], int]:
    live = books.sales[(books.sales["source"] == "sales") & ~books.sales["is_cancelled"]]
    units: dict[tuple[Any, date], int] = {}
    for product, sold_at, quantity in zip(
        live["product_id"], live["sold_at"], live["quantity"], strict=True
    ):
        key = int(product), sold_at.date()
        units[key] = units.get(key, 0) + quantity
    return units


def _units(sold: Mapping[tuple[Any, date], int], product: object, first: date, last: date) -> int:
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return sum(sold.get((product, day), 0) for day in days)


def _to_fourth_place(value: float) -> float:
    """Rounded as SQL rounds: half up, by the shortest text of the number."""
    return float(Decimal(repr(float(value))).quantize(Decimal("0.0001"), ROUND_HALF_UP))
