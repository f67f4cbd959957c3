"""Five hours of a small RetailCorp, as Silver receives them.

Each hour holds what is hard for Gold: facts that move between buckets, dimension versions that
arrive late, members and headers that arrive after their facts, tombstones, restated ads.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from retail_platform_tests.gold.silver_lake import utc
from retail_platform_tests.gold.silver_model import Batch, Row

START = utc("2026-03-01T10:00:00")
HOURS = [START + timedelta(hours=index) for index in range(5)]


def at(text: str, day: int = 1) -> datetime:
    """A UTC instant of March 2026."""
    return utc(f"2026-03-{day:02d}T{text}")


def order(number: int, ordered: str, modified: str, **changes: Any) -> Row:
    """An order header."""
    return {
        "order_id": number,
        "order_number": f"SO{number}",
        "channel": "online",
        "customer_id": 1,
        "ordered_at": at(ordered),
        "status": "placed",
        "currency_code": "USD",
        "modified_at": at(modified),
    } | changes


def line(
    number: int, position: int, product: int, pieces: int, modified: str, **changes: Any
) -> Row:
    """An order line at 10.5005 a piece."""
    price = Decimal("10.5005")
    return {
        "order_id": number,
        "line_number": position,
        "product_id": product,
        "quantity": pieces,
        "unit_price": price,
        "line_total": price * pieces,
        "modified_at": at(modified),
    } | changes


def customer(number: int, territory: int, modified: datetime) -> Row:
    """A version of a customer."""
    return {
        "customer_id": number,
        "customer_type": "person",
        "territory_id": territory,
        "modified_at": modified,
    }


def product(number: int, subcategory: int | None, modified: datetime) -> Row:
    """A version of a product."""
    return {
        "product_id": number,
        "name": f"Product {number}",
        "list_price": Decimal(20),
        "subcategory_id": subcategory,
        "modified_at": modified,
    }


def supplier(number: int, rating: int, modified: datetime) -> Row:
    """A version of a supplier."""
    return {
        "supplier_id": number,
        "name": f"Supplier {number}",
        "credit_rating": rating,
        "modified_at": modified,
    }


def purchase(number: int, supplier_id: int, status: str, modified: datetime) -> Row:
    """An order of 1 February with a supplier."""
    return {
        "purchase_order_id": number,
        "supplier_id": supplier_id,
        "status": status,
        "ordered_at": utc("2026-02-01T12:00:00"),
        "modified_at": modified,
    }


def purchase_line(number: int, position: int, modified: datetime, **changes: Any) -> Row:
    """Twenty pieces of product 10, not received yet."""
    return {
        "purchase_order_id": number,
        "line_number": position,
        "product_id": 10,
        "due_date": date(2026, 2, 10),
        "ordered_quantity": 20,
        "unit_price": Decimal("4.0000"),
        "line_total": Decimal("80.0000"),
        "received_quantity": Decimal("0.00"),
        "rejected_quantity": Decimal("0.00"),
        "modified_at": modified,
    } | changes


def received(day: int, pieces: str, refused: str) -> Row:
    """What a receipt of a February day changes about a line."""
    return {
        "received_at": utc(f"2026-02-{day:02d}T12:00:00"),
        "received_quantity": Decimal(pieces),
        "rejected_quantity": Decimal(refused),
    }


def till(
    file_hour: int,
    position: int,
    pieces: int,
    country: str | None = "France",
    **changes: Any,
) -> Row:
    """A till line of the hour's file."""
    return {
        "invoice_no": f"5{file_hour}",
        "stock_code": "85123A",
        "quantity": pieces,
        "sold_at": at(f"{file_hour:02d}:20:00"),
        "unit_price": Decimal("2.5500"),
        "customer_id": 17850,
        "country": country,
        "file_path": f"transactions_{file_hour}.csv",
        "line_number": position,
    } | changes


def stock(product_id: int, pieces: int, modified: str) -> Row:
    """A version of a stock level."""
    return {
        "product_id": product_id,
        "location_id": 1,
        "shelf": "A",
        "bin": 1,
        "quantity": pieces,
        "modified_at": at(modified),
    }


def facebook(local_hour: int, spend: str, fetched: str, **changes: Any) -> Row:
    """A Facebook campaign's hour of 1 March in New York (UTC-5)."""
    return {
        "account_id": "act_1",
        "campaign_id": "f1",
        "campaign_name": "Spring",
        "objective": "SALES",
        "date_start": date(2026, 3, 1),
        "hour": local_hour,
        "attribution_setting": "7d_click",
        "impressions": 100,
        "clicks": 5,
        "spend": Decimal(spend),
        "currency_code": "USD",
        "timezone_name": "America/New_York",
        "campaign_status": "ACTIVE",
        "_extracted_at": at(fetched),
    } | changes


