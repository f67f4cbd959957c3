"""Streams that are read at once: bounded, stopped together, with their own failure."""

import threading
from collections.abc import Generator

import pyarrow as pa
import pytest

from retail_platform.extract.side_by_side import WAITING_FOR_EACH, side_by_side
from retail_platform.failures import TransientFailure

SECONDS = 30


class Numbers:
    """A stream of batches of one number; it may fail at the end, or wait until it is stopped."""

    def __init__(
        self, count: int, *, failure: BaseException | None = None, waits: bool = False
    ) -> None:
        self.count = count
        self.failure = failure
        self.waits = waits
        self.given = 0
        self.closed = False
        self.stopped = threading.Event()

    def batches(self) -> Generator[pa.RecordBatch, None, None]:
        try:
            for number in range(self.count):
                self.given += 1
                yield pa.record_batch({"number": [number]})
            if self.waits:
                assert self.stopped.wait(SECONDS), "nobody stopped it"
                raise OSError("the connection was cut")
            if self.failure is not None:
                raise self.failure
        finally:
            self.closed = True

    def stop(self) -> None:
        self.stopped.set()


def running(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


def test_all_batches_of_all_parts_come() -> None:
    """Each once, whatever the order."""
    parts = [Numbers(count) for count in (0, 1, 50, 200)]
    numbers = [batch["number"][0].as_py() for batch in side_by_side(parts, name="all")]
    assert sorted(numbers) == sorted(n for part in parts for n in range(part.count))
    assert running("all") == []


def test_nobody_runs_far_ahead_of_who_takes() -> None:
    """Memory holds some batches a thread, however many there are."""
    parts = [Numbers(10_000), Numbers(10_000)]
    stream = side_by_side(parts, name="bounded")
    next(stream)
    waiting, taken, in_hand = WAITING_FOR_EACH * len(parts), 1, len(parts)
    stream.close()
    assert sum(part.given for part in parts) <= waiting + taken + in_hand
    assert all(part.closed for part in parts if part.given)
    assert running("bounded") == []


def test_a_failing_part_stops_the_others() -> None:
    """Its own failure is raised, not what the others say when they are stopped."""
    failure = TransientFailure("the line went dead")
    others = [Numbers(1, waits=True), Numbers(10**9)]
    with pytest.raises(TransientFailure, match="the line went dead") as raised:
        for _ in side_by_side([Numbers(3, failure=failure), *others], name="failing"):
            pass
    assert raised.value is failure
    assert all(part.stopped.is_set() for part in others)
    assert running("failing") == []


def test_closing_stops_a_part_that_waits() -> None:
    """A server that says nothing any more keeps no thread."""
    silent = Numbers(1, waits=True)
    stream = side_by_side([silent], name="silent")
    next(stream)
    stream.close()
    assert silent.stopped.is_set()
    assert running("silent") == []
