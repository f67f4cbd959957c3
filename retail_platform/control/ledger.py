"""The load ledger: one row per asset, hour and attempt, and the balance that each must keep.

Belongs here: starting and closing loads, and what others ask about them. Not here: what a load
does (Bronze, Silver, Gold), and how its rows are counted.
"""

from collections.abc import Collection
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Unpack

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from retail_platform.control.approvals import Approvals
from retail_platform.control.loads import (
    LIVE_LAYER,
    RESTORE_LAYER,
    Counts,
    LoadFacts,
    LoadRow,
)
from retail_platform.control.models import Status, loads
from retail_platform.control.offsets import StreamOffsets
from retail_platform.control.redaction import redact
from retail_platform.control.requests import Request, Requests
from retail_platform.control.schemas import SchemaVersions
from retail_platform.extract.coverage import Covered
from retail_platform.extract.window import Window
from retail_platform.failures import PermanentFailure, TransientFailure

MISSED_REASON = "missed"
ABANDONED = "abandoned: the process ended"


class Ledger:
    """The ledger in one control database; safe to share between threads.

    Attributes:
        approvals: What lets a held load through.
        offsets: Which offsets of a topic belong to which hour.
        requests: What was asked for beside the current hours.
        schemas: The numbers of the schemas that loads met.
    """

    def __init__(self, engine: sa.Engine) -> None:
        """Use the database behind an engine of `open_control`."""
        self.approvals = Approvals(engine)
        self.offsets = StreamOffsets(engine)
        self.requests = Requests(engine)
        self.schemas = SchemaVersions(engine)
        self._engine = engine
        self._reader = engine.execution_options(read_only=True)

    def start(
        self,
        *,
        asset: str,
        layer: str,
        hour: datetime,
        run_id: str,
        engine: str,
        window: Window | None,
        reprocess: bool = False,
        reason: str | None = None,
        request: Request | None = None,
    ) -> int:
        """Open a load: a RUNNING row whose attempt is one more than the last one's.

        A row of the same asset and hour that still says RUNNING is closed as a failure: its process
        is gone, or is about to find out that it lost its place. So is one of another hour, if the
        layer is that of micro-batches: they run one at a time, and no hour is loaded again.

        Args:
            asset: Asset, such as ``silver/orders``.
            layer: Its layer.
            hour: Partition hour, aware UTC.
            run_id: Run that loads it.
            engine: Name of the engine.
            window: What is read from the source; None for a load that reads no source.
            reprocess: Whether rows that came before are processed again.
            reason: Why, if there is more to say than that the hour was due.
            request: Request that the load works on; its reason stays on the row.

        Returns:
            The load's id, for `succeed`, `fail` and `miss`.

        Raises:
            TransientFailure: Another process opened the same asset and hour at the same moment.
        """
        now = datetime.now(UTC)
        same = (loads.c.asset == asset) & (loads.c.hour == hour)
        replaced = loads.c.asset == asset if layer == LIVE_LAYER else same
        try:
            with self._engine.begin() as connection:
                for old in connection.execute(
                    sa.select(loads.c.id, loads.c.started_at).where(
                        replaced, loads.c.status == Status.RUNNING
                    )
                ).all():
                    connection.execute(
                        sa.update(loads)
                        .where(loads.c.id == old.id)
                        .values(
                            _closing(old.started_at, now, Status.FAILURE) | {"error": ABANDONED}
                        )
                    )
                last = connection.scalar(sa.select(sa.func.max(loads.c.attempt)).where(same))
                opened = sa.insert(loads).values(
                    asset=asset,
                    layer=layer,
                    hour=hour,
                    attempt=(last or 0) + 1,
                    run_id=run_id,
                    engine=engine,
                    window_start=window.start if window else None,
                    window_end=window.end if window else None,
                    initial=window.initial if window else False,
                    status=Status.RUNNING,
                    started_at=now,
                    reprocess=reprocess or request is not None,
                    request_id=request.id if request else None,
                    reason=f"request {request.id}: {request.reason}" if request else reason,
                )
                return connection.execute(opened.returning(loads.c.id)).scalar_one()
        except IntegrityError as error:
            raise TransientFailure(
                f"{asset}, hour {hour.isoformat()}: another process opened the same load at the "
                "same moment; let it finish, then run this one again"
            ) from error

    def succeed(self, load_id: int, counts: Counts, **facts: Unpack[LoadFacts]) -> None:
        """Close a load as SUCCESS, provided that its counts balance.

        Args:
            load_id: The load, as `start` gave it.
            counts: Where the rows went.
            facts: Further columns of the row.

        Raises:
            PermanentFailure: ``read`` differs from the sum of its parts (the row is then closed as
                FAILURE), or the load is no longer RUNNING.
        """
        unknown = set(facts) - set(LoadFacts.__annotations__)
        if unknown:
            raise TypeError(f"unknown load facts: {', '.join(sorted(unknown))}")
        self.check_balance(load_id, counts)
        self._close(load_id, Status.SUCCESS, {**asdict(counts), **facts})

    def check_balance(self, load_id: int, counts: Counts) -> None:
        """Refuse counts that do not balance, so that a load can ask before it commits.

        Args:
            load_id: The load, as `start` gave it.
            counts: Where the rows went.

        Raises:
            PermanentFailure: ``read`` differs from the sum of its parts; the row is closed as
                FAILURE with these counts.
        """
        if counts.balanced:
            return
        parts = ", ".join(f"{name} {count:,}" for name, count in counts.parts.items())
        row = self._row(load_id)
        message = (
            f"{row.asset}, hour {row.hour.isoformat()}: the ledger does not balance: "
            f"read {counts.read:,}, but its parts add up to {sum(counts.parts.values()):,} "
            f"({parts}). Either rows were written to its source meanwhile: materialise the hour "
            "again; or, if it repeats, the load counts wrongly: report it"
        )
        self.fail(load_id, message, counts)
        raise PermanentFailure(message)

    def fail(self, load_id: int, error: str, counts: Counts | None = None) -> None:
        """Close a load as FAILURE; a load that already is a failure keeps its first error.

        Args:
            load_id: The load, as `start` gave it.
            error: What went wrong; secrets are taken out of it.
            counts: Counts as far as they are known.
        """
        if self._row(load_id).status is Status.FAILURE:
            return
        values = asdict(counts) if counts else {}
        self._close(load_id, Status.FAILURE, {**values, "error": redact(error)})

    def miss(self, load_id: int) -> None:
        """Close a load as SUCCESS with no rows and the reason ``missed``.

        For an hour of a snapshot or full table that was not read while it was the latest one: what
        the source held then can no longer be known.
        """
        self._close(load_id, Status.SUCCESS, {**asdict(Counts()), "reason": MISSED_REASON})

    def block(
        self,
        *,
        asset: str,
        layer: str,
        hour: datetime,
        run_id: str,
        engine: str,
        causes: str,
        older_than: datetime | None = None,
    ) -> bool:
        """Add a BLOCKED row: a run was to load the asset's hour, but what it needs is not there.

        Idempotent: what a run has noted last of the asset's hour is not noted again.

        Args:
            asset: The asset that was not attempted.
            layer: Its layer.
            hour: The hour.
            run_id: The run that should have loaded it.
            engine: Name of the engine.
            causes: The chain of causes, as `operations.causes` writes it.
            older_than: When the run began, if the verdict is given after the fact: nothing is added
                where the run, or a later one, has started the load.

        Returns:
            Whether a row was added.
        """
        now = datetime.now(UTC)
        same = (loads.c.asset == asset) & (loads.c.hour == hour)
        try:
            with self._engine.begin() as connection:
                last = connection.execute(
                    sa.select(loads).where(same).order_by(loads.c.attempt.desc()).limit(1)
                ).one_or_none()
                if last is not None and (
                    (last.run_id == run_id and last.status == Status.BLOCKED)
                    or (older_than and (last.run_id == run_id or last.started_at >= older_than))
                ):
                    return False
                connection.execute(
                    sa.insert(loads).values(
                        asset=asset,
                        layer=layer,
                        hour=hour,
                        attempt=last.attempt + 1 if last else 1,
                        run_id=run_id,
                        engine=engine,
                        initial=False,
                        status=Status.BLOCKED,
                        started_at=now,
                        finished_at=now,
                        seconds=0.0,
                        causes=redact(causes),
                    )
                )
        except IntegrityError:
            # Someone else was quicker: with the same verdict, or with an attempt, which counts.
            return False
        return True

    def latest(self, asset: str, hour: datetime) -> LoadRow | None:
        """The last attempt at an asset's hour: the one that counts; None if there was none."""
        query = sa.select(loads).where(loads.c.asset == asset, loads.c.hour == hour)
        with self._reader.connect() as connection:
            row = connection.execute(query.order_by(loads.c.attempt.desc()).limit(1)).one_or_none()
        return _load_row(row) if row else None

    def standing(self, *statuses: Status, since: datetime | None = None) -> list[LoadRow]:
        """Last attempts that stand so, by hour and then in the order in which they started.

        Args:
            statuses: Wanted states.
            since: Only hours from this one on (aware).
        """
        newer = loads.alias()
        latest = ~sa.exists().where(
            newer.c.asset == loads.c.asset,
            newer.c.hour == loads.c.hour,
            newer.c.attempt > loads.c.attempt,
        )
        query = sa.select(loads).where(loads.c.status.in_(statuses), latest)
        if since is not None:
            query = query.where(loads.c.hour >= since)
        with self._reader.connect() as connection:
            found = connection.execute(query.order_by(loads.c.hour, loads.c.started_at, loads.c.id))
            return [_load_row(row) for row in found]

    def succeeded_hours(self, asset: str, *, include_missed: bool = False) -> list[datetime]:
        """Hours (aware UTC, ascending) with at least one SUCCESS; missed ones only if asked."""
        query = sa.select(loads.c.hour).distinct().where(_succeeded(asset, include_missed))
        with self._reader.connect() as connection:
            return list(connection.scalars(query.order_by(loads.c.hour)))

    def has_succeeded(self, asset: str, *, other_than: datetime | None = None) -> bool:
        """Whether any hour (except ``other_than``) was loaded; missed hours do not count."""
        query = sa.select(loads.c.id).where(_succeeded(asset, include_missed=False)).limit(1)
        if other_than is not None:
            query = query.where(loads.c.hour != other_than)
        with self._reader.connect() as connection:
            return connection.scalar(query) is not None

    def last_applied_hour(self, asset: str) -> datetime | None:
        """The newest hour (aware UTC) whose load read or swept rows; None without any."""
        query = sa.select(sa.func.max(loads.c.hour)).where(
            _succeeded(asset, include_missed=False), (loads.c.read > 0) | (loads.c.swept > 0)
        )
        with self._reader.connect() as connection:
            return connection.scalar(query)

    def reads_before(self, asset: str, hour: datetime, limit: int) -> list[int]:
        """Rows read by the last successful load of each of the ``limit`` hours before ``hour``."""
        newest = (
            sa.select(loads.c.hour, sa.func.max(loads.c.id).label("id"))
            .where(_succeeded(asset, include_missed=False), loads.c.hour < hour)
            .group_by(loads.c.hour)
            .order_by(loads.c.hour.desc())
            .limit(limit)
            .subquery()
        )
        with self._reader.connect() as connection:
            return list(
                connection.scalars(sa.select(loads.c.read).join(newest, loads.c.id == newest.c.id))
            )

    def covered(self, asset: str, hours: Collection[datetime]) -> list[Covered]:
        """What successful reads of these hours brought whole, in the order of the reads."""
        query = sa.select(loads.c.hour, loads.c.covered).where(
            _succeeded(asset, include_missed=False), loads.c.covered.is_not(None)
        )
        with self._reader.connect() as connection:
            found = [
                Covered.of(row.hour, row.covered)
                for row in connection.execute(query)
                if row.hour in hours
            ]
        return sorted(found, key=lambda read: read.read_at)

    def max_extracted(self, asset: str) -> datetime | None:
        """The greatest ``extracted_max`` of the asset's successful loads; None without any."""
        query = sa.select(loads.c.extracted_max).where(
            _succeeded(asset, include_missed=False), loads.c.extracted_max.is_not(None)
        )
        with self._reader.connect() as connection:
            return connection.scalar(query.order_by(loads.c.extracted_max.desc()).limit(1))

    def max_watermark(self, asset: str) -> datetime | None:
        """The greatest ``watermark_max`` of the asset's successful loads; None without any."""
        query = sa.select(sa.func.max(loads.c.watermark_max)).where(
            _succeeded(asset, include_missed=False)
        )
        with self._reader.connect() as connection:
            return connection.scalar(query)

    def loads(
        self,
        *,
        asset: str | None = None,
        hour: datetime | None = None,
        since: datetime | None = None,
        status: Status | str | None = None,
        request_id: int | None = None,
    ) -> list[LoadRow]:
        """Rows of the ledger in the order in which they started.

        Args:
            asset: Only this asset's.
            hour: Only this hour's (aware).
            since: Only those that started at or after this moment (aware).
            status: Only those that stand so.
            request_id: Only those that work on this request.
        """
        query = sa.select(loads).order_by(loads.c.started_at, loads.c.id)
        if asset is not None:
            query = query.where(loads.c.asset == asset)
        if hour is not None:
            query = query.where(loads.c.hour == hour)
        if since is not None:
            query = query.where(loads.c.started_at >= since)
        if request_id is not None:
            query = query.where(loads.c.request_id == request_id)
        if status is not None:
            query = query.where(loads.c.status == Status(status))
        with self._reader.connect() as connection:
            return [_load_row(row) for row in connection.execute(query)]

    def _row(self, load_id: int) -> LoadRow:
        with self._reader.connect() as connection:
            row = connection.execute(sa.select(loads).where(loads.c.id == load_id)).one_or_none()
        if row is None:
            raise PermanentFailure(f"load {load_id}: not in the ledger; start the load first")
        return _load_row(row)

    def _close(self, load_id: int, status: Status, values: dict[str, Any]) -> None:
        row = self._row(load_id)
        now = datetime.now(UTC)
        if row.reason and values.get("reason") != MISSED_REASON:
            own = values.get("reason")
            values = {**values, "reason": f"{row.reason}; {own}" if own else row.reason}
        with self._engine.begin() as connection:
            closed = connection.execute(
                sa.update(loads)
                .where(loads.c.id == load_id, loads.c.status == Status.RUNNING)
                .values(_closing(row.started_at, now, status) | values)
            ).rowcount
        if not closed:
            row = self._row(load_id)
            raise PermanentFailure(
                f"{row.asset}, hour {row.hour.isoformat()}, attempt {row.attempt}: to be closed as "
                f"{status}, but it is already {row.status} ({row.error or row.reason or 'closed'});"
                " a later attempt has taken its place: let one run at a time load an hour"
            )


def _succeeded(asset: str, include_missed: bool) -> sa.ColumnElement[bool]:
    condition = (
        (loads.c.asset == asset)
        & (loads.c.status == Status.SUCCESS)
        & (loads.c.layer != RESTORE_LAYER)
    )
    if include_missed:
        return condition
    return condition & (sa.func.coalesce(loads.c.reason, "") != MISSED_REASON)


def _closing(started_at: datetime, now: datetime, status: Status) -> dict[str, Any]:
    seconds = max((now - started_at).total_seconds(), 0.0)
    return {"status": status, "finished_at": now, "seconds": seconds}


def _load_row(row: sa.Row[Any]) -> LoadRow:
    values: dict[str, Any] = dict(row._mapping)
    values["status"] = Status(values["status"])
    return LoadRow(**values)
