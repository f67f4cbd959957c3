"""What the web shop and the warehouse tell by events, and when each message arrives.

Sessions lead to the orders of the change log or to nothing; some messages come twice, late or out
of order, and now and then one is poison. Everything depends on seed and log alone. Not here: the
topics' server and producer (`event_feed`).
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from retail_platform.simulator.ads_model import FACEBOOK, GOOGLE
from retail_platform.simulator.chance import dice
from retail_platform.simulator.changes import Change, ChangeLog, Row
from retail_platform.simulator.shifts import ONE_HOUR, to_micros

WEB_EVENTS = "web.events"
WEB_ORDERS = "web.orders"
STOCK = "inventory.stock"
TOPICS = {WEB_EVENTS: 2, WEB_ORDERS: 1, STOCK: 1}
"""Number of partitions by topic."""
BROWSING_SESSIONS = 5
LATEST = timedelta(hours=3)
"""No event arrives later than this after it happened."""
LATE_SHARE, TWICE_SHARE, POISON_SHARE, PAID_SHARE = 0.05, 0.04, 0.4, 0.6
_POISON = (b"<html>502 Bad Gateway</html>", b'{"event_id": "cut', b"\xff\xfe\x00", b'["a", "list"]')
_DEVICES = ("desktop", "mobile", "tablet")


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message of a topic.

    Attributes:
        topic: Its topic.
        partition: Its partition.
        key: Its key.
        value: Its payload.
        arrived: When it arrives, in milliseconds since 1970.
        event: What the payload says; None for poison.
    """

    topic: str
    partition: int
    key: str
    value: bytes
    arrived: int
    event: dict[str, Any] | None


def messages_between(log: ChangeLog, start: datetime, end: datetime, *, seed: int) -> list[Message]:
    """The messages that arrive in ``[start, end)``, in the order of their arrival.

    Args:
        log: The company's change log.
        start: Aware UTC.
        end: Aware UTC.
        seed: Seed of every draw.
    """
    first, last = _millis(start), _millis(end)
    hour = (start - LATEST - ONE_HOUR).replace(minute=0, second=0, microsecond=0)
    found: list[Message] = []
    while hour < end + ONE_HOUR:
        told = _of_hour(log, hour, seed)
        found += [message for message in told if first <= message.arrived < last]
        hour += ONE_HOUR
    return sorted(found, key=lambda message: (message.arrived, message.topic, message.value))


def _of_hour(log: ChangeLog, hour: datetime, seed: int) -> Iterator[Message]:
    """What the orders, stock moves and visitors of one hour tell."""
    changes = log.between(hour, hour + ONE_HOUR)
    lines: dict[Any, list[Row]] = {}
    # Lines are committed right after their header, at times beyond the hour's end.
    for change in log.between(hour, hour + ONE_HOUR + timedelta(seconds=1)):
        if change.table == "order_lines" and change.op == "insert":
            lines.setdefault(change.row["order_id"], []).append(change.row)
    for change in changes:
        if change.table == "orders" and change.op == "insert" and change.row["channel"] == "online":
            yield from _order(log, change, lines[change.row["order_id"]], seed)
        elif change.table == "stock_levels":
            yield _stock(change)
    for number in range(BROWSING_SESSIONS):
        rng = dice(seed, "browsing", hour.isoformat(), number)
        at = hour + timedelta(seconds=rng.uniform(0, 3_500))
        yield from _session(f"{_millis(hour)}-{number}", at, None, (), rng)
    rng = dice(seed, "poison", hour.isoformat())
    if rng.random() < POISON_SHARE:
        arrived = _millis(hour) + rng.randrange(3_600_000)
        yield _message(WEB_EVENTS, "gateway", rng.choice(_POISON), arrived, None)


