"""What the tests of streams share: a platform that reads one topic of a real Kafka; live tables."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message

from retail_platform.bronze.load import BronzeLoad
from retail_platform.extract.kafka_reader import KafkaReader
from retail_platform.extract.kafka_topic import KafkaTopic
from retail_platform.extract.offsets import OffsetRange
from retail_platform.extract.opening import open_reader
from retail_platform.metadata.loader import load_catalog
from retail_platform.silver.load import SilverLoad
from retail_platform_tests.events.live_tables import Live
from retail_platform_tests.kafka import SECONDS, Cluster, kafka_source
from retail_platform_tests.platform.box import HOUR, Box, Row, hour_at
from retail_platform_tests.platform.catalogs import contract, write_catalog
from retail_platform_tests.platform.fixtures import Opener

COLUMNS = {"id": "bigint", "page": "string", "amount": "decimal(10,2)"}


def strike_at_first_message(
    monkeypatch: pytest.MonkeyPatch, fault: Callable[[], object]
) -> list[int]:
    """Has a fault strike once, when the first message that was read is looked at.

    More is to come then than the client holds already.

    Returns:
        The offset of that message, once it was read.
    """
    arrived_at = KafkaTopic.arrived_at
    seen: list[int] = []

    def struck(topic: KafkaTopic, message: Message) -> datetime:
        if not seen:
            fault()
            seen.append(message.offset() or 0)
        return arrived_at(topic, message)

    monkeypatch.setattr(KafkaTopic, "arrived_at", struck)
    return seen


class Stream:
    """One topic and the platform that reads it into table ``events``, hour by hour.

    Attributes:
        topic: The topic.
        box: The platform.
    """

    def __init__(self, kafka: Cluster, box: Box, topic: str) -> None:
        self.kafka = kafka
        self.box = box
        self.topic = topic

    def put(
        self,
        number: int,
        *events: Any,
        minute: int = 30,
        partition: int = 0,
        key: str | None = None,
    ) -> None:
        """Writes events that arrive at a minute of hour ``number``; numbers are ids."""
        at = hour_at(number) + minute * (HOUR / 60)
        made = [{"id": event, "page": "p"} if isinstance(event, int) else event for event in events]
        self.kafka.put(self.topic, *made, at=at, partition=partition, key=key)

    def bronze(self, number: int) -> BronzeLoad:
        """Loads an hour into Bronze."""
        return self.box.bronze("events", number, self.kafka.environ)

    def load(self, number: int) -> SilverLoad:
        """Loads an hour into Bronze and Silver."""
        return self.box.both("events", number, self.kafka.environ)

    def until(self, end: int) -> None:
        """Waits until readers may see the offsets before ``end``."""
        deadline = time.monotonic() + SECONDS
        with self.reader() as reader:
            while reader.topic.bounds(0)[1] < end:
                assert time.monotonic() < deadline, "readers do not see it"
                time.sleep(0.02)

    def visible(self) -> int:
        """How many messages a reader of partition 0 gets."""
        with self.reader() as reader:
            low, high = reader.topic.bounds(0)
            batches = reader.topic.messages([OffsetRange(partition=0, start=low, end=high)])
            return sum(map(len, batches))

    @contextmanager
    def reader(self) -> Iterator[KafkaReader]:
        """The reader of the table."""
        table = self.box.catalog.by_entity["events"]
        with open_reader(table, self.box.files, self.kafka.environ) as reader:
            assert isinstance(reader, KafkaReader)
            yield reader

    def stored(self, number: int | None = None) -> list[Row]:
        """Bronze rows, of one hour or of all, by partition and offset."""
        rows = [
            row
            for row in self.box.stored_bronze("events")
            if number is None or row["_hour"] == hour_at(number)
        ]
        return sorted(rows, key=lambda row: (row["_partition"], row["_offset"]))

    def ids(self, number: int | None = None) -> list[str]:
        """The ids in Bronze, in that order."""
        return [row["id"] for row in self.stored(number)]

    def lost(self) -> list[tuple[int, int, int]]:
        """Hour, partition and number of what the control database knows to be lost."""
        offsets = self.box.ledger.offsets
        return [
            (number, ranges.partition, ranges.lost)
            for number in range(12)
            for ranges in offsets.of_hour("web__events", self.topic, hour_at(number))
            if ranges.lost
        ]


Maker = Callable[..., Stream]


@pytest.fixture
def new_stream(kafka: Cluster, new_box: Opener, tmp_path: Path) -> Maker:
    """Makes a topic and the platform that reads it.

    Its arguments: ``partitions`` and ``settings`` of the topic, ``connection``, ``columns`` of the
    contract, ``mapped`` ones of the row, and what else differs from the plain row of ``events``.
    """

    def maker(
        *,
        partitions: int = 1,
        settings: dict[str, str] | None = None,
        connection: dict[str, Any] | None = None,
        columns: dict[str, str] | None = None,
        mapped: dict[str, str] | None = None,
        **row: Any,
    ) -> Stream:
        topic = kafka.topic(partitions=partitions, **(settings or {}))
        row["stream"] = {"topic": topic, **row.get("stream", {})}
        key = row.get("key", ["id"])
        row["columns"] = mapped or {}
        catalog = load_catalog(
            write_catalog(
                tmp_path / topic,
                [kafka_source(topic, row, **(connection or {}))],
                [contract("events", columns or COLUMNS, key)],
            )
        )
        return Stream(kafka, new_box(catalog), topic)

    return maker


@pytest.fixture
def live(kafka: Cluster, tmp_path: Path) -> Live:
    """A live table of a topic with two partitions."""
    return Live(kafka, tmp_path, kafka.topic(partitions=2))
