"""How a table is kept in shape: the ``maintenance:`` block of a row. No table is touched here."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from retail_platform.extract.window import LATE_WINDOW

LOG_KEPT = timedelta(days=30)
"""How long Delta keeps its log (``delta.logRetentionDuration`` where a table does not set it)."""


def _retention(days: int) -> int:
    if not LATE_WINDOW <= timedelta(days=days) <= LOG_KEPT:
        raise ValueError(
            f"{days} days are not between {LATE_WINDOW.days} (hours land so late, and their loads "
            f"may have to be undone) and {LOG_KEPT.days} (Delta keeps its log no longer)"
        )
    return days


class Upkeep(BaseModel):
    """What maintenance does with a table.

    Attributes:
        retention_days: How long files that the present version does not need are kept, so that
            older versions can be read and restored.
        target_mb: Size of compacted files, in MiB; files of less than half of it are small.
        small_files: Small files in one partition from which on a load compacts them at its end.
        cluster_after: Share (0 to 1) of a table's bytes that came since it was last clustered,
            from which on the nightly maintenance clusters it again; it rewrites the whole table.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    retention_days: Annotated[int, AfterValidator(_retention)] = 7
    target_mb: int = Field(default=256, ge=128, le=256)
    small_files: int = Field(default=32, ge=2)
    cluster_after: float = Field(default=0.2, gt=0, le=1)

    @property
    def retention(self) -> timedelta:
        """How long files that the present version does not need are kept."""
        return timedelta(days=self.retention_days)

    @property
    def target_bytes(self) -> int:
        """Size of compacted files in bytes."""
        return self.target_mb * 2**20
