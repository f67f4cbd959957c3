"""Forty-eight hours of a small RetailCorp, drawn by chance from a seed.

Every hour brings new facts, and changes some of the hours before it: orders move between days,
customers, and currencies, are cancelled or corrected, lines are deleted; versions of customers and
products are learnt late; ads are restated; goods arrive, and are gone. What a row says depends on
its hour alone, so hours may be processed in any order.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from retail_platform_tests.gold.scenario import (
    LONG_AGO,
    customer,
    product,
    purchase,
    purchase_line,
    received,
    supplier,
)
from retail_platform_tests.gold.silver_lake import utc
from retail_platform_tests.gold.silver_model import Batch, Row

START = utc("2026-03-02T00:00:00")
HOURS = [START + timedelta(hours=index) for index in range(48)]
PRODUCTS = (10, 20, 30, 40, 50)
LOOK_BACK = (0, 0, 0, 1, 7, 29, 364)
ZONES = {"facebook": "America/New_York", "google": "America/Los_Angeles"}


def two_days(seed: int) -> list[Batch]:
    """What each of `HOURS` brings; the same for the same seed."""
    draw = _Draw(Random(seed))
    return [draw.hour(hour) for hour in HOURS]


@dataclass
class _Draw:
    """Draws hours in order; the lists are what later hours may change."""

    random: Random
    orders: list[Row] = field(default_factory=list)
    lines: list[Row] = field(default_factory=list)
    bought: list[Row] = field(default_factory=list)
    tickets: list[Row] = field(default_factory=list)

    def hour(self, hour: datetime) -> Batch:
        self.now = hour
        self.moments = 0
        batch: dict[str, list[Row]] = self._masters() if hour == START else {}
        changed = self._changed_orders()
        placed = [self._placed() for _ in range(self.random.randint(1, 3))]
        self.orders += placed
        new_lines = [self._line(row, number) for row in placed for number in (1, 2)]
        batch["orders"] = changed + placed
        batch["order_lines"] = self._changed_lines() + new_lines
        self.lines += new_lines
        batch["pos_transactions"] = self._tills()
        batch["stock_levels"] = [self._stock() for _ in range(self.random.randint(0, 2))]
        batch["facebook_insights"] = self._facebook()
        batch["google_campaign_performance"] = self._google()
        batch["purchase_order_lines"] = self._arrivals()
        batch["web_events"] = self._web_events()
        batch |= self._said()
        if self.random.random() < 0.3:
            number = self.random.randint(1, 9)
            version = customer(number, self.random.randint(1, 3), self._learnt_late())
            batch.setdefault("customers", []).append(version)
        if self.random.random() < 0.3:
            batch.setdefault("products", []).append(self._product())
        if self.random.random() < 0.2:
            version = supplier(
                self.random.choice((5, 6)), self.random.randint(1, 5), self._moment()
            )
            batch.setdefault("suppliers", []).append(version)
        return batch

    def _moment(self) -> datetime:
        """The next minute of the hour: no two changes have the same."""
        self.moments += 1
        return self.now + timedelta(minutes=self.moments)

    def _learnt_late(self) -> datetime:
        return self._moment() - timedelta(hours=self.random.choice((0, 3, 30)))

    def _masters(self) -> dict[str, list[Row]]:
        names = ("Northwest", "Germany", "Central")
        return {
            "territories": [
                {"territory_id": number, "name": name, "modified_at": LONG_AGO}
                for number, name in enumerate(names, start=1)
            ],
            "categories": [
                {"subcategory_id": 1, "category": "Bikes", "modified_at": LONG_AGO},
                {"subcategory_id": 2, "category": "Clothing", "modified_at": LONG_AGO},
            ],
            "stores": [{"store_id": 7, "name": "Shop", "territory_id": 1, "modified_at": LONG_AGO}],
            "customers": [customer(number, number % 3 + 1, LONG_AGO) for number in range(1, 7)],
            "products": [
                product(number, number // 10 % 3 or None, LONG_AGO)
                | {"standard_cost": Decimal(number) / 8}
                for number in PRODUCTS
            ],
            "suppliers": [supplier(5, 1, LONG_AGO), supplier(6, 2, LONG_AGO)],
            "purchase_orders": [purchase(900, 5, "approved", LONG_AGO)],
            "stock_levels": [self._stock_of(number, 40) for number in PRODUCTS],
        }

    def _placed(self) -> Row:
        at = self._moment()
        number = 1000 + len(self.orders) + self.moments * 1000
        return {
            "order_id": number,
            "order_number": f"SO{number}",
            "channel": self.random.choice(("online", "reseller")),
            "customer_id": self.random.choice((None, *range(1, 10))),
            "store_id": self.random.choice((None, 7)),
            "ordered_at": at - timedelta(days=self.random.choice(LOOK_BACK)),
            "status": "placed",
            "currency_code": self.random.choice(("USD", "USD", "USD", "EUR")),
            "modified_at": at,
        }

    def _line(self, header: Row, number: int) -> Row:
        price = Decimal(self.random.randint(1, 2_000_000)).scaleb(-4)
        return self._totalled(
            {
                "order_id": header["order_id"],
                "line_number": number,
                "product_id": self.random.choice(PRODUCTS),
                "unit_price": price,
            }
        )

    def _totalled(self, line: Row) -> Row:
        pieces = self.random.randint(1, 5)
        return line | {
            "quantity": pieces,
            "line_total": line["unit_price"] * pieces,
            "modified_at": self._moment(),
        }

    def _changed_orders(self) -> list[Row]:
        """Some of the orders there are, each with one thing changed."""
        changed = []
        for place in self._some(self.orders):
            change: Row = self.random.choice(
                (
                    {"status": "cancelled"},
                    {"status": "placed"},
                    {"customer_id": self.random.choice((None, *range(1, 10)))},
                    {"currency_code": self.random.choice(("USD", "EUR"))},
                    {"ordered_at": self.now - timedelta(days=self.random.choice(LOOK_BACK))},
                    {"_deleted": True},
                )
            )
            self.orders[place] = self.orders[place] | change | {"modified_at": self._moment()}
            changed.append(self.orders[place])
        return changed

    def _changed_lines(self) -> list[Row]:
        changed = []
        for place in self._some(self.lines):
            self.lines[place] = self._totalled(self.lines[place])
            self.lines[place]["_deleted"] = self.random.random() < 0.2
            changed.append(self.lines[place])
        return changed

    def _some(self, rows: list[Any]) -> list[int]:
        return sorted(self.random.sample(range(len(rows)), min(len(rows), 2)))

    def _tills(self) -> list[Row]:
        pieces = self.random.choices((-2, -1, 1, 2, 6), k=self.random.randint(0, 4))
        return [
            {
                "invoice_no": f"{'C' if count < 0 else ''}{self.now:%d%H}",
                "stock_code": self.random.choice(("85123A", "22423")),
                "quantity": count,
                "sold_at": self._moment(),
                "unit_price": Decimal(self.random.randint(1, 99_999)).scaleb(-4),
                "customer_id": self.random.choice((None, 17850, 13047)),
                "country": self.random.choice(("France", "Germany", None)),
                "file_path": f"transactions_{self.now:%Y%m%dT%H}.csv",
                "line_number": number,
            }
            for number, count in enumerate(pieces, start=2)
        ]

    def _stock(self) -> Row:
        """A level as it is now, or one that the hour's snapshot lacks."""
        level = self._stock_of(self.random.choice(PRODUCTS), self.random.randint(0, 60))
        return level | {"_deleted": self.random.random() < 0.15}

    def _stock_of(self, number: int, pieces: int) -> Row:
        return {
            "product_id": number,
            "location_id": self.random.randint(1, 2),
            "shelf": "A",
            "bin": 1,
            "quantity": pieces,
            "modified_at": self._learnt_late(),
        }

    def _product(self) -> Row:
        number = self.random.choice(PRODUCTS)
        version = product(number, self.random.choice((1, 2, None)), self._learnt_late())
        return version | {"standard_cost": Decimal(self.random.randint(1, 99)) / 10}

    def _ad_hours(self) -> list[tuple[date, int]]:
        """This local hour and up to three before it, which are told anew."""
        hours = [self.now - timedelta(hours=8 + back) for back in range(self.random.randint(1, 4))]
        return [(hour.date(), hour.hour) for hour in hours]

    def _facebook(self) -> list[Row]:
        return [
            {
                "account_id": "act_1",
                "campaign_id": self.random.choice(("f1", "f2")),
                "campaign_name": "Spring",
                "campaign_status": self.random.choice(("ACTIVE", "PAUSED")),
                "date_start": day,
                "hour": hour,
                "attribution_setting": self.random.choice(("1d_view", "7d_click")),
                "impressions": 100,
                "clicks": self.random.randint(0, 9),
                "spend": Decimal(self.random.randint(0, 99_999)).scaleb(-2),
                "currency_code": "USD",
                "timezone_name": ZONES["facebook"],
                "_extracted_at": self._moment(),
                "_deleted": self.random.random() < 0.1,
            }
            for day, hour in self._ad_hours()
        ]

    def _google(self) -> list[Row]:
        return [
            {
                "account_id": "c1",
                "campaign_id": "g1",
                "campaign_name": "Search",
                "campaign_status": "ENABLED",
                "channel_type": "SEARCH",
                "segments_date": day,
                "segments_hour": hour,
                "impressions": 100,
                "clicks": self.random.randint(0, 9),
                "cost_micros": self.random.randint(0, 99_999) * 10_000,
                "currency_code": "USD",
                "timezone_name": ZONES["google"],
                "_extracted_at": self._moment(),
                "_deleted": self.random.random() < 0.1,
            }
            for day, hour in self._ad_hours()
        ]

    def _arrivals(self) -> list[Row]:
        """A new line of the purchase order now and then, and the goods of one there is."""
        rows: list[Row] = []
        if self.random.random() < 0.3:
            line = purchase_line(900, len(self.bought) + 1, self._moment())
            self.bought.append(line | {"product_id": self.random.choice(PRODUCTS)})
            rows.append(self.bought[-1])
        elif self.bought:
            place = self.random.randrange(len(self.bought))
            arrived = received(self.random.randint(9, 28), "20.00", "1.00")
            self.bought[place] = self.bought[place] | arrived | {"modified_at": self._moment()}
            rows.append(self.bought[place])
        return rows

    def _web_events(self) -> list[Row]:
        """Of two devices and of none; some are hours late and join visits, or bring a click."""
        found = []
        for _ in range(self.random.randint(1, 4)):
            at = self._moment()
            name = self.random.choice(("page_view", "page_view", "view_item", "purchase"))
            bought = self.random.choice(self.orders)["order_number"]
            clicked = self.random.random() < 0.3
            found.append(
                {
                    "event_id": f"e{at:%d%H%M}",
                    "event_name": name,
                    "occurred_at": at - timedelta(minutes=self.random.choice((0, 0, 25, 180))),
                    "session_id": f"s{at:%d%H}",
                    "client_id": self.random.choice(("a", "b", None)),
                    "customer_id": self.random.choice((None, 1, 2)),
                    "device": "mobile",
                    "page": "/",
                    "order_number": bought if name == "purchase" else None,
                    "fbclid": f"click{at:%d%H%M}" if clicked else None,
                    "utm_source": "facebook" if clicked else None,
                    "utm_id": self.random.choice(("f1", "f2")) if clicked else None,
                    "_extracted_at": at,
                }
            )
        return found

    def _said(self) -> dict[str, list[Row]]:
        """A ticket, or one that is told anew; a comment, a review and an answer now and then."""
        at = self._moment()
        ticket = {
            "ticket_id": len(self.tickets) + 1,
            "customer_id": self.random.choice((None, 1, 2)),
            "created_at": at,
        }
        if self.tickets and self.random.random() < 0.5:
            ticket = self.random.choice(self.tickets)
        else:
            self.tickets.append(ticket)
        told = ticket | {
            "status": self.random.choice(("open", "solved")),
            "category": "delivery",
            "channel": self.random.choice(("email", "phone")),
            "satisfaction": self.random.choice((None, "good", "bad")),
            "updated_at": at,
        }
        comment = {
            "comment_id": at.day * 100 + at.hour,
            "ticket_id": self.random.randint(1, 9),
            "author_role": "agent",
            "is_public": True,
            "created_at": self._moment(),
        }
        review = {
            "review_id": self.random.randint(1, 5),
            "product_id": self.random.choice(PRODUCTS),
            "rating": self.random.randint(1, 5),
            "created_at": START,
            "updated_at": self._moment(),
        }
        answer = {
            "response_id": f"r{at:%d%H}",
            "customer_id": self.random.randint(1, 9),
            "category": "Bikes",
            "answered_at": self._moment(),
        }
        return {
            "tickets": [told],
            "ticket_comments": [comment],
            "product_reviews": [review],
            "survey_responses": [answer],
        }
