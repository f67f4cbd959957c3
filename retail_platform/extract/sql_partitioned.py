"""A large table read by ranges of a column over several connections, as one stream.

On PostgreSQL all ranges are of one state of the table: its connections share a snapshot. On SQL
Server, where the database allows snapshot isolation, each range is of one state, but not of the
same: its connections cannot share one. Elsewhere a query sees what is committed as it runs. A row
that moves between two ranges meanwhile may then come twice or, where its partition column changes,
not at all: name a column that does not change, such as the primary key. A row that changes after
its range was read has a watermark beyond the window's end, and comes with a later hour; twice the
same row is one in Bronze.

It pays where the database or the line to it is what a read waits for. Measured with PostgreSQL on
two cores: of a table that answers 50,000 rows a second over one connection, 600,000 rows took 13.1
s over one, 6.6 over two, 3.5 over four, 2.1 over eight; where rows come as fast as one processor
takes them, it is the same 0.5 M rows/s into Bronze over one, two and four, and 30-60 MB more.

Not here: which ranges (`sql_ranges`), threads (`side_by_side`), and how a state is shared (the
drivers).
"""

from collections import deque
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

import pyarrow as pa

from retail_platform.extract.side_by_side import side_by_side
from retail_platform.extract.sql_driver import Session


@dataclass(frozen=True, kw_only=True)
class Partitioning:
    """How to cut a table.

    Attributes:
        column: The source's column, of whole numbers or timestamps.
        connections: How many connections the read may use.
        ranges: Into how many ranges.
    """

    column: str
    connections: int
    ranges: int


class RangeQueries:
    """The queries of ranges that wait for a session; one session after the other takes the next.

    Several sessions read the same list: ranges of unlike size cost no waiting.
    """

    def __init__(self, session: Session, texts: deque[str], *, place: str) -> None:
        """Read with one session what of ``texts`` no other session has taken."""
        self._session = session
        self._texts = texts
        self._place = place
        self._stopped = False

    def batches(self) -> Generator[pa.RecordBatch, None, None]:
        """The batches of the queries that this session takes."""
        while self._texts and not self._stopped:
            try:
                text = self._texts.popleft()
            except IndexError:
                # Another session has taken the last one just now.
                return
            yield from self._session.stream(text, place=self._place)

    def stop(self) -> None:
        """Takes no further query, and ends the one that runs."""
        self._stopped = True
        self._session.stop()


def read_side_by_side(
    session: Session, texts: Sequence[str], *, connections: int, place: str
) -> Generator[pa.RecordBatch, None, None]:
    """The rows of all queries, in no order.

    Args:
        session: The session whose state all of them are to see; closed by its owner.
        texts: The queries.
        connections: How many may be open at once, that of ``session`` among them.
        place: What is read, for messages.

    Raises:
        TransientFailure: the database cannot be reached, or a connection broke.
        PermanentFailure: the database refused a query.
    """
    waiting = deque(texts)
    sessions = [session]
    try:
        sessions += [session.beside() for _ in range(min(connections, len(texts)) - 1)]
        parts = [RangeQueries(one, waiting, place=place) for one in sessions]
        with closing(side_by_side(parts, name=f"read {place}")) as batches:
            yield from batches
    finally:
        for beside in sessions[1:]:
            beside.close()
