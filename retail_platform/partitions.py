"""The one hourly partitions definition that every table shares, and its text form."""

from datetime import UTC, datetime, timedelta

import dagster as dg

PARTITION_FORMAT = "%Y-%m-%d-%H:%M"


def hourly_partitions(start: datetime) -> dg.HourlyPartitionsDefinition:
    """Hourly partitions in UTC from ``start`` (aware) on."""
    return dg.HourlyPartitionsDefinition(
        start_date=start.astimezone(UTC).strftime(PARTITION_FORMAT), fmt=PARTITION_FORMAT
    )


def hour_of(partition_key: str) -> datetime:
    """The aware UTC start of the hour that ``partition_key`` names."""
    return datetime.strptime(partition_key, PARTITION_FORMAT).replace(tzinfo=UTC)


def key_of(hour: datetime) -> str:
    """The partition key of an aware UTC hour."""
    return hour.astimezone(UTC).strftime(PARTITION_FORMAT)


def latest_closed_hour(clock: datetime) -> datetime:
    """The start of the last hour that has ended at ``clock`` (aware UTC)."""
    return clock.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
