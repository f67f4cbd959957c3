"""One Bronze load: the rows of a window are streamed from the source and appended in one commit.

A re-run adds what its hour does not hold yet and leaves the rest as it is.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.connect import functions as f

from retail_platform.bronze.received import (
    CountedStream,
    in_stored_case,
    in_stored_types,
    watermark_column,
)
from retail_platform.bronze.row_hash import row_hashes
from retail_platform.bronze.streams import StreamState, stream_read, stream_state
from retail_platform.bronze.transforms import bronze_schema, unknown_columns
from retail_platform.bronze.watermarks import WatermarkState
from retail_platform.bronze.windows import watermarks_of, whole_table, window_of
from retail_platform.control.ledger import Counts, Ledger
from retail_platform.control.loads import LoadFacts
from retail_platform.control.requests import Request, RequestKind
from retail_platform.extract.batches import original_failure
from retail_platform.extract.coverage import Covered
from retail_platform.extract.offsets import Expired
from retail_platform.extract.reader import (
    NestedReader,
    OffsetReader,
    RangeReader,
    SourceReader,
)
from retail_platform.extract.window import HOUR, Window
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.lakehouse.commits import Commit
from retail_platform.lakehouse.tables import Lakehouse, fetched, one_row, timestamp_literal
from retail_platform.metadata.loader import Table
from retail_platform.metadata.types import schema_json
from retail_platform.partitions import key_of, latest_closed_hour

READ_AS_OF_NOW = ("full", "snapshot", "restated")
"""Loads that deliver the source's present: an hour that has passed cannot be read any more."""


@dataclass(frozen=True, kw_only=True)
class BronzeLoad:
    """What one load did.

    Attributes:
        counts: Where the rows went.
        initial: Whether this was the first load of the table.
        missed: True where the hour was not read in time.
        unknown_columns: Columns of the source that the contract does not know.
        version: Version of the Bronze table afterwards; None where there is no table yet.
        watermarks: How the source's watermarks stood; None where that was not asked.
        stream: How the read stood to its positions; None for what has none.
    """

    counts: Counts
    initial: bool
    missed: bool
    unknown_columns: list[str]
    version: int | None
    watermarks: WatermarkState | None = None
    stream: StreamState | None = None


