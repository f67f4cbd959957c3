"""A small model of Silver for the tests of Gold: what its tables hold after hours in any order.

Upserts keep the row of the greatest sequence; versioned tables keep one row per key and start, with
the hour that last changed it; a reference to an unknown customer leaves an inferred member. Only
what Gold can see is modelled; Silver's own tests judge Silver.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from retail_platform_tests.gold.silver_lake import SilverLake, catalog

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)

Row = dict[str, Any]
Batch = Mapping[str, list[Row]]


@dataclass
class SilverModel:
    """Silver's tables; rows carry `modified_at` as their sequence."""

    tables: dict[str, dict[tuple[Any, ...], Row]] = field(
        default_factory=lambda: {table.entity: {} for table in catalog().tables}
    )
    _changed: set[str] = field(default_factory=set, init=False)
    _taken_out: dict[tuple[Any, ...], set[datetime]] = field(
        default_factory=lambda: defaultdict(set), init=False
    )

    def process(self, hour: datetime, batch: Batch) -> None:
        """Merge what the hour brought."""
        for entity, rows in batch.items():
            self._changed.add(entity)
            for row in rows:
                if catalog().by_entity[entity].row.silver.merge == "scd2":
                    self._add_version(entity, hour, row)
                else:
                    self._upsert(entity, hour, row)
        self._infer_customers(hour)

    def write_to(self, lake: SilverLake) -> None:
        """Write the tables that changed since they were last written."""
        for entity in sorted(self._changed):
            lake.write(entity, self.tables[entity].values())
        self._changed.clear()

    def content(self) -> dict[str, dict[tuple[Any, ...], Row]]:
        """What Silver tells of every row by key, whenever it was learnt; no inferred members."""
        technical = ("_hour", "_extracted_at")
        return {
            entity: {
                key: {name: value for name, value in row.items() if name not in technical}
                for key, row in rows.items()
                if not row.get("_inferred")
            }
            for entity, rows in self.tables.items()
        }

    def _upsert(self, entity: str, hour: datetime, row: Row) -> None:
        key = _key(entity, row)
        stored = self.tables[entity].get(key)
        if stored is None or _sequence(row) > _sequence(stored):
            extracted = row.get("_extracted_at", hour)
            self.tables[entity][key] = {
                **row,
                "_hour": hour,
                "_extracted_at": extracted,
            }

    def _add_version(self, entity: str, hour: datetime, row: Row) -> None:
        """Add a version, or with `_deleted` note that the hour's snapshot lacks the key."""
        table = self.tables[entity]
        key = _key(entity, row)
        if row.get("_deleted"):
            self._taken_out[entity, *key].add(hour + timedelta(hours=1))
        else:
            identity = (*key, row["modified_at"])
            if identity in table:
                return
            table.pop((*key, EARLIEST), None)
            table[identity] = {**row, "valid_from": row["modified_at"], "_hour": hour}
        versions = sorted(self._versions(entity, key), key=lambda one: one["valid_from"])
        starts = [version["valid_from"] for version in versions]
        for version in versions:
            ends = [*starts, *self._taken_out[entity, *key]]
            end = min((end for end in ends if end > version["valid_from"]), default=None)
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
                self._changed.add("customers")
                self.tables["customers"][customer, EARLIEST] = {
                    "customer_id": customer,
                    "valid_from": EARLIEST,
                    "valid_to": None,
                    "is_current": True,
                    "_inferred": True,
                    "_hour": hour,
                }


def _key(entity: str, row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in catalog().by_entity[entity].row.key)


def _sequence(row: Row) -> datetime:
    times = (row.get(name) for name in ("modified_at", "updated_at", "_extracted_at"))
    return next((time for time in times if time), EARLIEST)
