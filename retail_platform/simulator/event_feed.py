"""The topics of the simulator: a Kafka of its own, and the producer that follows the clock.

The simulated clock runs through hours that are past, so a broker's time says nothing of it: the
producer stamps each message with its simulated arrival, in that order, and a heartbeat topic tells
the clock. The connection's metadata says so (``arrival``). Not here: what the messages say
(`events`).
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from retail_platform.extract.kafka_client import passes
from retail_platform.failures import TransientFailure
from retail_platform.simulator.changes import ChangeLog
from retail_platform.simulator.events import TOPICS, messages_between
from retail_platform.simulator.kafka_server import KafkaServer
from retail_platform.simulator.shifts import from_micros, to_micros

_LOG = logging.getLogger(__name__)
_LOG.addHandler(logging.NullHandler())
SOURCE = "web"
HEARTBEAT = "retail.heartbeat"
SECONDS = 30.0


class EventFeed:
    """The producer; a start goes on where the last one ended.

    Args:
        server: Where the topics are; it may still be starting.
        log: The company's change log.
        start: The simulator's first clock: nothing arrives before it.
        seed: Seed of every draw.
    """

    def __init__(self, server: KafkaServer, log: ChangeLog, *, start: datetime, seed: int) -> None:
        self.server = server
        self.log = log
        self.seed = seed
        self._start = start
        self._came_to: datetime | None = None
        self._producer: Producer | None = None
        self._refused: KafkaError | None = None

    @property
    def environ(self) -> dict[str, str]:
        """Environment variables that point the platform at the topics."""
        return {
            "KAFKA_BOOTSTRAP": self.server.bootstrap,
            "KAFKA_SECURITY": "plaintext",
            "KAFKA_ARRIVAL": "create_time",
            "KAFKA_HEARTBEAT": HEARTBEAT,
        }

    def advance_to(self, clock: datetime) -> int:
        """Writes what arrives before ``clock``, then the heartbeat; waits for the server first.

        Returns:
            Number of messages written.

        Raises:
            TransientFailure: the server does not take them.
        """
        came_to = self._came_to or self._ready()
        if clock <= came_to:
            return 0
        producer = self._producer
        assert producer is not None, "ready"
        told = messages_between(self.log, came_to, clock, seed=self.seed)
        for message in told:
            producer.produce(
                message.topic,
                message.value,
                key=message.key,
                partition=message.partition,
                timestamp=message.arrived,
                on_delivery=self._delivered,
            )
        self._flush(producer)
        # The hour is closed only when all of it is there.
        producer.produce(
            HEARTBEAT,
            b"{}",
            partition=0,
            timestamp=to_micros(clock) // 1_000,
            on_delivery=self._delivered,
        )
        self._flush(producer)
        self._came_to = clock
        return len(told)

    def _flush(self, producer: Producer) -> None:
        waiting = producer.flush(SECONDS)
        if waiting or self._refused is not None:
            said = self._refused.str() if self._refused else f"{waiting} wait"
            raise TransientFailure(
                f"simulator: Kafka does not take messages ({said}); start the demo again"
            )

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        self._refused = self._refused or error

    def _ready(self) -> datetime:
        """Waits for the server, makes the topics, and says how far they have come."""
        self.server.wait()
        at = self.server.bootstrap
        admin = AdminClient({"bootstrap.servers": at}, logger=_LOG)
        wanted = [NewTopic(name, count, 1) for name, count in {**TOPICS, HEARTBEAT: 1}.items()]
        for made in admin.create_topics(wanted).values():
            try:
                made.result(SECONDS)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise
        self._producer = Producer(
            {"bootstrap.servers": at, "enable.idempotence": True, "linger.ms": 5}, logger=_LOG
        )
        self._came_to = self._newest_heartbeat() or self._start
        return self._came_to

    def _newest_heartbeat(self) -> datetime | None:
        """Where the last start has ended; a server that is just starting is asked again."""
        consumer = Consumer(
            {"bootstrap.servers": self.server.bootstrap, "group.id": "simulator"}, logger=_LOG
        )
        deadline = time.monotonic() + SECONDS
        high = -1
        try:
            while time.monotonic() < deadline:
                if high < 0:
                    high = self._end(consumer)
                    if high == 0:
                        return None
                    if high > 0:
                        consumer.assign([TopicPartition(HEARTBEAT, 0, high - 1)])
                message = consumer.poll(0.1)
                if message is not None and message.error() is None:
                    return from_micros(message.timestamp()[1] * 1_000)
        finally:
            consumer.close()
        raise TransientFailure("simulator: Kafka does not give its newest heartbeat")

    def _end(self, consumer: Consumer) -> int:
        """The offset after the newest heartbeat; -1 while the server does not know."""
        try:
            bounds = consumer.get_watermark_offsets(TopicPartition(HEARTBEAT, 0), timeout=SECONDS)
        except KafkaException as error:
            if passes(error.args[0]):
                return -1
            raise
        return bounds[1] if bounds else -1


@contextmanager
def serve_events(
    folder: Path, log: ChangeLog, *, start: datetime, seed: int
) -> Iterator[EventFeed]:
    """Starts the server while the context is open, and does not wait for it.

    Args:
        folder: The server's data, which outlives it.
        log: The company's change log.
        start: The simulator's first clock.
        seed: Seed of every draw.
    """
    folder.mkdir(parents=True, exist_ok=True)
    server = KafkaServer(folder).start()
    try:
        yield EventFeed(server, log, start=start, seed=seed)
    finally:
        server.stop()
