"""A small model of Silver for the tests of Gold: what its tables hold after hours in any order.

Upserts keep the row of the greatest sequence; versioned tables keep one row per key and start, with
the hour that last changed it; a reference to an unknown customer leaves an inferred member. Only
what Gold can see is modelled; Silver's own tests judge Silver.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from retail_platform_tests.gold.silver_lake import SilverLake

KEYS = {
    "customers": ("customer_id",),
    "products": ("product_id",),
    "categories": ("subcategory_id",),
    "territories": ("territory_id",),
    "stores": ("store_id",),
    "suppliers": ("supplier_id",),
    "purchase_orders": ("purchase_order_id",),
    "purchase_order_lines": ("purchase_order_id", "line_number"),
    "orders": ("order_id",),
    "order_lines": ("order_id", "line_number"),
    "stock_levels": ("product_id", "location_id"),
    "pos_transactions": ("file_path", "line_number"),
    "facebook_insights": (
        "account_id",
        "campaign_id",
        "date_start",
        "hour",
        "attribution_setting",
    ),
    "google_campaign_performance": (
        "account_id",
        "campaign_id",
        "segments_date",
        "segments_hour",
    ),
    "web_events": ("event_id",),
    "tickets": ("ticket_id",),
    "ticket_comments": ("comment_id",),
    "product_reviews": ("review_id",),
    "survey_responses": ("response_id",),
}
VERSIONED = {"customers", "products", "suppliers", "stock_levels"}
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)

Row = dict[str, Any]
Batch = Mapping[str, list[Row]]


@dataclass
class SilverModel:
    """Silver's tables; rows carry `modified_at` as their sequence."""

    tables: dict[str, dict[tuple[Any, ...], Row]] = field(
        default_factory=lambda: {entity: {} for entity in KEYS}
    )

    def process(self, hour: datetime, batch: Batch) -> None:
        """Merge what the hour brought."""
        for entity, rows in batch.items():
            for row in rows:
                if entity in VERSIONED:
                    self._add_version(entity, hour, row)
                else:
                    self._upsert(entity, hour, row)
        self._infer_customers(hour)

    def write_to(self, lake: SilverLake) -> None:
        """Write every table to the lake."""
        for entity, rows in self.tables.items():
            lake.write(entity, rows.values())

    def _upsert(self, entity: str, hour: datetime, row: Row) -> None:
        key = tuple(row[name] for name in KEYS[entity])
        stored = self.tables[entity].get(key)
        if stored is None or _sequence(row) > _sequence(stored):
            extracted = row.get("_extracted_at", hour)
            self.tables[entity][key] = {
                **row,
                "_hour": hour,
                "_extracted_at": extracted,
            }

    def _add_version(self, entity: str, hour: datetime, row: Row) -> None:
        table = self.tables[entity]
        key = tuple(row[name] for name in KEYS[entity])
        identity = (*key, row["modified_at"])
        if identity in table:
            return
        table.pop((*key, EARLIEST), None)
        table[identity] = {**row, "valid_from": row["modified_at"], "_hour": hour}
        versions = sorted(self._versions(entity, key), key=lambda one: one["valid_from"])
        ends = [version["valid_from"] for version in versions[1:]] + [None]
        for version, end in zip(versions, ends, strict=True):
            if version.get("valid_to") != end:
                version["_hour"] = hour
            version["valid_to"] = end
            version["is_current"] = end is None

    def _versions(self, entity: str, key: tuple[Any, ...]) -> Iterator[Row]:
        return (row for identity, row in self.tables[entity].items() if identity[:-1] == key)

    def _infer_customers(self, hour: datetime) -> None:
        known = {identity[0] for identity in self.tables["customers"]}
        for order in self.tables["orders"].values():
            customer = order.get("customer_id")
            if customer is not None and customer not in known:
                self.tables["customers"][customer, EARLIEST] = {
                    "customer_id": customer,
                    "valid_from": EARLIEST,
                    "valid_to": None,
                    "is_current": True,
                    "_inferred": True,
                    "_hour": hour,
                }


def _sequence(row: Row) -> datetime:
    times = (row.get(name) for name in ("modified_at", "updated_at", "_extracted_at"))
    return next((time for time in times if time), EARLIEST)
