"""Opens the reader of a table from its source's connection; secrets are read here and only here."""

import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

import pyarrow as pa

from retail_platform.control.files import FileRegistry
from retail_platform.extract.files import FileContent, FileSource
from retail_platform.extract.reader import Expected, PlanningReader
from retail_platform.extract.sql import SqlSource
from retail_platform.extract.window import HOUR, Window
from retail_platform.failures import PermanentFailure
from retail_platform.metadata.loader import Table
from retail_platform.metadata.models import (
    FacebookAdsConnection,
    FilesConnection,
    FromEnvironment,
    GoogleAdsConnection,
    SqlConnection,
)
from retail_platform.resources.marketing import FacebookAdsResource, GoogleAdsResource


@contextmanager
def open_reader(
    table: Table, files: FileRegistry, environ: Mapping[str, str] = os.environ
) -> Generator[PlanningReader, None, None]:
    """The reader of a table's source.

    Args:
        table: The table's metadata.
        files: Registry of files that were taken in.
        environ: Where the connection's secrets are.

    Raises:
        PermanentFailure: a variable that the connection names is not set.
    """

    def value(setting: FromEnvironment) -> str:
        found = environ.get(setting.env)
        if not found:
            raise PermanentFailure(
                f"bronze.{table.bronze}: source {table.source} needs the environment variable "
                f"{setting.env}, which is not set. `retail-platform demo` sets it for the "
                "simulator; set it to your own source otherwise."
            )
        return found

    match table.connection:
        case SqlConnection(url=url, timezone=zone, clock_query=query):
            yield _SqlReader(SqlSource(value(url), zone, query, name=table.source))
        case FilesConnection(root=root, timezone=zone):
            yield _FilesReader(_file_source(table, value(root), zone), files)
        case FacebookAdsConnection(url=url, token=token, account=account):
            facebook = FacebookAdsResource(
                base_url=value(url), token=value(token), account=value(account)
            )
            with closing(facebook.client()) as client:
                yield _AdsReader(client, table.connection.timezone)
        case GoogleAdsConnection(
            url=url, token=token, developer_token=developer_token, customer=customer
        ):
            google = GoogleAdsResource(
                base_url=value(url),
                token=value(token),
                developer_token=value(developer_token),
                customer=value(customer),
            )
            with closing(google.client()) as client:
                yield _AdsReader(client, table.connection.timezone)


def _file_source(table: Table, root: str, zone: str) -> FileSource:
    declared = [name for name in table.row.columns if not name.startswith("_")]
    return FileSource(
        root,
        table.row.path or "",
        zone,
        columns=declared,
        name=f"bronze.{table.bronze}",
        form=table.row.file_format,
    )


def _source_name(table: Table, column: str) -> str:
    renamed = {target: source for source, target in table.row.columns.items()}
    return renamed.get(column, column)


def _watermark(table: Table) -> str | None:
    return _source_name(table, table.row.watermark.column) if table.row.watermark else None


class _SqlReader:
    """A SQL table by watermark, or whole."""

    def __init__(self, source: SqlSource) -> None:
        self.source = source

    def clock(self) -> datetime:
        return self.source.clock()

    def read(self, table: Table, window: Window) -> pa.RecordBatchReader:
        return self.source.read(
            table=table.row.name_in_source,
            columns=list(self.source.columns(table.row.name_in_source)),
            casts={},
            watermark=_asked_watermark(table),
            window=window,
        )

    def expect(self, table: Table, window: Window) -> Expected:
        spelled = {target: source for source, target in table.row.columns.items()}
        columns = self.source.columns(table.row.name_in_source)
        keys = [spelled.get(name, name) for name in table.row.key]
        rows, ranges = self.source.extent(
            table.row.name_in_source, keys, _asked_watermark(table), window
        )
        return Expected(rows=rows, text=f"{rows:,} rows", columns=columns, ranges=ranges)

    def hourly(
        self, table: Table, hours: Sequence[datetime]
    ) -> dict[datetime, tuple[int, datetime | None]]:
        return self.source.hourly(table.row.name_in_source, _watermark(table) or "", hours)

    def greatest(self, table: Table, before: Sequence[datetime]) -> list[datetime | None]:
        return self.source.greatest(table.row.name_in_source, _watermark(table) or "", before)

    def keys_since(self, table: Table, start: datetime) -> pa.Table:
        watermark = _watermark(table)
        clock = self.source.clock()
        names = [_source_name(table, column) for column in table.row.key]
        return self.source.read(
            table=table.row.name_in_source,
            columns=list(dict.fromkeys([*names, *([watermark] if watermark else [])])),
            casts={},
            watermark=watermark,
            window=Window(
                hour=start, start=start, end=max(clock, start + HOUR), initial=False, latest=True
            ),
            clock=clock,
        ).read_all()

    def committed(self) -> None:
        """Nothing to remember: the ledger has the window."""


