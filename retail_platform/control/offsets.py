"""Which offsets of a topic belong to which hour: recorded once, before they are read.

Belongs here: the records. Not here: how an hour's offsets are found (`extract.offsets`).
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from retail_platform.control.models import stream_offsets
from retail_platform.extract.offsets import OffsetRange, RecordedHours


class StreamOffsets:
    """The recorded offsets in one control database.

    The first record of an hour stays: later attempts read exactly the same offsets.
    """

    def __init__(self, engine: sa.Engine) -> None:
        """Use the database behind an engine of `open_control`."""
        self._engine = engine
        self._reader = engine.execution_options(read_only=True)

    def of_hour(self, table: str, topic: str, hour: datetime) -> list[OffsetRange]:
        """The ranges of a Bronze table's hour (aware UTC), by partition; none: not planned yet."""
        columns = stream_offsets.c
        query = (
            sa.select(columns.partition, columns.start_offset, columns.end_offset, columns.lost)
            .where(_of(table, topic), columns.hour == hour)
            .order_by(columns.partition)
        )
        with self._reader.connect() as connection:
            return [
                OffsetRange(partition=partition, start=start, end=end, lost=lost)
                for partition, start, end, lost in connection.execute(query)
            ]

    def around(self, table: str, topic: str, hour: datetime) -> RecordedHours:
        """The recorded hours next to an hour."""
        columns = stream_offsets.c
        own = _of(table, topic)
        with self._reader.connect() as connection:
            before = connection.scalar(
                sa.select(sa.func.max(columns.hour)).where(own, columns.hour < hour)
            )
            after = connection.scalar(
                sa.select(sa.func.min(columns.hour)).where(own, columns.hour > hour)
            )
        return RecordedHours(
            before=before,
            ends={r.partition: r.end for r in self.of_hour(table, topic, before)} if before else {},
            after=after,
            starts={r.partition: r.start for r in self.of_hour(table, topic, after)}
            if after
            else {},
        )

    def latest_hour(self, table: str, topic: str) -> datetime | None:
        """The latest recorded hour (aware UTC) of a table."""
        query = sa.select(sa.func.max(stream_offsets.c.hour)).where(_of(table, topic))
        with self._reader.connect() as connection:
            return connection.scalar(query)

    def record(
        self,
        table: str,
        hour: datetime,
        topic: str,
        ranges: Sequence[OffsetRange],
        *,
        anew: bool = False,
    ) -> list[OffsetRange]:
        """Records an hour's ranges and returns those that count: the first ones recorded.

        Args:
            table: Bronze table, such as ``web__events``.
            hour: Partition hour (aware UTC).
            topic: Name of the topic.
            ranges: One for each partition.
            anew: Whether they replace recorded ones, as for a topic that was made anew.
        """
        same = _of(table, topic) & (stream_offsets.c.hour == hour)
        now = datetime.now(UTC)
        rows = [
            {
                "table": table,
                "hour": hour,
                "topic": topic,
                "partition": offsets.partition,
                "start_offset": offsets.start,
                "end_offset": offsets.end,
                "lost": offsets.lost,
                "planned_at": now,
            }
            for offsets in ranges
        ]
        try:
            with self._engine.begin() as connection:
                if anew:
                    connection.execute(sa.delete(stream_offsets).where(same))
                if rows and connection.scalar(sa.select(stream_offsets.c.id).where(same)) is None:
                    connection.execute(sa.insert(stream_offsets), rows)
        except IntegrityError:
            # Another process has recorded the hour at the same moment: its record counts.
            return self.of_hour(table, topic, hour)
        return self.of_hour(table, topic, hour)

    def lose(self, table: str, topic: str, hour: datetime, ranges: Sequence[OffsetRange]) -> None:
        """Remembers how many offsets of each range were lost; the greatest number counts."""
        columns = stream_offsets.c
        with self._engine.begin() as connection:
            for offsets in ranges:
                connection.execute(
                    sa.update(stream_offsets)
                    .where(
                        _of(table, topic),
                        columns.hour == hour,
                        columns.partition == offsets.partition,
                        columns.lost < offsets.lost,
                    )
                    .values(lost=offsets.lost)
                )


def _of(table: str, topic: str) -> sa.ColumnElement[bool]:
    # A table that is given another topic begins anew.
    return (stream_offsets.c.table == table) & (stream_offsets.c.topic == topic)
