"""What goes wrong with brokers and topics: the hour completes, or says what is lost, or waits."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import Producer
from confluent_kafka.cimpl import NewPartitions

from retail_platform.control.ledger import Ledger
from retail_platform.extract.kafka_topic import KafkaTopic
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.resources.kafka import KafkaResource
from retail_platform_tests.events.conftest import Maker, strike_at_first_message
from retail_platform_tests.kafka import SECONDS, Cluster, kafka_cluster
from retail_platform_tests.platform.box import HOUR, hour_at

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]


class Killed(BaseException):
    """The process ends here."""


def test_a_broker_that_restarts_in_the_middle_of_an_hour(
    new_stream: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The read goes on where it was: every message once."""
    stream = new_stream(partitions=2)
    padding = "x" * 1_000
    with kafka_cluster() as own:
        stream.kafka = own
        own.make(stream.topic, partitions=2)
        for partition in (0, 1):
            events = [{"id": 20_000 * partition + n, "page": padding} for n in range(20_000)]
            stream.put(0, *events, partition=partition)

        def restart() -> None:
            own.server.kill()
            own.server.start()

        seen = strike_at_first_message(monkeypatch, restart)
        load = stream.bronze(0)
    assert seen
    assert load.counts.read == 40_000
    assert load.stream is not None
    assert load.stream.lost == 0
    assert sorted(map(int, stream.ids())) == list(range(40_000))


