"""An hour of a topic is a range of offsets: recorded once, read exactly, never lost in silence."""

from datetime import UTC, datetime, timedelta

import pytest

from retail_platform.extract.offsets import OffsetRange
from retail_platform.extract.opening import open_reader
from retail_platform.extract.reader import OffsetReader
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform_tests.events.conftest import Maker
from retail_platform_tests.platform.box import HOUR, hour_at

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]


def test_hours_part_a_topic_by_arrival_and_nothing_else(new_stream: Maker) -> None:
    """Each message is read once, with its place; a repeated read adds nothing."""
    stream = new_stream(partitions=2)
    stream.put(0, 1, 2, minute=0)
    stream.put(0, 3, partition=1, minute=59)
    stream.put(1, 4, 5)
    stream.put(2, 6, partition=1)
    first, second = stream.bronze(0), stream.bronze(1)
    assert (first.counts.read, second.counts.read) == (3, 2)
    assert (stream.ids(0), stream.ids(1)) == (["1", "2", "3"], ["4", "5"])
    row = stream.stored(0)[0]
    assert (row["_topic"], row["_partition"], row["_offset"]) == (stream.topic, 0, 0)
    assert row["_arrived_at"] == hour_at(0)
    assert row["_raw"] == '{"id": 1, "page": "p"}'
    again = stream.bronze(0)
    assert (again.counts.read, again.counts.unchanged, again.counts.applied) == (3, 3, 0)
    assert again.stream is not None
    assert again.stream.offsets == "0: 0-2, 1: 0-1"
    assert stream.bronze(2).counts.applied == 1
    assert len(stream.ids()) == 6


def test_a_repeated_read_reads_the_recorded_range(new_stream: Maker) -> None:
    """What is appended later with a time of the hour belongs to a later hour."""
    stream = new_stream()
    stream.put(0, 1)
    stream.bronze(0)
    stream.put(0, 2)
    stream.put(1, 3)
    assert stream.bronze(0).counts.read == 1
    stream.bronze(1)
    assert (stream.ids(0), stream.ids(1)) == (["1"], ["2", "3"]), "between the hours is no gap"


def test_hours_in_any_order_leave_no_gap_and_no_overlap(new_stream: Maker) -> None:
    """An hour that is filled in later takes what lies between its neighbours."""
    stream = new_stream()
    for number in range(5):
        stream.put(number, 10 * number, 10 * number + 1)
    for number in (1, 4, 2, 3, 0):
        stream.bronze(number)
    assert stream.ids(1) == ["0", "1", "10", "11"], "the first load takes what came before it"
    assert stream.ids(0) == []
    assert [stream.ids(number) for number in (2, 3, 4)] == [
        ["20", "21"],
        ["30", "31"],
        ["40", "41"],
    ]
    assert stream.lost() == []


def test_a_stream_may_begin_with_its_first_hour(new_stream: Maker) -> None:
    """``start: hour`` leaves what came before it."""
    stream = new_stream(stream={"start": "hour"})
    stream.put(0, 1)
    stream.put(1, 2)
    stream.bronze(1)
    assert stream.ids() == ["2"]


def test_an_hour_that_the_clock_has_not_closed_waits(new_stream: Maker) -> None:
    """The newest heartbeat is the source's present; nothing is recorded before."""
    beats = new_stream().topic
    stream = new_stream(connection={"heartbeat": beats})
    stream.put(0, 1)
    with pytest.raises(TransientFailure, match="which tells the source's present"):
        stream.bronze(0)
    stream.kafka.put(beats, {}, at=hour_at(1) - timedelta(seconds=1))
    with pytest.raises(TransientFailure, match="the hour is not closed yet"):
        stream.bronze(0)
    stream.put(0, 2, minute=59)
    stream.kafka.put(beats, {}, at=hour_at(1))
    assert stream.bronze(0).counts.read == 2


def test_without_a_heartbeat_the_own_clock_less_its_skew_counts(new_stream: Maker) -> None:
    """A broker whose clock is behind may still append to the hour."""
    stream = new_stream(connection={"clock_skew": "30000d"})
    with pytest.raises(TransientFailure, match="the hour is not closed yet"):
        stream.bronze(0)


def test_append_time_is_the_brokers(new_stream: Maker) -> None:
    """Whatever time a producer writes, the message is of the hour in which the broker had it."""
    stream = new_stream(
        settings={"message_timestamp_type": "LogAppendTime"},
        connection={"arrival": "append_time"},
    )
    stream.put(0, 1)
    stream.bronze(0)
    assert stream.ids() == [], "the producer's time does not count"
    number = int((datetime.now(UTC) - hour_at(0)) / HOUR)
    with pytest.raises(TransientFailure, match="the hour is not closed yet"):
        stream.bronze(number)


@pytest.mark.parametrize(
    ("kind", "arrival", "said"),
    [
        ("CreateTime", "append_time", "of the kind CreateTime, expected LogAppendTime"),
        ("LogAppendTime", "create_time", "of the kind LogAppendTime, expected CreateTime"),
    ],
)
def test_a_topic_of_the_other_kind_of_time_is_refused(
    new_stream: Maker, kind: str, arrival: str, said: str
) -> None:
    """Hours by a clock that the metadata does not mean would be wrong in silence."""
    stream = new_stream(settings={"message_timestamp_type": kind}, connection={"arrival": arrival})
    stream.put(0, 1)
    table = stream.box.catalog.by_entity["events"]
    with open_reader(table, stream.box.files, stream.kafka.environ) as reader:
        assert isinstance(reader, OffsetReader)
        with pytest.raises(PermanentFailure, match=said):
            reader.read_ranges(table, [OffsetRange(partition=0, start=0, end=1)])
