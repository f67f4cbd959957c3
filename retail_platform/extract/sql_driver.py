"""How a query is run: one small interface over the libraries that read databases into Arrow.

Belongs here: what every driver promises, reaching a server, and what goes wrong with any of them,
told as a failure of the source and without its secrets. Not here: the libraries themselves
(`sql_connectorx`, `sql_postgresql`, `sql_mssql`, `sql_odbc`), and what is asked (`sql_query`).
"""

import socket
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import ClassVar

import pyarrow as pa
import sqlalchemy as sa

from retail_platform.control.redaction import redact
from retail_platform.failures import PermanentFailure, PlatformFailure, TransientFailure

BATCH_ROWS = 16_384
CONNECT_SECONDS = 5.0

# What no second attempt mends, as the drivers word it.
_PERMANENT_SIGNS = (
    "authentication failed",
    "login failed",
    "permission",
    "syntax error",
    "does not exist",
    "no such",
    "invalid column",
    "invalid object",
    "not a database",
    "malformed",
    "connection string",
    "can't open lib",
    "too large to be written",
)


class Driver(ABC):
    """One library that runs queries at one database. Holds no connection between two of them.

    Args:
        source: The source's name in messages.
        secrets: What no message may show.
    """

    def __init__(self, source: str, *secrets: str) -> None:
        self._source = source
        self._secrets = secrets

    @property
    @abstractmethod
    def host(self) -> str:
        """Where the database is, for messages."""

    def stream(self, text: str, *, place: str) -> Iterator[pa.RecordBatch]:
        """Open a query now; the iterator that is returned gives its batches.

        Args:
            text: The query.
            place: What is read, for messages.

        Raises:
            TransientFailure: The database cannot be reached, or, also while the batches are taken,
                the connection broke.
            PermanentFailure: The database refused the query.
        """
        self.reach(place)
        with self.told(place):
            batches = self._open(text)
        return self._watched(batches, place)

    def reach(self, place: str) -> None:
        """Fail within seconds where drivers would wait and log for half a minute.

        Raises:
            TransientFailure: The database is not there.
        """
        try:
            self._reach()
        except OSError as error:
            raise TransientFailure(
                f"source {self._source}, table {place}: {self.host} cannot be reached ({error}); "
                "check that the database runs and that the source's URL names the right host"
            ) from error

    @contextmanager
    def told(self, place: str) -> Iterator[None]:
        """Tells what goes wrong with the driver as a failure of the source."""
        try:
            yield
        except BaseException as error:
            if not self._is_fault(error):
                raise
            raise self._failure(place, error) from None

    def session(self) -> "Session":
        """Queries that follow one another, and others beside them; close it after use."""
        return Session(self)

    @abstractmethod
    def _open(self, text: str) -> Iterable[pa.RecordBatch]:
        """Start a query; its batches have up to ``BATCH_ROWS`` rows."""

    def _is_fault(self, error: BaseException) -> bool:
        """Whether the driver, or what it streams through, says that a read failed."""
        return isinstance(error, (RuntimeError, pa.ArrowException, OSError))

    @abstractmethod
    def _reach(self) -> None:
        """Raise an OSError where the database is not there."""

    def _watched(self, batches: Iterable[pa.RecordBatch], place: str) -> Iterator[pa.RecordBatch]:
        with self.told(place):
            yield from batches

    def _failure(self, place: str, error: BaseException) -> PlatformFailure:
        found = " ".join(redact(str(error), *self._secrets).split())
        if any(sign in found.lower() for sign in _PERMANENT_SIGNS):
            return PermanentFailure(
                f"source {self._source}, table {place}: {self.host} refused the query ({found}); "
                "check the account's rights and the table's row in the catalog"
            )
        return TransientFailure(
            f"source {self._source}, table {place}: reading from {self.host} broke off ({found}); "
            "it is tried again; if it stays, check the database's log"
        )


class ServerDriver(Driver):
    """A driver of a database that listens on a port.

    Args:
        url: SQLAlchemy URL; its driver part is ignored.
        source: The source's name in messages.
        timeout: How long one query may run.
    """

    _default_port: ClassVar[int]

    def __init__(self, url: sa.URL, source: str, timeout: timedelta) -> None:
        super().__init__(source, str(url.password or ""))
        self._url = url
        self._timeout = timeout

    @property
    def host(self) -> str:
        """Where the database is, for messages."""
        return f"{self._url.host}:{self._port}/{self._url.database}"

    @property
    def _port(self) -> int:
        return self._url.port or self._default_port

    def _reach(self) -> None:
        if self._url.host:
            socket.create_connection((self._url.host, self._port), CONNECT_SECONDS).close()


class Session:
    """Queries that follow one another, by one thread; opened by the first of them.

    Here each has a connection of its own, and sees what is committed when it begins. Databases
    whose connections can share one state have sessions of their own.
    """

    def __init__(self, driver: Driver) -> None:
        """Name the driver; nothing is opened."""
        self._driver = driver

    def stream(self, text: str, *, place: str) -> Iterator[pa.RecordBatch]:
        """The batches of a query, see `Driver.stream`."""
        return self._driver.stream(text, place=place)

    def beside(self) -> "Session":
        """A session for another thread, which sees what this one sees, where the database can."""
        return self._driver.session()

    def stop(self) -> None:
        """Ends a wait of its thread soon, where the driver can; called from another thread."""

    def close(self) -> None:
        """Leaves the database; its thread has ended."""
