"""What a set of loads told of RetailCorp, as pandas frames: from pack and change log alone.

The readings of the simulator's books are `simulator.expected_reads`'; merging, typing and times are
done here anew. Money is `Decimal`, instants are aware UTC. Nothing of Silver or Gold is read. Not
here: the arithmetic of marts (`mart_books`).
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

import pandas as pd

from retail_platform.simulator.changes import Key, Row
from retail_platform.simulator.expected import Read
from retail_platform.simulator.expected_reads import ADS, Sources, watermark
from retail_platform.simulator.expected_stock import stock_at_ends_of
from retail_platform.simulator.shifts import POS_ZONE
from retail_platform.simulator.simulator import Simulator

Rows = dict[tuple[Any, ...], dict[str, Any]]
"""Rows of a mart by its natural key, named as the mart names its columns."""
NOTHING = {"", "nan", "NULL"}


@dataclass(frozen=True)
class Books:
    """The books as the loads have seen them.

    Attributes:
        simulator: The sources.
        reads: The loads.
        hours: Hours for which the stock is told.
        restate_days: Days that an ads load fetches again.
    """

    simulator: Simulator
    reads: Sequence[Read]
    hours: Sequence[datetime]
    restate_days: int

    @cached_property
    def _sources(self) -> Sources:
        return Sources(simulator=self.simulator, restate_days=self.restate_days)

    def _of(self, entity: str) -> list[Read]:
        return sorted(
            (r for r in self.reads if r.entity == entity), key=lambda r: (r.clock, r.hour)
        )

    def newest(self, entity: str) -> dict[Key, Row]:
        """The last valid row of every key that the loads saw."""
        rows: dict[Key, Row] = {}
        for read in self._of(entity):
            for key, row in self._sources.rows(read).items():
                if _is_valid(entity, row) and (key not in rows or _at(row) >= _at(rows[key])):
                    rows[key] = row
        return rows

    def present(self, entity: str) -> dict[Key, Row]:
        """The rows of the last snapshot of a table."""
        return dict(self._sources.rows(self._of(entity)[-1]))

    def versions(self, entity: str) -> dict[Key, list[Row]]:
        """Every version of every key that the loads saw, the first one first."""
        seen: dict[Key, dict[datetime, Row]] = {}
        for read in self._of(entity):
            for key, row in self._sources.rows(read).items():
                seen.setdefault(key, {})[_at(row)] = row
        return {key: [rows[at] for at in sorted(rows)] for key, rows in seen.items()}

    @cached_property
    def sales(self) -> pd.DataFrame:
        """One row per sold line, cancelled ones included: order lines and till lines."""
        return pd.DataFrame([*self._order_lines(), *self._till_lines()])

    def _order_lines(self) -> Iterable[dict[str, Any]]:
        orders = self.newest("orders")
        customers, products = self.versions("customers"), self.versions("products")
        territories, categories = self.present("territories"), self.present("categories")
        for line in self.newest("order_lines").values():
            header = orders.get((_int(line["order_id"]),))
            if header is None:
                continue
            sold_at = watermark(str(header["ordered_at"]))
            customer = _as_of(customers, header["customer_id"], sold_at)
            product = _as_of(products, line["product_id"], sold_at)
            territory = row_of(territories, customer.get("territory_id"))
            category = row_of(categories, product.get("subcategory_id"))
            cost = product.get("standard_cost")
            yield {
                "source": "sales",
                "channel": header["channel"],
                "number": header["order_number"],
                "customer_id": header["customer_id"],
                "product_id": line["product_id"],
                "store_id": header["store_id"],
                "sold_at": sold_at,
                "quantity": _int(line["quantity"]),
                "amount": Decimal(str(line["line_total"])),
                "cost": None if cost is None else _int(line["quantity"]) * Decimal(str(cost)),
                "currency": header["currency_code"],
                "region": territory.get("name", "Unknown"),
                "category": category.get("category", "Unclassified"),
                "is_cancelled": header["status"] == "cancelled",
                "is_return": False,
            }

    def _till_lines(self) -> Iterable[dict[str, Any]]:
        for hour in sorted({read.hour for read in self._of("pos_transactions")}):
            for row in self._sources.pos_rows(hour):
                if not row.is_valid or row.quantity is None or row.unit_price is None:
                    continue
                fields = next(csv.reader([row.text]))
                local = datetime.fromisoformat(fields[4]).replace(tzinfo=POS_ZONE)
                country = fields[7].strip()
                yield {
                    "source": "pos",
                    "channel": "pos",
                    "number": fields[0].strip(),
                    "customer_id": None,
                    "product_id": None,
                    "store_id": None,
                    "sold_at": local.astimezone(UTC),
                    "quantity": row.quantity,
                    "amount": row.quantity * row.unit_price,
                    "cost": None,
                    "currency": "GBP",
                    "region": "Unknown" if country in NOTHING else country,
                    "category": "Unclassified",
                    "is_cancelled": False,
                    "is_return": fields[0].strip().upper().startswith("C") or row.quantity < 0,
                }

    @cached_property
    def spend(self) -> pd.DataFrame:
        """One row per campaign and account-local hour, as the last fetch of its day told it."""
        rows = []
        for entity, account in ADS.items():
            days: dict[date, list[Any]] = {}
            for read in self._of(entity):
                days.update(self._sources.ads(read))
            for figures in (row for day in days.values() for row in day):
                if figures.spend_cents < 0:
                    continue
                local = datetime.combine(figures.day, datetime.min.time(), account.zone)
                rows.append(
                    {
                        "platform": account.platform,
                        "campaign_id": figures.campaign.campaign_id,
                        "hour": local.replace(hour=figures.hour).astimezone(UTC),
                        "spend": Decimal(figures.spend_cents) / 100,
                        "clicks": figures.clicks,
                        "currency": account.currency,
                    }
                )
        return pd.DataFrame(rows)

    def spend_told(self, entity: str, day: date) -> list[dict[tuple[str, int], int]]:
        """Cents by campaign and hour of a local day, as each fetch of an ad platform told them."""
        told = [self._sources.ads(read).get(day, []) for read in self._of(entity)]
        return [
            {(row.campaign.campaign_id, row.hour): row.spend_cents for row in rows}
            for rows in told
            if rows
        ]

    @cached_property
    def stock(self) -> pd.DataFrame:
        """The stock at the end of every hour: one row per product, location and hour."""
        reads = self._of("stock_levels")
        snapshots = {read.hour: self._sources.rows(read) for read in reads}
        return pd.DataFrame(
            [
                {
                    "hour": hour,
                    "product_id": row["product_id"],
                    "location_id": row["location_id"],
                    "quantity": _int(row["quantity"]),
                }
                for hour in self.hours
                for row in stock_at_ends_of(snapshots, [hour])
            ]
        )

    @cached_property
    def purchases(self) -> pd.DataFrame:
        """One row per line of a purchase order."""
        orders = self.newest("purchase_orders")
        rows = []
        for line in self.newest("purchase_order_lines").values():
            header = orders.get((_int(line["purchase_order_id"]),))
            if header is None:
                continue
            received = line["received_at"] and watermark(str(line["received_at"]))
            ordered = watermark(str(header["ordered_at"]))
            rows.append(
                {
                    "supplier_id": header["supplier_id"],
                    "order_id": header["purchase_order_id"],
                    "product_id": line["product_id"],
                    "amount": Decimal(str(line["line_total"])),
                    "ordered": _int(line["ordered_quantity"]),
                    "received": Decimal(str(line["received_quantity"])),
                    "rejected": Decimal(str(line["rejected_quantity"])),
                    "received_at": received,
                    "is_late": bool(received)
                    and received.date() > date.fromisoformat(str(line["due_date"])),
                    "minutes": (received - ordered).total_seconds() // 60 if received else None,
                    "is_open": not received and header["status"] in ("pending", "approved"),
                }
            )
        return pd.DataFrame(rows)


def row_of(rows: Mapping[Key, Row], member: object) -> Row:
    """The row of a number that may be unknown or missing; empty then."""
    return {} if member is None else rows.get((_int(member),), {})


def key_of(key: Any) -> tuple[Any, ...]:
    """A group's key as a tuple of plain values."""
    parts = key if isinstance(key, tuple) else (key,)
    return tuple(p.to_pydatetime() if isinstance(p, pd.Timestamp) else p for p in parts)


def summed(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum."""
    return sum(amounts, Decimal(0))


def whole_number(value: Any) -> int:
    """A number that pandas may hold as a float, because its column has gaps."""
    return int(value)


def _is_valid(entity: str, row: Row) -> bool:
    if entity == "orders":
        return Decimal(str(row["total_due"])) >= 0
    return entity != "order_lines" or _int(row["quantity"]) > 0


def _at(row: Row) -> datetime:
    return watermark(str(row["modified_at"]))


def _int(value: object) -> int:
    return int(str(value))


def _as_of(versions: Mapping[Key, list[Row]], member: object, at: datetime) -> Row:
    """The version that held at `at`; the first reaches back to the beginning."""
    if member is None:
        return {}
    chain = versions.get((_int(member),), [])
    begun = [row for row in chain if _at(row) <= at] or chain[:1]
    return begun[-1] if begun else {}
