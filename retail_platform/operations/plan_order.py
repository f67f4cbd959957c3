"""What would be BLOCKED in a plan: by parents that would be stopped, have failed, or are missing.

A parent that is planned along with its child is loaded before it: that it was never loaded blocks
nothing then. One that is not planned must have been loaded for the hour, and one whose last attempt
failed for good keeps its children waiting for a cure.
"""

from collections.abc import Collection
from datetime import datetime

from retail_platform.control.ledger import Ledger
from retail_platform.control.loads import LoadRow
from retail_platform.control.models import Status
from retail_platform.failures import TransientFailure
from retail_platform.metadata.loader import Table
from retail_platform.partitions import key_of

_LONGEST = 300


class Blockers:
    """Judges tables in order, parents first.

    Args:
        ledger: The load ledger.
        planned: Entities that the plan loads.
    """

    def __init__(self, ledger: Ledger, planned: Collection[str]) -> None:
        self._ledger = ledger
        self._planned = planned
        self._stopped: dict[tuple[str, datetime], str] = {}

    def stop(self, table: Table, hour: datetime, reason: str) -> None:
        """Remembers that a planned table would not be loaded."""
        self._stopped[table.entity, hour] = reason

    def judge(self, table: Table, hour: datetime) -> tuple[list[str], list[str]]:
        """Why the table would be BLOCKED, and what else its parents have to say."""
        causes: list[str] = []
        notes: list[str] = []
        for parent in table.parents:
            found = self._trouble(parent, hour)
            if found is None:
                continue
            (causes if parent in table.hard_parents and found[1] else notes).append(found[0])
        return causes, notes

    def _trouble(self, parent: str, hour: datetime) -> tuple[str, bool] | None:
        """What is wrong with a parent, and whether it stops its children."""
        if (parent, hour) in self._stopped:
            return f"silver/{parent} would not be loaded: {self._stopped[parent, hour]}", True
        attempts = self._ledger.loads(asset=f"silver/{parent}", hour=hour)
        last = attempts[-1] if attempts else None
        planned = parent in self._planned
        if last is None:
            if planned:
                return None
            return f"silver/{parent} was never loaded for the hour {key_of(hour)}", True
        if last.status is Status.SUCCESS:
            return None
        if last.status is Status.RUNNING:
            return f"silver/{parent} is being loaded and would be waited for", False
        passing = (last.error or "").startswith(TransientFailure.__name__)
        return f"silver/{parent} {_told(last)}", not (planned and passing)


def _told(load: LoadRow) -> str:
    lines = (load.causes or load.error or "no reason was recorded").strip().splitlines()
    words = "is BLOCKED" if load.status is Status.BLOCKED else "failed"
    return f"{words} (attempt {load.attempt}): {lines[0][:_LONGEST]}"
