"""Orders of the web shop and of resellers as drafts: one form for both, dates already shifted.

Here belongs turning the pack's order lines into order headers and lines. What happens to an order
after it was placed is in :mod:`order_life`.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import retail_platform.simulator.money as money
import retail_platform.simulator.pack as pack
from retail_platform.simulator.changes import State

FIRST_WEB_DAY = "2021-07-01"
WEB_DELIVERY_DAYS = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class DraftLine:
    """One order line of the pack; amounts in ten-thousandths, ``tax`` None if not per line."""

    product_id: int
    quantity: int
    unit_price: int
    discount: str
    line_total: int
    tax: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """One order as placed; amounts in ten-thousandths, days in the company's local time.

    Attributes:
        ship_day: Day of shipment that the data gives, None where it gives none.
    """

    order_id: int
    channel: str
    customer_id: int | None
    store_id: int | None
    sales_person_id: int | None
    day: date
    due_day: date
    ship_day: date | None
    sub_total: int
    tax: int
    freight: int
    lines: tuple[DraftLine, ...]


def web_names(lines: list[dict[str, str]]) -> dict[str, str]:
    """Customer names by e-mail address, as the web orders give them."""
    return {line["EmailAddress"]: line["CustomerName"] for line in lines}


def web_drafts(
    lines: list[dict[str, str]], customers: State, products: State, weeks: int
) -> list[Draft]:
    """Web orders from :data:`FIRST_WEB_DAY` on; an e-mail that joins to nobody has no customer."""
    by_email = {
        row["email"]: row["customer_id"]
        for row in customers.values()
        if row["customer_type"] == "person" and row["email"]
    }
    by_name = {row["name"]: int(row["product_id"] or 0) for row in products.values()}
    orders: dict[str, list[dict[str, str]]] = defaultdict(list)
    for line in lines:
        if line["OrderDate"] >= FIRST_WEB_DAY:
            orders[line["SalesOrderNumber"]].append(line)
    return [
        _web_draft(number, group, by_email, by_name, timedelta(weeks=weeks))
        for number, group in orders.items()
    ]


def _web_draft(
    number: str,
    group: list[dict[str, str]],
    by_email: Mapping[Any, Any],
    by_name: Mapping[Any, int],
    shift: timedelta,
) -> Draft:
    group = sorted(group, key=lambda line: int(line["SalesOrderLineNumber"]))
    lines = tuple(
        DraftLine(
            product_id=by_name[line["Item"]],
            quantity=int(line["Quantity"]),
            unit_price=money.ticks(line["UnitPrice"]),
            discount="0.0000",
            line_total=int(line["Quantity"]) * money.ticks(line["UnitPrice"]),
            tax=money.ticks(line["TaxAmount"]),
        )
        for line in group
    )
    day = date.fromisoformat(group[0]["OrderDate"]) + shift
    return Draft(
        order_id=int(number.removeprefix("SO")),
        channel="online",
        customer_id=by_email.get(group[0]["EmailAddress"]),
        store_id=None,
        sales_person_id=None,
        day=day,
        due_day=day + timedelta(days=WEB_DELIVERY_DAYS),
        ship_day=None,
        sub_total=sum(line.line_total for line in lines),
        tax=sum(line.tax or 0 for line in lines),
        freight=0,
        lines=lines,
    )


def reseller_drafts(customers: State, weeks: int) -> list[Draft]:
    """Reseller orders; lines in the order of their detail ids, header amounts taken once."""
    by_person = {row["person_id"]: row for row in customers.values() if row["person_id"]}
    orders: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for line in pack.reseller_order_lines():
        orders[line["SalesOrderID"]].append(line)
    shift = timedelta(weeks=weeks)
    drafts = []
    for order_id, group in sorted(orders.items()):
        group.sort(key=lambda line: line["SalesOrderDetailID_K"])
        head = group[0]
        customer = by_person[head["CustomerID_FK"]]
        drafts.append(
            Draft(
                order_id=order_id,
                channel="reseller",
                customer_id=int(customer["customer_id"] or 0),
                store_id=int(customer["store_id"]) if customer["store_id"] else None,
                sales_person_id=head["EmployeeID_FK"],
                day=_us_date(head["OrderDate"]) + shift,
                due_day=_us_date(head["DueDate"]) + shift,
                ship_day=_us_date(head["ShipDate"]) + shift,
                sub_total=money.ticks(head["SubTotal"]),
                tax=money.ticks(head["TaxAmt"]),
                freight=money.ticks(head["Freight"]),
                lines=tuple(_reseller_line(line) for line in group),
            )
        )
    return drafts


def _reseller_line(line: dict[str, Any]) -> DraftLine:
    return DraftLine(
        product_id=line["ProductID_FK"],
        quantity=line["OrderQty"],
        unit_price=money.ticks(line["UnitPrice"]),
        discount=money.text(money.ticks(line["UnitPriceDiscount"])),
        line_total=money.ticks(line["LineTotal"]),
        tax=None,
    )


def _us_date(text: str) -> date:
    month, day, year = text.split("/")
    return datetime(int(year), int(month), int(day)).date()  # noqa: DTZ001 - a calendar day
