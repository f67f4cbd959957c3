"""A table of a REST API as Bronze reads it: pages in, batches of text columns out."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import datetime

import pyarrow as pa

from retail_platform.extract.http import JsonApi, Patience
from retail_platform.extract.nested import Flattener
from retail_platform.extract.oauth import OAuthToken
from retail_platform.extract.reader import Expected
from retail_platform.extract.rest import Records, RestList
from retail_platform.extract.rest_window import Placing, asked
from retail_platform.extract.window import Window
from retail_platform.failures import PermanentFailure
from retail_platform.metadata.connections import (
    ClientCredentials,
    FromEnvironment,
    RestConnection,
)
from retail_platform.metadata.loader import Table
from retail_platform.metadata.rest import Endpoint

_BATCH_ROWS = 10_000


class RestReader:
    """One list of an API, its records flattened by the metadata of one table."""

    def __init__(self, source: RestList, flattener: Flattener, *, clock: str | None) -> None:
        """Name the list.

        Args:
            source: The list.
            flattener: What becomes of its records.
            clock: Path that tells the API's present; None: the list itself.
        """
        self._source = source
        self._flattener = flattener
        self._clock_path = clock
        self._present: datetime | None = None

    def clock(self) -> datetime:
        """The source's present, aware UTC."""
        self._present = self._source.clock(self._clock_path)
        return self._present

    def read(self, table: Table, window: Window) -> pa.RecordBatchReader:
        """Streams the rows of a window as received: one page is held at a time.

        Raises:
            TransientFailure: the API does not answer, or its pages do not fit together (also while
                the stream is read).
            PermanentFailure: the API refuses, or answers other than the metadata says (also while
                the stream is read).
        """
        placing = self._placing(table, window)
        pages = self._source.pages(_parameters(table, window))
        # Asked for now, so that a refusal is raised here and not in the middle of a write.
        first = next(pages)
        return pa.RecordBatchReader.from_batches(
            self._flattener.schema, self._batches(first, pages, placing)
        )

    def expect(self, table: Table, window: Window) -> Expected:
        """What `read` of the same window would give."""
        parameters = _parameters(table, window)
        told = ", ".join(f"{name}={value}" for name, value in parameters.items())
        return Expected(
            rows=None,
            text=f"GET {_endpoint(table).path}, {told or 'the whole list'}",
            columns={name: "string" for name in self._flattener.columns if name[0] != "_"},
        )

    def unknown_members(self) -> list[str]:
        """Members of the records read so far that no column takes."""
        return self._flattener.unknown

    def committed(self) -> None:
        """Nothing to remember: the ledger has the window."""

    def _placing(self, table: Table, window: Window) -> Placing | None:
        since = _endpoint(table).since
        if since is None or table.row.load != "incremental":
            return None
        clock = self._present or self.clock()
        return Placing(since, window, table.connection.timezone, clock)

    def _batches(
        self, first: Records, rest: Iterator[Records], placing: Placing | None
    ) -> Iterator[pa.RecordBatch]:
        schema = self._flattener.schema
        for records in _chained(first, rest):
            rows = [
                row
                for record in records
                if placing is None or placing.holds(record)
                for row in self._flattener.rows(record)
            ]
            for begin in range(0, len(rows), _BATCH_ROWS):
                yield pa.RecordBatch.from_pylist(rows[begin : begin + _BATCH_ROWS], schema=schema)


def rest_reader(table: Table, connection: RestConnection, api: JsonApi) -> RestReader:
    """The reader of a table of an open API."""
    return RestReader(RestList(api, _endpoint(table)), Flattener.of(table), clock=connection.clock)


@contextmanager
def rest_api(
    connection: RestConnection, source: str, value: Callable[[FromEnvironment], str]
) -> Generator[JsonApi, None, None]:
    """An API, open while the context is.

    Args:
        connection: How it is reached.
        source: Its name in messages.
        value: Gives the values that the connection names.

    Raises:
        PermanentFailure: a value is not set.
    """
    patience = Patience(attempts=connection.attempts, read_timeout=connection.timeout)
    url = value(connection.url)
    headers = {"Accept": "application/json"}
    match connection.auth:
        case ClientCredentials() as grant:
            with (
                OAuthToken.client_credentials(
                    value(grant.token_url),
                    client_id=value(grant.client_id),
                    client_secret=value(grant.client_secret),
                    scope=grant.scope,
                    name=source,
                    patience=patience,
                ) as token,
                JsonApi(
                    base_url=url,
                    name=source,
                    headers=headers,
                    patience=patience,
                    authorization=token,
                ) as api,
            ):
                yield api
        case auth:
            secret = value(auth.token) if auth else ""
            bearer = {"Authorization": f"Bearer {secret}"} if auth else {}
            with JsonApi(
                base_url=url,
                name=source,
                headers=headers | bearer,
                secrets=(secret,),
                patience=patience,
            ) as api:
                yield api


def _chained(first: Records, rest: Iterator[Records]) -> Iterator[Records]:
    yield first
    yield from rest


def _endpoint(table: Table) -> Endpoint:
    if table.row.rest is None:
        raise PermanentFailure(
            f"source {table.source}, table {table.row.table}: its row does not say how the API is "
            "asked; add rest: {path: ...}"
        )
    return table.row.rest


def _parameters(table: Table, window: Window) -> dict[str, str]:
    since = _endpoint(table).since
    if since is None or table.row.load != "incremental":
        return {}
    return asked(since, window)