def google(local_hour: int, micros: int, fetched: str, **changes: Any) -> Row:
    """A Google campaign's hour of 1 March in Los Angeles (UTC-8)."""
    return {
        "account_id": "c1",
        "campaign_id": "g1",
        "campaign_name": "Search",
        "campaign_status": "ENABLED",
        "channel_type": "SEARCH",
        "segments_date": date(2026, 3, 1),
        "segments_hour": local_hour,
        "impressions": 100,
        "clicks": 5,
        "cost_micros": micros,
        "currency_code": "USD",
        "timezone_name": "America/Los_Angeles",
        "daily_budget_micros": 5_000_000,
        "_extracted_at": at(fetched),
    } | changes


def event(number: int, visitor: str | None, occurred: str, **changes: Any) -> Row:
    """A page that a visitor of the web shop sees."""
    return {
        "event_id": f"e{number}",
        "event_name": "page_view",
        "occurred_at": at(occurred),
        "session_id": f"s-{number}",
        "client_id": visitor,
        "device": "mobile",
        "page": f"/{number}",
    } | changes


def click(campaign: str, number: str) -> Row:
    """What a click on a Facebook campaign adds to an event."""
    return {
        "utm_source": "facebook",
        "utm_medium": "cpc",
        "utm_campaign": "Spring",
        "utm_id": campaign,
        "fbclid": number,
    }


def ticket(number: int, customer_id: int | None, created: str, updated: str, **changes: Any) -> Row:
    """A ticket by e-mail."""
    return {
        "ticket_id": number,
        "status": "open",
        "category": "delivery",
        "customer_id": customer_id,
        "requester_role": "end-user",
        "channel": "email",
        "created_at": at(created),
        "updated_at": at(updated),
    } | changes


def comment(number: int, ticket_id: int, created: str, **changes: Any) -> Row:
    """A public comment of an agent."""
    return {
        "comment_id": number,
        "ticket_id": ticket_id,
        "author_role": "agent",
        "is_public": True,
        "created_at": at(created),
    } | changes


