"""Several streams of Arrow batches read at once by threads, handed on as one; in no order.

Memory stays flat: only so many batches wait, then the threads do. Not here: what the streams are.
"""

import threading
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Protocol

import pyarrow as pa

WAITING_FOR_EACH = 2
"""Batches a thread may be ahead of who takes them."""


class Part(Protocol):
    """One of the streams; read by one thread."""

    def batches(self) -> Generator[pa.RecordBatch, None, None]:
        """Opens the stream and gives its batches; it is closed when the generator is."""
        ...

    def stop(self) -> None:
        """Ends a wait inside of `batches` soon, in any way; called from another thread."""
        ...


def side_by_side(parts: Sequence[Part], *, name: str) -> Generator[pa.RecordBatch, None, None]:
    """The batches of all parts, each of which is read by a thread of its own.

    A part that fails stops the others, and its own failure is raised. Closing the iterator stops
    all of them. Either returns only when no thread of it runs any more.

    Args:
        parts: What to read.
        name: What the threads are called.
    """
    channel = _Channel(writers=len(parts))
    threads = [
        threading.Thread(target=channel.hand_on, args=(part,), name=f"{name} {n}", daemon=True)
        for n, part in enumerate(parts)
    ]
    for thread in threads:
        thread.start()
    try:
        while (batch := channel.take()) is not None:
            yield batch
    finally:
        channel.close()
        for part in parts:
            part.stop()
        for thread in threads:
            thread.join()


class _Channel:
    """What threads and taker share; every attribute is touched under ``_changed`` only."""

    def __init__(self, *, writers: int) -> None:
        self._writers = writers
        self._room = WAITING_FOR_EACH * writers
        self._waiting = deque[pa.RecordBatch]()
        self._closed = False
        self._failure: BaseException | None = None
        self._changed = threading.Condition()

    def hand_on(self, part: Part) -> None:
        """Reads a part to its end, or until the channel is closed."""
        failure: BaseException | None = None
        try:
            with closing(part.batches()) as batches:
                for batch in batches:
                    if not self._put(batch):
                        break
        # Raised again by `take`, in the thread that asked for the batches.
        except BaseException as error:  # noqa: BLE001
            failure = error
        with self._changed:
            self._writers -= 1
            # What a part says once it was told to stop is no news.
            if failure is not None and not self._closed and self._failure is None:
                self._failure = failure
            self._changed.notify_all()

    def take(self) -> pa.RecordBatch | None:
        """The next batch; None after the last.

        Raises:
            BaseException: what a part has raised, as soon as it has.
        """
        with self._changed:
            while self._failure is None and not self._waiting and self._writers:
                self._changed.wait()
            if self._failure is not None:
                raise self._failure
            if not self._waiting:
                return None
            self._changed.notify_all()
            return self._waiting.popleft()

    def close(self) -> None:
        """Nothing is handed on any more."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def _put(self, batch: pa.RecordBatch) -> bool:
        with self._changed:
            while len(self._waiting) >= self._room and not self._closed:
                self._changed.wait()
            if self._closed:
                return False
            self._waiting.append(batch)
            self._changed.notify_all()
            return True
