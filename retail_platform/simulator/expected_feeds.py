"""The oracle's share of REST APIs and JSON lines: what loads received, and what must come of it.

Here belongs which list or feed a Bronze table reads, told without the platform's metadata. What the
lists say is in :mod:`api_books` and :mod:`json_feeds`.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from retail_platform.simulator.api_book import Record
from retail_platform.simulator.json_feeds import FEEDS
from retail_platform.simulator.simulator import Simulator

Key = tuple[str, ...]
Values = Mapping[str, Any]


class FeedRead(Protocol):
    """What the oracle has to know of a load."""

    @property
    def table(self) -> str:
        """Bronze table."""
        ...

    @property
    def hour(self) -> datetime:
        """Start of the partition hour, aware UTC."""
        ...

    @property
    def start(self) -> datetime | None:
        """Inclusive lower bound of the window; None reads from the beginning."""
        ...

    @property
    def end(self) -> datetime:
        """Exclusive upper bound of the window."""
        ...

    @property
    def clock(self) -> datetime:
        """The source's clock at the read."""
        ...


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row that a load received.

    Attributes:
        key: Its key, as text.
        changed: What orders its versions, ISO 8601.
        amounts: Its figures by Silver column.
    """

    key: Key
    changed: str
    amounts: Mapping[str, Decimal]


@dataclass(frozen=True, kw_only=True)
class Fed:
    """How a Bronze table comes from a list or a feed.

    Attributes:
        entity: Silver entity.
        book: List of the REST APIs; None: the feed of JSON lines of that entity.
        rows: Rows of one record.
    """

    entity: str
    book: str | None
    rows: Callable[[Record], list[Row]]


def _record(
    key: str, changed: str = "updated_at", **amounts: Callable[[Record], Any]
) -> Callable[[Record], list[Row]]:
    def rows(record: Record) -> list[Row]:
        figures = {name: Decimal(str(figure(record))) for name, figure in amounts.items()}
        return [Row(key=(str(record[key]),), changed=record[changed], amounts=figures)]

    return rows


def _consents(record: Record) -> list[Row]:
    return [
        Row(key=(record["id"], item["channel"]), changed=item["changed_at"], amounts={})
        for item in record["consents"]
    ]


def _comments(record: Record) -> list[Row]:
    return [
        Row(key=(str(item["id"]),), changed=item["created_at"], amounts={})
        for item in record["comments"]
    ]


def _rates(record: Record) -> list[Row]:
    return [
        Row(
            key=(record["date"], item["currency"]),
            changed=record["updated_at"],
            amounts={"close_rate": Decimal(item["close"])},
        )
        for item in record["rates"]
    ]


FED = {
    "crm__contacts": Fed(
        entity="contacts",
        book="contacts",
        rows=_record("id", loyalty_points=lambda r: r["loyalty"]["points"]),
    ),
    "crm__contact_consents": Fed(entity="contact_consents", book="contacts", rows=_consents),
    "customer_service__tickets": Fed(entity="tickets", book="tickets", rows=_record("id")),
    "customer_service__ticket_comments": Fed(
        entity="ticket_comments", book="tickets", rows=_comments
    ),
    "feedback__product_reviews": Fed(
        entity="product_reviews",
        book="reviews",
        rows=_record(
            "review_id", rating=lambda r: r["rating"], helpful_votes=lambda r: r["helpful_votes"]
        ),
    ),
    "social__mentions": Fed(
        entity="social_mentions",
        book="mentions",
        rows=_record("id", likes=lambda r: r["metrics"]["likes"]),
    ),
    "exchange_rates__daily_rates": Fed(entity="exchange_rates", book="rates", rows=_rates),
    "web_analytics__sessions": Fed(
        entity="web_sessions",
        book=None,
        rows=_record(
            "session_id",
            "started_at",
            product_views=lambda r: r["pages"]["productrelated"]["views"],
        ),
    ),
    "surveys__responses": Fed(
        entity="survey_responses", book=None, rows=_record("response_id", "answered_at")
    ),
}
"""By Bronze table."""
VERSIONED = frozenset({"contacts"})


def received(sim: Simulator, read: FeedRead) -> list[Row]:
    """The rows that a load of one of the tables of `FED` received."""
    fed = FED[read.table]
    if fed.book is None:
        lines = FEEDS[fed.entity].lines(read.hour, seed=sim.seed)
        records: Iterable[Record] = map(json.loads, lines)
    else:
        records = sim.books[fed.book].listed(read.clock, since=read.start, until=read.end)
    return [row for record in records for row in fed.rows(record)]


@dataclass(frozen=True, kw_only=True)
class Merged:
    """Live rows, number of versions, and sums of one entity."""

    rows: int
    versions: int
    amounts: dict[str, Decimal]


def merged(sim: Simulator, reads: Iterable[FeedRead]) -> dict[str, Merged]:
    """What Silver holds after these loads of tables of `FED`, in any order, by entity."""
    seen: dict[str, dict[Key, dict[str, Row]]] = {}
    for read in reads:
        versions = seen.setdefault(FED[read.table].entity, {})
        for row in received(sim, read):
            versions.setdefault(row.key, {})[row.changed] = row
    return {entity: _merged(entity, versions) for entity, versions in seen.items()}


def _merged(entity: str, versions: Mapping[Key, Mapping[str, Row]]) -> Merged:
    newest = [rows[max(rows)] for rows in versions.values()]
    columns = {name for row in newest for name in row.amounts}
    return Merged(
        rows=len(newest),
        versions=sum(map(len, versions.values())) if entity in VERSIONED else len(newest),
        amounts={name: sum((row.amounts[name] for row in newest), Decimal(0)) for name in columns},
    )
