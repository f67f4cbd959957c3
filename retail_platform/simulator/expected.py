"""The oracle: rows and money that a right platform holds after a set of Bronze loads.

What it proves. Everything here is plain Python over the data pack and the simulator's change log;
it opens no Delta table, no database file and no Spark session, and it shares no code with
extractors, Silver or Gold. If the platform's tables have these counts and sums, then for these
loads: every row that the sources showed inside the loads' windows arrived (``expected_reads``); it
was typed without loss, converted to UTC by the right zone, deduplicated and merged by watermark, or
quarantined by the documented rules (``expected_silver``); and the facts have one row per sold line,
ad hour and stock row with its exact money (``expected_facts``). The order in which loads were
processed does not enter.

What it does not prove. It takes the loads (windows, clocks) as the ledger gives them: a load that
never ran is not missed here. It says nothing of text columns, names, masking or dimension keys, and
of rows it compares counts and sums, not single values.

Rules that it applies on its own: POS rows with negative unit price, unreadable or incomplete; ad
rows with negative spend; orders with negative total due; order lines without a positive quantity;
stock counts that nobody can read.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import retail_platform.simulator.expected_feeds as expected_feeds
from retail_platform.simulator.ads_model import Figures
from retail_platform.simulator.changes import Key, Row, State
from retail_platform.simulator.expected_events import WEB, sums, told
from retail_platform.simulator.expected_feeds import FED
from retail_platform.simulator.expected_reads import (
    ADS,
    COUNTS,
    POS,
    RESTATE_DAYS,
    SNAPSHOTS,
    PosRow,
    Read,
    Sources,
    watermark,
)
from retail_platform.simulator.expected_stock import stock_at_ends_of
from retail_platform.simulator.simulator import Simulator
from retail_platform.simulator.stock_counts import Count

MONEY = {
    "orders": ("sub_total", "tax_amount", "freight", "total_due"),
    "order_lines": ("quantity", "line_total", "tax_amount"),
    "products": ("standard_cost", "list_price"),
    "stock_levels": ("quantity",),
    "locations": ("cost_rate",),
    "supplier_products": ("standard_price", "last_receipt_cost", "on_order_quantity"),
    "purchase_orders": ("sub_total", "tax_amount", "freight", "total_due"),
    "purchase_order_lines": (
        "ordered_quantity",
        "line_total",
        "received_quantity",
        "rejected_quantity",
    ),
}
SCD2 = frozenset({"customers", "products", "stock_levels", "suppliers"})
MICROS_PER_CENT = 10_000
_INVALID: dict[str, Callable[[Row], bool]] = {
    "orders": lambda row: Decimal(str(row["total_due"])) < 0,
    "order_lines": lambda row: int(row["quantity"] or 0) <= 0,
}


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a table must hold.

    Attributes:
        rows: Live rows: not deleted, not inferred; for SCD2 the current versions.
        money: Exact sums of those rows by column, NULL counting as nothing.
        versions: For SCD2 the number of versions, closed ones included; else equal to ``rows``.
        quarantined: Distinct rows (by everything the source showed) that failed a rule in any load.
    """

    rows: int
    money: dict[str, Decimal]
    versions: int
    quarantined: int = 0


def expected_reads(
    sim: Simulator, reads: Iterable[Read], *, restate_days: int = RESTATE_DAYS
) -> dict[tuple[str, datetime], int]:
    """Rows that each load must have received, by Bronze table and hour (the last load of an hour).

    Args:
        sim: The simulator that the loads read.
        reads: The loads.
        restate_days: Days before an hour's local day that an ads load fetches again.
    """
    sources = Sources(simulator=sim, restate_days=restate_days)
    return {(read.table, read.hour): sources.count(read) for read in _in_order(reads)}


