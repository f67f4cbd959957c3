"""What one write to a table did, as its Delta commit tells, whatever wrote it.

The counts are the engine's own; what they should be is the load's business.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAINTENANCE = ("OPTIMIZE", "VACUUM START", "VACUUM END")
"""Operations of commits that change no row."""


@dataclass(frozen=True, kw_only=True)
class Commit:
    """What one write did, as its Delta commit tells.

    Attributes:
        version_before: Version that the table had; -1 for a new one.
        version: Version after the write; equal to ``version_before`` where nothing was written.
        inserted: Rows inserted.
        updated: Rows updated.
        deleted: Rows deleted.
        bytes_added: Bytes of new data files.
    """

    version_before: int
    version: int
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    bytes_added: int = 0

    @classmethod
    def of(cls, entry: Mapping[str, Any], before: int) -> "Commit":
        """Reads a commit of the table's history.

        Args:
            entry: The commit, as delta-rs tells it; both engines and delta-rs name its metrics.
            before: Version that the table had.
        """
        metrics: Mapping[str, object] = entry.get("operationMetrics") or {}

        def metric(*names: str) -> int:
            return next((int(str(metrics[name])) for name in names if name in metrics), 0)

        return cls(
            version_before=before,
            version=entry["version"],
            inserted=metric(
                "numTargetRowsInserted",
                "num_target_rows_inserted",
                "num_added_rows",
                "numOutputRows",
            ),
            updated=metric("numTargetRowsUpdated", "num_target_rows_updated"),
            deleted=metric("numTargetRowsDeleted", "num_target_rows_deleted"),
            bytes_added=metric("numTargetBytesAdded", "numOutputBytes"),
        )