class BronzeLoader:
    """Loads hours of one Bronze table.

    Args:
        table: The table to load.
        reader: Its source.
        lakehouse: The lake.
        ledger: The load ledger.
        run_id: Run that the ledger names.
        engine: Name of the engine, for the ledger.
        request: Request that the loads work on, if they do.
    """

    def __init__(
        self,
        *,
        table: Table,
        reader: SourceReader,
        lakehouse: Lakehouse,
        ledger: Ledger,
        run_id: str,
        engine: str,
        request: Request | None = None,
    ) -> None:
        self.request = request
        self.table = table
        self.reader = reader
        self.lakehouse = lakehouse
        self.ledger = ledger
        self.run_id = run_id
        self.engine = engine
        self.asset = f"bronze/{table.bronze}"

    def load(self, hour: datetime) -> BronzeLoad:
        """Reads one hour.

        Raises:
            TransientFailure: the source cannot be reached, or its clock has not closed the hour.
            PermanentFailure: the source is not what the metadata says.
        """
        loaded = hour in self.ledger.succeeded_hours(self.asset)
        window = window_of(self.table, hour, self.ledger, self.request, loaded=loaded)
        load_id = self.ledger.start(
            asset=self.asset,
            layer="bronze",
            hour=hour,
            run_id=self.run_id,
            engine=self.engine,
            window=window,
            request=self.request,
        )
        try:
            clock = self.reader.clock()
            if clock < window.end:
                raise _not_closed(self.table, hour, clock)
            latest = latest_closed_hour(clock) == hour
            if self.table.row.load in READ_AS_OF_NOW and not latest:
                return self._passed(load_id, loaded)
            window = replace(window, latest=latest and window.whole)
            state = watermarks_of(self.table, window, clock, self.ledger, self.reader, self.request)
            if state is None:
                return self._read_or_reload(load_id, window, clock)
            return self._read_after(state, load_id, window, clock)
        except BaseException as error:
            self.ledger.fail(load_id, f"{type(error).__name__}: {error}")
            raise

    def _read_after(
        self, state: WatermarkState, load_id: int, window: Window, clock: datetime
    ) -> BronzeLoad:
        """Reads the latest hour, and with it what lag and gap ask for."""
        watermark = self.table.row.watermark
        assert watermark is not None, "an incremental table"
        limit = watermark.max_lag
        if limit is not None and state.lag > limit and watermark.on_lag == "full":
            reason = f"lag {state.lag}, expected up to {limit}"
            load = self._reload(reason, "on_lag: full", load_id, window, clock)
            return replace(load, watermarks=state)
        facts = LoadFacts()
        if state.missing and watermark.gap.mode == "full":
            start = window.hour - state.missing * HOUR - watermark.buffer
            window = replace(window, start=start)
            facts = LoadFacts(window_start=start, reason=f"with a gap of {state.missing} hours")
        return replace(self._read(load_id, window, clock, facts), watermarks=state)

    def _read_or_reload(self, load_id: int, window: Window, clock: datetime) -> BronzeLoad:
        """Reads an hour; where changes of it are gone from the source, the whole table."""
        try:
            return self._read(load_id, window, clock)
        except Expired as gone:
            assert isinstance(self.reader, OffsetReader), "only positions expire"
            if self._holds(window.hour):
                state = stream_state(
                    self.table, window, clock, reader=self.reader, offsets=self.ledger.offsets
                )
                return replace(self._passed(load_id, loaded=True), stream=state)
            reason = (
                f"{gone.lost} positions from {gone.range.start} to {gone.range.end} of "
                f"{self.table.row.positions} had expired before they were read"
            )
            return self._reload(reason, "expired changes", load_id, window, clock, lost=gone.lost)

    def _reload(
        self,
        reason: str,
        requester: str,
        load_id: int,
        window: Window,
        clock: datetime,
        *,
        lost: int = 0,
    ) -> BronzeLoad:
        """Reads the whole table into the hour, as a request that the metadata makes."""
        requests = self.ledger.requests
        request = requests.open(
            table=self.table.entity,
            kind=RequestKind.FULL_RELOAD,
            first_hour=window.hour,
            last_hour=window.hour,
            hours=1,
            reason=reason,
            requester=requester,
        )
        facts = LoadFacts(
            window_start=None,
            reprocess=True,
            request_id=request.id,
            reason=f"request {request.id}: {reason}",
        )
        try:
            load = self._read(load_id, whole_table(window), clock, facts, lost=lost)
        except BaseException as error:
            requests.hour_ended(request.id, succeeded=False, error=str(error))
            raise
        else:
            requests.hour_ended(request.id, succeeded=True)
        finally:
            requests.finish(request.id)
        return load

    def _passed(self, load_id: int, loaded: bool) -> BronzeLoad:
        if loaded:
            self.ledger.succeed(load_id, Counts(), reason="read before; its rows stay")
        else:
            self.ledger.miss(load_id)
        return BronzeLoad(
            counts=Counts(), initial=False, missed=not loaded, unknown_columns=[], version=None
        )

    def _read(
        self,
        load_id: int,
        window: Window,
        clock: datetime,
        facts: LoadFacts | None = None,
        *,
        lost: int = 0,
    ) -> BronzeLoad:
        received, state = self._received(window, clock, lost=lost)
        self.lakehouse.ensure(
            "bronze", self.table.bronze, bronze_schema(received.schema), partition_by=["_hour"]
        )
        version_before = self.lakehouse.version("bronze", self.table.bronze)
        extracted_at = self._reading_from()
        stored = self._stored_hashes(window.hour)
        read_at = extracted_at
        if self._is_reload(window):
            # Stored whole, for what it lacks is gone.
            stored = stored.slice(0, 0)
        elif self.table.row.keeps_whole_reads and len(stored):
            # A changed read is stored whole once more: only so is it known what it lacks now.
            # Held in memory, a re-run's few days or files, so that the comparison is of one read.
            whole = received.read_all()
            received = whole.to_reader()
            last_at, last_hashes = self._last_read(window.hour)
            if _hashes(whole) != last_hashes:
                stored = stored.slice(0, 0)
            else:
                read_at = last_at
        stream = CountedStream(
            received,
            schema=self.lakehouse.schema("bronze", self.table.bronze),
            stored=stored,
            hour=window.hour,
            extracted_at=extracted_at,
            source_clock=clock,
            watermark=watermark_column(self.table, received.schema.names),
            zone=self.table.connection.timezone,
        )
        with original_failure(stream.reader()) as batches:
            commit = self.lakehouse.append(
                "bronze", self.table.bronze, batches, {"_hour": window.hour}
            )
        self.reader.committed()
        if commit.inserted != stream.appended:
            raise _contradicted(self.table, window.hour, commit, stream.appended)
        brought = self._brought(received.schema)
        counts = Counts(
            read=stream.read, unchanged=stream.read - stream.appended, applied=stream.appended
        )
        known = LoadFacts(
            source_clock=clock,
            extracted_min=extracted_at,
            extracted_max=extracted_at,
            target_version_before=version_before,
            target_version_after=commit.version,
            bytes=commit.bytes_added,
            watermark_max=stream.watermark,
            schema_version=self.ledger.schemas.schema_version(self.asset, schema_json(brought)),
            reason=_told(window, state),
            covered=self._covered(window, read_at),
        )
        self.ledger.succeed(load_id, counts, **{**known, **(facts or {})})
        return BronzeLoad(
            counts=counts,
            initial=window.initial,
            missed=False,
            unknown_columns=(
                []
                if self.table.row.drift.columns == "discard_value"
                else unknown_columns(brought.names, self.table.columns_in_source)
            ),
            version=commit.version,
            stream=state,
        )

    def _received(
        self, window: Window, clock: datetime, *, lost: int
    ) -> tuple[pa.RecordBatchReader, StreamState | None]:
        if not isinstance(self.reader, OffsetReader):
            return self._as_stored(self.reader.read(self.table, window)), None
        received, state = stream_read(
            self.table,
            window,
            clock,
            reader=self.reader,
            offsets=self.ledger.offsets,
            stored=self._holds(window.hour),
            lost=lost,
        )
        return self._as_stored(received), state

    def _reading_from(self) -> datetime:
        """When this read begins; after all reads before where reads order the rows."""
        now = datetime.now(UTC)
        last = self.ledger.max_extracted(self.asset) if self.table.row.changes else None
        return max(now, last + timedelta(microseconds=1)) if last else now

    def _holds(self, hour: datetime) -> bool:
        """Whether an earlier read of the hour is in the lake, whatever became of its load."""
        if hour in self.ledger.succeeded_hours(self.asset):
            return True
        exists = self.lakehouse.exists("bronze", self.table.bronze)
        return exists and self.lakehouse.partition_rows(self.table.bronze, hour) > 0

    def _as_stored(self, received: pa.RecordBatchReader) -> pa.RecordBatchReader:
        if not self.lakehouse.exists("bronze", self.table.bronze):
            return in_stored_case(received, pa.schema([]), self.table)
        stored = self.lakehouse.schema("bronze", self.table.bronze)
        return in_stored_types(in_stored_case(received, stored, self.table), stored)

    def _brought(self, received: pa.Schema) -> pa.Schema:
        """What the read had: its columns, and the members of its records that are none of them."""
        members = self.reader.unknown_members() if isinstance(self.reader, NestedReader) else ()
        return pa.schema([*received, *[pa.field(name, pa.string()) for name in members]])

    def _stored_hashes(self, hour: datetime) -> pa.Array:
        rows = self._stored(hour).select("_row_hash")
        return fetched(rows).column("_row_hash").combine_chunks().cast(pa.string())

    def _covered(self, window: Window, read_at: datetime) -> str | None:
        """The range that the read has brought whole, for the ledger."""
        if self._is_reload(window):
            return Covered(hour=window.hour, read_at=read_at, bounds={}).text()
        if self.table.row.load != "restated" or not isinstance(self.reader, RangeReader):
            return None
        bounds = self.reader.covered(self.table, window)
        read = Covered(hour=window.hour, read_at=read_at, bounds=bounds, days=window.days_back)
        return read.text()

    def _is_reload(self, window: Window) -> bool:
        """Whether the whole table is read into an hour of changes."""
        return self.table.row.load == "changes" and window.start is None and not window.initial

    def _last_read(self, hour: datetime) -> tuple[datetime, set[str]]:
        """When an hour that has rows was read last, and the hashes of that read's rows."""
        stored = self._stored(hour)
        read_at = one_row(stored.agg(f.max("_extracted_at").alias("last")))["last"]
        reads = self.ledger.covered(self.asset, [hour])
        if reads and reads[-1].read_at > read_at:
            return reads[-1].read_at, set()
        newest = stored.where(f"_extracted_at = {timestamp_literal(read_at)}")
        return read_at, set(fetched(newest.select("_row_hash")).column("_row_hash").to_pylist())

    def _stored(self, hour: datetime) -> DataFrame:
        rows = self.lakehouse.read("bronze", self.table.bronze)
        return rows.where(f"_hour = {timestamp_literal(hour)}")


def _told(window: Window, state: StreamState | None) -> str | None:
    losses = f"lost before they were read: {state.told_losses}" if state and state.lost else None
    told = ["initial"] if window.initial else []
    return "; ".join([*told, *([losses] if losses else [])]) or None


def _hashes(rows: pa.Table) -> set[str]:
    return {text for batch in rows.to_batches() for text in row_hashes(batch).to_pylist()}


def _contradicted(table: Table, hour: datetime, commit: Commit, planned: int) -> PermanentFailure:
    return PermanentFailure(
        f"bronze.{table.bronze}, hour {key_of(hour)}: the ledger does not balance: planned "
        f"{planned} rows appended, but commit {commit.version} has {commit.inserted}. Another "
        "writer may have committed at the same moment: materialise the hour again, which adds only "
        "what is missing."
    )


def _not_closed(table: Table, hour: datetime, clock: datetime) -> TransientFailure:
    return TransientFailure(
        f"bronze.{table.bronze}, hour {key_of(hour)}: the source's clock says "
        f"{clock:%Y-%m-%d %H:%M:%S} UTC, so the hour is not closed yet and reading it would cut it "
        "short. It is tried again; if the clock is wrong, set connection.clock_query of the source "
        "(connection.heartbeat of a cluster)."
    )
