"""One topic of a Kafka cluster: its offsets, its clock, and its messages in bounded batches.

Which offsets make an hour is in `offsets`, what a message becomes in `event_rows`; questions and
errors of the protocol are `kafka_client`'s.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from retail_platform.extract.kafka_client import (
    POLL_SECONDS,
    REFUSED,
    UNKNOWN,
    KafkaClient,
    KafkaSettings,
    passes,
)
from retail_platform.extract.offsets import OffsetRange, PartitionState
from retail_platform.failures import PermanentFailure, PlatformFailure, TransientFailure

_GONE = frozenset(
    {
        KafkaError._AUTO_OFFSET_RESET,
        KafkaError.OFFSET_OUT_OF_RANGE,
    }
)
_END_OF_PARTITION = KafkaError._PARTITION_EOF
BATCH = 5_000
"""Messages that are handed on together, at most."""


class KafkaTopic:
    """A topic as one reader sees it; close it after use.

    Args:
        settings: How its cluster is reached.
        topic: Its name.
        name: Source and table, for messages and as the client's name.

    Attributes:
        client: What asks its cluster.
        lost: Offsets by partition that were found to be gone while they were read.
    """

    def __init__(self, settings: KafkaSettings, topic: str, *, name: str) -> None:
        self.client = KafkaClient(settings, topic, name=name)
        self.settings = settings
        self.topic = topic
        self.name = name
        self.lost: dict[int, int] = {}

    def close(self) -> None:
        """Leaves the cluster."""
        self.client.close()

    def clock(self) -> datetime:
        """The source's present, aware UTC.

        Raises:
            TransientFailure: the cluster does not answer, or its heartbeat has not begun.
            PermanentFailure: the cluster refuses, or has no such topic.
        """
        if self.settings.heartbeat is None:
            return datetime.now(UTC) - self.settings.clock_skew
        beats = [
            self.arrived_at(message)
            for partition in self.client.partitions(self.settings.heartbeat)
            if (message := self.client.newest(self.settings.heartbeat, partition)) is not None
        ]
        if not beats:
            raise TransientFailure(
                f"{self.name}: topic {self.settings.heartbeat}, which tells the source's present, "
                "has no message. It is tried again; if nobody writes it, leave "
                "connection.heartbeat out."
            )
        return max(beats)

    def states(self, start: datetime, end: datetime) -> dict[int, PartitionState]:
        """What the broker holds, by partition.

        Args:
            start: Start of an hour, aware UTC.
            end: Its end.

        Raises:
            TransientFailure: the cluster does not answer.
            PermanentFailure: the cluster refuses, or has no such topic.
        """
        partitions = self.client.partitions(self.topic)
        first_of_hour = self.client.first_at(partitions, start)
        first_after = self.client.first_at(partitions, end)
        found = {}
        for partition in partitions:
            low, high = self.bounds(partition)
            found[partition] = PartitionState(
                low=low,
                high=high,
                first_of_hour=first_of_hour[partition],
                first_after=first_after[partition],
            )
        return found

    def bounds(self, partition: int) -> tuple[int, int]:
        """The oldest offset of a partition, and the one after the newest.

        Raises:
            TransientFailure: the cluster does not answer.
            PermanentFailure: the cluster refuses, or has no such topic.
        """
        return self.client.bounds(TopicPartition(self.topic, partition))

    def messages(self, ranges: Sequence[OffsetRange]) -> Iterator[list[Message]]:
        """The messages of these ranges, in batches; each partition's in order of offset.

        A partition has ended when a message, or the broker, is beyond its range: offsets without a
        message are passed over. Offsets that expire meanwhile are added to ``lost``.

        Raises:
            TransientFailure: nothing came for as long as the settings wait.
            PermanentFailure: the cluster refuses, or a message has no arrival time of the kind that
                the metadata names.
        """
        self.lost = {}
        places = {r.partition: r for r in ranges if r.start < r.end}
        if not places:
            return
        consumer = self.client.consumer
        try:
            consumer.assign(
                [
                    TopicPartition(self.topic, place.partition, place.start)
                    for place in places.values()
                ]
            )
            yield from self._read(consumer, places)
        except KafkaException as error:
            raise self.client.failure("its messages cannot be read", error) from error
        finally:
            consumer.unassign()

    def arrived_at(self, message: Message) -> datetime:
        """When a message arrived, aware UTC.

        Raises:
            PermanentFailure: its time is not of the kind that the metadata names.
        """
        kind, millis = message.timestamp()
        appended = kind == TIMESTAMP_LOG_APPEND_TIME
        if kind == TIMESTAMP_NOT_AVAILABLE or appended != self.settings.appended:
            found = "LogAppendTime" if appended else "CreateTime"
            wanted = "LogAppendTime" if self.settings.appended else "CreateTime"
            raise PermanentFailure(
                f"{self.name}: topic {message.topic()}, partition {message.partition()}, offset "
                f"{message.offset()}: its time is of the kind {found}, expected {wanted}. Set "
                f"message.timestamp.type={wanted} on the topic, or connection.arrival to "
                f"{'append_time' if appended else 'create_time'} of the source."
            )
        return datetime.fromtimestamp(millis / 1000, UTC)

    def _read(self, consumer: Consumer, places: dict[int, OffsetRange]) -> Iterator[list[Message]]:
        batch: list[Message] = []
        progress = time.monotonic()
        while places:
            received = consumer.consume(BATCH - len(batch), POLL_SECONDS)
            for message in received:
                if message.error() is not None:
                    self._judge(message, places)
                elif self._is_wanted(message, places):
                    batch.append(message)
            if received:
                progress = time.monotonic()
            elif time.monotonic() - progress > self.settings.stall_seconds:
                raise self._stalled(places)
            if len(batch) >= BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    def _is_wanted(self, message: Message, places: dict[int, OffsetRange]) -> bool:
        """Whether a message is of its partition's range, which it moves on or ends."""
        partition, offset = message.partition(), message.offset()
        if partition is None or offset is None or partition not in places:
            return False
        place = places[partition]
        if offset >= place.end - 1:
            self._leave(partition, places)
        else:
            places[partition] = replace(place, start=offset + 1)
        return offset < place.end

    def _judge(self, message: Message, places: dict[int, OffsetRange]) -> None:
        """An event in place of a message: the end of a partition, expired offsets, or a fault."""
        error, partition = message.error(), message.partition()
        assert error is not None, "an event"
        consumer = self.client.consumer
        place = places.get(partition) if partition is not None else None
        if place is None or partition is None:
            if error.code() in REFUSED | UNKNOWN:
                raise self.client.failure("its messages cannot be read", KafkaException(error))
            return
        if error.code() == _END_OF_PARTITION:
            # Planned up to here or less: what is left of the range holds no message. A partition
            # that ends earlier was cut off.
            _, high = self.bounds(partition)
            if high < place.end:
                self._lose(partition, place.end - max(high, place.start))
            self._leave(partition, places)
        elif error.code() in _GONE:
            low, _ = self.bounds(partition)
            if low <= place.start:
                raise self.client.failure("its offsets cannot be read", KafkaException(error))
            self._lose(partition, min(low, place.end) - place.start)
            if low >= place.end:
                self._leave(partition, places)
            else:
                self._leave(partition, places)
                places[partition] = replace(place, start=low)
                consumer.incremental_assign([TopicPartition(self.topic, partition, low)])
        elif not passes(error):
            raise self.client.failure("its messages cannot be read", KafkaException(error))

    def _lose(self, partition: int, offsets: int) -> None:
        self.lost[partition] = self.lost.get(partition, 0) + offsets

    def _leave(self, partition: int, places: dict[int, OffsetRange]) -> None:
        del places[partition]
        self.client.consumer.incremental_unassign([TopicPartition(self.topic, partition)])

    def _stalled(self, places: Mapping[int, OffsetRange]) -> PlatformFailure:
        waiting = ", ".join(f"{p} at offset {r.start} of {r.end}" for p, r in places.items())
        text = (
            f"no message came for {self.settings.stall_seconds:.0f} s "
            f"(partitions waiting: {waiting})"
        )
        return self.client.failure(text, None)
