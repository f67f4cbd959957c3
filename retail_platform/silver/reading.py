"""What a Silver load reads: Bronze hours as standardised rows, and which other hours matter.

Not here: which rows replace which (`batch`, `classify`), and what is written (`commit`).
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.connect import functions as f

from retail_platform.control.ledger import Ledger
from retail_platform.control.models import Status
from retail_platform.extract.coverage import Covered
from retail_platform.lakehouse.tables import Lakehouse, one_row, timestamp_literal
from retail_platform.metadata.loader import Table
from retail_platform.metadata.types import column_names
from retail_platform.silver.dating import dated_once
from retail_platform.silver.drift import of_read
from retail_platform.silver.masking import masking_key
from retail_platform.silver.slices import covered_frame
from retail_platform.silver.standardise import standardise


@dataclass(frozen=True, kw_only=True)
class HourRead:
    """What is known of a Bronze hour before it is standardised.

    Attributes:
        hour: The hour, aware UTC.
        received: Arrow schema of the Bronze table, without what the hour's last read lacks.
        rows: Rows of the hour.
        extracted_min: When the first of them was read; of an empty hour, when it was last read.
        extracted_max: When the last of them was read, likewise.
        others: Processed hours that may hold later readings of its keys.
    """

    hour: datetime
    received: pa.Schema
    rows: int
    extracted_min: datetime | None
    extracted_max: datetime | None
    others: list[datetime]


class BronzeHours:
    """Hours of one table in Bronze, as its Silver loads see them.

    Args:
        table: The table.
        lakehouse: The lake.
        ledger: The load ledger.
        pii_key: Key that masks personal columns.
    """

    def __init__(
        self, *, table: Table, lakehouse: Lakehouse, ledger: Ledger, pii_key: str | None
    ) -> None:
        self.table = table
        self.lakehouse = lakehouse
        self.ledger = ledger
        self.pii_key = pii_key
        self.asset = f"silver/{table.entity}"

    def read(self, hour: datetime) -> HourRead:
        """What is known of an hour."""
        found = one_row(
            self.raw([hour]).agg(
                f.count(f.lit(1)).alias("rows"),
                f.min("_extracted_at").alias("extracted_min"),
                f.max("_extracted_at").alias("extracted_max"),
            )
        )
        # The last read of an hour may have found nothing, or less than the one before.
        covering = self._covering_reads([hour])
        read_at = None if found["rows"] else self._empty_read_at(hour)
        last = [found["extracted_max"] or read_at, *[read.read_at for read in covering]]
        read = HourRead(
            hour=hour,
            received=self._received(hour, rows=found["rows"]),
            rows=found["rows"],
            extracted_min=found["extracted_min"] or read_at,
            extracted_max=max((moment for moment in last if moment), default=None),
            others=[],
        )
        return replace(read, others=self._other_hours(read))

    def raw(self, hours: list[datetime]) -> DataFrame:
        """Rows of some hours as Bronze holds them."""
        return self.lakehouse.read("bronze", self.table.bronze).where(in_hours(hours))

    def standardised(self, received: pa.Schema, hours: list[datetime]) -> DataFrame:
        """Rows of some hours, named, typed and judged one by one."""
        return standardise(
            self.raw(hours),
            received,
            self.table,
            pii_key=self._masking_key,
            covered=self.covered(hours),
        )

    def covered(self, hours: list[datetime]) -> DataFrame | None:
        """Reads of these hours that brought ranges whole, see `covered_frame`."""
        return covered_frame(self.lakehouse.spark, self.table, self._covering_reads(hours))

    def reloads(self, hours: Collection[datetime]) -> list[Covered]:
        """Reads of the whole table among these hours, where the others bring changes of it."""
        if not self.table.row.ends_what_a_reload_lacks:
            return []
        return self.ledger.covered(f"bronze/{self.table.bronze}", hours)

    def is_reloaded_beside(self, read: HourRead) -> bool:
        """Whether an hour was read whole after it had brought changes."""
        first = read.extracted_min
        of_hour = self.reloads([read.hour])
        keeps_rows = self.table.row.silver.merge == "upsert"
        return bool(keeps_rows and of_hour and first and first < of_hour[-1].read_at)

    def clear(self, received: pa.Schema, hour: datetime) -> DataFrame:
        """Rows of an hour with the clear values that the restricted table keeps."""
        return standardise(
            self.raw([hour]), received, self.table, pii_key=self._masking_key, clear=True
        )

    def observed(self, received: pa.Schema, hours: list[datetime]) -> DataFrame:
        """Rows of several hours, those without a watermark of their own dated over all of them."""
        rows = self.standardised(received, hours)
        return dated_once(rows, self.table.row.key) if self.dates_rows else rows

    def of_this_load(self, rows: DataFrame) -> DataFrame:
        """The rows of the hour that the load is about: all of them, but in a replay."""
        return rows

    @property
    def dates_rows(self) -> bool:
        """Whether the source's clock stands in for watermarks."""
        watermark = self.table.row.watermark
        return watermark is not None and watermark.dates_rows

    @property
    def replaces(self) -> bool:
        """Whether a read replaces the whole table."""
        return self.table.row.silver.merge == "replace"

    def is_replaced(self, hour: datetime) -> bool:
        """Whether a newer hour has replaced the table already."""
        if not self.replaces:
            return False
        last = self.ledger.last_applied_hour(self.asset)
        return last is not None and hour < last

    def emptied_at(self) -> datetime | None:
        """When a whole read last emptied the table; it has no rows that Bronze could tell of.

        Rows that were read before lose against it, whether or not the table ever held them. Chains
        of versions are built from all reads and need no such word.
        """
        row = self.table.row
        if row.swept_by != () or row.silver.merge == "scd2":
            return None
        loads = self.ledger.loads(asset=self.asset, status=Status.SUCCESS)
        return max(
            (
                load.extracted_max
                for load in loads
                if load.swept and not load.read and load.extracted_max
            ),
            default=None,
        )

    @property
    def _masking_key(self) -> str | None:
        return masking_key(self.pii_key) if self.table.row.pii else None

    def _received(self, hour: datetime, *, rows: int) -> pa.Schema:
        """The Bronze schema, without the columns that the hour's last read did not bring."""
        asset = f"bronze/{self.table.bronze}"
        stored = self.lakehouse.schema("bronze", self.table.bronze)
        reads = self.ledger.loads(asset=asset, hour=hour, status=Status.SUCCESS)
        versions = [read.schema_version for read in reads if read.schema_version is not None]
        if not versions or not rows:
            return stored
        return of_read(stored, column_names(self.ledger.schemas.schema(asset, versions[-1])))

    def _covering_reads(self, hours: list[datetime]) -> list[Covered]:
        if not self.table.row.silver.sweep:
            return []
        return self.ledger.covered(f"bronze/{self.table.bronze}", hours)

    def _empty_read_at(self, hour: datetime) -> datetime | None:
        """When an hour without rows was read, which only the ledger knows."""
        reads = self.ledger.loads(
            asset=f"bronze/{self.table.bronze}", hour=hour, status=Status.SUCCESS
        )
        return max((read.extracted_max for read in reads if read.extracted_max), default=None)

    def _other_hours(self, read: HourRead) -> list[datetime]:
        """Processed hours that may hold later readings of this batch's keys; none as a rule.

        When every row of the batch was read after all that Silver has processed, the stored
        sequences decide alone. Otherwise (replays, hours out of order) Bronze has to be asked.
        """
        if self.replaces:
            return []
        latest = self.ledger.max_extracted(self.asset)
        if latest is None or read.extracted_min is None or read.extracted_min > latest:
            return []
        return [other for other in self.ledger.succeeded_hours(self.asset) if other != read.hour]


def in_hours(hours: list[datetime]) -> str:
    """SQL predicate of rows of some hours."""
    return f"_hour in ({', '.join(timestamp_literal(hour) for hour in hours)})"
