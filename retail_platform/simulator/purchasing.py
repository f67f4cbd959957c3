"""Purchasing: who supplies what, and the life of a purchase order from request to receipt.

Here belongs what RetailCorp buys. Prices, quantities ordered, received and rejected, and the days
of order and shipment are the pack's; hours of the day, approval and arrival are simulated.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta

import retail_platform.simulator.money as money
import retail_platform.simulator.pack as pack
from retail_platform.simulator.chance import days, dice, shop_second
from retail_platform.simulator.changes import Key, Row, State
from retail_platform.simulator.journal import Journal
from retail_platform.simulator.shifts import DAY, HOUR, MINUTE, local_micros, local_text

SUPPLIER_CHANGE_SHARE = 0.5
LATE_SHARE = 0.15
IN_TWO_PARTS_SHARE = 0.1
_WAITING, _REJECTED = "1", "3"


def supplier_rows() -> State:
    """Every vendor without ``modified_at``, by ``(supplier_id,)``; flags are 0 and 1."""
    rows: State = {}
    for row in pack.oltp_rows("Vendor"):
        supplier_id = int(row["BusinessEntityID"])
        rows[(supplier_id,)] = {
            "supplier_id": supplier_id,
            "account_number": row["AccountNumber"],
            "name": row["Name"],
            "credit_rating": int(row["CreditRating"]),
            "is_preferred": int(row["PreferredVendorStatus"]),
            "is_active": int(row["ActiveFlag"]),
        }
    return rows


def supplier_product_rows(weeks: int) -> State:
    """What each supplier delivers, without ``modified_at``, by ``(supplier_id, product_id)``."""
    rows: State = {}
    for row in pack.oltp_rows("ProductVendor"):
        key = int(row["BusinessEntityID"]), int(row["ProductID"])
        last = row["LastReceiptDate"]
        on_order = row["OnOrderQty"]
        rows[key] = {
            "supplier_id": key[0],
            "product_id": key[1],
            "average_lead_time_days": int(row["AverageLeadTime"]),
            "standard_price": money.text(money.ticks(row["StandardPrice"])),
            "last_receipt_cost": money.text(money.ticks(row["LastReceiptCost"]))
            if row["LastReceiptCost"]
            else None,
            "last_receipt_at": local_text(local_micros(_day(last, weeks), 12 * 3600))
            if last
            else None,
            "min_order_quantity": int(row["MinOrderQty"]),
            "max_order_quantity": int(row["MaxOrderQty"]),
            "on_order_quantity": int(on_order) if on_order else None,
            "unit_code": row["UnitMeasureCode"],
        }
    return rows


def write_suppliers(journal: Journal, *, seed: int, first: date, last: date) -> None:
    """Write all suppliers, then their new ratings from ``first`` to ``last``."""
    rng = dice(seed, "suppliers")
    suppliers = supplier_rows()
    for key, supplier in suppliers.items():
        journal.put(
            "suppliers", key, supplier, journal.start - 30 * DAY - int(rng.random() * 700 * DAY)
        )
    keys = list(suppliers)
    for day in days(first, last):
        rng = dice(seed, "suppliers", day)
        at, key = local_micros(day, shop_second(rng)), rng.choice(keys)
        if rng.random() > SUPPLIER_CHANGE_SHARE or at < journal.start:
            continue
        rating = int(suppliers[key]["credit_rating"] or 0) % 5 + 1
        suppliers[key] = {**suppliers[key], "credit_rating": rating}
        journal.put("suppliers", key, suppliers[key], at, op="update")


@dataclass(frozen=True, slots=True)
class _Receipt:
    at: int
    product: Key
    unit_price: str


def write_purchases(journal: Journal, *, seed: int, weeks: int, last: date) -> None:
    """Write every purchase order with its lines, and what receipts change at the suppliers' goods.

    An order waits for approval, is refused or approved, is shipped on the pack's day, and arrives
    line by line before its due date or some days late, some lines in two parts. It is complete with
    its last line.

    Args:
        journal: Where to write.
        seed: Seed of every draw.
        weeks: Shift of the feed in whole weeks.
        last: Last day of the data; later orders are left out.
    """
    goods = supplier_product_rows(weeks)
    rng = dice(seed, "supplier_products")
    for key, row in goods.items():
        journal.put(
            "supplier_products", key, row, journal.start - 30 * DAY - int(rng.random() * 300 * DAY)
        )
    lines: dict[str, list[dict[str, str]]] = defaultdict(list)
    for line in pack.oltp_rows("PurchaseOrderDetail"):
        lines[line["PurchaseOrderID"]].append(line)
    receipts: list[_Receipt] = []
    for order in pack.oltp_rows("PurchaseOrderHeader"):
        if _day(order["OrderDate"], weeks) <= last:
            receipts += _Order(journal, order, lines[order["PurchaseOrderID"]], seed, weeks).write()
    for receipt in sorted(receipts, key=lambda receipt: (receipt.at, receipt.product)):
        row = goods.get(receipt.product)
        if row is None:
            continue
        goods[receipt.product] = {
            **row,
            "last_receipt_cost": receipt.unit_price,
            "last_receipt_at": local_text(receipt.at),
        }
        journal.put(
            "supplier_products",
            receipt.product,
            goods[receipt.product],
            receipt.at + MINUTE,
            op="update",
        )


class _Order:
    """One purchase order while it passes."""

    def __init__(
        self,
        journal: Journal,
        order: dict[str, str],
        lines: list[dict[str, str]],
        seed: int,
        weeks: int,
    ) -> None:
        self.journal = journal
        self.order = order
        self.lines = lines
        self.weeks = weeks
        self.id = int(order["PurchaseOrderID"])
        self.rng = dice(seed, "purchase", self.id)

    def write(self) -> list[_Receipt]:
        at = local_micros(_day(self.order["OrderDate"], self.weeks), shop_second(self.rng))
        header = self._header(at)
        self.journal.put("purchase_orders", (self.id,), header, at)
        rows = {number: self._line(number, line) for number, line in enumerate(self.lines, start=1)}
        for number, row in rows.items():
            self.journal.put("purchase_order_lines", (self.id, number), row, at + number)
        if self.order["Status"] == _WAITING:
            return []
        decided = at + int(self.rng.uniform(0.5, 20) * HOUR)
        if self.order["Status"] == _REJECTED:
            self._update({**header, "status": "rejected"}, decided)
            return []
        header = {**header, "status": "approved", "approved_at": local_text(decided)}
        self._update(header, decided)
        shipped = local_micros(
            _day(self.order["ShipDate"], self.weeks), self.rng.uniform(7, 19) * 3600 // 1
        )
        header = {**header, "shipped_at": local_text(shipped)}
        self._update(header, shipped)
        receipts = [
            receipt
            for number, row in rows.items()
            for receipt in self._receive(number, row, shipped)
        ]
        arrived = max(receipt.at for receipt in receipts)
        self._update({**header, "status": "complete"}, arrived + 5 * MINUTE)
        return receipts

    def _update(self, header: Row, at: int) -> None:
        self.journal.put("purchase_orders", (self.id,), header, at, op="update")

    def _receive(self, number: int, row: Row, shipped: int) -> list[_Receipt]:
        """Receive one line at once or in two parts."""
        line = self.lines[number - 1]
        total, rejected = _quantity(line["ReceivedQty"]), _quantity(line["RejectedQty"])
        latest = 9 if self.rng.random() < LATE_SHARE else 5
        at = shipped + int(self.rng.uniform(0.5, latest) * DAY)
        parts = [(at, total, rejected)]
        if self.rng.random() < IN_TWO_PARTS_SHARE and total - rejected > 1:
            first = (total - rejected) // 2
            parts = [(at, first, 0), (at + int(self.rng.uniform(2, 40) * HOUR), total, rejected)]
        for when, received, refused in parts:
            row = {
                **row,
                "received_quantity": f"{received}.00",
                "rejected_quantity": f"{refused}.00",
                "received_at": local_text(when),
            }
            self.journal.put("purchase_order_lines", (self.id, number), row, when, op="update")
        product = int(self.order["VendorID"]), int(line["ProductID"])
        return [_Receipt(when, product, str(row["unit_price"])) for when, _, _ in parts]

    def _header(self, at: int) -> Row:
        amounts = {
            name: money.text(money.ticks(self.order[field]))
            for name, field in (
                ("sub_total", "SubTotal"),
                ("tax_amount", "TaxAmt"),
                ("freight", "Freight"),
                ("total_due", "TotalDue"),
            )
        }
        return {
            "purchase_order_id": self.id,
            "supplier_id": int(self.order["VendorID"]),
            "employee_id": int(self.order["EmployeeID"]),
            "ship_method_id": int(self.order["ShipMethodID"]),
            "status": "pending",
            "ordered_at": local_text(at),
            "approved_at": None,
            "shipped_at": None,
            **amounts,
        }

    def _line(self, number: int, line: dict[str, str]) -> Row:
        return {
            "purchase_order_id": self.id,
            "line_number": number,
            "product_id": int(line["ProductID"]),
            "due_date": _day(line["DueDate"], self.weeks).isoformat(),
            "ordered_quantity": int(line["OrderQty"]),
            "unit_price": money.text(money.ticks(line["UnitPrice"])),
            "line_total": money.text(money.ticks(line["LineTotal"])),
            "received_quantity": "0.00",
            "rejected_quantity": "0.00",
            "received_at": None,
        }


def _day(text: str, weeks: int) -> date:
    return date.fromisoformat(text[:10]) + timedelta(weeks=weeks)


def _quantity(text: str) -> int:
    """Whole pieces of a quantity such as ``3.00`` or ``.00``."""
    return int(text.split(".", maxsplit=1)[0] or 0)