def expected_silver(
    sim: Simulator, reads: Iterable[Read], *, restate_days: int = RESTATE_DAYS
) -> dict[str, Expected]:
    """Live rows and money of each Silver entity after these loads, processed in any order.

    Args:
        sim: The simulator that the loads read.
        reads: The loads; entities without a load are left out.
        restate_days: Days before an hour's local day that an ads load fetches again.
    """
    merged = _merge(sim, reads, restate_days)
    result = {}
    for entity in sorted(merged.tables):
        rows, versions, quarantined = merged.tables[entity]
        money = {
            column: _sum(row[column] for row in rows.values()) for column in MONEY.get(entity, ())
        }
        result[entity] = Expected(
            rows=len(rows),
            money=money,
            versions=len(versions) if entity in SCD2 else len(rows),
            quarantined=len(quarantined),
        )
    if merged.pos is not None:
        valid = [row for row in merged.pos if row.is_valid]
        result[POS] = Expected(
            rows=len(valid),
            money={
                "quantity": _sum(row.quantity for row in valid),
                "unit_price": _sum(row.unit_price for row in valid),
            },
            versions=len(valid),
            quarantined=len(merged.pos) - len(valid),
        )
    if merged.counts is not None:
        legible = [count.counted for count in merged.counts if count.counted is not None]
        result[COUNTS] = Expected(
            rows=len(legible),
            money={"counted_quantity": _sum(legible)},
            versions=len(legible),
            quarantined=len(merged.counts) - len(legible),
        )
    fed = [read for read in merged.reads if read.table in FED]
    for entity, found in expected_feeds.merged(sim, fed).items():
        result[entity] = Expected(rows=found.rows, money=found.amounts, versions=found.versions)
    for entity, windows in sorted(merged.web.items()):
        found = told(sim, entity, windows)
        by_key = found.by_key(entity)
        result[entity] = Expected(
            rows=len(by_key),
            money=sums(entity, list(by_key.values())),
            versions=len(by_key),
            quarantined=found.poisoned,
        )
    for entity in sorted(merged.ads):
        live, quarantined = _live_ads(merged, entity)
        result[entity] = Expected(
            rows=len(live),
            money=_ad_sums(entity, live),
            versions=len(live),
            quarantined=quarantined,
        )
    return result


def expected_facts(
    sim: Simulator,
    reads: Iterable[Read],
    *,
    restate_days: int = RESTATE_DAYS,
    hours: Sequence[datetime] | None = None,
) -> dict[str, Expected]:
    """Rows and money of the three facts after these loads.

    ``fct_sales``: valid POS rows, and valid order lines whose order is there; ``net_amount`` sums
    all rows, ``net_amount_live`` leaves out the lines of cancelled orders. Currencies are added up
    as numbers only. ``fct_marketing_spend``: live ad hours of both platforms, ``spend`` in currency
    units. ``fct_stock_level``: stock rows at the end of each hour, ``rows`` and ``quantity`` summed
    over the hours.

    Args:
        sim: The simulator that the loads read.
        reads: The loads.
        restate_days: Days before an hour's local day that an ads load fetches again.
        hours: Hours for which the stock fact ran; default: the hours of the stock loads.
    """
    reads = list(reads)
    merged = _merge(sim, reads, restate_days)
    orders = merged.tables.get("orders", _EMPTY)[0]
    lines = [
        row
        for row in merged.tables.get("order_lines", _EMPTY)[0].values()
        if _order_key(row) in orders
    ]
    live = [row for row in lines if orders[_order_key(row)]["status"] != "cancelled"]
    pos = [row for row in merged.pos or () if row.is_valid]
    pos_amount = sum(((row.quantity or 0) * (row.unit_price or 0) for row in pos), Decimal(0))
    ads = [figures for entity in sorted(merged.ads) for figures in _live_ads(merged, entity)[0]]
    stock = [read for read in reads if read.entity == "stock_levels"]
    snapshots = {read.hour: merged.sources.rows(read) for read in _in_order(stock)}
    levels = stock_at_ends_of(snapshots, hours if hours is not None else sorted(snapshots))
    facts = {
        "fct_sales": (
            len(lines) + len(pos),
            {
                "net_amount": _sum(row["line_total"] for row in lines) + pos_amount,
                "net_amount_live": _sum(row["line_total"] for row in live) + pos_amount,
                "quantity": _sum(row["quantity"] for row in lines)
                + _sum(row.quantity for row in pos),
            },
        ),
        "fct_marketing_spend": (len(ads), {"spend": _sum(row.spend_cents for row in ads) / 100}),
        "fct_stock_level": (len(levels), {"quantity": _sum(row["quantity"] for row in levels)}),
    }
    return {
        name: Expected(rows=rows, money=money, versions=rows)
        for name, (rows, money) in facts.items()
    }


@dataclass(frozen=True)
class _Merged:
    """All loads together.

    Attributes:
        sources: What the loads were read from.
        tables: Entity -> (live rows by key, versions, quarantined rows).
        pos: POS rows of all loaded hours, None without a POS load.
        ads: Entity -> local day -> rows of the latest fetch.
        credits: Entity -> distinct rows with negative spend of any fetch.
        counts: Stock counts of all loaded hours, None without a load of them.
        reads: The loads in order.
        web: Entity of a topic -> windows of its loaded hours, each hour once.
    """

    sources: Sources
    tables: dict[str, tuple[State, set[tuple[Key, str]], set[tuple[Key, str]]]]
    pos: list[PosRow] | None
    ads: dict[str, dict[date, list[Figures]]]
    credits: dict[str, set[Figures]]
    counts: list[Count] | None
    reads: list[Read]
    web: dict[str, list[tuple[datetime | None, datetime]]]


