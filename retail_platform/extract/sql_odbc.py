"""Any database with an ODBC driver, through arrow-odbc and unixODBC.

ODBC drivers describe types in their own ways: PostgreSQL's calls a double a float of 15 digits,
SQLite's gives moments in whole seconds. So only whole numbers and dates are taken as such, and
everything else as the text that the driver writes. A value that is longer than its column is
described to be is an error, never cut.
"""

import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from retail_platform.extract.odbc_catalogue import OdbcCatalogue, odbc_catalogue
from retail_platform.extract.sql_driver import BATCH_ROWS, CONNECT_SECONDS, Driver
from retail_platform.failures import PermanentFailure

if TYPE_CHECKING:
    from arrow_odbc import BatchReader

_MOST_BYTES_A_VALUE = 2**20
_MOST_BYTES_A_BATCH = 2**26

_PART = re.compile(r"(?P<name>[^=;]+)=(?P<value>\{(?:[^}]|\}\})*\}|[^;]*)")


class OdbcDriver(Driver):
    """A database behind an ODBC connection string.

    Args:
        connection: Such as ``Driver={PostgreSQL Unicode};Server=...;UID=...;PWD=...`` or
            ``DSN=...``.
        source: The source's name in messages.
        timeout: How long one query may run, where the driver heeds it.
    """

    def __init__(self, connection: str, source: str, timeout: timedelta) -> None:
        written = {
            found["name"].strip().lower(): found["value"] for found in _PART.finditer(connection)
        }
        parts = {name: _bare(value) for name, value in written.items()}
        secrets = [
            values.get(name, "") for name in ("pwd", "password") for values in (written, parts)
        ]
        super().__init__(source, connection, *secrets)
        self._connection = connection
        self._timeout = timeout
        shown = (parts.get(name) for name in ("dsn", "server", "servername", "database"))
        self._host = " ".join(filter(None, shown)) or "its ODBC connection"

    @property
    def host(self) -> str:
        """Where the database is, for messages."""
        return self._host

    def schema(self, text: str, *, place: str) -> pa.Schema:
        """Names and types of a query's columns, as the driver describes them.

        Raises:
            TransientFailure: The database cannot be reached.
            PermanentFailure: The database refused the query.
        """
        with self.told(place):
            return self._reader(text, as_described=True).schema

    @contextmanager
    def catalogue(self, place: str) -> Generator[OdbcCatalogue, None, None]:
        """The driver's catalogue functions, over a connection of their own.

        Args:
            place: What is asked for, for messages.

        Raises:
            TransientFailure: The database cannot be reached.
            PermanentFailure: The database, or its driver, refuses.
        """
        with self.told(place), odbc_catalogue(self._connection, int(CONNECT_SECONDS)) as found:
            yield found

    def _reach(self) -> None:
        return  # Only the driver knows where its database is; its login has a timeout.

    def _open(self, text: str) -> Iterable[pa.RecordBatch]:
        return self._reader(text)

    def _is_fault(self, error: BaseException) -> bool:
        told = type(error).__module__.startswith(("arrow_odbc", "pyodbc"))
        return told or super()._is_fault(error)

    def _reader(self, text: str, *, as_described: bool = False) -> "BatchReader":
        try:
            from arrow_odbc import read_arrow_batches_from_odbc
        except (ImportError, OSError) as error:
            raise PermanentFailure(
                f"source {self._source}: ODBC is read by arrow-odbc over unixODBC, which is not "
                f"there ({error}); install retail-platform[odbc], unixodbc and the database's "
                "ODBC driver"
            ) from error
        return read_arrow_batches_from_odbc(
            text,
            self._connection,
            batch_size=BATCH_ROWS,
            max_bytes_per_batch=_MOST_BYTES_A_BATCH,
            max_text_size=_MOST_BYTES_A_VALUE,
            max_binary_size=_MOST_BYTES_A_VALUE,
            login_timeout_sec=int(CONNECT_SECONDS),
            query_timeout_sec=int(self._timeout.total_seconds()),
            map_schema=None if as_described else _exact,
        )


def _bare(value: str) -> str:
    """A value without the braces that keep its signs from being read."""
    braced = value.startswith("{") and value.endswith("}")
    return value[1:-1].replace("}}", "}") if braced else value


def _exact(described: pa.Schema) -> pa.Schema:
    """The types to fetch: text but for those that every driver gets right."""

    def exact(kind: pa.DataType) -> pa.DataType:
        return kind if pa.types.is_integer(kind) or pa.types.is_date(kind) else pa.string()

    return pa.schema([(field.name, exact(field.type)) for field in described])
