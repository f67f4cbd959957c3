"""One topic of a Kafka cluster: its offsets, its clock, and its messages in bounded batches.

Belongs here: the protocol's client, and what its errors mean. Which offsets make an hour is in
`offsets`, what a message becomes in `event_rows`.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from retail_platform.control.redaction import redact
from retail_platform.extract.offsets import OffsetRange, PartitionState
from retail_platform.failures import PermanentFailure, PlatformFailure, TransientFailure

_LOG = logging.getLogger(__name__)
_LOG.addHandler(logging.NullHandler())
_FETCH = {
    # What the client holds beside the batch at hand, whatever the topic has.
    "queued.max.messages.kbytes": 16_384,
    "fetch.message.max.bytes": 4 * 2**20,
    "fetch.max.bytes": 8 * 2**20,
    # An hour ends where it was planned to end: nobody waits for more to come.
    "fetch.wait.max.ms": 10,
    "fetch.error.backoff.ms": 100,
    "reconnect.backoff.ms": 250,
    "reconnect.backoff.max.ms": 1_000,
}
_REFUSED = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)
_GONE = frozenset(
    {
        KafkaError._AUTO_OFFSET_RESET,
        KafkaError.OFFSET_OUT_OF_RANGE,
    }
)
_UNKNOWN = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
    }
)
_STARTING = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.REPLICA_NOT_AVAILABLE,
    }
)
_END_OF_PARTITION = KafkaError._PARTITION_EOF
_POLL_SECONDS = 0.05
_Answer = TypeVar("_Answer")
REQUEST_SECONDS = 15.0
"""How long an answer to a question is waited for."""
BATCH = 5_000
"""Messages that are handed on together, at most."""


@dataclass(frozen=True, kw_only=True)
class KafkaSettings:
    """How a cluster is reached, and how long it is waited for.

    Attributes:
        configuration: Settings of librdkafka: servers, security, secrets.
        secrets: Values that no message may show.
        appended: Whether a message arrives when the broker appends it; otherwise when its producer
            stamped it.
        heartbeat: Topic whose newest message tells the source's present.
        clock_skew: How far this machine's clock may be ahead, where there is no heartbeat.
        stall_seconds: How long messages are waited for, restarts of brokers included.
    """

    configuration: Mapping[str, Any] = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    appended: bool = True
    heartbeat: str | None = None
    clock_skew: timedelta = timedelta(minutes=1)
    stall_seconds: float = 60.0


def passes(error: KafkaError) -> bool:
    """Whether a broker may answer when it is asked again: it is starting, or hands over."""
    return error.retriable() or error.code() in _STARTING


class KafkaTopic:
    """A topic as one reader sees it; close it after use.

    Only what transactions have committed is seen. Offsets are never committed to the cluster: the
    control database knows them.

    Args:
        settings: How its cluster is reached.
        topic: Its name.
        name: Source and table, for messages and as the client's name.

    Attributes:
        lost: Offsets by partition that were found to be gone while they were read.
    """

    def __init__(self, settings: KafkaSettings, topic: str, *, name: str) -> None:
        self.settings = settings
        self.topic = topic
        self.name = name
        self.lost: dict[int, int] = {}
        self._heard: KafkaError | None = None
        self._consumer: Consumer | None = None

    def close(self) -> None:
        """Leaves the cluster."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def clock(self) -> datetime:
        """The source's present, aware UTC.

        Raises:
            TransientFailure: the cluster does not answer, or its heartbeat has not begun.
            PermanentFailure: the cluster refuses, or has no such topic.
        """
        if self.settings.heartbeat is None:
            return datetime.now(UTC) - self.settings.clock_skew
        beats = [
            self._arrived_at(message)
            for partition in self._partitions(self.settings.heartbeat)
            if (message := self._newest(self.settings.heartbeat, partition)) is not None
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
        partitions = self._partitions(self.topic)
        first_of_hour = self._first_at(partitions, start)
        first_after = self._first_at(partitions, end)
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
        return self._bounds(TopicPartition(self.topic, partition))

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
        consumer = self._open()
        try:
            consumer.assign(
                [
                    TopicPartition(self.topic, place.partition, place.start)
                    for place in places.values()
                ]
            )
            yield from self._read(consumer, places)
        except KafkaException as error:
            raise self._failure("its messages cannot be read", error) from error
        finally:
            consumer.unassign()

    def arrived_at(self, message: Message) -> datetime:
        """When a message arrived, aware UTC.

        Raises:
            PermanentFailure: its time is not of the kind that the metadata names.
        """
        return self._arrived_at(message)

    def _read(self, consumer: Consumer, places: dict[int, OffsetRange]) -> Iterator[list[Message]]:
        batch: list[Message] = []
        progress = time.monotonic()
        while places:
            received = consumer.consume(BATCH - len(batch), _POLL_SECONDS)
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
        consumer = self._open()
        place = places.get(partition) if partition is not None else None
        if place is None or partition is None:
            if error.code() in _REFUSED | _UNKNOWN:
                raise self._failure("its messages cannot be read", KafkaException(error))
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
                raise self._failure("its offsets cannot be read", KafkaException(error))
            self._lose(partition, min(low, place.end) - place.start)
            if low >= place.end:
                self._leave(partition, places)
            else:
                self._leave(partition, places)
                places[partition] = replace(place, start=low)
                consumer.incremental_assign([TopicPartition(self.topic, partition, low)])
        elif not passes(error):
            raise self._failure("its messages cannot be read", KafkaException(error))

    def _lose(self, partition: int, offsets: int) -> None:
        self.lost[partition] = self.lost.get(partition, 0) + offsets

    def _leave(self, partition: int, places: dict[int, OffsetRange]) -> None:
        del places[partition]
        self._open().incremental_unassign([TopicPartition(self.topic, partition)])

    def _stalled(self, places: Mapping[int, OffsetRange]) -> PlatformFailure:
        waiting = ", ".join(f"{p} at offset {r.start} of {r.end}" for p, r in places.items())
        text = (
            f"no message came for {self.settings.stall_seconds:.0f} s "
            f"(partitions waiting: {waiting})"
        )
        return self._failure(text, None)

    def _open(self) -> Consumer:
        if self._consumer is None:
            self._consumer = Consumer(
                {
                    **_FETCH,
                    "group.id": "retail_platform",
                    "client.id": self.name,
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "auto.offset.reset": "error",
                    "enable.partition.eof": True,
                    "allow.auto.create.topics": False,
                    "isolation.level": "read_committed",
                    "log.connection.close": False,
                    "error_cb": self._hear,
                    **self.settings.configuration,
                },
                logger=_LOG,
            )
        return self._consumer

    def _hear(self, error: KafkaError) -> None:
        """Keeps what the client says of its connections; a refusal outlasts what follows it."""
        if self._heard is None or self._heard.code() not in _REFUSED:
            self._heard = error

    def _partitions(self, topic: str) -> list[int]:
        consumer = self._open()
        found = self._asked(
            "the cluster does not answer",
            lambda: consumer.list_topics(topic, timeout=REQUEST_SECONDS).topics[topic],
        )
        if found.error is not None:
            raise self._failure(f"topic {topic} cannot be read", KafkaException(found.error))
        return sorted(found.partitions)

    def _first_at(self, partitions: Sequence[int], moment: datetime) -> dict[int, int | None]:
        consumer, millis = self._open(), int(moment.timestamp() * 1000)

        def ask() -> list[TopicPartition]:
            asked = [TopicPartition(self.topic, partition, millis) for partition in partitions]
            answers = consumer.offsets_for_times(asked, timeout=REQUEST_SECONDS)
            refused = next((answer.error for answer in answers if answer.error is not None), None)
            if refused is not None:
                raise KafkaException(refused)
            return answers

        return {
            answer.partition: answer.offset if answer.offset >= 0 else None
            for answer in self._asked("its offsets cannot be asked for", ask)
        }

    def _bounds(self, place: TopicPartition) -> tuple[int, int]:
        consumer = self._open()
        bounds = self._asked(
            "its offsets cannot be asked for",
            lambda: consumer.get_watermark_offsets(place, timeout=REQUEST_SECONDS),
        )
        if bounds is None:
            raise self._failure("its offsets cannot be asked for", None)
        return bounds

    def _asked(self, what: str, ask: Callable[[], _Answer]) -> _Answer:
        """An answer of the cluster; a broker that is just starting is asked again."""
        deadline = time.monotonic() + REQUEST_SECONDS
        while True:
            try:
                return ask()
            except KafkaException as error:
                if not passes(error.args[0]) or time.monotonic() > deadline:
                    raise self._failure(what, error) from error
                time.sleep(_POLL_SECONDS)

    def _newest(self, topic: str, partition: int) -> Message | None:
        """The newest message of a partition; None where it has none."""
        consumer = self._open()
        low, high = self._bounds(TopicPartition(topic, partition))
        if low == high:
            return None
        try:
            consumer.assign([TopicPartition(topic, partition, high - 1)])
            deadline = time.monotonic() + REQUEST_SECONDS
            while time.monotonic() < deadline:
                message = consumer.poll(_POLL_SECONDS)
                if message is not None and message.error() is None:
                    return message
        finally:
            consumer.unassign()
        raise self._failure(f"topic {topic} does not give its newest message", None)

    def _arrived_at(self, message: Message) -> datetime:
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

    def _failure(self, what: str, error: KafkaException | None) -> PlatformFailure:
        """The failure with what the client has heard last of its connections."""
        # The client tells of its connections only while it is polled.
        self._open().poll(0)
        own: KafkaError | None = error.args[0] if error is not None else None
        heard = [e for e in (own, self._heard) if e is not None]
        said = redact(
            "; ".join(dict.fromkeys(f"{e.name()}: {e.str()}" for e in heard)) or "no reason given",
            *self.settings.secrets,
        )
        text = f"{self.name}, topic {self.topic}: {what} ({said})"
        if any(e.code() in _REFUSED for e in heard):
            return PermanentFailure(
                f"{text}. Check user name, password and security of the source's connection, and "
                "that they may read the topic and describe it."
            )
        if own is not None and own.code() in _UNKNOWN:
            return PermanentFailure(
                f"{text}. Check stream.topic of the table, or create the topic."
            )
        return TransientFailure(
            f"{text}. It is tried again; check that the brokers run and that "
            "connection.bootstrap and connection.security are right."
        )
