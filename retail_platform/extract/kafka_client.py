"""The protocol's client of a Kafka cluster: its settings, its questions, and what errors mean.

Belongs here: whatever is asked of a cluster, and the failures that its answers become. Reading a
topic's messages is in `kafka_topic`, the offsets of a consumer group in `kafka_group`.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from retail_platform.control.redaction import redact
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
REFUSED = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)
UNKNOWN = frozenset(
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
POLL_SECONDS = 0.05
"""How long the client is waited for before something else is looked at."""
_Answer = TypeVar("_Answer")
REQUEST_SECONDS = 15.0
"""How long an answer to a question is waited for."""


@dataclass(frozen=True, kw_only=True)
class KafkaSettings:
    """How a cluster is reached, and how long it is waited for.

    Attributes:
        configuration: Settings of librdkafka: servers, security, secrets.
        secrets: Values that no message may show.
        group: Consumer group that the client belongs to; only `kafka_group` keeps offsets in it.
        appended: Whether a message arrives when the broker appends it; otherwise when its producer
            stamped it.
        heartbeat: Topic whose newest message tells the source's present.
        clock_skew: How far this machine's clock may be ahead, where there is no heartbeat.
        stall_seconds: How long messages are waited for, restarts of brokers included.
    """

    configuration: Mapping[str, Any] = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    group: str = "retail_platform"
    appended: bool = True
    heartbeat: str | None = None
    clock_skew: timedelta = timedelta(minutes=1)
    stall_seconds: float = 60.0


def passes(error: KafkaError) -> bool:
    """Whether a broker may answer when it is asked again: it is starting, or hands over."""
    return error.retriable() or error.code() in _STARTING


class KafkaClient:
    """A cluster as one reader sees it; close it after use.

    Only what transactions have committed is seen, and no offset is committed by itself.

    Args:
        settings: How the cluster is reached.
        topic: Topic that it is opened for, for messages.
        name: Source and table, for messages and as the client's name.
    """

    def __init__(self, settings: KafkaSettings, topic: str, *, name: str) -> None:
        self.settings = settings
        self.topic = topic
        self.name = name
        self._heard: KafkaError | None = None
        self._consumer: Consumer | None = None

    def close(self) -> None:
        """Leaves the cluster."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    @property
    def consumer(self) -> Consumer:
        """The protocol's own client, opened when it is first needed."""
        if self._consumer is None:
            self._consumer = Consumer(
                {
                    **_FETCH,
                    "group.id": self.settings.group,
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

    def partitions(self, topic: str) -> list[int]:
        """The numbers of a topic's partitions, ascending.

        Raises:
            TransientFailure: the cluster does not answer.
            PermanentFailure: the cluster refuses, or has no such topic.
        """
        consumer = self.consumer
        found = self.asked(
            "the cluster does not answer",
            lambda: consumer.list_topics(topic, timeout=REQUEST_SECONDS).topics[topic],
        )
        if found.error is not None:
            raise self.failure(f"topic {topic} cannot be read", KafkaException(found.error))
        return sorted(found.partitions)

    def first_at(self, partitions: Sequence[int], moment: datetime) -> dict[int, int | None]:
        """The first offset that arrived at or after a moment (aware), by partition of the topic.

        None where nothing did.

        Raises:
            TransientFailure: the cluster does not answer.
            PermanentFailure: the cluster refuses.
        """
        consumer, millis = self.consumer, int(moment.timestamp() * 1000)

        def ask() -> list[TopicPartition]:
            asked = [TopicPartition(self.topic, partition, millis) for partition in partitions]
            answers = consumer.offsets_for_times(asked, timeout=REQUEST_SECONDS)
            refused = next((answer.error for answer in answers if answer.error is not None), None)
            if refused is not None:
                raise KafkaException(refused)
            return answers

        return {
            answer.partition: answer.offset if answer.offset >= 0 else None
            for answer in self.asked("its offsets cannot be asked for", ask)
        }

    def bounds(self, place: TopicPartition) -> tuple[int, int]:
        """The oldest offset of a partition, and the one after the newest.

        Raises:
            TransientFailure: the cluster does not answer.
            PermanentFailure: the cluster refuses, or has no such topic.
        """
        consumer = self.consumer
        bounds = self.asked(
            "its offsets cannot be asked for",
            lambda: consumer.get_watermark_offsets(place, timeout=REQUEST_SECONDS),
        )
        if bounds is None:
            raise self.failure("its offsets cannot be asked for", None)
        return bounds

    def newest(self, topic: str, partition: int) -> Message | None:
        """The newest message of a partition; None where it has none.

        Raises:
            TransientFailure: the cluster does not answer.
            PermanentFailure: the cluster refuses.
        """
        consumer = self.consumer
        low, high = self.bounds(TopicPartition(topic, partition))
        if low == high:
            return None
        try:
            consumer.assign([TopicPartition(topic, partition, high - 1)])
            deadline = time.monotonic() + REQUEST_SECONDS
            while time.monotonic() < deadline:
                message = consumer.poll(POLL_SECONDS)
                if message is not None and message.error() is None:
                    return message
        finally:
            consumer.unassign()
        raise self.failure(f"topic {topic} does not give its newest message", None)

    def asked(self, what: str, ask: Callable[[], _Answer]) -> _Answer:
        """An answer of the cluster; a broker that is just starting is asked again.

        Args:
            what: What is wrong where it does not answer, for the message.
            ask: Asks it.

        Raises:
            TransientFailure: it does not answer.
            PermanentFailure: it refuses.
        """
        deadline = time.monotonic() + REQUEST_SECONDS
        while True:
            try:
                return ask()
            except KafkaException as error:
                if not passes(error.args[0]) or time.monotonic() > deadline:
                    raise self.failure(what, error) from error
                time.sleep(POLL_SECONDS)

    def failure(self, what: str, error: KafkaException | None) -> PlatformFailure:
        """The failure with what the client has heard last of its connections."""
        # The client tells of its connections only while it is polled.
        self.consumer.poll(0)
        own: KafkaError | None = error.args[0] if error is not None else None
        heard = [e for e in (own, self._heard) if e is not None]
        said = redact(
            "; ".join(dict.fromkeys(f"{e.name()}: {e.str()}" for e in heard)) or "no reason given",
            *self.settings.secrets,
        )
        text = f"{self.name}, topic {self.topic}: {what} ({said})"
        if any(e.code() in REFUSED for e in heard):
            return PermanentFailure(
                f"{text}. Check user name, password and security of the source's connection, and "
                "that they may read the topic and describe it."
            )
        if own is not None and own.code() in UNKNOWN:
            return PermanentFailure(
                f"{text}. Check stream.topic of the table, or create the topic."
            )
        return TransientFailure(
            f"{text}. It is tried again; check that the brokers run and that "
            "connection.bootstrap and connection.security are right."
        )

    def _hear(self, error: KafkaError) -> None:
        """Keeps what the client says of its connections; a refusal outlasts what follows it."""
        if self._heard is None or self._heard.code() not in REFUSED:
            self._heard = error
