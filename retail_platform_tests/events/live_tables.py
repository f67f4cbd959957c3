"""A live table over a real Kafka, in a folder of its own, and the events that tests give it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from retail_platform.control.database import open_control
from retail_platform.control.ledger import Ledger
from retail_platform.extract.kafka_client import KafkaSettings
from retail_platform.extract.kafka_topic import KafkaTopic
from retail_platform.live.micro_batch import MicroBatch, MicroBatchLoader
from retail_platform.metadata.live import LiveTable
from retail_platform.metadata.loader import load_catalog
from retail_platform_tests.kafka import Cluster, kafka_source
from retail_platform_tests.platform.box import Row, hour_at
from retail_platform_tests.platform.catalogs import contract, write_catalog

COLUMNS = {"place": "int", "product": "bigint", "quantity": "int", "changed_at": "timestamp"}
KEY = ["place", "product"]


class Killed(BaseException):
    """The process ends here."""


def killed(*_: object, **__: object) -> None:
    raise Killed


@dataclass
class Live:
    """A live table of a topic of its own, in a folder of its own."""

    kafka: Cluster
    folder: Path
    topic: str
    changed: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Write the catalog."""
        row = {
            "table": "stock",
            "topic": self.topic,
            "key": KEY,
            "sequence": "changed_at",
            "group": f"group-{self.topic}",
            **self.changed,
        }
        source = {**kafka_source(self.topic), "live": [row]}
        contracts = [
            contract("events", {"id": "bigint"}, ["id"]),
            contract("stock", COLUMNS, KEY, required=["quantity", "changed_at"]),
        ]
        self.catalog_folder = write_catalog(self.folder / "catalog", [source], contracts)
        self.catalog = load_catalog(self.catalog_folder)

    @property
    def table(self) -> LiveTable:
        """Its metadata."""
        (found,) = self.catalog.live
        return found

    @property
    def lake(self) -> str:
        """Root of the lake."""
        return str(self.folder / "lake")

    @property
    def control_url(self) -> str:
        """The control database."""
        return f"sqlite:///{self.folder / 'control.db'}"

    @cached_property
    def ledger(self) -> Ledger:
        """The load ledger."""
        return Ledger(open_control(self.control_url))

    @contextmanager
    def loader(self) -> Iterator[MicroBatchLoader]:
        """An open loader."""
        settings = KafkaSettings(
            configuration=self.kafka.configuration,
            appended=False,
            group=self.table.row.consumer_group,
        )
        topic = KafkaTopic(settings, self.topic, name="silver.stock")
        try:
            yield MicroBatchLoader(
                table=self.table,
                topic=topic,
                lake_url=self.lake,
                open_ledger=lambda: self.ledger,
                run_id="run",
            )
        finally:
            topic.close()

    def load(self) -> MicroBatch:
        """One micro-batch."""
        with self.loader() as loader:
            return loader.load()

    def put(self, *events: Any, partition: int = 0, number: int = 0) -> None:
        """Writes events that arrive in an hour."""
        self.kafka.put(self.topic, *events, at=hour_at(number), partition=partition)

    def rows(self) -> dict[tuple[int, int], int]:
        """Quantity by key."""
        stored = self.stored()
        found = {(row["place"], row["product"]): row["quantity"] for row in stored}
        assert len(found) == len(stored), "one row a key"
        return found

    def stored(self) -> list[Row]:
        """Rows with all of their columns."""
        return DeltaTable(f"{self.lake}/silver/stock").to_pyarrow_table().to_pylist()

    def refused(self) -> list[Row]:
        """Rows of the quarantine."""
        return DeltaTable(f"{self.lake}/quarantine/stock").to_pyarrow_table().to_pylist()

    def version(self) -> int:
        """Version of the table."""
        return DeltaTable(f"{self.lake}/silver/stock").version()

    def committed(self) -> dict[int, int]:
        """Offsets that the group keeps."""
        with self.loader() as loader:
            return loader.group.committed([0, 1])


def event(product: int, quantity: Any, minute: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "place": 1,
        "product": product,
        "quantity": quantity,
        "changed_at": f"2026-01-05T12:{minute:02}:00+00:00",
        **more,
    }
