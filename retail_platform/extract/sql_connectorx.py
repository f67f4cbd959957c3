"""PostgreSQL and SQLite through connectorx.

Measured on 300,000 rows of six columns, everything of SQLite but REAL as text: 0.9-1.1 M rows/s,
against 2.0 M with connectorx's own (inexact) types and 0.2 M with `sqlite3`.

connectorx brings its own SQLite, and file locks do not work between two SQLites in one process: the
process that reads a SQLite source must not write to it with the `sqlite3` module at the same time.
Between processes they do: a reader waits up to 5 s for a writer, then fails as transient.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlencode

import connectorx
import pyarrow as pa
import sqlalchemy as sa

from retail_platform.extract.sql_driver import BATCH_ROWS, Driver

_PROTOCOLS: Mapping[str, Literal["cursor"]] = {"postgresql": "cursor"}
"""Measured on ten columns: 0.8 us of our processor a row, against 1.1 us by COPY."""


class ServerDriver(Driver):
    """A server that connectorx knows.

    Args:
        url: SQLAlchemy URL; a driver part is ignored.
        source: The source's name in messages.
        timeout: How long one query may run at a PostgreSQL server.
    """

    def __init__(self, url: sa.URL, source: str, timeout: timedelta) -> None:
        super().__init__(url, source)
        self._timeout = timeout

    def _open(self, text: str) -> Iterable[pa.RecordBatch]:
        return connectorx.read_sql(
            self._connectorx_url(),
            text,
            return_type="arrow_stream",
            batch_size=BATCH_ROWS,
            protocol=_PROTOCOLS.get(self._url.get_backend_name()),
        )

    def _is_fault(self, error: BaseException) -> bool:
        # What breaks off a stream in connectorx's Rust arrives as a panic, which is no `Exception`:
        # a run would end by it, and never try again.
        return type(error).__name__ == "PanicException" or super()._is_fault(error)

    def _connectorx_url(self) -> str:
        url = self._url
        query = {name: str(value) for name, value in url.query.items()}
        if url.get_backend_name() == "postgresql":
            limit = f"-c statement_timeout={self._timeout // timedelta(milliseconds=1)}"
            # What the URL itself says comes later, and counts.
            query["options"] = f"{limit} {query.get('options', '')}".strip()
        # SQLAlchemy would leave blanks and plus signs of a password as they are.
        user = ":".join(quote(part, safe="") for part in (url.username, url.password) if part)
        host = f"[{url.host}]" if ":" in (url.host or "") else url.host
        place = f"{host}:{self._port}/{quote(url.database or '', safe='')}"
        asked = f"?{urlencode(query, quote_via=quote)}" if query else ""
        return f"{url.get_backend_name()}://{user}@{place}{asked}"


class FileDriver(ServerDriver):
    """A SQLite file."""

    @property
    def host(self) -> str:
        """Where the database is, for messages."""
        return f"file {self._path.name}"

    @property
    def _path(self) -> Path:
        return Path(self._url.database or "")

    def _reach(self) -> None:
        # connectorx would create a missing file, and find it empty.
        if not self._path.is_file():
            raise FileNotFoundError("the file does not exist")

    def _connectorx_url(self) -> str:
        return f"sqlite://{quote(str(self._path.absolute()))}"
