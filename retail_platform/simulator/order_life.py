"""The life of an order: placed, corrected, shipped or cancelled, each at a seeded instant.

Here belongs what happens to orders and lines over time, and nothing about where they come from.
"""

from dataclasses import dataclass
from random import Random

import retail_platform.simulator.money as money
from retail_platform.simulator.chance import dice, shop_second
from retail_platform.simulator.changes import Row
from retail_platform.simulator.journal import Journal
from retail_platform.simulator.sales_orders import Draft, DraftLine
from retail_platform.simulator.shifts import DAY, HOUR, local_micros, local_text

CANCELLED_SHARE = 0.03
CORRECTED_LINE_SHARE = 0.01
ZERO_FIRST_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class PlacedLine:
    """A line at the instant it was committed: what the stock has to give."""

    at: int
    product_id: int
    quantity: int


def placed_at(draft: Draft, seed: int) -> int:
    """The instant at which an order is placed, UTC microseconds."""
    return local_micros(draft.day, shop_second(dice(seed, "placed", draft.order_id)))


def write_order(journal: Journal, draft: Draft, *, seed: int) -> list[PlacedLine]:
    """Write one order's whole life and say what it takes from stock.

    An order is committed with its lines, header first. Corrections happen before the order ends
    (shipped or cancelled); a few are typed as quantity 0 first and mended an hour or two later.
    """
    rng = dice(seed, "order", draft.order_id)
    at = placed_at(draft, seed)
    cancelled = rng.random() < CANCELLED_SHARE
    ended = _end(draft, at, cancelled=cancelled, rng=rng)
    header = _header(draft, at)
    lines = {number: _line(draft, number, line) for number, line in enumerate(draft.lines, start=1)}
    journal.put("orders", (draft.order_id,), header, at)
    placed = []
    for number, line in lines.items():
        used = journal.put("order_lines", (draft.order_id, number), line, at + number)
        placed.append(
            PlacedLine(used, draft.lines[number - 1].product_id, draft.lines[number - 1].quantity)
        )
    for when, number, quantity in _corrections(draft, at, ended, rng):
        line = draft.lines[number - 1]
        lines[number] = _corrected(lines[number], line, quantity)
        header = _with_totals(header, draft, lines)
        journal.put("order_lines", (draft.order_id, number), lines[number], when, op="update")
        journal.put("orders", (draft.order_id,), header, when + 1, op="update")
    end = (
        {"status": "cancelled"}
        if cancelled
        else {"status": "shipped", "shipped_at": local_text(ended)}
    )
    journal.put("orders", (draft.order_id,), {**header, **end}, ended, op="update")
    return placed


def _end(draft: Draft, at: int, *, cancelled: bool, rng: Random) -> int:
    if cancelled:
        return at + int(rng.uniform(1, 30) * HOUR)
    if draft.ship_day is not None:
        return local_micros(draft.ship_day, 8 * 3600 + round(rng.random() * 36_000, 6))
    return at + int(rng.uniform(1, 3) * DAY)


def _corrections(draft: Draft, at: int, ended: int, rng: Random) -> list[tuple[int, int, int]]:
    """Corrections as (instant, line number, quantity), ascending."""
    events = []
    for number, line in enumerate(draft.lines, start=1):
        if rng.random() >= CORRECTED_LINE_SHARE:
            continue
        when = at + int(rng.uniform(0.5, 10) * HOUR)
        quantity = line.quantity + rng.choice((1, 1, 2) if line.quantity < 3 else (-2, -1, 1, 2))
        mended = when + int(rng.uniform(0.7, 2) * HOUR)
        if mended >= ended:
            continue
        if rng.random() < ZERO_FIRST_SHARE:
            events.append((when, number, 0))
            events.append((mended, number, quantity))
        else:
            events.append((when, number, quantity))
    return sorted(events)


def _header(draft: Draft, at: int) -> Row:
    return {
        "order_id": draft.order_id,
        "order_number": f"SO{draft.order_id}",
        "channel": draft.channel,
        "customer_id": draft.customer_id,
        "store_id": draft.store_id,
        "sales_person_id": draft.sales_person_id,
        "ordered_at": local_text(at),
        "due_date": draft.due_day.isoformat(),
        "shipped_at": None,
        "status": "placed",
        "sub_total": money.text(draft.sub_total),
        "tax_amount": money.text(draft.tax),
        "freight": money.text(draft.freight),
        "total_due": money.text(draft.sub_total + draft.tax + draft.freight),
        "currency_code": "USD",
    }


def _line(draft: Draft, number: int, line: DraftLine) -> Row:
    return {
        "order_id": draft.order_id,
        "line_number": number,
        "product_id": line.product_id,
        "quantity": line.quantity,
        "unit_price": money.text(line.unit_price),
        "unit_price_discount": line.discount,
        "line_total": money.text(line.line_total),
        "tax_amount": None if line.tax is None else money.text(line.tax),
    }


def _corrected(row: Row, line: DraftLine, quantity: int) -> Row:
    tax = None if line.tax is None else money.text(money.share(line.tax, quantity, line.quantity))
    return {
        **row,
        "quantity": quantity,
        "line_total": money.text(money.share(line.line_total, quantity, line.quantity)),
        "tax_amount": tax,
    }


def _with_totals(header: Row, draft: Draft, lines: dict[int, Row]) -> Row:
    """The header with the totals of its lines; tax that is not per line keeps its rate."""
    sub_total = sum(money.ticks(str(line["line_total"])) for line in lines.values())
    taxes = [line["tax_amount"] for line in lines.values()]
    tax = (
        money.share(draft.tax, sub_total, draft.sub_total)
        if None in taxes
        else sum(money.ticks(str(amount)) for amount in taxes)
    )
    return {
        **header,
        "sub_total": money.text(sub_total),
        "tax_amount": money.text(tax),
        "total_due": money.text(sub_total + tax + draft.freight),
    }
