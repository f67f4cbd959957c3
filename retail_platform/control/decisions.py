"""People's decisions on quarantined rows. The rows themselves are in the lake; rules elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import sqlalchemy as sa

from retail_platform.control.models import quarantine_decisions


class Ruling(StrEnum):
    """What a person decided about a quarantined row."""

    REPLAYED = "REPLAYED"
    DISCARDED = "DISCARDED"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One decision.

    Attributes:
        row_hash: The row.
        ruling: What was decided.
        contract_version: Contract under which the row was refused when it was decided about.
        reason: Why.
        person: Who.
        decided_at: When, aware UTC.
        load_id: Load that took a replayed row in; None for a discarded one.
    """

    row_hash: str
    ruling: Ruling
    contract_version: str | None
    reason: str | None
    person: str
    decided_at: datetime
    load_id: int | None


class QuarantineDecisions:
    """The decisions in one control database; none is ever changed or deleted."""

    def __init__(self, engine: sa.Engine) -> None:
        """Use the database behind an engine of `open_control`."""
        self._engine = engine
        self._reader = engine.execution_options(read_only=True)

    def record(
        self,
        entity: str,
        rows: Mapping[str, str],
        ruling: Ruling,
        *,
        person: str,
        reason: str,
        load_id: int | None = None,
    ) -> None:
        """Adds one decision for each row, in one transaction.

        Args:
            entity: Silver entity.
            rows: Row hash to the contract version under which it was refused.
            ruling: What was decided.
            person: Who decided.
            reason: Why.
            load_id: Load that took the rows in.
        """
        if not rows:
            return
        now = datetime.now(UTC)
        shared = {
            "entity": entity,
            "decision": ruling.value,
            "reason": reason,
            "person": person,
            "decided_at": now,
            "load_id": load_id,
        }
        with self._engine.begin() as connection:
            connection.execute(
                sa.insert(quarantine_decisions),
                [
                    {**shared, "row_hash": row_hash, "contract_version": version}
                    for row_hash, version in rows.items()
                ],
            )

    def latest(self, entity: str) -> dict[str, Decision]:
        """The last decision on each row of an entity, by row hash."""
        table = quarantine_decisions.c
        query = (
            sa.select(
                table.row_hash,
                table.decision,
                table.contract_version,
                table.reason,
                table.person,
                table.decided_at,
                table.load_id,
            )
            .where(table.entity == entity)
            .order_by(table.id)
        )
        with self._reader.connect() as connection:
            return {
                row.row_hash: Decision(
                    row_hash=row.row_hash,
                    ruling=Ruling(row.decision),
                    contract_version=row.contract_version,
                    reason=row.reason,
                    person=row.person,
                    decided_at=row.decided_at,
                    load_id=row.load_id,
                )
                for row in connection.execute(query)
            }
