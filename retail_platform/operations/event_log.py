"""Dagster's SQLite event log with its connections kept open.

Dagster's own opens a database, and builds SQLAlchemy's engine for it, for every statement of every
event: measured with 60 assets of five checks in one run, 110 ms of processor time an asset, 27 ms
with this class. The tables and files are Dagster's; either class reads what the other wrote. Named
in `dagster.yaml`; a production instance on PostgreSQL does not need it.

Not here: what is written, which is Dagster's.
"""

import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.event_api import EventHandlerFn
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    INDEX_SHARD_NAME,
    SqliteEventLogStorageWatchdog,
)
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, event
from watchdog.events import FileSystemEvent
from watchdog.observers import Observer

if TYPE_CHECKING:
    from dagster._core.storage.sqlite_storage import SqliteStorageConfig

OPEN_SHARDS = 8


class PooledSqliteEventLogStorage(SqliteEventLogStorage):
    """`SqliteEventLogStorage` that keeps the databases used last open.

    One database holds the index over all runs and one each run's events; at most eight are open.
    Commits reach the operating system at once and the disk at checkpoints (`synchronous=NORMAL`):
    a killed process loses nothing, a power cut may lose the last events.

    Args:
        base_dir: Folder of the databases; None: `history/runs` in `DAGSTER_HOME`, as in Dagster.
        inst_data: How Dagster made this object.

    Raises:
        DagsterInvariantViolationError: neither a folder nor `DAGSTER_HOME` is given.
    """

    def __init__(
        self, base_dir: str | None = None, inst_data: ConfigurableClassData | None = None
    ) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._open: dict[str, Connection] = {}
        self._tables: set[str] = set()
        super().__init__(base_dir or _default_folder(), inst_data)
        # One event is several statements, each of which asks for its database again.
        self._db_lock = threading.RLock()

    @classmethod
    def config_type(cls) -> dict[str, dg.Field]:
        """Schema of the block in `dagster.yaml`."""
        return {"base_dir": dg.Field(dg.StringSource, is_required=False)}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: "SqliteStorageConfig"
    ) -> "PooledSqliteEventLogStorage":
        """The storage that a block in `dagster.yaml` describes."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            if shard in self._open:
                yield self._open[shard]
                return
            engine = self._engine_of(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                self._open[shard] = connection
                try:
                    yield connection
                finally:
                    del self._open[shard]

    def store_event(self, event: EventLogEntry) -> None:
        """Write one event: to its run's database and, where other runs ask for it, to the index."""
        self.store_event_batch([event])

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Write events, all or none of one run, in one transaction a database."""
        for run_id, of_run in groupby(events, key=lambda event: event.run_id):
            with self._connect(INDEX_SHARD_NAME), self._connect(run_id):
                for event in of_run:
                    super().store_event(event)

    def has_table(self, table_name: str) -> bool:
        """Whether the index has a table; asked for every event of a check, and none is dropped."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def _engine_of(self, shard: str) -> Engine:
        engine = self._engines.get(shard)
        if engine is None:
            engine = create_engine(
                self.conn_string_for_shard(shard),
                pool_size=1,
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
            )
            event.listen(engine, "connect", _relax_synchronisation)
            self._engines[shard] = engine
        self._engines.move_to_end(shard)
        if len(self._engines) > OPEN_SHARDS:
            self._engines.popitem(last=False)[1].dispose()
        return engine

    def _close_databases(self) -> None:
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()

    def watch(self, run_id: str, cursor: str | None, callback: EventHandlerFn) -> None:
        """Call back with each new event of a run; the UI's live page of a run listens here."""
        if not self._obs:
            self._obs = Observer()
            self._obs.start()
        watchdog = _JournalWatchdog(self, run_id, callback, cursor)
        watched = self._obs.schedule(watchdog, self._base_dir, recursive=True)
        self._watchers[run_id][callback] = (watchdog, watched)

    def wipe(self) -> None:
        """Delete every event; the databases of the runs go."""
        self._close_databases()
        self._tables.clear()
        super().wipe()

    def dispose(self) -> None:
        """Close the databases; a later call opens them again."""
        self._close_databases()
        super().dispose()


class _JournalWatchdog(SqliteEventLogStorageWatchdog):
    """Sees commits where they land while connections stay open: in the write-ahead log."""

    @property
    def patterns(self) -> list[str]:
        return [self._log_path, f"{self._log_path}-wal"]

    def on_modified(self, event: FileSystemEvent) -> None:
        del event
        self._process_log()


def _default_folder() -> str:
    home = os.environ.get("DAGSTER_HOME")
    if not home:
        raise dg.DagsterInvariantViolationError(
            "The event log has no folder: set DAGSTER_HOME, or `base_dir` in the event_log_storage "
            "block of dagster.yaml."
        )
    return str(Path(home) / "history" / "runs")


def _relax_synchronisation(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")
