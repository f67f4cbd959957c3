"""How often an API was called in the last hour, over all runs, and the limit that stops the next.

Belongs here: counting and refusing. Not here: calling, and limits that an API tells by itself.
"""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from retail_platform.control.models import api_calls
from retail_platform.failures import TransientFailure

SPAN = timedelta(hours=1)


class ApiCalls:
    """The calls in one control database; safe to share between threads and processes."""

    def __init__(self, engine: sa.Engine) -> None:
        """Use the database behind an engine of `open_control`."""
        self._engine = engine
        self._reader = engine.execution_options(read_only=True)

    def spend(self, api: str, *, limit: int, now: datetime | None = None) -> None:
        """Counts one call, unless the last hour has seen as many as there may be.

        Args:
            api: Whose calls are counted together, such as a source's name.
            limit: Calls in any hour.
            now: Aware; the present where it is left out.

        Raises:
            TransientFailure: There were as many already; says when the next one may be.
        """
        now = (now or datetime.now(UTC)).astimezone(UTC)
        minute = now.replace(second=0, microsecond=0)
        same = api_calls.c.api == api
        with self._engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                # SQLite's transactions take the write lock as they begin; here the api's is taken.
                lock = sa.func.hashtextextended(api, 0)
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(lock)))
            # A minute counts until the whole of it is an hour ago: rather too long than too short.
            connection.execute(sa.delete(api_calls).where(same, api_calls.c.minute < minute - SPAN))
            used, first = connection.execute(
                sa.select(
                    sa.func.coalesce(sa.func.sum(api_calls.c.calls), 0),
                    sa.func.min(api_calls.c.minute),
                ).where(same)
            ).one()
            if used < limit:
                again = sa.update(api_calls).where(same, api_calls.c.minute == minute)
                counted = connection.execute(again.values(calls=api_calls.c.calls + 1)).rowcount
                if not counted:
                    connection.execute(sa.insert(api_calls).values(api=api, minute=minute, calls=1))
                return
        frees = now if first is None else first + SPAN + timedelta(minutes=1)
        raise TransientFailure(
            f"source {api}: its budget of {limit} calls an hour is used up ({used} in the last "
            f"hour); the next call may be made at {frees:%Y-%m-%d %H:%M} UTC. It is tried again; "
            "if this happens often, raise connection.budget of the source, as far as the API's own "
            "limit allows"
        )

    def used(self, api: str, *, now: datetime | None = None) -> int:
        """Calls that count against the limit now."""
        now = (now or datetime.now(UTC)).astimezone(UTC).replace(second=0, microsecond=0)
        recent = (api_calls.c.api == api) & (api_calls.c.minute >= now - SPAN)
        query = sa.select(sa.func.coalesce(sa.func.sum(api_calls.c.calls), 0)).where(recent)
        with self._reader.connect() as connection:
            return connection.execute(query).scalar_one()
