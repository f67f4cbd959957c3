"""Rows of a SQL database as Arrow streams, over one connection or several, within the source's cap.

Not here: which rows (`sql`), how queries are put (`sql_query`) and run (the drivers).
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from types import MappingProxyType

import pyarrow as pa
from sqlglot import exp

from retail_platform.extract.batches import cast_batch
from retail_platform.extract.connection_limit import ConnectionLimit, Lease
from retail_platform.extract.sql_driver import Driver
from retail_platform.extract.sql_partitioned import Partitioning, read_side_by_side
from retail_platform.extract.sql_positions import marked
from retail_platform.extract.sql_query import Queries
from retail_platform.extract.sql_ranges import value_ranges
from retail_platform.failures import PermanentFailure

_IN_RANGES = frozenset(
    {
        *("tinyint", "smallint", "int", "integer", "bigint"),
        *("timestamp without time zone", "timestamp with time zone"),
        *("smalldatetime", "datetime", "datetime2"),
    }
)
Text = Callable[[exp.Expr | None], str]
"""The text of a query for the rows of a condition."""


class SqlRows:
    """Reads of one database; close it after use.

    Args:
        driver: What runs queries.
        queries: What puts them.
        limit: How many connections there may be.
        name: The source's name in messages.
        wait: How long to wait for one.
    """

    def __init__(
        self,
        driver: Driver,
        queries: Queries,
        limit: ConnectionLimit,
        *,
        name: str,
        wait: timedelta,
    ) -> None:
        self._driver = driver
        self._queries = queries
        self._limit = limit
        self._name = name
        self._wait = wait
        self._open: list[Generator[pa.RecordBatch, None, None]] = []

    def close(self) -> None:
        """Ends what is still being read over several connections."""
        while self._open:
            self._open.pop().close()

    def fetch(self, text: str, *, place: str) -> list[dict[str, object]]:
        """The rows of a query that has few.

        Raises:
            TransientFailure: The database cannot be reached, or the connection broke.
            PermanentFailure: The database refused the query.
        """
        return [row for batch in self._stream(text, place) for row in batch.to_pylist()]

    def streamed(self, text: str, schema: pa.Schema, place: str) -> pa.RecordBatchReader:
        """The rows of a query in their declared types; it is opened now.

        Raises:
            TransientFailure: The database cannot be reached, or the connection broke.
            PermanentFailure: The database refused the query, or a value does not fit its type.
        """
        return self._cast(self._stream(text, place), schema, place)

    def read(
        self,
        table: str,
        schema: pa.Schema,
        types: dict[str, str],
        where: exp.Expr | None,
        *,
        also: Mapping[str, exp.Expr] = MappingProxyType({}),
        partitioned: Partitioning | None,
    ) -> pa.RecordBatchReader:
        """The rows of a table for which a condition holds.

        Args:
            table: ``[schema.]name``.
            schema: Columns and the Arrow types that they are to have.
            types: Their declared types.
            where: The condition; None: all rows.
            also: The marks of `sql_positions`, which come before the columns.
            partitioned: How to read over several connections, of which nothing is opened before
                the first batch is asked for; None: over one.

        Raises:
            TransientFailure: The database cannot be reached, or a connection broke.
            PermanentFailure: The database refused a query, or a value does not fit its type.
        """

        def text(condition: exp.Expr | None) -> str:
            marks = {name: value.copy() for name, value in also.items()}
            query = self._queries.rows(
                table, schema=schema, types=types, where=condition, also=marks
            )
            return self._queries.compile(query)

        arriving = marked(schema) if also else schema
        if partitioned is None or not self._queries.dialect.shared:
            return self.streamed(text(where), arriving, table)
        declared = types[partitioned.column]
        self._refuse_unordered(table, partitioned.column, declared)
        batches = self._side_by_side(table, declared, partitioned, where, text)
        self._open.append(batches)
        return self._cast(batches, arriving, table)

    def _side_by_side(
        self,
        table: str,
        declared: str,
        partitioned: Partitioning,
        where: exp.Expr | None,
        text: Text,
    ) -> Generator[pa.RecordBatch, None, None]:
        column = partitioned.column
        lease = self._limit.lease(most=partitioned.connections, wait=self._wait)
        try:
            with closing(self._driver.session()) as session:
                condition = where.copy() if where is not None else None
                asked = self._queries.bounds(table, column, declared, condition)
                found = session.stream(self._queries.compile(asked), place=table)
                (bounds,) = [row for batch in found for row in batch.to_pylist()]
                ranges = value_ranges(bounds["least"], bounds["greatest"], partitioned.ranges)
                yield from read_side_by_side(
                    session,
                    [text(self._queries.within(column, range_, where)) for range_ in ranges],
                    connections=lease.count,
                    place=table,
                )
        finally:
            lease.give_back()

    def _stream(self, text: str, place: str) -> Iterator[pa.RecordBatch]:
        """Open a query now, over a connection that counts until its batches are taken."""
        lease = self._limit.lease(wait=self._wait)
        return _while_held(lease, self._driver.stream(text, place=place))

    def _cast(
        self, batches: Iterator[pa.RecordBatch], schema: pa.Schema, table: str
    ) -> pa.RecordBatchReader:
        place = f"source {self._name}, table {table}"
        exact = (cast_batch(batch, schema, place=place) for batch in batches if batch.num_rows)
        return pa.RecordBatchReader.from_batches(schema, exact)

    def _refuse_unordered(self, table: str, column: str, declared: str) -> None:
        if declared.lower() not in _IN_RANGES:
            raise PermanentFailure(
                f"source {self._name}, table {table}: read.partition_by names column {column}, "
                f"which is {declared}; ranges are cut of whole numbers and timestamps: name the "
                "primary key, or another column of these types that has an index"
            )


def refuse_missing(
    source: str, table: str, columns: Sequence[str], types: Mapping[str, str]
) -> None:
    """Refuses columns that a table does not have.

    Args:
        source: The source's name.
        table: ``[schema.]name``.
        columns: Their names.
        types: Declared types of the columns that are there.

    Raises:
        PermanentFailure: one is not there.
    """
    missing = [name for name in columns if name not in types]
    if missing:
        raise PermanentFailure(
            f"source {source}, table {table}: no column {', '.join(missing)}; columns there: "
            f"{', '.join(types)}; correct the columns in the catalog (names are exact, case "
            "included)"
        )


def _while_held(lease: Lease, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    try:
        yield from batches
    finally:
        lease.give_back()