def _order(log: ChangeLog, change: Change, lines: list[Row], seed: int) -> Iterator[Message]:
    """An order with the session that led to it."""
    order, number = change.row, str(change.row["order_number"])
    rng = dice(seed, "session", number)
    session = f"s-{number}"
    yield from _session(session, change.at, order, lines, rng)
    customer = log.initial["customers"].get((int(order["customer_id"] or 0),), {})
    event = {
        "order_number": number,
        "placed_at": change.at.isoformat(),
        "session_id": session,
        "customer_id": order["customer_id"],
        "email": customer.get("email"),
        "currency": order["currency_code"],
        "total": order["total_due"],
        "lines": [
            {
                name: line[name]
                for name in ("line_number", "product_id", "quantity", "unit_price", "line_total")
            }
            for line in lines
        ],
    }
    yield from _sent(WEB_ORDERS, number, event, change.at, rng, late=False)


def _session(
    session: str, ends: datetime, order: Row | None, lines: Sequence[Row], rng: Random
) -> Iterator[Message]:
    """The steps of one visit; the last one happens at ``ends``."""
    paid = _paid(rng)
    visit = {
        "session_id": session,
        "client_id": f"c-{rng.randrange(10**9):09}",
        "customer_id": order["customer_id"] if order else None,
        "device": rng.choice(_DEVICES),
        **paid,
    }
    products = [line["product_id"] for line in lines] or [rng.randrange(707, 1000)]
    steps: list[dict[str, Any]] = [{"event_name": "page_view", "page": "/"}]
    for product in products:
        steps.append(
            {"event_name": "view_item", "page": f"/product/{product}", "product_id": product}
        )
        if order:
            steps.append({"event_name": "add_to_cart", "page": "/cart", "product_id": product})
    if order:
        steps.append(
            {
                "event_name": "purchase",
                "page": "/thanks",
                "order_number": order["order_number"],
                "value": order["total_due"],
                "currency": order["currency_code"],
            }
        )
    at = ends - timedelta(seconds=30 * (len(steps) - 1))
    for place, step in enumerate(steps):
        event = {
            "event_id": f"{session}-{place}",
            "occurred_at": (at + timedelta(seconds=30 * place)).isoformat(),
            **visit,
            **step,
        }
        happened = at + timedelta(seconds=30 * place)
        yield from _sent(WEB_EVENTS, session, event, happened, rng, late=True)


def _paid(rng: Random) -> dict[str, Any]:
    """Where a visit comes from: a click on an ad, or nowhere that is known."""
    if rng.random() >= PAID_SHARE:
        return {}
    account, click = rng.choice(((FACEBOOK, "fbclid"), (GOOGLE, "gclid")))
    campaign, name, *_ = rng.choice(account.campaigns)
    return {
        "utm_source": account.platform,
        "utm_medium": "cpc",
        "utm_campaign": name,
        "utm_id": campaign,
        click: f"{click}-{rng.randrange(10**12):012}",
    }


def _stock(change: Change) -> Message:
    row = change.row
    event = {
        "location_id": row["location_id"],
        "product_id": row["product_id"],
        "quantity": 0 if change.op == "delete" else row["quantity"],
        "changed_at": change.at.isoformat(),
    }
    key = f"{row['location_id']}/{row['product_id']}"
    return _message(STOCK, key, _json(event), _millis(change.at), event)


def _sent(
    topic: str, key: str, event: dict[str, Any], at: datetime, rng: Random, *, late: bool
) -> Iterator[Message]:
    """An event on its way: soon there as a rule, at times late, at times twice."""
    delay = timedelta(seconds=rng.uniform(0.2, 4))
    if late and rng.random() < LATE_SHARE:
        delay = timedelta(seconds=rng.uniform(60, LATEST.total_seconds() - 60))
    arrived = _millis(at + delay)
    yield _message(topic, key, _json(event), arrived, event)
    if rng.random() < TWICE_SHARE:
        yield _message(topic, key, _json(event), arrived + rng.randrange(1, 2_000), event)


def _message(
    topic: str, key: str, value: bytes, arrived: int, event: dict[str, Any] | None
) -> Message:
    partition = sum(key.encode()) % TOPICS[topic]
    return Message(
        topic=topic, partition=partition, key=key, value=value, arrived=arrived, event=event
    )


def _json(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode()


def _millis(at: datetime) -> int:
    return to_micros(at) // 1_000
