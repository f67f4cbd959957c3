"""The lake's tables: the few verbs through which every write goes, and the reads they need.

Counts of a write come from its Delta commit (``commits``). What a load means is not known here;
that belongs to ``bronze`` and ``silver``.
"""

import shutil
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, cast

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql.connect.dataframe import DataFrame as ConnectFrame
from pyspark.sql.connect.session import SparkSession

from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.lakehouse.appending import append_rows
from retail_platform.lakehouse.commits import MAINTENANCE, Commit
from retail_platform.lakehouse.merges import Matched, Merge
from retail_platform.lakehouse.places import (
    Layer,
    abandoned_staging,
    staging_root,
    stored_tables,
    table_location,
)
from retail_platform.lakehouse.retyping import Retyped, widened
from retail_platform.lakehouse.statistics import statistics_options
from retail_platform.lakehouse.storing import MERGE_ATTEMPTS, ensure_table
from retail_platform.metadata.types import sql_type

IN_MEMORY_ROWS = 20_000
IN_MEMORY_BYTES = 16 * 2**20
"""What a staged frame may hold in memory: it travels with every statement that reads it, and a
message to the engine ends at 128 MB."""
DIRECT_ROWS = 100_000
"""What the source of a merge may hold to go past the engine: it is held in memory."""

LOST_RACE = ("Failed to commit transaction", "DELTA_CONCURRENT")
"""What the engines, Sail and Spark, say when another commit came first."""


