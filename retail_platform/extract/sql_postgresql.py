"""PostgreSQL: answers of some rows through connectorx, sessions that share a snapshot through ADBC.

connectorx hands on what a server sends through a queue without end, waits with the interpreter's
lock in hand, and opens its connections itself. ADBC's driver is asked for each batch, waits without
the lock, keeps the connection of a transaction and can be told to stop; it takes 80 ms to connect,
three times as long. Sources: PostgreSQL's documentation of SET TRANSACTION and of
pg_export_snapshot.
"""

from collections.abc import Iterator
from contextlib import closing, suppress

import adbc_driver_manager
import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
from adbc_driver_manager.dbapi import Connection, Cursor
from adbc_driver_postgresql import StatementOptions

from retail_platform.extract import sql_tree as tree
from retail_platform.extract.sql_connectorx import ConnectorxDriver
from retail_platform.extract.sql_driver import Session
from retail_platform.failures import PlatformFailure, TransientFailure

_BEGIN = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_STAY = "SET LOCAL idle_in_transaction_session_timeout = 0"
"""Who has read the last range still holds the snapshot for those that have not."""
_EXPORT = "SELECT PG_EXPORT_SNAPSHOT()"
_BATCH_HINT = StatementOptions.BATCH_SIZE_HINT_BYTES.value
_BATCH_BYTES = 2 * 2**20
"""About 16,000 rows of ten columns."""


class PostgresqlDriver(ConnectorxDriver):
    """A PostgreSQL server."""

    def session(self) -> Session:
        """Queries of one transaction, which sees the state of its first query to its end."""
        return SnapshotSession(self)

    def connected(self, place: str) -> Connection:
        """A connection of ADBC's.

        Raises:
            TransientFailure: The server cannot be reached.
            PermanentFailure: It refuses.
        """
        self.reach(place)
        with self.told(place):
            return adbc.connect(self._connectorx_url(), autocommit=True)

    def _is_fault(self, error: BaseException) -> bool:
        return isinstance(error, adbc_driver_manager.Error) or super()._is_fault(error)


class SnapshotSession(Session):
    """One transaction over one connection; sessions beside it see the same state."""

    def __init__(self, driver: PostgresqlDriver, snapshot: str = "") -> None:
        """Name the driver, and the snapshot of another session that this one is to see."""
        super().__init__(driver)
        self._server = driver
        self._snapshot = snapshot
        self._connection: Connection | None = None
        self._running: Cursor | None = None

    def stream(self, text: str, *, place: str) -> Iterator[pa.RecordBatch]:
        """The batches of a query, of about two megabytes.

        Raises:
            TransientFailure: The server cannot be reached, the connection broke, or the session
                whose snapshot this one sees has ended.
            PermanentFailure: The server refused the query.
        """
        connection = self._begun(place)
        with self._server.told(place), closing(connection.cursor()) as cursor:
            cursor.adbc_statement.set_options(**{_BATCH_HINT: str(_BATCH_BYTES)})
            self._running = cursor
            try:
                cursor.execute(text)
                with cursor.fetch_record_batch() as batches:
                    yield from batches
            finally:
                self._running = None

    def beside(self) -> Session:
        """A session for another thread that sees the same state; to be opened while this lasts.

        Raises:
            TransientFailure: The server cannot be reached, or the connection broke.
        """
        if not self._snapshot:
            (batch,) = self.stream(_EXPORT, place="a snapshot")
            self._snapshot = batch.column(0)[0].as_py()
        return SnapshotSession(self._server, self._snapshot)

    def stop(self) -> None:
        """Has the server end what runs."""
        running = self._running
        if running is not None:
            # It may have ended by itself.
            with suppress(adbc_driver_manager.Error):
                running.adbc_cancel()

    def close(self) -> None:
        """Ends the transaction, and with it the snapshot."""
        if self._connection is not None:
            self._connection.close()

    def _begun(self, place: str) -> Connection:
        if self._connection is not None:
            return self._connection
        self._connection = self._server.connected(place)
        seen = tree.text(self._snapshot).sql("postgres")
        further = f"SET TRANSACTION SNAPSHOT {seen}" if self._snapshot else _STAY
        with self._server.told(place), closing(self._connection.cursor()) as cursor:
            cursor.execute(_BEGIN)
            try:
                cursor.execute(further)
            except adbc_driver_manager.Error as error:
                raise self._lost_snapshot(place, error) from error
        return self._connection

    def _lost_snapshot(self, place: str, error: Exception) -> PlatformFailure:
        return TransientFailure(
            f"table {place}: {self._server.host} does not have the snapshot any more that all "
            f"connections of this read were to see ({error}): the connection that held it has "
            "ended. It is tried again; if it stays, check the database's log"
        )
