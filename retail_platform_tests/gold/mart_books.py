"""The marts of sales and customers once more, in pandas over `books`: what each must hold.

Written from the marts' descriptions and from the books' own columns, without their SQL. Each
function gives rows by the mart's natural key, named as the mart names its columns. Counts and money
are exact, rates are floats. Those of stock and suppliers are in `goods_books`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pandas as pd

from retail_platform_tests.gold.books import Books, Rows, key_of, row_of, summed, whole_number

SEGMENT_DAYS = 365


def sales_by_region_category(books: Books) -> Rows:
    """By hour, region, category, channel and currency."""
    sales = books.sales.assign(hour=_floor(books.sales["sold_at"], "h"))
    rows: Rows = {}
    for key, bucket in sales.groupby(["hour", "region", "category", "channel", "currency"]):
        live = bucket[~bucket["is_cancelled"]]
        back = live[live["is_return"]]
        costed = live[live["cost"].notna()]
        rows[key_of(key)] = {
            "line_count": len(bucket),
            "order_count": bucket["number"].nunique(),
            "cancelled_line_count": len(bucket) - len(live),
            "quantity": int(live["quantity"].sum()),
            "gross_amount": summed(live["amount"]) - summed(back["amount"]),
            "returns_amount": -summed(back["amount"]),
            "net_amount": summed(live["amount"]),
            "costed_amount": summed(costed["amount"]),
            "cost_amount": summed(costed["cost"]),
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
            returns = -summed(live.loc[live["is_return"], "amount"])
            costed = live[live["cost"].notna()]
            amount, margin = (
                summed(live["amount"]),
                summed(costed["amount"]) - summed(costed["cost"]),
            )
            orders = bucket["in_hour"].nunique()
            net[key_of(key)] = amount
            rows[grain, *key_of(key)] = {
                "order_count": orders,
                "quantity": int(live["quantity"].sum()),
                "gross_amount": amount + returns,
                "returns_amount": returns,
                "net_amount": amount,
                "average_order_value": float(amount) / orders,
                "return_rate": _rate(returns, amount + returns),
                "costed_amount": summed(costed["amount"]),
                "margin_amount": margin,
                "margin_rate": _rate(margin, summed(costed["amount"])),
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
        sales = {key_of(k): bucket for k, bucket in sold.groupby(["period", "currency"])}
        spend = {key_of(k): bucket for k, bucket in spent.groupby(["period", "currency"])}
        for key in sales.keys() | spend.keys():
            bucket, ads = sales.get(key, sold[:0]), spend.get(key, spent[:0])
            orders = len(bucket[["hour", "number"]].drop_duplicates())
            net, total = summed(bucket["amount"]), summed(ads["spend"])
            returns = -summed(bucket.loc[bucket["is_return"], "amount"])
            rows[grain, *key] = {
                "order_count": orders,
                "sales_net": net,
                "returns_amount": returns,
                "clicks": int(ads["clicks"].sum()),
                "spend_facebook": summed(ads.loc[ads["platform"] == "facebook", "spend"]),
                "spend_google": summed(ads.loc[ads["platform"] == "google", "spend"]),
                "spend_total": total,
                "roas": _rate(net, total),
                "cost_per_order": float(total) / orders if orders else None,
                "spend_share": _rate(total, net),
                "average_order_value": float(net) / orders if orders else None,
                "return_rate": _rate(returns, net + returns),
            }
    return rows


def attributed_sales(books: Books) -> Rows:
    """By hour, region, currency, platform, campaign and rule, where no visit is known.

    All sales are divided by the spend of their day, then. Parts are fractions: that of the mart is
    the next number of four places.
    """
    live = books.sales[~books.sales["is_cancelled"]]
    live = live.assign(hour=_floor(live["sold_at"], "h"))
    order = ["hour", "currency", "number"]
    live["counted_in"] = live.groupby(order)["region"].transform("min")
    weights = _spend_of_days(books)
    rows: Rows = {}
    for key, bucket in live.groupby(["hour", "region", "currency"]):
        hour, region, currency = key_of(key)
        told = {
            "net_amount": summed(bucket["amount"]),
            "returns_amount": -summed(bucket.loc[bucket["is_return"], "amount"]),
            "order_count": bucket[bucket["counted_in"] == region]["number"].nunique(),
        }
        shares = weights.get((hour.date(), currency), {("none", None): Decimal(1)})
        rule = "day_spend" if (hour.date(), currency) in weights else "none"
        whole = Fraction(summed(shares.values()))
        for (platform, campaign), weight in shares.items():
            rows[hour, region, currency, platform, campaign, rule] = {
                measure: Fraction(amount) * Fraction(weight) / whole
                for measure, amount in told.items()
            }
    return rows


def _spend_of_days(
    books: Books,
) -> Mapping[tuple[date, str], Mapping[tuple[str, str | None], Decimal]]:
    """Spend of each campaign that spent, by UTC day and currency."""
    spend = books.spend.assign(day=[hour.date() for hour in books.spend["hour"]])
    found: dict[tuple[date, str], dict[tuple[str, str | None], Decimal]] = {}
    for key, rows in spend.groupby(["day", "currency", "platform", "campaign_id"]):
        day, currency, platform, campaign = key_of(key)
        amount = summed(rows["spend"])
        if amount > 0:
            member = _hashed("ads", platform, campaign)
            found.setdefault((day, currency), {})[platform, member] = amount
    return found


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
                "customer_id": whole_number(member),
                "member": _surrogate(whole_number(member)),
                "last_order_date": lines["day"].max(),
                "order_count": lines["number"].nunique(),
                "net_amount": summed(lines["amount"]),
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
        spent[name] = spent.get(name, Decimal(0)) + amount
    return min(spent, key=lambda name: (-spent[name], name))


def _preferred_store(lines: pd.DataFrame) -> str | None:
    named = lines[lines["store_id"].notna()]
    if named.empty:
        return None
    keys = [_surrogate(int(store)) for store in named["store_id"]]
    return _preferred(named.assign(store=keys), "store")


def _surrogate(member: int) -> str:
    """The key that every Gold table gives a member of the sales system."""
    return _hashed("sales", str(member))


def _hashed(*parts: str) -> str:
    """A surrogate key: over the parts, each after its length, the issuing system first."""
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()


def _floor(moments: Sequence[datetime] | pd.Series, unit: str) -> list[datetime]:
    floored = pd.to_datetime(pd.Series(moments), utc=True).dt.floor(unit)
    return [moment.to_pydatetime() for moment in floored]


def _rate(part: Decimal, whole: Decimal) -> float | None:
    return float(part) / float(whole) if whole > 0 else None
