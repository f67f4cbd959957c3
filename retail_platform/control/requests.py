"""Requests: a range of hours that somebody asked for, with a reason, and how each hour went.

A request is the parent of its loads: their ledger rows carry its number. Only a request can be a
partial success. Running the hours belongs in `operations.requests`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from retail_platform.control.models import RequestStatus, requests
from retail_platform.control.owners import is_gone, this_process
from retail_platform.control.redaction import redact
from retail_platform.failures import PermanentFailure

REQUEST_TAG = "retail/request_id"
"""Tag of a run that works on a request: the request's number."""


class RequestKind(StrEnum):
    """What was asked for.

    ``REPROCESS``: hours again. ``OVERRIDE``: a range of watermarks, read into the hours that it
    belongs to. ``FULL_RELOAD``: the whole source table, read into the current hour. ``GAP``: hours
    that no run had loaded. ``LATE_WINDOW``: the daily re-read. ``RESTORE``: an older version.
    """

    REPROCESS = "reprocess"
    OVERRIDE = "override"
    FULL_RELOAD = "full_reload"
    GAP = "gap"
    LATE_WINDOW = "late_window"
    RESTORE = "restore"


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request, as stored; timestamps are aware UTC.

    Attributes:
        id: Its number.
        table: Silver entity that it is about; ``*`` for all tables that it fits.
        kind: What was asked for.
        first_hour: Its earliest hour.
        last_hour: Its latest hour, included.
        reason: Why.
        requester: Who asked.
        requested_at: When.
        status: How it stands.
        hours: Number of hours that it has.
        hours_done: Hours that went well.
        hours_failed: Hours that did not.
        finished_at: When the last hour ended.
        error: What went wrong first.
        range_start: Of an override: inclusive lower bound of the watermarks.
        range_end: Of an override: exclusive upper bound of the watermarks.
        owner: Process that works on it; None for requests of older versions.
    """

    id: int
    table: str
    kind: RequestKind
    first_hour: datetime
    last_hour: datetime
    reason: str
    requester: str
    requested_at: datetime
    status: RequestStatus
    hours: int
    hours_done: int
    hours_failed: int
    finished_at: datetime | None
    error: str | None
    range_start: datetime | None
    range_end: datetime | None
    owner: str | None


class Requests:
    """The requests in one control database; safe to share between threads."""

    def __init__(self, engine: sa.Engine) -> None:
        """Use the database behind an engine of `open_control`."""
        self._engine = engine
        self._reader = engine.execution_options(read_only=True)

    def open(
        self,
        *,
        table: str,
        kind: RequestKind,
        first_hour: datetime,
        last_hour: datetime,
        hours: int,
        reason: str,
        requester: str,
        range_start: datetime | None = None,
        range_end: datetime | None = None,
    ) -> Request:
        """Record a request, to be run at once by this process.

        Requests whose process is gone are closed before.

        Raises:
            PermanentFailure: Reason or requester is missing.
        """
        if not reason.strip() or not requester.strip():
            raise PermanentFailure(
                f"{kind} of {table}: a request needs a reason and a requester; found an empty one. "
                "Say why (--reason) and who asks (--requester)."
            )
        self.close_abandoned()
        with self._engine.begin() as connection:
            added = sa.insert(requests).values(
                table=table,
                kind=kind,
                first_hour=first_hour,
                last_hour=last_hour,
                hours=hours,
                reason=reason,
                requester=requester,
                requested_at=datetime.now(UTC),
                status=RequestStatus.RUNNING,
                range_start=range_start,
                range_end=range_end,
                owner=this_process(),
            )
            number = connection.execute(added.returning(requests.c.id)).scalar_one()
        return self.get(number)

    def hour_ended(self, request_id: int, *, succeeded: bool, error: str | None = None) -> None:
        """Count one hour; the first error is kept."""
        column = requests.c.hours_done if succeeded else requests.c.hours_failed
        values: dict[Any, Any] = {column: column + 1}
        if error:
            values[requests.c.error] = sa.func.coalesce(requests.c.error, redact(error))
        self._update(request_id, values)

    def finish(self, request_id: int, error: str | None = None) -> Request:
        """Close a request: its status follows from how many of its hours went well.

        Args:
            request_id: The request.
            error: What ended it before its last hour, if anything did.
        """
        request = self.get(request_id)
        if request.hours_done == request.hours and error is None:
            status = RequestStatus.SUCCESS
        elif request.hours_done:
            status = RequestStatus.PARTIAL_SUCCESS
        else:
            status = RequestStatus.FAILURE
        values: dict[Any, Any] = {
            requests.c.status: status,
            requests.c.finished_at: datetime.now(UTC),
        }
        if error:
            values[requests.c.error] = sa.func.coalesce(requests.c.error, redact(error))
        self._update(request_id, values)
        return self.get(request_id)

    def close_abandoned(self) -> list[Request]:
        """Close requests whose process is gone: nobody works on them any more.

        Returns:
            Those that were closed, as they ended.
        """
        query = sa.select(requests).where(
            requests.c.status == RequestStatus.RUNNING, requests.c.owner.is_not(None)
        )
        with self._reader.connect() as connection:
            running = [_request(row) for row in connection.execute(query)]
        return [
            self.finish(
                request.id,
                f"abandoned: its process ended ({request.owner}) with {request.hours_done} of "
                f"{request.hours} hours done; ask for the hours again",
            )
            for request in running
            if request.owner and is_gone(request.owner)
        ]

    def get(self, request_id: int) -> Request:
        """One request.

        Raises:
            PermanentFailure: There is none of that number.
        """
        with self._reader.connect() as connection:
            row = connection.execute(
                sa.select(requests).where(requests.c.id == request_id)
            ).one_or_none()
        if row is None:
            raise PermanentFailure(
                f"request {request_id}: not in the control database; `retail-platform audit` "
                "lists those that are"
            )
        return _request(row)

    def of_run(self, tags: Mapping[str, str]) -> Request | None:
        """The request that a run works on, told from its tags; None for a run of its own."""
        return self.get(int(tags[REQUEST_TAG])) if REQUEST_TAG in tags else None

    def all(
        self,
        *,
        table: str | None = None,
        since: datetime | None = None,
        status: RequestStatus | str | None = None,
    ) -> list[Request]:
        """Requests, oldest first; those whose process is gone are closed before.

        Args:
            table: Only this table's, and those of all tables.
            since: Only those asked for at or after this moment (aware).
            status: Only those that stand so.
        """
        self.close_abandoned()
        query = sa.select(requests).order_by(requests.c.id)
        if table is not None:
            query = query.where(requests.c.table.in_([table, "*"]))
        if since is not None:
            query = query.where(requests.c.requested_at >= since)
        if status is not None:
            query = query.where(requests.c.status == RequestStatus(status))
        with self._reader.connect() as connection:
            return [_request(row) for row in connection.execute(query)]

    def _update(self, request_id: int, values: dict[Any, Any]) -> None:
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(requests).where(requests.c.id == request_id).values(values)
            )


def _request(row: sa.Row[Any]) -> Request:
    values: dict[str, Any] = dict(row._mapping)
    values["kind"] = RequestKind(values["kind"])
    values["status"] = RequestStatus(values["status"])
    return Request(**values)
