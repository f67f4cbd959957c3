"""Times as commands take them: hours, moments and durations, all in UTC. Nothing else."""

from datetime import UTC, datetime

import click

from retail_platform.metadata.values import DURATION, duration_of
from retail_platform.partitions import PARTITION_FORMAT


class Moment(click.ParamType):
    """``2026-01-05T13:00``, ``2026-01-05 13:00``, a partition key, or ``24h``: so long ago.

    A time without an offset is UTC; the value is aware UTC.
    """

    name = "time"

    def convert(
        self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Reads the text; what is no time ends the command with what would be one."""
        if isinstance(value, datetime):
            return value
        if DURATION.fullmatch(value):
            return datetime.now(UTC) - duration_of(value)
        for read in (datetime.fromisoformat, _of_partition_key):
            try:
                moment = read(value)
            except ValueError:
                continue
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        message = f"{value!r} is not a time such as 2026-01-05T13:00 (UTC) or 24h (so long ago)"
        raise click.BadParameter(message, ctx, param)


class Hour(Moment):
    """A moment that is a full hour."""

    name = "hour"

    def convert(
        self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Reads the text; a time within an hour is refused."""
        moment = super().convert(value, param, ctx)
        if moment.minute or moment.second or moment.microsecond:
            self.fail(f"{value!r} is not a full hour such as 2026-01-05T13:00 (UTC)", param, ctx)
        return moment


def _of_partition_key(text: str) -> datetime:
    return datetime.strptime(text, PARTITION_FORMAT)  # noqa: DTZ007


MOMENT = Moment()
HOUR = Hour()