_EMPTY: tuple[State, set[tuple[Key, str]], set[tuple[Key, str]]] = ({}, set(), set())


def _merge(sim: Simulator, reads: Iterable[Read], restate_days: int) -> _Merged:
    sources = Sources(simulator=sim, restate_days=restate_days)
    ordered = _in_order(reads)
    merged = _Merged(sources, {}, None, {}, {}, None, ordered, {})
    pos_hours: set[datetime] | None = None
    count_hours: set[datetime] | None = None
    web: dict[str, dict[datetime, datetime | None]] = {}
    for read in ordered:
        if read.table in FED:
            continue
        if read.entity == POS:
            pos_hours = (pos_hours or set()) | {read.hour}
        elif read.entity == COUNTS:
            count_hours = (count_hours or set()) | {read.hour}
        elif read.entity in WEB.values():
            # A repeated load reads what the first one read.
            web.setdefault(read.entity, {}).setdefault(read.end, read.start)
        elif read.entity in ADS:
            fetched = sources.ads(read)
            merged.ads.setdefault(read.entity, {}).update(fetched)
            refunds = (row for rows in fetched.values() for row in rows if row.spend_cents < 0)
            merged.credits.setdefault(read.entity, set()).update(refunds)
        else:
            _merge_rows(merged, read)
    pos = (
        None
        if pos_hours is None
        else [row for hour in sorted(pos_hours) for row in sources.pos_rows(hour)]
    )
    counts = (
        None
        if count_hours is None
        else [count for hour in sorted(count_hours) for count in sources.stock_counts(hour)]
    )
    windows = {
        entity: [(start, end) for end, start in sorted(hours.items())]
        for entity, hours in web.items()
    }
    return _Merged(
        sources, merged.tables, pos, merged.ads, merged.credits, counts, ordered, windows
    )


def _merge_rows(merged: _Merged, read: Read) -> None:
    """Merge one load: greatest watermark wins, ties go to the later load, invalid rows stay out."""
    live, versions, quarantined = merged.tables.setdefault(read.entity, ({}, set(), set()))
    is_invalid = _INVALID.get(read.entity, lambda _: False)
    received = merged.sources.rows(read)
    for key, row in received.items():
        version = key, str(row["modified_at"])
        if is_invalid(row):
            quarantined.add(version)
            continue
        versions.add(version)
        if key not in live or watermark(version[1]) >= watermark(str(live[key]["modified_at"])):
            live[key] = row
    if read.entity in SNAPSHOTS:
        for key in live.keys() - received.keys():
            del live[key]


def _in_order(reads: Iterable[Read]) -> list[Read]:
    """Loads as the source was seen; of two snapshots the one of the later hour is later."""
    return sorted(
        reads,
        key=lambda read: (
            read.hour if read.entity in SNAPSHOTS else read.clock,
            read.clock,
            read.hour,
        ),
    )


def _live_ads(merged: _Merged, entity: str) -> tuple[list[Figures], int]:
    rows = [row for day in merged.ads[entity].values() for row in day if row.spend_cents >= 0]
    return rows, len(merged.credits[entity])


def _ad_sums(entity: str, rows: Sequence[Figures]) -> dict[str, Decimal]:
    spend = _sum(row.spend_cents for row in rows)
    counts = {
        "impressions": _sum(row.impressions for row in rows),
        "clicks": _sum(row.clicks for row in rows),
    }
    conversions = _sum(row.conversions for row in rows)
    value = _sum(row.conversion_value_cents for row in rows) / 100
    if entity == "facebook_insights":
        return {**counts, "spend": spend / 100, "purchases": conversions, "purchase_value": value}
    return {
        **counts,
        "cost_micros": spend * MICROS_PER_CENT,
        "conversions": conversions,
        "conversions_value": value,
    }


def _order_key(line: Row) -> Key:
    return (int(line["order_id"] or 0),)


def _sum(values: Iterable[str | int | Decimal | None]) -> Decimal:
    return sum((Decimal(value) for value in values if value is not None), Decimal(0))


__all__ = ["Expected", "Read", "expected_facts", "expected_reads", "expected_silver"]