LAST_MONTH = utc("2026-02-28T23:30:00")
LONG_AGO = utc("2025-01-01T00:00:00")
BATCHES: list[Batch] = [
    {
        "territories": [
            {"territory_id": 1, "name": "Northwest", "modified_at": LONG_AGO},
            {"territory_id": 2, "name": "Germany", "modified_at": LONG_AGO},
        ],
        "categories": [
            {"subcategory_id": 1, "category": "Bikes", "modified_at": LONG_AGO},
            {"subcategory_id": 2, "category": "Clothing", "modified_at": LONG_AGO},
        ],
        "stores": [{"store_id": 7, "name": "Shop", "territory_id": 1, "modified_at": LONG_AGO}],
        "customers": [customer(1, 1, LONG_AGO), customer(2, 2, LONG_AGO)],
        "products": [
            product(10, 1, LONG_AGO),
            product(20, 2, LONG_AGO),
            product(30, None, LONG_AGO),
        ],
        "orders": [
            order(100, "09:10:00", "10:01:00"),
            order(
                101,
                "09:50:00",
                "10:02:00",
                customer_id=2,
                channel="reseller",
                store_id=7,
            ),
            order(102, "10:30:00", "10:30:00", customer_id=None),
        ],
        "order_lines": [
            line(100, 1, 10, 2, "10:01:00"),
            line(100, 2, 20, 1, "10:01:00"),
            line(101, 1, 30, 3, "10:02:00"),
            line(102, 1, 10, 1, "10:30:00"),
        ],
        "suppliers": [supplier(5, 1, LONG_AGO)],
        "purchase_orders": [purchase(900, 5, "approved", LONG_AGO)],
        "purchase_order_lines": [
            purchase_line(900, 1, LONG_AGO, **received(9, "20.00", "0.00")),
            purchase_line(900, 2, LONG_AGO, **received(11, "18.00", "2.00")),
            purchase_line(900, 3, LONG_AGO),
            purchase_line(900, 4, LONG_AGO),
            purchase_line(901, 1, LONG_AGO),
        ],
        "pos_transactions": [
            till(10, 1, 6),
            till(10, 2, -1, invoice_no="C510"),
            till(10, 3, 5, stock_code="22423"),
        ],
        "stock_levels": [stock(10, 50, "09:00:00"), stock(20, 0, "09:00:00")],
        "facebook_insights": [facebook(5, "10.0000", "11:00:00")],
        "google_campaign_performance": [google(2, 5_123_456, "11:00:00")],
        # Late events join a's visits at 10:00 and 10:55, and tell of b's last month.
        "web_events": [
            event(1, "a", "10:00:00"),
            event(2, "a", "10:25:00", customer_id=1, **click("f1", "click-a")),
            event(3, "b", "10:05:00", event_name="view_item", product_id=10),
            event(4, None, "10:10:00"),
        ],
        "tickets": [ticket(1, 1, "10:10:00", "10:10:00")],
        "ticket_comments": [
            comment(11, 1, "10:10:00", author_role="end-user"),
            comment(12, 1, "10:40:00"),
            comment(13, 1, "10:41:00", is_public=False),
            comment(21, 2, "10:50:00"),
        ],
        "product_reviews": [
            {"review_id": 1, "product_id": 10, "rating": 5, "created_at": at("10:30:00")}
        ],
    },
    {
        "orders": [
            order(100, "10:10:00", "11:05:00"),
            order(105, "11:20:00", "11:20:00", customer_id=9),
        ],
        "order_lines": [line(105, 1, 20, 4, "11:20:00")],
        "pos_transactions": [till(11, 1, 3, None), till(11, 2, 2, "Germany")],
        "stock_levels": [stock(20, 8, "11:30:00")],
        "facebook_insights": [
            facebook(5, "12.5000", "12:00:00"),
            facebook(6, "1.0000", "12:00:00"),
        ],
        "web_events": [
            event(5, "a", "10:56:00", event_name="add_to_cart", product_id=10),
            event(6, "a", "11:00:00", event_name="purchase", order_number="SO100", customer_id=1),
            event(7, "b", "11:10:00"),
        ],
        "tickets": [ticket(2, 2, "10:45:00", "11:30:00", channel="phone")],
        "survey_responses": [
            {
                "response_id": "r1",
                "customer_id": 9,
                "category": "Bikes",
                "answered_at": at("11:05:00"),
            }
        ],
    },
    {
        "customers": [customer(1, 2, at("09:00:00"))],
        "products": [product(10, 2, at("10:20:00"))],
        "orders": [
            order(
                101,
                "09:50:00",
                "12:10:00",
                customer_id=2,
                channel="reseller",
                status="cancelled",
            ),
            order(107, "12:20:00", "12:20:00", currency_code="EUR", ordered_at=LAST_MONTH),
        ],
        "order_lines": [line(102, 1, 10, 5, "12:15:00"), line(107, 1, 20, 1, "12:20:00")],
        "pos_transactions": [
            till(12, 1, 1),
            till(12, 2, -2, stock_code="22423", invoice_no="C512"),
            till(12, 3, -1, stock_code="never sold", invoice_no="C513"),
        ],
        "stock_levels": [stock(10, 45, "12:15:00")],
        "web_events": [event(8, "a", "12:20:00", **click("f2", "click-later"))],
        "tickets": [ticket(1, 1, "10:10:00", "12:30:00", channel="chat", satisfaction="good")],
        "product_reviews": [
            {
                "review_id": 1,
                "product_id": 10,
                "rating": 2,
                "created_at": at("10:30:00"),
                "updated_at": at("12:00:00"),
            }
        ],
    },
    {
        "customers": [customer(9, 1, at("13:00:00"))],
        "suppliers": [supplier(5, 3, at("13:00:00")), supplier(6, 2, at("13:00:00"))],
        "purchase_orders": [purchase(901, 6, "rejected", at("13:00:00"))],
        "purchase_order_lines": [
            purchase_line(900, 3, at("13:00:00"), **received(13, "20.00", "0.00"))
        ],
        "orders": [order(107, "08:00:00", "13:20:00", currency_code="EUR")],
        "order_lines": [
            line(100, 2, 20, 1, "13:10:00", _deleted=True),
            line(106, 1, 10, 2, "13:30:00"),
        ],
        "pos_transactions": [till(13, 1, 4)],
        "facebook_insights": [facebook(6, "1.0000", "14:00:00", _deleted=True)],
        "google_campaign_performance": [
            google(2, 6_000_000, "14:00:00", campaign_status="PAUSED"),
            google(3, 1_000_000, "14:00:00", campaign_status="PAUSED"),
        ],
        "web_events": [
            event(9, "a", "10:40:00", page="/late"),
            event(10, "b", "10:00:00", gclid="click-b", utm_id="g1", occurred_at=LAST_MONTH),
        ],
        "tickets": [
            ticket(2, 2, "10:45:00", "13:30:00", channel="phone", satisfaction="bad"),
            ticket(3, None, "13:00:00", "13:00:00", _deleted=True),
        ],
    },
    {
        "territories": [{"territory_id": 2, "name": "Central", "modified_at": at("14:00:00")}],
        "categories": [{"subcategory_id": 1, "category": "Cycles", "modified_at": at("14:00:00")}],
        "orders": [order(106, "13:40:00", "14:05:00", customer_id=9)],
        "pos_transactions": [till(14, 1, 1)],
        "stock_levels": [stock(10, 40, "14:10:00"), stock(20, 7, "14:20:00")],
        "web_events": [
            event(11, "b", "13:39:00", event_name="purchase", order_number="SO106"),
        ],
    },
]
