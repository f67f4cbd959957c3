"""What a read brought whole, beyond what its rows say: a slice of which it found nothing is gone.

Belongs here: the range and its text for the ledger. Not here: what becomes of rows inside of it,
which `retail_platform.silver.slices` decides.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

Bounds = Mapping[str, tuple[str, str]]
"""Least and greatest value, both included, as text, by Silver column; columns that are not named
may have any value."""


@dataclass(frozen=True, kw_only=True)
class Covered:
    """One read and the range that it brought whole.

    Attributes:
        hour: Partition hour of the read, aware UTC.
        read_at: ``_extracted_at`` of the rows that it brought, or would have brought.
        bounds: The range.
        days: Days before the hour's own that it reaches back, where it is one of days.
    """

    hour: datetime
    read_at: datetime
    bounds: Bounds
    days: int | None = None

    def text(self) -> str:
        """The read as JSON for the ledger, which knows the hour."""
        bounds = {name: list(pair) for name, pair in self.bounds.items()}
        content = {"read_at": self.read_at.isoformat(), "bounds": bounds, "days": self.days}
        return json.dumps(content)

    @classmethod
    def of(cls, hour: datetime, text: str) -> "Covered":
        """The read that a ledger row of ``hour`` tells of."""
        content = json.loads(text)
        bounds = {name: (low, high) for name, (low, high) in content["bounds"].items()}
        return cls(
            hour=hour,
            read_at=datetime.fromisoformat(content["read_at"]),
            bounds=bounds,
            days=content["days"],
        )
