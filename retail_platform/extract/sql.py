"""SQL sources: a table and a window in, Arrow record batches out, streamed.

What is asked is in `sql_query`, and who runs it in `sql_driver`. Here: the source itself, which
checks what the catalog says against what is there. Values stay as received: on SQLite, which types
values and not columns, everything but REAL travels as text and takes its declared Arrow type on
arrival, so that neither an empty result nor a NULL in the first row nor a rounded number can change
what arrives.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import sqlalchemy as sa
from sqlglot import exp

from retail_platform.extract.connection_limit import limit_of
from retail_platform.extract.local_time import utc_of, watermark_of
from retail_platform.extract.sql_connectorx import SqliteDriver
from retail_platform.extract.sql_dialects import Odbc, SqlDialect, dialect_of
from retail_platform.extract.sql_driver import Driver
from retail_platform.extract.sql_mssql import MssqlDriver
from retail_platform.extract.sql_odbc import OdbcDriver
from retail_platform.extract.sql_partitioned import Partitioning
from retail_platform.extract.sql_positions import (
    Tracking,
    between,
    marked,
    marks_of_whole_table,
    positions,
    tracked_changes,
)
from retail_platform.extract.sql_postgresql import PostgresqlDriver
from retail_platform.extract.sql_query import Queries
from retail_platform.extract.sql_rows import SqlRows, refuse_missing
from retail_platform.extract.sql_types import arrival_type, is_whole
from retail_platform.extract.window import Window
from retail_platform.failures import PermanentFailure

_HOURS_A_QUERY = 100
"""SQLite takes up to 500 parts of a union."""
_DRIVERS: Mapping[str, Callable[[sa.URL, str, timedelta], Driver]] = {
    "sqlite": SqliteDriver,
    "postgresql": PostgresqlDriver,
    "mssql": MssqlDriver,
}


class SqlSource:
    """One SQL database. Holds no connection between calls; safe to share between threads."""

    def __init__(
        self,
        url: str,
        timezone: str,
        clock_query: str | None = None,
        *,
        name: str = "sql",
        timeout: timedelta = timedelta(hours=1),
        max_connections: int = 8,
        odbc: str | None = None,
    ) -> None:
        """Name the database.

        Args:
            url: SQLAlchemy URL of SQLite, PostgreSQL or SQL Server; a driver part is ignored. With
                ``odbc`` an ODBC connection string.
            timezone: IANA zone of the source's naive timestamps.
            clock_query: Query that returns the source's present as one value, naive values in the
                source's zone; the database's own clock when None.
            name: The source's name in messages.
            timeout: How long one query may run at a server, and how long it may wait for a
                connection.
            max_connections: How many connections all such sources of the process may hold at once.
            odbc: The database's SQL dialect, as sqlglot calls it, where it is read through ODBC.

        Raises:
            PermanentFailure: The dialect is not supported.
        """
        self._zone = ZoneInfo(timezone)
        self._clock_query = clock_query
        self._name = name
        if odbc:
            self._dialect: SqlDialect = Odbc(odbc)
            self._driver: Driver = OdbcDriver(url, name, timeout)
        else:
            at = sa.make_url(url)
            self._dialect = dialect_of(at.get_backend_name())
            self._driver = _DRIVERS[self._dialect.name](at, name, timeout)
        self._queries = Queries(self._dialect, self._zone)
        limit = limit_of(name, self._driver.host, max_connections)
        self._rows = SqlRows(self._driver, self._queries, limit, name=name, wait=timeout)

    def close(self) -> None:
        """Ends what is still being read, and leaves the database."""
        self._rows.close()

    def ask(self, query: exp.Query, *, place: str) -> list[dict[str, object]]:
        """The rows of a query that has few; its tree is used up.

        Args:
            query: In the terms of the source's dialect.
            place: What is read, for messages.

        Raises:
            TransientFailure: The database cannot be reached, or the connection broke.
            PermanentFailure: The database refused the query.
        """
        return self._rows.fetch(self._queries.compile(query), place=place)

    def clock(self) -> datetime:
        """The source's present, aware UTC.

        A naive clock that shows a doubled hour is taken for its first pass: an hour is then closed
        late rather than read too early.

        Raises:
            TransientFailure: The database cannot be reached.
            PermanentFailure: The query gives no moment.
        """
        place = "the clock"
        if self._clock_query:
            rows = self._rows.fetch(self._clock_query, place=place)
        else:
            rows = self.ask(self._dialect.clock(), place=place)
        value = next(iter(rows[0].values())) if rows else None
        try:
            moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        except ValueError:
            moment = None
        if not isinstance(moment, datetime):
            raise PermanentFailure(
                f"source {self._name}: the clock query gave {value!r}, expected one timestamp; "
                "correct the source's clock query"
            )
        return utc_of(moment, self._zone if self._clock_query else UTC)

    def columns(self, table: str) -> dict[str, str]:
        """Names and declared types of a table's columns, in order.

        Raises:
            TransientFailure: The database cannot be reached.
            PermanentFailure: There is no such table; the message lists those that exist.
        """
        if isinstance(self._driver, OdbcDriver):
            nothing = self._queries.compile(self._queries.no_rows(table))
            described = self._driver.schema(nothing, place=table)
            return {field.name: str(field.type) for field in described}
        rows = self.ask(self._dialect.columns(table), place=table)
        if not rows:
            tables = self.ask(self._dialect.tables(table), place=table)
            existing = ", ".join(sorted(str(row["name"]) for row in tables)) or "none"
            raise PermanentFailure(
                f"source {self._name}, table {table}: not in {self._driver.host}; tables there: "
                f"{existing}; correct the table's name in the catalog, create it at the source, or "
                "give the account the right to read it"
            )
        return {str(row["name"]): str(row["type"]) for row in rows}

    def count(self, table: str, watermark: str | None, window: Window) -> int:
        """The number of rows that `read` of the same window would give.

        Raises:
            TransientFailure: The database cannot be reached.
            PermanentFailure: The table or the watermark column does not exist.
        """
        types = self._checked(table, [], watermark)
        query = self._queries.count(
            table,
            types=types,
            watermark=watermark,
            window=window,
            clock=self.clock() if watermark and window.latest else None,
        )
        (row,) = self.ask(query, place=table)
        return int(str(row["rows"]))

    def extent(
        self, table: str, columns: Sequence[str], watermark: str | None, window: Window
    ) -> tuple[int, dict[str, tuple[int, int]]]:
        """How many rows `read` of the same window would give, and between which whole numbers.

        Returns:
            The number of rows, and the least and greatest value of those of ``columns`` that are
            declared as whole numbers and have any.

        Raises:
            TransientFailure: The database cannot be reached.
            PermanentFailure: The table or a column does not exist.
        """
        types = self._checked(table, columns, watermark)
        whole = [name for name in columns if is_whole(self._dialect.name, types[name])]
        query = self._queries.extent(
            table,
            whole,
            types=types,
            watermark=watermark,
            window=window,
            clock=self.clock() if watermark and window.latest else None,
        )
        (row,) = self.ask(query, place=table)
        ranges = {
            name: (int(str(row[f"least_{n}"])), int(str(row[f"greatest_{n}"])))
            for n, name in enumerate(whole)
            if row[f"least_{n}"] is not None
        }
        return int(str(row["rows"])), ranges

    def hourly(
        self, table: str, watermark: str, hours: Sequence[datetime]
    ) -> dict[datetime, tuple[int, datetime | None]]:
        """Rows and greatest watermark of each hour, in one query for up to a hundred of them.

        Args:
            table: ``name`` or ``schema.name``.
            watermark: Its watermark column.
            hours: Aware UTC hours. A naive value of a doubled hour counts in the first pass.

        Returns:
            For every hour its number of rows and greatest watermark, aware UTC; None without rows.

        Raises:
            TransientFailure: The database cannot be reached.
            PermanentFailure: The table or the watermark column does not exist.
        """
        types = self._checked(table, [], watermark)
        figures: dict[datetime, tuple[int, datetime | None]] = dict.fromkeys(hours, (0, None))
        for batch in _batched(hours, _HOURS_A_QUERY):
            query = self._queries.hourly(table, types=types, watermark=watermark, hours=batch)
            if query is None:
                continue
            for row in self.ask(query, place=table):
                hour = batch[int(str(row["number"]))]
                figures[hour] = (int(str(row["rows"])), watermark_of(row["latest"], self._zone))
        return figures

    def greatest(
        self, table: str, watermark: str, before: Sequence[datetime]
    ) -> list[datetime | None]:
        """The greatest watermark before each of these moments (aware), in one query.

        Returns:
            Aware UTC, in the order of ``before``; None where there is none.

        Raises:
            TransientFailure: The database cannot be reached.
            PermanentFailure: The table or the watermark column does not exist.
        """
        types = self._checked(table, [], watermark)
        query = self._queries.greatest(table, types=types, watermark=watermark, before=before)
        found: list[datetime | None] = [None] * len(before)
        for row in self.ask(query, place=table):
            found[int(str(row["number"]))] = watermark_of(row["latest"], self._zone)
        return found

    def read(
        self,
        *,
        table: str,
        columns: Sequence[str],
        casts: Mapping[str, pa.DataType] | None = None,
        watermark: str | None,
        window: Window,
        clock: datetime | None = None,
        partitioned: Partitioning | None = None,
    ) -> pa.RecordBatchReader:
        """The rows of a window.

        Args:
            table: ``name`` or ``schema.name``.
            columns: Source columns to read, in this order.
            casts: Arrow type by column; a column without one is a string, as received. None: the
                types of `sql_types`, which are exact. SQLite writes a REAL with 15 digits: name
                float64 where each bit counts.
            watermark: Column that the window is about; None reads the whole table.
            window: Half-open range of the watermark. ``latest`` adds rows whose watermark is NULL,
                no timestamp, or beyond the source's clock.
            clock: The source's present if the caller has asked already; used for ``latest``.
            partitioned: How to read over several connections; None: over one.

        Returns:
            A stream of bounded batches whose schema is known before the first row. It raises the
            same failures while it is read; see `original_failure` for consumers that hide them.

        Raises:
            TransientFailure: The database cannot be reached, or the connection broke.
            PermanentFailure: Table or column does not exist, or a value does not fit its type.
        """
        types = self._checked(table, columns, watermark)
        schema = self._schema(columns, types, casts)
        if watermark and window.latest and clock is None:
            clock = self.clock()
        where = self._queries.condition(watermark, types, window, clock)
        if partitioned is not None:
            refuse_missing(self._name, table, [partitioned.column], types)
        return self._rows.read(table, schema, types, where, partitioned=partitioned)

    def last_rows(self, table: str, key: Sequence[str], count: int) -> pa.Table:
        """Up to ``count`` whole rows, those with the greatest ``key`` first; any without a key.

        Raises:
            TransientFailure: The database cannot be reached, or the connection broke.
            PermanentFailure: Table or column does not exist, or a value does not fit its type.
        """
        types = self._checked(table, key, None)
        schema = self._schema(list(types), types, None)
        query = self._queries.last_rows(table, key, count, schema=schema, types=types)
        return self._rows.streamed(self._queries.compile(query), schema, table).read_all()

    def positions(self, tracking: Tracking) -> tuple[int, int]:
        """Between which positions changes of a table are there, committed and kept.

        Returns:
            The first position, and the position after the last.

        Raises:
            TransientFailure: The database cannot be reached.
            PermanentFailure: The database has no such positions, or does not keep them.
        """
        query = positions(tracking, self._dialect, source=self._name)
        (row,) = self.ask(query, place=tracking.table)
        if row["low"] is None or row["high"] is None:
            raise PermanentFailure(
                f"source {self._name}, table {tracking.table}: {self._driver.host} does not track "
                "its changes; have its owner run ALTER DATABASE ... SET CHANGE_TRACKING = ON "
                "(CHANGE_RETENTION = 7 DAYS) and ALTER TABLE ... ENABLE CHANGE_TRACKING, and grant "
                "VIEW CHANGE TRACKING on the table"
            )
        return int(str(row["low"])), int(str(row["high"]))

    def read_changes(
        self, tracking: Tracking, start: int, end: int, *, partitioned: Partitioning | None = None
    ) -> pa.RecordBatchReader:
        """The rows whose last change lies at the positions ``[start, end)``; from 0 on all of them.

        Args:
            tracking: What orders the changes.
            start: The first position; 0: the table as it is, whatever has expired.
            end: The position after the last.
            partitioned: How to read over several connections from 0 on; None: over one.

        Returns:
            A stream of bounded batches of all columns of the table. By Change Tracking
            ``_change_version`` and ``_change_operation`` (I, U or D) come before them, and a
            deleted row has its key only.

        Raises:
            TransientFailure: The database cannot be reached, or the connection broke.
            PermanentFailure: The table or a column does not exist.
        """
        named = [*tracking.key, *([tracking.column] if tracking.column else [])]
        types = self._checked(tracking.table, named, None)
        schema = self._schema(list(types), types, None)
        if tracking.by == "rowversion":
            declared = types[tracking.column]
            where = between(tracking, self._dialect, start, end, declared=declared)
            parts = partitioned if start == 0 else None
            return self._rows.read(tracking.table, schema, types, where, partitioned=parts)
        if start == 0:
            also = marks_of_whole_table(end)
            return self._rows.read(
                tracking.table, schema, types, None, also=also, partitioned=partitioned
            )
        exact = self._queries.exact(schema, types)
        text = self._queries.compile(tracked_changes(tracking, exact, start, end))
        return self._rows.streamed(text, marked(schema), tracking.table)

    def _schema(
        self,
        columns: Sequence[str],
        types: Mapping[str, str],
        casts: Mapping[str, pa.DataType] | None,
    ) -> pa.Schema:
        if casts is None:
            dialect = self._dialect.name
            casts = {name: arrival_type(dialect, types[name]) for name in columns}
        return pa.schema([(name, casts.get(name, pa.string())) for name in columns])

    def _checked(self, table: str, columns: Sequence[str], watermark: str | None) -> dict[str, str]:
        types = self.columns(table)
        wanted = [*columns, *([watermark] if watermark else [])]
        refuse_missing(self._name, table, wanted, types)
        if watermark and not self._dialect.is_moment(types[watermark]):
            raise PermanentFailure(
                f"source {self._name}, table {table}: watermark column {watermark} is declared "
                f"{types[watermark]}, expected {self._dialect.moments}; name another watermark or "
                "read a view that gives one"
            )
        return types


def _batched(items: Sequence[datetime], size: int) -> Iterator[Sequence[datetime]]:
    """Slices of up to ``size`` items."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