class Lakehouse:
    """Tables of one lake, read and written through one session.

    Args:
        spark: Open Spark Connect session.
        root: Lake root: a local folder or an object-store URL.
        direct: Whether small merges may go past the engine, through delta-rs.
    """

    def __init__(self, spark: SparkSession, root: str, *, direct: bool = True) -> None:
        self.spark = spark
        self.root = root
        self.direct = direct
        self._databases: set[str] = set()
        self._handles: dict[str, DeltaTable] = {}
        self._locks: dict[str, threading.RLock] = {}

    def location(self, layer: Layer, name: str) -> str:
        """Where a table lives."""
        return table_location(self.root, layer, name)

    def exists(self, layer: Layer, name: str) -> bool:
        """Whether the table has a Delta log."""
        return DeltaTable.is_deltatable(self.location(layer, name))

    @contextmanager
    def alone(self, layer: Layer, name: str) -> Iterator[None]:
        """Keeps other threads from writing to the table; a thread may ask again and again.

        A load that plans its rows against the table asks before it reads, so that its commit finds
        the table as planned. Other processes are kept away by Dagster's pools.
        """
        # One operation of the interpreter: two threads cannot both set the lock.
        with self._locks.setdefault(self.location(layer, name), threading.RLock()):
            yield

    def delta(self, layer: Layer, name: str) -> DeltaTable:
        """The table's present version through delta-rs: schema, history, maintenance, small reads.

        Handles are kept, and catch up with the log: a fifth of what opening the table costs.
        """
        location = self.location(layer, name)
        handle = self._handles.get(location)
        if handle is None:
            handle = self._handles[location] = DeltaTable(location)
        else:
            handle.update_incremental()
        return handle

    def schema(self, layer: Layer, name: str) -> pa.Schema:
        """Arrow schema of a stored table."""
        return pa.schema(self.delta(layer, name).schema().to_arrow())

    def read(self, layer: Layer, name: str) -> DataFrame:
        """The table as a DataFrame of its present version."""
        return self.spark.read.format("delta").load(self.location(layer, name))

    def ensure(
        self,
        layer: Layer,
        name: str,
        schema: pa.Schema,
        *,
        partition_by: Sequence[str] = (),
        keep_types: bool = False,
    ) -> None:
        """Creates the table where it is missing and adds the columns that it lacks.

        Args:
            layer: Layer of the table.
            name: Name of the table.
            schema: Columns that it must have.
            partition_by: Columns that partition it.
            keep_types: Whether stored columns of another type are left as they are, for whoever
                judges them later.

        Raises:
            PermanentFailure: a stored column has another type, or other columns partition
                the stored table; nothing was changed.
        """
        ensure_table(
            self.location(layer, name),
            schema,
            table=f"{layer}.{name}",
            opened=lambda: self.delta(layer, name),
            partition_by=partition_by,
            keep_types=keep_types,
        )

    def retype(
        self, layer: Layer, name: str, columns: Sequence[Retyped], *, zone: str = "UTC"
    ) -> Commit:
        """Rewrites a table with wider types of some columns, in one commit.

        Args:
            layer: Layer of the table.
            name: Name of the table.
            columns: Its columns with their new types.
            zone: IANA zone in which a stored day began, where a day becomes a moment.

        Raises:
            PermanentFailure: the commit has another number of rows than the table had.
        """
        handle = self.delta(layer, name)
        before, rows = handle.version(), handle.count()
        batches = widened(handle.to_pyarrow_dataset().scanner().to_reader(), columns, zone=zone)
        write_deltalake(
            handle,
            batches,
            mode="overwrite",
            schema_mode="overwrite",
            partition_by=handle.metadata().partition_columns or None,
        )
        commit = self._commit(layer, name, before)
        if commit.inserted != rows:
            raise PermanentFailure(
                f"{layer}.{name}: rewritten with {rows} rows, but commit {commit.version} has "
                f"{commit.inserted}. Restore version {before} and report it."
            )
        return commit

    def register_again(self, layer: Layer, name: str) -> None:
        """Tells SQL the present columns of a table that it knows by older ones; keeps its data."""
        self.ensure_database(layer)
        self.spark.sql(f"DROP TABLE IF EXISTS {layer}.{name}")
        self.register(layer, name)

    def register(self, layer: Layer, name: str) -> None:
        """Makes the table known to SQL as ``<layer>.<name>``, with its columns where it can."""
        handle = self.delta(layer, name)
        columns = ", ".join(
            f"`{field.name}` {sql_type(field.type)}{'' if field.nullable else ' NOT NULL'}"
            for field in pa.schema(handle.schema().to_arrow())
        )
        # Sail reads partition columns as dictionaries, and refuses any type declared for them.
        declared = "" if handle.metadata().partition_columns else f"({columns})"
        self.ensure_database(layer)
        self.spark.sql(
            f"CREATE TABLE IF NOT EXISTS {layer}.{name} {declared} USING delta "
            f"LOCATION '{self.location(layer, name)}'"
        )

    def ensure_database(self, layer: Layer) -> None:
        """Makes the layer's database known to SQL, as this lake's.

        Raises:
            PermanentFailure: the engine's catalog, which sessions of one Spark share, has the
                layer of another lake: its tables would be read and written in place of these.
        """
        if layer in self._databases:
            return
        mark = f"{layer} of the lake {self.root}"
        self.spark.sql(f"CREATE DATABASE IF NOT EXISTS {layer} COMMENT '{mark}'")
        found = self.spark.catalog.getDatabase(layer).description or mark
        if found != mark and found.startswith(f"{layer} of the lake "):
            raise PermanentFailure(
                f"{self.root}: the engine knows {found}, and one engine can serve one lake at a "
                "time. Use an engine of its own for each lake (RETAIL_ENGINE_URL)."
            )
        self._databases.add(layer)

    def append(
        self,
        layer: Layer,
        name: str,
        batches: pa.RecordBatchReader,
        partition: Mapping[str, datetime] = MappingProxyType({}),
    ) -> Commit:
        """Appends a stream of batches in one commit; nothing is visible before its end.

        Args:
            layer: Layer of the table.
            name: Name of the table.
            batches: The rows, in the stored columns; where there are none, nothing is committed.
            partition: The partition of the table that all rows belong to.
        """
        with self.alone(layer, name):
            table = self.delta(layer, name)
            before = table.version()
            append_rows(table, self.location(layer, name), batches, partition)
            return self._commit(layer, name, before)

    def merge(
        self,
        layer: Layer,
        name: str,
        source: DataFrame,
        *,
        on: Sequence[str],
        matched: Sequence[Matched] = (),
        insert: Sequence[str] = (),
        insert_when: str | None = None,
        pruned_by: str | None = None,
        rows: int | None = None,
    ) -> Commit:
        """Runs one MERGE; the source must be materialised already and unique by ``on``.

        Args:
            layer: Layer of the target.
            name: Name of the target.
            source: Rows to merge; columns are addressed as ``s.<column>``, the target's as ``t.``.
            on: Key columns, compared with ``=``.
            matched: What becomes of stored rows that match; the first clause that holds counts.
            insert: Columns that a row without match inserts; none inserts nothing.
            insert_when: Condition of the insert.
            pruned_by: Further condition on the target that lets it skip partitions.
            rows: A number that the source's rows do not exceed, where one is known: a small merge
                goes past the engine, see ``merges``.
        """
        merge = Merge(
            on=on, matched=matched, insert=insert, insert_when=insert_when, pruned_by=pruned_by
        )
        direct = self.direct and rows is not None and rows <= DIRECT_ROWS
        held = fetched(source) if direct else None
        with self.alone(layer, name):
            return self._merge(layer, name, merge, source, held)

    def _merge(
        self, layer: Layer, name: str, merge: Merge, source: DataFrame, held: pa.Table | None
    ) -> Commit:
        before = self.version(layer, name)
        for _ in range(MERGE_ATTEMPTS):
            try:
                if held is not None:
                    merge.run_on(self.delta(layer, name), held)
                else:
                    self._run_merge(layer, name, merge, source)
            except (PySparkException, CommitFailedError) as error:
                lost = isinstance(error, CommitFailedError)
                if not lost and not any(sign in str(error) for sign in LOST_RACE):
                    raise
                if self._written_since(layer, name, before):
                    raise _overtaken(layer, name) from error
            else:
                return self._commit(layer, name, before)
        raise _overtaken(layer, name)

    def _run_merge(self, layer: Layer, name: str, merge: Merge, source: DataFrame) -> None:
        # By its place: not every table is in the session's catalog.
        statement = merge.statement(f"delta.`{self.location(layer, name)}`", "\0")
        statement = statement.replace("{", "{{").replace("}", "}}").replace("\0", "{rows}")
        # The source travels with the statement, which runs at once: one round trip.
        self.spark.sql(statement, rows=source)

    @contextmanager
    def staged(
        self, frame: DataFrame, *, rows: int | None = None, restricted: bool = False
    ) -> Iterator[DataFrame]:
        """Materialises ``frame`` once and drops it afterwards.

        Args:
            frame: What to materialise.
            rows: A number that its rows do not exceed, where one is known: a small frame stays in
                memory, any other becomes a table of its own.
            restricted: Whether it holds clear personal values: such a table lies in their layer.
        """
        if rows is not None and rows <= IN_MEMORY_ROWS:
            held = fetched(frame)
            if held.nbytes <= IN_MEMORY_BYTES:
                yield self._in_memory(held)
                return
        name = uuid.uuid4().hex
        location = f"{staging_root(self.root, restricted=restricted)}/{name}"
        statistics = statistics_options(frame.schema)
        frame.write.format("delta").options(**statistics).mode("error").save(location)
        try:
            yield self.spark.read.format("delta").load(location)
        finally:
            self._remove(location)

    def _in_memory(self, rows: pa.Table) -> DataFrame:
        if rows.num_rows:
            return self.spark.createDataFrame(rows)
        columns = ", ".join(f"`{field.name}` {sql_type(field.type)}" for field in rows.schema)
        return self.spark.createDataFrame([], columns)

    def remove_abandoned_staging(self, *, older_than: timedelta) -> int:
        """Deletes staged tables that a killed process left behind; local lakes only.

        Args:
            older_than: Age from which on no load can still be using one.

        Returns:
            Number of tables deleted.
        """
        abandoned = abandoned_staging(self.root, older_than=older_than)
        for path in abandoned:
            shutil.rmtree(path)
        return len(abandoned)

    def version(self, layer: Layer, name: str) -> int:
        """Present version of the table."""
        return self.delta(layer, name).version()

    def row_count(self, layer: Layer, name: str) -> int:
        """Rows of the table, from the statistics of its log."""
        return self.delta(layer, name).count()

    def partition_rows(self, name: str, hour: datetime) -> int:
        """Rows of one hour of a Bronze table."""
        return self.read("bronze", name).where(f"_hour = {timestamp_literal(hour)}").count()

    def tables(self, layer: Layer) -> list[str]:
        """Names of the tables of a layer that exist, sorted. Local lakes only see folders."""
        return stored_tables(self.root, layer)

    def _written_since(self, layer: Layer, name: str, version: int) -> list[dict[str, Any]]:
        """Commits after a version, newest first; those that only moved rows are no writes."""
        table = self.delta(layer, name)
        commits = table.history(table.version() - version) if table.version() > version else []
        return [commit for commit in commits if commit["operation"] not in MAINTENANCE]

    def restore(self, layer: Layer, name: str, version: int) -> Commit:
        """Gives the table the content of an older version, as a new version.

        Raises:
            PermanentFailure: there is no such version, or its files were removed.
        """
        table = self.delta(layer, name)
        before = table.version()
        if not 0 <= version <= before:
            raise PermanentFailure(
                f"{layer}.{name} has no version {version}; it has versions up to {before}."
            )
        try:
            table.restore(version)
        except DeltaError as error:
            raise PermanentFailure(
                f"{layer}.{name}: files of version {version} were removed by vacuum ({error}). "
                "Restore a newer version, or build the table again from Bronze: "
                f"retail-platform reprocess {name} --from FIRST --to LAST --stored --reason WHY"
            ) from error
        return self._commit(layer, name, before)

    def _commit(self, layer: Layer, name: str, before: int) -> Commit:
        written = self._written_since(layer, name, before)
        if not written:
            return Commit(version_before=before, version=self.version(layer, name))
        return Commit.of(written[0], before)

    def _remove(self, location: str) -> None:
        if "://" in location:
            DeltaTable(location).delete()
        else:
            shutil.rmtree(location)


def _overtaken(layer: Layer, name: str) -> TransientFailure:
    return TransientFailure(
        f"{layer}.{name}: another process committed to the table while this load merged into it; "
        "nothing of the merge was written, and the load is tried again. If it happens often, see "
        "that two runs never load one table at once (`concurrency.pools` in dagster.yaml)"
    )


def one_row(frame: DataFrame) -> dict[str, Any]:
    """The only row of a frame, its timestamps aware: ``collect`` would give them in local time."""
    return fetched(frame).to_pylist()[0]


def fetched(frame: DataFrame) -> pa.Table:
    """All rows of a small frame, in the engine's own Arrow types.

    ``toArrow`` has the engine analyse the whole plan first, only to cast what comes to the very
    same types; this is one round trip in place of two.
    """
    return cast("ConnectFrame", frame)._to_table()[0]


def timestamp_literal(instant: datetime) -> str:
    """A Spark SQL literal of an aware UTC instant, for a session whose time zone is UTC."""
    return f"timestamp'{instant:%Y-%m-%d %H:%M:%S.%f}'"
