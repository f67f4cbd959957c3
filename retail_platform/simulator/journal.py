"""The pen that writes the log: collapses what lies before the first clock, keeps what follows.

Here belongs the one rule that splits history from change log, used by every module that makes
events. A row changed before the first clock simply is what it is at the first clock.
"""

from collections.abc import Iterable
from typing import Literal

from retail_platform.simulator.changes import Change, ChangeLog, Key, Row, State
from retail_platform.simulator.shifts import Instants, from_micros, local_text


class Journal:
    """Collects events of all tables; instants are UTC microseconds.

    Attributes:
        start: The first clock; earlier events are part of the initial rows.
        end: The end of the data; later events are dropped.
    """

    def __init__(self, *, tables: Iterable[str], start: int, end: int) -> None:
        """Begin an empty log of ``tables``."""
        self.start = start
        self.end = end
        self._instants = Instants()
        self._initial: dict[str, State] = {table: {} for table in tables}
        self._changes: list[tuple[int, Change]] = []

    def put(
        self, table: str, key: Key, row: Row, at: int, *, op: Literal["insert", "update"] = "insert"
    ) -> int:
        """Write a whole row at ``at`` or the next free instant; returns the instant used.

        The row's ``modified_at`` is set to that instant; the row itself is copied.
        """
        at = self._instants.take(table, at)
        if at < self.end:
            stored = {**row, "modified_at": local_text(at)}
            if at < self.start:
                self._initial[table][key] = stored
            else:
                self._changes.append((at, Change(from_micros(at), table, op, key, stored)))
        return at

    def delete(self, table: str, key: Key, row: Row, at: int) -> int:
        """Remove a row at ``at`` or the next free instant; returns the instant used."""
        at = self._instants.take(table, at)
        if at < self.start:
            self._initial[table].pop(key, None)
        elif at < self.end:
            self._changes.append((at, Change(from_micros(at), table, "delete", key, dict(row))))
        return at

    def initial(self, table: str) -> State:
        """The rows of a table at the first clock, as written so far."""
        return self._initial[table]

    def close(self) -> ChangeLog:
        """The finished log, ordered by instant (ties between tables by table name)."""
        self._changes.sort(key=lambda entry: (entry[0], entry[1].table))
        initial = {table: dict(sorted(rows.items())) for table, rows in self._initial.items()}
        return ChangeLog(initial=initial, changes=tuple(change for _, change in self._changes))
