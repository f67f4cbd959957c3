"""The marts once more, in pandas over `books`: what each must hold after a set of loads.

Written from the marts' descriptions and from the books' own columns, without their SQL. Each
function gives rows by the mart's natural key, named as the mart names its columns. Counts and money
are exact, rates are floats.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pandas as pd

from retail_platform_tests.gold.books import Books, row_of

Rows = dict[tuple[Any, ...], dict[str, Any]]
NIL = Decimal(0)
DEMAND_DAYS, SERVICE_QUANTILE, REVIEW_DAYS = 56, 1.644854, 7
LEAD_DAYS, LEAD_SPREAD, LEAST_DELIVERIES = 14.0, 4.0, 3
TRAILING_DAYS, SEGMENT_DAYS = 30, 365


def sales_by_region_category(books: Books) -> Rows:
    """By hour, region, category, channel and currency."""
    sales = books.sales.assign(hour=_floor(books.sales["sold_at"], "h"))
    rows: Rows = {}
    for key, bucket in sales.groupby(["hour", "region", "category", "channel", "currency"]):
        live = bucket[~bucket["is_cancelled"]]
        back = live[live["is_return"]]
        costed = live[live["cost"].notna()]
        rows[_key(key)] = {
            "line_count": len(bucket),
            "order_count": bucket["number"].nunique(),
            "cancelled_line_count": len(bucket) - len(live),
            "quantity": int(live["quantity"].sum()),
            "gross_amount": _sum(live["amount"]) - _sum(back["amount"]),
            "returns_amount": -_sum(back["amount"]),
            "net_amount": _sum(live["amount"]),
            "costed_amount": _sum(costed["amount"]),
            "cost_amount": _sum(costed["cost"]),
        }
    return rows


def sales_kpi(books: Books) -> Rows:
    """By grain, period, region, category and currency, with the periods that are looked back on."""
    rows: Rows = {}
    for grain, unit in (("hour", "h"), ("day", "D")):
        sales = books.sales.assign(period=_floor(books.sales["sold_at"], unit))
        sales["in_hour"] = list(
            zip(_floor(sales["sold_at"], "h"), sales["channel"], sales["number"], strict=True)
        )
        net: dict[tuple[Any, ...], Decimal] = {}
        for key, bucket in sales.groupby(["period", "region", "category", "currency"]):
            live = bucket[~bucket["is_cancelled"]]
            returns = -_sum(live.loc[live["is_return"], "amount"])
            costed = live[live["cost"].notna()]
            amount, margin = _sum(live["amount"]), _sum(costed["amount"]) - _sum(costed["cost"])
            orders = bucket["in_hour"].nunique()
            net[_key(key)] = amount
            rows[grain, *_key(key)] = {
                "order_count": orders,
                "quantity": int(live["quantity"].sum()),
                "gross_amount": amount + returns,
                "returns_amount": returns,
                "net_amount": amount,
                "average_order_value": float(amount) / orders,
                "return_rate": _rate(returns, amount + returns),
                "costed_amount": _sum(costed["amount"]),
                "margin_amount": margin,
                "margin_rate": _rate(margin, _sum(costed["amount"])),
            }
        for period, *place in net:
            row = rows[grain, period, *place]
            for name, days in (("last_week", 7), ("last_year", 364)):
                row[f"net_amount_{name}"] = net.get((period - timedelta(days=days), *place))
    return rows


def sales_vs_spend(books: Books) -> Rows:
    """By grain, period and currency."""
    rows: Rows = {}
    live = books.sales[~books.sales["is_cancelled"]]
    for grain, unit in (("hour", "h"), ("day", "D")):
        sold = live.assign(period=_floor(live["sold_at"], unit), hour=_floor(live["sold_at"], "h"))
        spent = books.spend.assign(period=_floor(books.spend["hour"], unit))
        sales = {_key(k): bucket for k, bucket in sold.groupby(["period", "currency"])}
        spend = {_key(k): bucket for k, bucket in spent.groupby(["period", "currency"])}
        for key in sales.keys() | spend.keys():
            bucket, ads = sales.get(key, sold[:0]), spend.get(key, spent[:0])
            orders = len(bucket[["hour", "number"]].drop_duplicates())
            net, total = _sum(bucket["amount"]), _sum(ads["spend"])
            returns = -_sum(bucket.loc[bucket["is_return"], "amount"])
            rows[grain, *key] = {
                "order_count": orders,
                "sales_net": net,
                "returns_amount": returns,
                "clicks": int(ads["clicks"].sum()),
                "spend_facebook": _sum(ads.loc[ads["platform"] == "facebook", "spend"]),
                "spend_google": _sum(ads.loc[ads["platform"] == "google", "spend"]),
                "spend_total": total,
                "roas": _rate(net, total),
                "cost_per_order": float(total) / orders if orders else None,
                "spend_share": _rate(total, net),
                "average_order_value": float(net) / orders if orders else None,
                "return_rate": _rate(returns, net + returns),
            }
    return rows


def stock_turnover(books: Books) -> Rows:
    """By product and day."""
    stock = books.stock.assign(day=[hour.date() for hour in books.stock["hour"]])
    hourly = stock.groupby(["product_id", "day", "hour"])["quantity"].sum()
    sold = _units_by_day(books)
    rows: Rows = {}
    for key, levels in hourly.groupby(level=["product_id", "day"]):
        product, day = _key(key)
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
        row = products[(_whole(product),)][-1]
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


def customer_segment(books: Books) -> Rows:
    """By customer who bought within the days that are looked back on."""
    today = max(moment.date() for moment in books.sales["sold_at"])
    live = books.sales[
        (books.sales["source"] == "sales")
        & ~books.sales["is_cancelled"]
        & books.sales["customer_id"].notna()
    ]
    live = live.assign(day=[moment.date() for moment in live["sold_at"]])
    live = live[live["day"] > today - timedelta(days=SEGMENT_DAYS)]
    customers, territories = books.versions("customers"), books.present("territories")
    bought = pd.DataFrame(
        [
            {
                "customer_id": _whole(member),
                "member": _surrogate(_whole(member)),
                "last_order_date": lines["day"].max(),
                "order_count": lines["number"].nunique(),
                "net_amount": _sum(lines["amount"]),
                "preferred_category": _preferred(lines, "category"),
                "preferred_channel": _preferred(lines, "channel"),
                "preferred_store_key": _preferred_store(lines),
            }
            for member, lines in live.groupby("customer_id")
        ]
    )
    scores = {"recency": "last_order_date", "frequency": "order_count", "monetary": "net_amount"}
    for name, column in scores.items():
        ranked = bought.sort_values([column, "member"]).index
        fifth = dict(zip(ranked, _fifths(len(ranked)), strict=True))
        bought[f"{name}_score"] = [fifth[place] for place in bought.index]
    rows: Rows = {}
    for row in bought.to_dict("records"):
        chain = customers.get((row["customer_id"],), [])
        newest = chain[-1] if chain else {}
        territory = row_of(territories, newest.get("territory_id"))
        rows[(row["customer_id"],)] = {
            **{str(name): value for name, value in row.items() if name != "member"},
            "customer_type": newest.get("customer_type", "unknown"),
            "region": territory.get("name", "Unknown"),
            "recency_days": (today - row["last_order_date"]).days,
            "segment": _segment(*(row[f"{name}_score"] for name in scores)),
        }
    return rows


def supplier_performance(books: Books) -> Rows:
    """By supplier who was ordered from."""
    suppliers = books.present("suppliers")
    rows: Rows = {}
    for supplier, lines in books.purchases.groupby("supplier_id"):
        here = lines[lines["received_at"].notna()]
        days = here["minutes"].astype("float64") / 1440
        accepted = _sum(here["received"]) - _sum(here["rejected"])
        received, ordered = _sum(here["received"]), int(here["ordered"].sum())
        known = suppliers[(_whole(supplier),)]
        rows[(supplier,)] = {
            "name": known["name"],
            "is_preferred": bool(known["is_preferred"]),
            "order_count": lines["order_id"].nunique(),
            "line_count": len(lines),
            "received_line_count": len(here),
            "open_line_count": int(lines["is_open"].sum()),
            "ordered_amount": _sum(lines["amount"]),
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


def _segment(recency: int, frequency: int, monetary: int) -> str:
    if min(recency, frequency, monetary) >= 4:
        return "champion"
    if frequency >= 4 and recency >= 3:
        return "loyal"
    if recency >= 4 and frequency <= 2:
        return "new"
    if recency <= 2 and frequency >= 4:
        return "at risk"
    return "hibernating" if recency <= 2 and frequency <= 2 else "regular"


def _fifths(count: int) -> list[int]:
    """Fifth of each rank: as even as can be, the first ones larger by one."""
    sizes = [count // 5 + (1 if part < count % 5 else 0) for part in range(5)]
    return [part + 1 for part, size in enumerate(sizes) for _ in range(size)]


def _preferred(lines: pd.DataFrame, column: str) -> str:
    """What most was spent on; of equals the first by name."""
    spent: dict[str, Decimal] = {}
    for name, amount in zip(lines[column], lines["amount"], strict=True):
        spent[name] = spent.get(name, NIL) + amount
    return min(spent, key=lambda name: (-spent[name], name))


def _preferred_store(lines: pd.DataFrame) -> str | None:
    named = lines[lines["store_id"].notna()]
    if named.empty:
        return None
    keys = [_surrogate(int(store)) for store in named["store_id"]]
    return _preferred(named.assign(store=keys), "store")


def _surrogate(member: int) -> str:
    """The key that every Gold table gives a member of the sales system."""
    return hashlib.sha256(f"5:sales{len(str(member))}:{member}".encode()).hexdigest()


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


def _floor(moments: Sequence[datetime] | pd.Series, unit: str) -> list[datetime]:
    floored = pd.to_datetime(pd.Series(moments), utc=True).dt.floor(unit)
    return [moment.to_pydatetime() for moment in floored]


def _key(key: Any) -> tuple[Any, ...]:
    parts = key if isinstance(key, tuple) else (key,)
    return tuple(p.to_pydatetime() if isinstance(p, pd.Timestamp) else p for p in parts)


def _sum(amounts: pd.Series) -> Decimal:
    return sum(amounts, NIL)


def _whole(value: Any) -> int:
    """A number that pandas may hold as a float, because its column has gaps."""
    return int(value)


def _to_fourth_place(value: float) -> float:
    """Rounded as SQL rounds: half up, by the shortest text of the number."""
    return float(Decimal(repr(float(value))).quantize(Decimal("0.0001"), ROUND_HALF_UP))


def _rate(part: Decimal, whole: Decimal) -> float | None:
    return float(part) / float(whole) if whole > 0 else None
