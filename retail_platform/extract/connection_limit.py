"""How many connections the process holds to one database, over all of its threads.

Belongs here: counting and waiting. Not here: opening connections (the drivers), and runs of other
processes, which the pool ``source_<name>`` keeps apart.
"""

import threading
import time
from datetime import timedelta

from retail_platform.failures import TransientFailure


class Lease:
    """Some connections that one read may hold; give them back once they are closed.

    A lease that nobody holds any more has been given back: a stream that was opened and never read
    ends without a word.
    """

    def __init__(self, limit: "ConnectionLimit", count: int) -> None:
        """Hold ``count`` of a limit's connections."""
        self._limit = limit
        self.count = count

    def give_back(self) -> None:
        """Gives them back, once."""
        self._limit.returned(self)

    def __del__(self) -> None:
        """Give back what was not."""
        self.give_back()


class ConnectionLimit:
    """At most so many connections to one database; safe to share between threads."""

    def __init__(self, most: int, *, name: str) -> None:
        """Allow ``most`` connections at once; ``name`` is the source's, for messages."""
        self._most = most
        self._name = name
        self._free = most
        self._changed = threading.Condition()

    def lease(self, *, most: int = 1, wait: timedelta) -> Lease:
        """Connections to open: one at least, up to ``most`` where as many are free.

        Taken in one go: no two reads wait for each other with a part of theirs in hand.

        Raises:
            TransientFailure: none was free for ``wait``.
        """
        until = time.monotonic() + wait.total_seconds()
        with self._changed:
            while not self._free:
                left = until - time.monotonic()
                if left <= 0:
                    raise self._busy(wait)
                self._changed.wait(left)
            count = min(most, self._free)
            self._free -= count
            return Lease(self, count)

    def returned(self, lease: Lease) -> None:
        """Takes back what a lease has."""
        with self._changed:
            self._free += lease.count
            lease.count = 0
            self._changed.notify_all()

    def _busy(self, wait: timedelta) -> TransientFailure:
        return TransientFailure(
            f"source {self._name}: none of its {self._most} connections was free within {wait}: "
            "loads of its other tables hold them. It is tried again; if it stays, raise "
            "connection.max_connections or lower read.connections in the catalog"
        )


_limits: dict[tuple[str, str, int], ConnectionLimit] = {}
_making = threading.Lock()


def limit_of(source: str, place: str, most: int) -> ConnectionLimit:
    """The one limit of a source in this process.

    Args:
        source: Its name in the catalog.
        place: Host and database.
        most: How many connections it allows.
    """
    with _making:
        return _limits.setdefault((source, place, most), ConnectionLimit(most, name=source))
