"""The messages of shop and warehouse: made again they are the same, and they lead to the orders."""

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from retail_platform.extract.kafka_topic import KafkaTopic
from retail_platform.extract.offsets import OffsetRange
from retail_platform.resources.kafka import KafkaResource
from retail_platform.simulator.event_feed import HEARTBEAT, serve_events
from retail_platform.simulator.events import (
    STOCK,
    TOPICS,
    WEB_EVENTS,
    WEB_ORDERS,
    Message,
    messages_between,
)
from retail_platform.simulator.kafka_jars import kafka_folder
from retail_platform.simulator.simulator import Simulator
from retail_platform_tests.services import require_service

HOUR = timedelta(hours=1)


def told(simulator: Simulator, hours: int) -> list[Message]:
    end = simulator.start + hours * HOUR
    return messages_between(simulator.log, simulator.start, end, seed=simulator.seed)


def test_windows_part_the_messages(simulator: Simulator) -> None:
    """Hour by hour or at once: the same messages, each once, in the order of arrival."""
    whole = told(simulator, 12)
    parts = [
        message
        for number in range(12)
        for message in messages_between(
            simulator.log,
            simulator.start + number * HOUR,
            simulator.start + (number + 1) * HOUR,
            seed=simulator.seed,
        )
    ]
    assert parts == whole
    assert {message.topic for message in whole} == set(TOPICS)
    assert [message.arrived for message in whole] == sorted(message.arrived for message in whole)


def test_every_online_order_has_its_confirmation_and_its_visit(simulator: Simulator) -> None:
    """Last-click attribution finds the visit by the order's number, and often a campaign."""
    whole = told(simulator, 24)
    end = simulator.start + 23 * HOUR
    orders = {
        change.row["order_number"]
        for change in simulator.log.between(simulator.start, end)
        if change.table == "orders" and change.op == "insert" and change.row["channel"] == "online"
    }
    confirmed = {
        m.event["order_number"]: m.event for m in whole if m.topic == WEB_ORDERS and m.event
    }
    events = [m.event for m in whole if m.topic == WEB_EVENTS and m.event]
    bought = {e["order_number"]: e for e in events if e["event_name"] == "purchase"}
    assert orders
    assert orders <= set(confirmed)
    assert all(confirmed[number]["lines"] for number in orders)
    known = [number for number in orders if number in bought]
    assert all(bought[n]["session_id"] == confirmed[n]["session_id"] for n in known)
    assert any("utm_campaign" in bought[number] for number in known)
    assert any("utm_campaign" not in bought[number] for number in known)


def test_there_are_doubles_late_ones_and_poison(simulator: Simulator) -> None:
    """What the platform has to bear is there, in small numbers."""
    whole = told(simulator, 48)
    shop = [m for m in whole if m.topic == WEB_EVENTS]
    ids = Counter(m.event["event_id"] for m in shop if m.event)
    assert 0 < sum(count > 1 for count in ids.values()) < len(ids) / 10
    assert 0 < sum(m.event is None for m in shop) < 40
    moments = [m.event["occurred_at"] for m in shop if m.event]
    assert moments != sorted(moments)
    assert [m for m in whole if m.topic == STOCK]


@pytest.mark.kafka
@pytest.mark.xdist_group("kafka")
def test_the_feed_goes_on_where_it_ended(simulator: Simulator, tmp_path: Path) -> None:
    """A second start writes nothing twice; the heartbeat tells the clock."""
    require_service("Kafka", found=kafka_folder() is not None)
    start, seed = simulator.start, simulator.seed
    for hours in (1, 2):
        with serve_events(tmp_path, simulator.log, start=start, seed=seed) as feed:
            feed.advance_to(start + hours * HOUR)
            feed.advance_to(start + hours * HOUR)
            found = _read(feed.environ["KAFKA_BOOTSTRAP"])
    wanted = [message for message in told(simulator, 2) if message.topic == WEB_ORDERS]
    assert [json.loads(value) for value in found] == [message.event for message in wanted]


def _read(bootstrap: str) -> list[bytes]:
    cluster = KafkaResource(
        bootstrap=bootstrap, security="plaintext", arrival="create_time", heartbeat=HEARTBEAT
    )
    topic: KafkaTopic = cluster.topic(WEB_ORDERS, name="test")
    try:
        assert topic.clock().minute == 0
        low, high = topic.bounds(0)
        batches = topic.messages([OffsetRange(partition=0, start=low, end=high)])
        return [message.value() or b"" for batch in batches for message in batch]
    finally:
        topic.close()
