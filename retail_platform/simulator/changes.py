"""The change log: every change that the company's databases will ever make, in order.

Here belongs the log's form and its digest. What happens, and why, is made in :mod:`world` and the
modules it names; the log itself does not know any table.
"""

import hashlib
import json
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Key = tuple[int, ...]
Row = dict[str, str | int | None]
State = dict[Key, Row]


@dataclass(frozen=True, slots=True)
class Change:
    """One committed change of one row.

    Attributes:
        at: Commit time, aware UTC; strictly increasing within a table.
        table: Source table, for instance ``orders``.
        op: What the commit did.
        key: The row's primary key.
        row: The whole row after the change, values as stored; the last row for a delete.
    """

    at: datetime
    table: str
    op: Literal["insert", "update", "delete"]
    key: Key
    row: Row


@dataclass(frozen=True)
class ChangeLog:
    """Rows at the first clock, and all changes from then to the end of the data.

    Attributes:
        initial: State of every table at the first clock.
        changes: Changes with ``at`` from the first clock on, ordered by ``at``.
    """

    initial: dict[str, State]
    changes: tuple[Change, ...]

    def between(self, start: datetime, end: datetime) -> tuple[Change, ...]:
        """Changes with ``start <= at < end``."""
        first = bisect_left(self.changes, start, key=lambda change: change.at)
        last = bisect_left(self.changes, end, key=lambda change: change.at)
        return self.changes[first:last]

    def state(self, table: str, clock: datetime) -> State:
        """The rows of one table as a reader sees them at ``clock`` (``at < clock``)."""
        rows = dict(self.initial[table])
        for change in self.changes:
            if change.at >= clock:
                break
            if change.table != table:
                continue
            if change.op == "delete":
                rows.pop(change.key, None)
            else:
                rows[change.key] = change.row
        return rows

    def digest(self) -> str:
        """SHA-256 over the initial rows and every change, to prove that a log was made again."""
        digest = hashlib.sha256()
        for line in self._lines():
            digest.update(line.encode())
        return digest.hexdigest()

    def _lines(self) -> Iterator[str]:
        for table in sorted(self.initial):
            yield f"{table}\n{json.dumps(list(self.initial[table].items()))}\n"
        yield json.dumps([(c.at.isoformat(), c.table, c.op, c.key, c.row) for c in self.changes])