def _asked_watermark(table: Table) -> str | None:
    """The source's column that a window is about; None where the table is read whole."""
    if table.row.watermark is None or table.row.load != "incremental":
        return None
    spelled = {target: source for source, target in table.row.columns.items()}
    return spelled.get(table.row.watermark.column, table.row.watermark.column)


class _FilesReader:
    """The files of an hour; a content that is in the lake under another name is left out."""

    def __init__(self, source: FileSource, files: FileRegistry) -> None:
        self.source = source
        self.files = files
        self.taken: list[tuple[str, FileContent, datetime]] = []

    def clock(self) -> datetime:
        # A folder has no clock: the hour's done marker says that it is closed, see `read`.
        return datetime.now(UTC)

    def read(self, table: Table, window: Window) -> pa.RecordBatchReader:
        paths = []
        contents: dict[str, str] = {}
        for path in self.source.hour_files(window.hour):
            content = self.source.content(path)
            known = self.files.by_hash(table.bronze, content.sha256)
            first = contents.setdefault(content.sha256, content.path)
            # A table that is replaced is its newest file, also where an older one was the same.
            replaces = table.row.silver.merge == "replace"
            if first == content.path and (known is None or known.path == content.path or replaces):
                paths.append(path)
                self.taken.append((table.bronze, content, window.hour))
        return self.source.read(paths)

    def expect(self, table: Table, window: Window) -> Expected:
        paths = self.source.hour_files(window.hour)
        contents = [self.source.content(path) for path in paths]
        known = [self.files.by_hash(table.bronze, content.sha256) for content in contents]
        size = sum(content.bytes for content in contents)
        return Expected(
            rows=None,
            text=f"{len(contents)} files, {size:,} bytes, {len(known) - known.count(None)} known",
            columns={
                field.name: str(field.type)
                for field in self.source.read(paths).schema
                if field.name not in ("_parse_error", "_raw")
            }
            if paths
            else None,
        )

    def committed(self) -> None:
        for table, content, hour in self.taken:
            self.files.register(
                table=table,
                path=content.path,
                sha256=content.sha256,
                size=content.bytes,
                hour=hour,
                rows=0,
            )


class _AdsClient(Protocol):
    def clock(self) -> datetime: ...

    def read(self, *, since: date, until: date) -> pa.RecordBatchReader: ...


class _AdsReader:
    """The trailing days of an ad account, in the account's own days."""

    def __init__(self, client: _AdsClient, timezone: str) -> None:
        self.client = client
        self.zone = ZoneInfo(timezone)

    def clock(self) -> datetime:
        return self.client.clock()

    def read(self, table: Table, window: Window) -> pa.RecordBatchReader:
        until = window.hour.astimezone(self.zone).date()
        since = until - timedelta(days=table.row.restate_days)
        return self.client.read(since=since, until=until)

    def expect(self, table: Table, window: Window) -> Expected:
        until = window.hour.astimezone(self.zone).date()
        since = until - timedelta(days=table.row.restate_days)
        return Expected(rows=None, text=f"the days {since} to {until}, whole")

    def committed(self) -> None:
        """Nothing to remember: every fetch reads its days anew."""