def test_a_broker_that_goes_away_in_the_middle_and_stays_away(
    new_stream: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages are waited for; then the hour fails with nothing in Bronze, and a retry is whole."""
    stream = new_stream()
    settings = KafkaResource.settings
    monkeypatch.setattr(
        KafkaResource, "settings", lambda own, name: replace(settings(own, name), stall_seconds=2.0)
    )
    with kafka_cluster() as own:
        stream.kafka = own
        own.make(stream.topic)
        stream.put(0, *({"id": n, "page": "x" * 1_000} for n in range(30_000)))
        with monkeypatch.context() as patch:
            strike_at_first_message(patch, own.server.kill)
            with pytest.raises(TransientFailure, match=r"no message came for 2 s .* of 30000"):
                stream.bronze(0)
        assert stream.stored() == []
        own.server.start().wait()
        load = stream.bronze(0)
    assert (load.counts.read, load.counts.applied) == (30_000, 30_000)
    assert load.stream is not None
    assert load.stream.lost == 0


def test_a_broker_that_stays_away_is_a_failure_that_is_tried_again(
    new_stream: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is recorded, and the retry reads the hour."""
    stream = new_stream()
    stream.put(0, 1)
    away = {"KAFKA": "127.0.0.1:9"}
    with monkeypatch.context() as patch:
        patch.setattr("retail_platform.extract.kafka_client.REQUEST_SECONDS", 1.0)
        with pytest.raises(TransientFailure, match="the cluster does not answer"):
            stream.box.bronze("events", 0, away)
    assert stream.bronze(0).counts.read == 1


def test_offsets_that_expire_between_planning_and_reading(
    new_stream: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are counted as lost, and the rest of the hour is read."""
    stream = new_stream()
    stream.put(0, *range(10))
    with monkeypatch.context() as patch:
        patch.setattr(KafkaTopic, "messages", _killed)
        with pytest.raises(Killed):
            stream.bronze(0)
    stream.kafka.expire(stream.topic, 4)
    load = stream.bronze(0)
    assert stream.ids() == [str(n) for n in range(4, 10)]
    assert load.stream is not None
    assert load.stream.told_losses == "4 of 10 offsets of partition 0 from 0 on"
    row = stream.box.ledger.loads(asset="bronze/web__events", status="SUCCESS")[-1]
    assert "lost before they were read: 4 of 10 offsets of partition 0" in str(row.reason)
    again = stream.bronze(0).stream
    assert again is not None
    assert again.ranges == load.stream.ranges, "a repeated read tells the same"


def test_offsets_that_expire_between_two_hours(new_stream: Maker) -> None:
    """An hour begins where the last one ended, whatever is left of it."""
    stream = new_stream()
    stream.put(0, 1, 2)
    stream.bronze(0)
    stream.put(1, 3, 4, 5)
    stream.put(3, 6)
    stream.kafka.expire(stream.topic, 4)
    stream.bronze(1)
    assert stream.ids(1) == ["5"]
    assert stream.lost() == [(1, 0, 2)]


def test_offsets_that_expire_in_hours_that_nobody_loaded(new_stream: Maker) -> None:
    """Nothing tells any more in which hour they arrived: the next loaded one reports them."""
    stream = new_stream()
    stream.put(0, 1)
    stream.bronze(0)
    stream.put(1, 2, 3)
    stream.put(4, 4)
    stream.kafka.expire(stream.topic, 3)
    stream.bronze(4)
    assert (stream.ids(4), stream.lost()) == (["4"], [(4, 0, 2)])
    stream.bronze(2)
    assert stream.lost() == [(4, 0, 2)], "counted once"


def test_what_expires_after_it_was_read_is_no_loss(new_stream: Maker) -> None:
    """Its rows are in Bronze, and stay there."""
    stream = new_stream()
    stream.put(0, 1, 2, 3)
    stream.bronze(0)
    stream.kafka.expire(stream.topic, 3)
    load = stream.bronze(0)
    assert load.counts.read == 0
    assert stream.lost() == []
    assert stream.ids() == ["1", "2", "3"]


def test_offsets_that_expire_while_they_are_read(
    new_stream: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read and what is lost add up to what was planned."""
    stream = new_stream()
    stream.put(0, *({"id": n, "page": "x" * 10_000} for n in range(6_000)))
    strike_at_first_message(monkeypatch, lambda: stream.kafka.expire(stream.topic, 5_900))
    monkeypatch.setattr("retail_platform.extract.kafka_topic.BATCH", 100)
    load = stream.bronze(0)
    assert load.stream is not None
    assert 0 < load.stream.lost < 5_900
    assert load.counts.read + load.stream.lost == 6_000
    assert stream.ids()[-1] == "5999"


def test_a_process_that_ends_between_commit_and_ledger(
    new_stream: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next attempt reads the same offsets and adds nothing, even if they have expired."""
    stream = new_stream()
    stream.put(0, 1, 2)
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "succeed", _killed)
        patch.setattr(Ledger, "fail", _killed)
        with pytest.raises(Killed):
            stream.bronze(0)
    assert stream.ids() == ["1", "2"]
    stream.kafka.expire(stream.topic, 1)
    load = stream.load(0)
    assert (stream.ids(), load.counts.applied, stream.lost()) == (["1", "2"], 2, [])


def test_gaps_of_transactions_are_no_losses(kafka: Cluster, new_stream: Maker) -> None:
    """Markers and aborted messages have offsets, and no event."""
    # Markers have the broker's time whatever the topic's times are: the hour is the present one.
    beats = kafka.topic(message_timestamp_after_max_ms=str(2**62))
    stream = new_stream(connection={"heartbeat": beats})
    producer = Producer({**stream.kafka.configuration, "transactional.id": stream.topic})
    producer.init_transactions(SECONDS)
    for numbers, commit in (((1, 2), True), ((3,), False), ((4,), True)):
        producer.begin_transaction()
        for number in numbers:
            producer.produce(stream.topic, b'{"id": %d}' % number)
        producer.flush(SECONDS)
        (producer.commit_transaction if commit else producer.abort_transaction)(SECONDS)
    # A commit is done before its marker is there for readers.
    stream.until(7)
    present = int((datetime.now(UTC) - hour_at(0)) / HOUR)
    kafka.put(beats, {}, at=hour_at(present + 1))
    load = stream.bronze(present)
    assert stream.ids() == ["1", "2", "4"]
    assert load.stream is not None
    assert (load.stream.offsets, load.stream.lost) == ("0: 0-7", 0), "three markers, one aborted"


def test_gaps_of_compaction_are_no_losses(new_stream: Maker) -> None:
    """A topic that keeps the newest message of each key has gaps everywhere."""
    stream = new_stream(
        settings={
            "cleanup_policy": "compact",
            "min_cleanable_dirty_ratio": "0.0",
            "segment_ms": "100",
            "max_compaction_lag_ms": "100",
        }
    )
    for number in range(5):
        # A segment ends by the times of its messages; only ended ones are compacted.
        at = hour_at(0) + number * timedelta(minutes=1)
        stream.kafka.put(stream.topic, {"id": number}, at=at, key="same")
    deadline = time.monotonic() + SECONDS
    while stream.visible() == 5:
        assert time.monotonic() < deadline, "nothing was compacted"
        time.sleep(0.2)
    load = stream.bronze(0)
    assert stream.ids()[-1] == "4"
    assert load.stream is not None
    assert (load.stream.offsets, load.stream.lost) == ("0: 0-5", 0)


def test_an_open_transaction_is_of_the_hour_in_which_it_is_seen(new_stream: Maker) -> None:
    """What follows it waits for it: nothing is passed over."""
    stream = new_stream()
    stream.put(0, 1)
    producer = Producer({**stream.kafka.configuration, "transactional.id": stream.topic})
    producer.init_transactions(SECONDS)
    producer.begin_transaction()
    producer.produce(stream.topic, b'{"id": 2}', timestamp=int(hour_at(0).timestamp() * 1000))
    producer.flush(SECONDS)
    stream.put(0, 3, minute=45)
    stream.bronze(0)
    assert stream.ids() == ["1"]
    producer.commit_transaction(SECONDS)
    stream.until(4)
    stream.bronze(1)
    assert stream.ids(1) == ["2", "3"]
    assert stream.lost() == []


def test_a_topic_that_was_made_anew_stops_the_table_until_it_is_told(new_stream: Maker) -> None:
    """Its offsets mean other messages: a person says that it may begin anew."""
    stream = new_stream()
    stream.put(0, 1, 2, 3)
    stream.bronze(0)
    stream.kafka.remove(stream.topic)
    stream.kafka.make(stream.topic)
    stream.put(1, 4)
    with pytest.raises(PermanentFailure, match=r"made anew or cut off.* --full --reason WHY"):
        stream.bronze(1)


def test_a_partition_that_is_added_is_read_from_its_beginning(new_stream: Maker) -> None:
    """Messages that came before its first hour was planned are of that hour."""
    stream = new_stream()
    stream.put(0, 1)
    stream.bronze(0)
    grown = stream.kafka.admin.create_partitions([NewPartitions(stream.topic, 2)])
    grown[stream.topic].result(SECONDS)
    stream.put(0, 2, partition=1)
    stream.put(1, 3, partition=1)
    stream.bronze(1)
    assert stream.ids(1) == ["2", "3"]


def test_a_topic_that_is_not_there(new_stream: Maker) -> None:
    """The message names table and topic, and what to check; the topic is not made."""
    stream = new_stream()
    stream.kafka.remove(stream.topic)
    with pytest.raises(PermanentFailure, match=rf"web__events.*{stream.topic}.*Check stream.topic"):
        stream.bronze(0)


def test_messages_wait_for_too_long(new_stream: Maker) -> None:
    """Lag is what no hour has read, and how long it has been there."""
    stream = new_stream(stream={"max_lag": "2h"})
    stream.put(0, 1)
    stream.put(2, 2, 3)
    load = stream.bronze(0)
    assert load.stream is not None
    assert load.stream.waiting == 2
    assert load.stream.behind.days > 0


def _killed(*_: object, **__: object) -> None:
    raise Killed
