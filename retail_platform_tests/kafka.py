"""A throw-away Kafka for tests, where the machine has one, and what tests do to its topics."""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from retail_platform.simulator.kafka_jars import kafka_folder
from retail_platform.simulator.kafka_server import KafkaServer
from retail_platform_tests.services import require_service

SECONDS = 30.0


class Cluster:
    """A running server."""

    def __init__(self, server: KafkaServer) -> None:
        self.server = server
        self.admin = AdminClient({"bootstrap.servers": server.bootstrap})
        self._topics = 0

    @property
    def environ(self) -> dict[str, str]:
        """The variable that the catalogs of `kafka_source` name."""
        return {"KAFKA": self.server.bootstrap}

    @property
    def configuration(self) -> dict[str, Any]:
        """What a client needs to know."""
        return {"bootstrap.servers": self.server.bootstrap}

    def topic(self, *, partitions: int = 1, **settings: str) -> str:
        """Makes a topic with a name of its own; producers' times count unless settings differ."""
        self._topics += 1
        name = f"topic-{self._topics}"
        self.make(name, partitions=partitions, **settings)
        return name

    def make(self, name: str, *, partitions: int = 1, **settings: str) -> None:
        """Makes a topic."""
        config = {key.replace("_", "."): value for key, value in settings.items()}
        made = self.admin.create_topics([NewTopic(name, partitions, 1, config=config)])
        made[name].result(SECONDS)

    def remove(self, name: str) -> None:
        """Removes a topic."""
        self.admin.delete_topics([name])[name].result(SECONDS)

    def put(
        self,
        topic: str,
        *events: Mapping[str, Any] | bytes | None,
        at: datetime | None = None,
        partition: int = 0,
        key: str | None = None,
    ) -> None:
        """Writes events, dictionaries as JSON, in one batch.

        Args:
            topic: The topic.
            events: What to write.
            at: Their time, if it is the producer's to say.
            partition: Their partition.
            key: Their key.
        """
        producer = Producer({**self.configuration, "linger.ms": 5})
        for event in events:
            value = json.dumps(event).encode() if isinstance(event, Mapping) else event
            # 0 leaves the time to the client.
            stamp = int(at.timestamp() * 1000) if at else 0
            producer.produce(topic, value, key=key, partition=partition, timestamp=stamp)
        assert producer.flush(SECONDS) == 0

    def expire(self, topic: str, before: int, partition: int = 0) -> None:
        """Deletes the messages before an offset, as retention does."""
        place = TopicPartition(topic, partition, before)
        self.admin.delete_records([place])[place].result(SECONDS)


@contextmanager
def kafka_cluster(settings: Mapping[str, str] | None = None) -> Iterator[Cluster]:
    """A server of its own in a folder of its own.

    Skips the test where there is no Kafka, or fails it (see `services`).
    """
    require_service("Kafka (retail-platform add-kafka)", found=kafka_folder() is not None)
    with (
        tempfile.TemporaryDirectory(prefix="kafka-") as folder,
        KafkaServer(Path(folder), settings=settings) as server,
    ):
        yield Cluster(server)


def kafka_source(topic: str, *tables: Mapping[str, Any], **connection: Any) -> dict[str, Any]:
    """A source ``web`` with a table ``events`` of a topic, as its YAML tree.

    Args:
        topic: The topic.
        tables: What differs from the row of table ``events``, for each table.
        connection: What differs from a plain connection by the producers' times.
    """
    row = {
        "table": "events",
        "load": "stream",
        "key": ["id"],
        "stream": {"topic": topic},
        "silver": {"entity": "events", "merge": "upsert"},
    }
    plain = {
        "kind": "kafka",
        "bootstrap": {"env": "KAFKA"},
        "security": "plaintext",
        "arrival": "create_time",
        "timezone": "UTC",
    }
    own: Sequence[Mapping[str, Any]] = tables or [{}]
    return {
        "source": "web",
        "connection": {**plain, **connection},
        "tables": [{**row, **table} for table in own],
    }
