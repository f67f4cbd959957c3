"""What the ledger says of a load: counts, facts and the row. How rows are kept is in `ledger`."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TypedDict

from retail_platform.control.models import Status

RESTORE_LAYER = "restore"
"""Layer of a ledger row that restored a version: it is no load of its hour."""

LIVE_LAYER = "live"
"""Layer of a ledger row of a micro-batch: it ran in its hour, beside the loads of hours."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Where each row that a load read has gone, plus two counts outside of the balance.

    Attributes:
        read: Rows received.
        rejected: Rows that could not be taken in at all.
        quarantined: Rows set aside with their reasons.
        duplicates: Rows beaten by another row of the same key in the same batch.
        stale: Rows older than what the target holds.
        unchanged: Rows equal to what the target holds.
        applied: Rows that changed the target.
        swept: Target rows that became tombstones; not part of what was read.
        inferred: Inferred members added; not part of what was read.
    """

    read: int = 0
    rejected: int = 0
    quarantined: int = 0
    duplicates: int = 0
    stale: int = 0
    unchanged: int = 0
    applied: int = 0
    swept: int = 0
    inferred: int = 0

    @property
    def parts(self) -> dict[str, int]:
        """The parts that must add up to `read`."""
        names = ("rejected", "quarantined", "duplicates", "stale", "unchanged", "applied")
        return {name: getattr(self, name) for name in names}

    @property
    def balanced(self) -> bool:
        """Whether every row read is accounted for exactly once."""
        return self.read == sum(self.parts.values()) and min(asdict(self).values()) >= 0


class LoadFacts(TypedDict, total=False):
    """What a load may report beside its counts."""

    source_clock: datetime | None
    target_rows_before: int | None
    target_rows_after: int | None
    target_version_before: int | None
    target_version_after: int | None
    bytes: int | None
    watermark_max: datetime | None
    extracted_min: datetime | None
    extracted_max: datetime | None
    schema_version: int | None
    reason: str | None
    window_start: datetime | None
    reprocess: bool
    request_id: int | None
    covered: str | None


@dataclass(frozen=True, kw_only=True)
class LoadRow:
    """One row of the ledger, as stored. Timestamps are aware UTC, `seconds` is wall time."""

    id: int
    asset: str
    layer: str
    hour: datetime
    attempt: int
    run_id: str
    engine: str
    window_start: datetime | None
    window_end: datetime | None
    initial: bool
    source_clock: datetime | None
    status: Status
    read: int
    rejected: int
    quarantined: int
    duplicates: int
    stale: int
    unchanged: int
    applied: int
    swept: int
    inferred: int
    target_rows_before: int | None
    target_rows_after: int | None
    target_version_before: int | None
    target_version_after: int | None
    bytes: int | None
    started_at: datetime
    finished_at: datetime | None
    seconds: float | None
    watermark_max: datetime | None
    extracted_min: datetime | None
    extracted_max: datetime | None
    schema_version: int | None
    error: str | None
    reason: str | None
    reprocess: bool
    request_id: int | None
    causes: str | None
    cluster: str | None
    cost_usd: float | None
    covered: str | None
