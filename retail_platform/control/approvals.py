"""Approvals: a named person lets one hour of one asset through one batch rule, once.

Which rules there are is decided by those who judge batches (`quality.verdicts`).
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from retail_platform.control.models import Status, approvals, loads
from retail_platform.failures import PermanentFailure


@dataclass(frozen=True, kw_only=True)
class Approval:
    """One approval, as stored.

    Attributes:
        id: Its number.
        asset: Asset that was held, such as ``silver/orders``.
        hour: Hour that was held, aware UTC.
        rule: Name of the check that held it.
        reason: Why the batch is right.
        person: Who says so.
        approved_at: When, aware UTC.
        used_by_load: Load that it let through; None while no load has come.
    """

    id: int
    asset: str
    hour: datetime
    rule: str
    reason: str
    person: str
    approved_at: datetime
    used_by_load: int | None


class Approvals:
    """The approvals in one control database; safe to share between threads."""

    def __init__(self, engine: sa.Engine) -> None:
        """Use the database behind an engine of `open_control`."""
        self._engine = engine
        self._reader = engine.execution_options(read_only=True)

    def approve(
        self, *, asset: str, hour: datetime, rule: str, reason: str, person: str
    ) -> Approval:
        """Let the next load of an hour through a rule.

        Raises:
            PermanentFailure: Reason or person is missing.
        """
        if not reason.strip() or not person.strip():
            raise PermanentFailure(
                f"{asset}, hour {hour.isoformat()}: an approval needs a reason and a person; "
                "found an empty one. Say why the batch is right, and who says so."
            )
        with self._engine.begin() as connection:
            added = sa.insert(approvals).values(
                asset=asset,
                hour=hour,
                rule=rule,
                reason=reason,
                person=person,
                approved_at=datetime.now(UTC),
            )
            number = connection.execute(added.returning(approvals.c.id)).scalar_one()
            row = connection.execute(sa.select(approvals).where(approvals.c.id == number)).one()
        return Approval(**row._mapping)

    def approved(self, asset: str, hour: datetime, rule: str) -> Approval | None:
        """The newest approval that no successful load has used; None without one."""
        query = (
            sa.select(approvals)
            .outerjoin(loads, loads.c.id == approvals.c.used_by_load)
            .where(
                approvals.c.asset == asset,
                approvals.c.hour == hour,
                approvals.c.rule == rule,
                # A load that took it and failed afterwards has let nothing through.
                sa.or_(loads.c.id.is_(None), loads.c.status != Status.SUCCESS),
            )
            .order_by(approvals.c.id.desc())
            .limit(1)
        )
        with self._reader.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Approval(**row._mapping)

    def use(self, approval: Approval, load_id: int) -> None:
        """Record the load that an approval lets through; spent once that load has succeeded."""
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(approvals)
                .where(approvals.c.id == approval.id)
                .values(used_by_load=load_id)
            )

    def of(self, asset: str | None = None, hour: datetime | None = None) -> list[Approval]:
        """Every approval, oldest first; only an asset's or an hour's if asked."""
        query = sa.select(approvals).order_by(approvals.c.id)
        if asset is not None:
            query = query.where(approvals.c.asset == asset)
        if hour is not None:
            query = query.where(approvals.c.hour == hour)
        with self._reader.connect() as connection:
            return [Approval(**row._mapping) for row in connection.execute(query)]
