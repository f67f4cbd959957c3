"""What tables of topics must hold, told from the messages that the simulator has sent.

Here belongs the streams' part of the oracle; loads and the other sources are in `expected_reads`
and `expected`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from retail_platform.simulator.events import (
    STOCK,
    WEB_EVENTS,
    WEB_ORDERS,
    Message,
    messages_between,
)
from retail_platform.simulator.simulator import Simulator

WEB = {
    "web__events": "web_events",
    "web__orders": "web_orders",
    "web__order_lines": "web_order_lines",
}
"""Silver entity by Bronze table."""
MONEY = {
    "web_events": ("value",),
    "web_orders": ("total",),
    "web_order_lines": ("quantity", "line_total"),
}
_KEYS = {
    "web_events": ("event_id",),
    "web_orders": ("order_number",),
    "web_order_lines": ("order_number", "line_number"),
}


@dataclass(frozen=True, kw_only=True)
class Told:
    """Rows of a table: ``None`` stands for a message that cannot be understood."""

    rows: list[dict[str, Any] | None]

    @property
    def poisoned(self) -> int:
        """Rows that cannot be understood."""
        return self.rows.count(None)

    def by_key(self, entity: str) -> dict[tuple[Any, ...], dict[str, Any]]:
        """One row for each key; rows that come twice are equal."""
        return {
            tuple(row[name] for name in _KEYS[entity]): row for row in self.rows if row is not None
        }


def told(
    simulator: Simulator, entity: str, windows: Sequence[tuple[datetime | None, datetime]]
) -> Told:
    """The rows of an entity that arrived in some windows; one without start begins with the clock.

    Args:
        simulator: Whose topics were read.
        entity: Silver entity.
        windows: Start (inclusive) and end of each, aware UTC.
    """
    topic = WEB_EVENTS if entity == "web_events" else WEB_ORDERS
    rows: list[dict[str, Any] | None] = []
    for start, end in windows:
        first = max(start or simulator.start, simulator.start)
        for message in messages_between(simulator.log, first, end, seed=simulator.seed):
            if message.topic == topic:
                rows += _rows(entity, message)
    return Told(rows=rows)


def live_stock(simulator: Simulator, messages: int) -> dict[tuple[Any, ...], int]:
    """Quantity by location and product after the first messages of the stock's topic.

    Args:
        simulator: Whose topic was read.
        messages: How many of them were read.
    """
    stock: dict[tuple[Any, ...], int] = {}
    told = messages_between(simulator.log, simulator.start, simulator.clock, seed=simulator.seed)
    for message in [one for one in told if one.topic == STOCK][:messages]:
        assert message.event is not None, "stock is never poisoned"
        stock[message.event["location_id"], message.event["product_id"]] = message.event["quantity"]
    return stock


def _rows(entity: str, message: Message) -> Iterator[dict[str, Any] | None]:
    event = message.event
    if event is None or entity != "web_order_lines":
        yield event
        return
    for line in event["lines"]:
        yield {"order_number": event["order_number"], **line}


def sums(entity: str, rows: Sequence[dict[str, Any]]) -> dict[str, Decimal]:
    """Exact sums of the entity's amounts."""
    return {
        column: sum((Decimal(row.get(column) or 0) for row in rows), Decimal(0))
        for column in MONEY[entity]
    }
