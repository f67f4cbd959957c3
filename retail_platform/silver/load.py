"""One Silver load: a Bronze hour is standardised, classified, judged and only then committed.

The steps in order, so that a killed process may be repeated: quarantine, merge, sweep, clear values
of the restricted table, rows let in after all, inferred members, ledger. Each is idempotent; the
ledger says SUCCESS only after all of them.
"""

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.connect import functions as f

from retail_platform.control.approvals import Approval
from retail_platform.control.ledger import Counts, Ledger
from retail_platform.control.models import Status
from retail_platform.control.requests import Request
from retail_platform.extract.records import INCOMPLETE
from retail_platform.extract.window import HOUR
from retail_platform.lakehouse.tables import Lakehouse, one_row, timestamp_literal
from retail_platform.metadata.loader import Catalog, Table
from retail_platform.metadata.types import column_names, schema_json
from retail_platform.partitions import key_of
from retail_platform.quality import quarantine
from retail_platform.quality.batch_rules import batch_verdicts, measures
from retail_platform.quality.verdicts import (
    REFERENCES,
    ROW_COUNT,
    Verdict,
    files_whole,
    held_back,
    holding,
    judge,
    with_approvals,
)
from retail_platform.silver.classify import (
    CLASSES,
    classified,
    missing_from,
    read_again_later,
    superseded_rows,
    superseded_slices,
)
from retail_platform.silver.dating import dated_after, dated_once
from retail_platform.silver.drift import (
    columns_verdict,
    of_read,
    types_verdict,
    with_kept,
)
from retail_platform.silver.history import with_valid_from
from retail_platform.silver.inferred import add_inferred_members, waiting_members
from retail_platform.silver.masking import masking_key
from retail_platform.silver.pii import follow
from retail_platform.silver.standardise import silver_schema, standardise
from retail_platform.silver.upsert import apply_rows, sweep
from retail_platform.silver.versions import apply_observed, apply_rebuilt, apply_versions


@dataclass(frozen=True, kw_only=True)
class SilverLoad:
    """What one load did.

    Attributes:
        counts: Where the rows went.
        verdicts: What the checks found.
        version: Version of the Silver table afterwards.
        missed: True where the source was not read in time: nothing to do.
        reasons: Quarantined rows by reason; a row counts under each of its reasons.
    """

    counts: Counts
    verdicts: list[Verdict]
    version: int
    missed: bool = False
    reasons: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a Bronze hour before it is standardised."""

    rows: int
    extracted_min: datetime | None
    extracted_max: datetime | None


class SilverLoader:
    """Loads hours of one Silver table.

    Args:
        catalog: All tables, for references between them.
        table: The table to load.
        lakehouse: The lake.
        ledger: The load ledger.
        pii_key: Key that masks personal columns.
        run_id: Run that the ledger and the quarantine name.
        engine: Name of the engine, for the ledger.
        request: Request that the loads work on, if they do.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        table: Table,
        lakehouse: Lakehouse,
        ledger: Ledger,
        pii_key: str | None,
        run_id: str,
        engine: str,
        request: Request | None = None,
    ) -> None:
        self.request = request
        self.catalog = catalog
        self.table = table
        self.lakehouse = lakehouse
        self.ledger = ledger
        self.pii_key = pii_key
        self.run_id = run_id
        self.engine = engine
        self.asset = f"silver/{table.entity}"

    def load(self, hour: datetime) -> SilverLoad:
        """Merges one Bronze hour.

        Raises:
            HeldBack: a batch rule failed; nothing was committed.
            PermanentFailure: a commit contradicts its plan, or a setting is missing.
        """
        load_id = self.ledger.start(
            asset=self.asset,
            layer="silver",
            hour=hour,
            run_id=self.run_id,
            engine=self.engine,
            window=None,
            request=self.request,
        )
        try:
            bronze_asset = f"bronze/{self.table.bronze}"
            if hour not in self.ledger.succeeded_hours(bronze_asset):
                self.ledger.miss(load_id)
                version = self.lakehouse.version("silver", self.table.entity)
                return SilverLoad(counts=Counts(), verdicts=[], version=version, missed=True)
            return self._load(load_id, hour)
        except BaseException as error:
            self.ledger.fail(load_id, f"{type(error).__name__}: {error}")
            raise

    def _load(self, load_id: int, hour: datetime) -> SilverLoad:
        facts = self._facts(hour)
        if not facts.rows:
            facts = replace(facts, **self._empty_read(hour))
        version_before = self.lakehouse.version("silver", self.table.entity)
        rows_before = self.lakehouse.row_count("silver", self.table.entity)
        received = self._received(hour, facts)
        others = self._other_hours(hour, facts)
        with ExitStack() as stack:
            batch = self._classify(stack, received, hour, others, facts.rows)
            counts, watermark_max, measured = self._tally(batch, facts.rows)
            reasons = quarantine.reasons_of(batch) if counts.quarantined else {}
            whole = self._is_judged_as_whole(hour, facts)
            verdicts = judge(
                self.table,
                counts,
                reasons,
                live_before=self._keys_before(hour, others, received) if whole else 0,
                live_read=self._keys(batch) if whole else 0,
                history=self._history(hour) if whole else timedelta(0),
            )
            verdicts.append(columns_verdict(self.table, received if facts.rows else None))
            if self.table.row.drift.types == "discard_value":
                verdicts.append(types_verdict(self._unreadable_values(batch)))
            if self.table.row.file_format.incomplete == "hold":
                verdicts.append(files_whole(self._incomplete(batch)))
            verdicts += batch_verdicts(
                self.table.contract, counts, measured, partial(self._reads_before, hour)
            )
            approvals = self._approvals(hour, verdicts)
            verdicts = with_approvals(verdicts, approvals)
            if holding(verdicts):
                raise held_back(self.table, key_of(hour), verdicts)
            for approval in approvals.values():
                self.ledger.approvals.use(approval, load_id)
            missing = self._missing(
                stack,
                hour,
                batch,
                others,
                facts,
                received,
                emptied=ROW_COUNT in approvals and not facts.rows,
            )
            if counts.quarantined:
                quarantine.keep(
                    self.lakehouse, self.table, batch, self.run_id, rows=counts.quarantined
                )
            swept = self._commit(batch, counts, missing, hour, others, received, facts)
            self._keep_clear(received, hour, facts.rows)
            quarantine.accept(self.lakehouse, self.table, batch, self.run_id)
            inferred = self._infer(batch, facts.rows)
            verdicts += self._reference_verdicts(inferred)
            counts = Counts(
                **{**counts.parts, "read": counts.read, "swept": swept, "inferred": inferred}
            )
            version = self.lakehouse.version("silver", self.table.entity)
            self.ledger.succeed(
                load_id,
                counts,
                target_rows_before=rows_before,
                target_rows_after=self.lakehouse.row_count("silver", self.table.entity),
                target_version_before=version_before,
                target_version_after=version,
                extracted_min=facts.extracted_min,
                extracted_max=facts.extracted_max,
                watermark_max=watermark_max,
                schema_version=self.ledger.schemas.schema_version(
                    self.asset, schema_json(silver_schema(self.table))
                ),
            )
        return SilverLoad(counts=counts, verdicts=verdicts, version=version, reasons=reasons)

    def _received(self, hour: datetime, facts: Facts) -> pa.Schema:
        """The Bronze schema, without the columns that the hour's last read did not bring."""
        asset = f"bronze/{self.table.bronze}"
        stored = self.lakehouse.schema("bronze", self.table.bronze)
        reads = self.ledger.loads(asset=asset, hour=hour, status=Status.SUCCESS)
        versions = [read.schema_version for read in reads if read.schema_version is not None]
        if not versions or not facts.rows:
            return stored
        return of_read(stored, column_names(self.ledger.schemas.schema(asset, versions[-1])))

    def _unreadable_values(self, batch: DataFrame) -> int:
        good = batch.where("_good")
        return one_row(good.agg(f.sum("_unreadable_values").alias("values")))["values"] or 0

    def _is_judged_as_whole(self, hour: datetime, facts: Facts) -> bool:
        no_file = self.table.row.load == "files" and facts.rows == 0
        return self.table.row.swept_by == () and not no_file and not self._is_replaced(hour)

    @property
    def _replaces(self) -> bool:
        return self.table.row.silver.merge == "replace"

    def _is_replaced(self, hour: datetime) -> bool:
        """Whether a newer hour has replaced the table already."""
        if not self._replaces:
            return False
        last = self.ledger.last_applied_hour(self.asset)
        return last is not None and hour < last

    def _history(self, hour: datetime) -> timedelta:
        first = min(self.ledger.succeeded_hours(self.asset), default=hour)
        return max(hour - first, timedelta(0))

    def _reads_before(self, hour: datetime, hours: int) -> list[int]:
        return self.ledger.reads_before(self.asset, hour, hours)

    def _approvals(self, hour: datetime, verdicts: list[Verdict]) -> dict[str, Approval]:
        found = {
            verdict.check: self.ledger.approvals.approved(self.asset, hour, verdict.check)
            for verdict in holding(verdicts)
        }
        return {check: approval for check, approval in found.items() if approval is not None}

    def _facts(self, hour: datetime) -> Facts:
        row = one_row(
            self._bronze_hours([hour]).agg(
                f.count(f.lit(1)).alias("rows"),
                f.min("_extracted_at").alias("extracted_min"),
                f.max("_extracted_at").alias("extracted_max"),
            )
        )
        return Facts(**row)

    def _empty_read(self, hour: datetime) -> dict[str, datetime | None]:
        """When an hour without rows was read, which only the ledger knows."""
        reads = self.ledger.loads(
            asset=f"bronze/{self.table.bronze}", hour=hour, status=Status.SUCCESS
        )
        read_at = max((read.extracted_max for read in reads if read.extracted_max), default=None)
        return {"extracted_min": read_at, "extracted_max": read_at}

    def _other_hours(self, hour: datetime, facts: Facts) -> list[datetime]:
        """Processed hours that may hold later readings of this batch's keys; none as a rule.

        When every row of the batch was read after all that Silver has processed, the stored
        sequences decide alone. Otherwise (replays, hours out of order) Bronze has to be asked.
        """
        if self._replaces:
            return []
        latest = self.ledger.max_extracted(self.asset)
        if latest is None or facts.extracted_min is None or facts.extracted_min > latest:
            return []
        return [other for other in self.ledger.succeeded_hours(self.asset) if other != hour]

    def _bronze_hours(self, hours: list[datetime]) -> DataFrame:
        bronze = self.lakehouse.read("bronze", self.table.bronze)
        return bronze.where(f"_hour in ({_listed(hours)})")

    def _standardised(self, received: pa.Schema, hours: list[datetime]) -> DataFrame:
        return standardise(
            self._bronze_hours(hours), received, self.table, pii_key=self._masking_key
        )

    @property
    def _masking_key(self) -> str | None:
        return masking_key(self.pii_key) if self.table.row.pii else None

    def _keep_clear(self, received: pa.Schema, hour: datetime, rows: int) -> None:
        """Lets the restricted table follow what was committed; clear values go nowhere else."""
        if not self.table.row.kept_clear:
            return
        batch = standardise(
            self._bronze_hours([hour]),
            received,
            self.table,
            pii_key=self._masking_key,
            clear=True,
        )
        follow(self.lakehouse, self.table, batch, rows=rows)

    def _observed(self, received: pa.Schema, hours: list[datetime]) -> DataFrame:
        """Rows of several hours, those without a watermark of their own dated over all of them."""
        rows = self._standardised(received, hours)
        return dated_once(rows, self.table.row.key) if self._dates_rows else rows

    @property
    def _dates_rows(self) -> bool:
        watermark = self.table.row.watermark
        return watermark is not None and watermark.dates_rows

    def _of_this_load(self, batch: DataFrame) -> DataFrame:
        """The rows of the hour that this load is about: all of them, but in a replay."""
        return batch

    def _classify(
        self,
        stack: ExitStack,
        received: pa.Schema,
        hour: datetime,
        others: list[datetime],
        rows: int | None = None,
    ) -> DataFrame:
        key = list(self.table.row.key)
        target = self.lakehouse.read("silver", self.table.entity)
        observed = None
        if not self._dates_rows:
            batch = self._standardised(received, [hour])
        elif not others:
            batch = dated_after(self._standardised(received, [hour]), target, key)
        else:
            everything = self._observed(received, [*others, hour])
            observed = stack.enter_context(self.lakehouse.staged(everything))
            batch = observed.where(f"_hour = {timestamp_literal(hour)}")
        batch = with_kept(self._of_this_load(batch), target, self.table, received)
        if self._is_replaced(hour):
            batch = batch.withColumn("_overruled", f.lit(True))
        identity = key
        if self.table.row.silver.merge == "scd2":
            batch = with_valid_from(batch, target, key, end_of_hour=hour + HOUR)
            identity = [*key, "valid_from"]
        superseded = None
        if others:
            # Materialised on its own: one plan over batch, table and history is too much for Sail.
            batch = stack.enter_context(self.lakehouse.staged(batch, rows=rows))
            rivals = (
                self._standardised(received, others)
                if observed is None
                else observed.where(f"_hour in ({_listed(others)})")
            )
            losers = self._superseded(batch, rivals)
            superseded = stack.enter_context(self.lakehouse.staged(losers, rows=rows))
        return stack.enter_context(
            self.lakehouse.staged(
                classified(
                    batch,
                    target,
                    identity,
                    superseded,
                    newest_read=self._newest_read,
                    replaces=self._replaces,
                ),
                rows=rows,
            )
        )

    @property
    def _newest_read(self) -> bool:
        """Whether a later read wins whatever its watermarks say: it is whole and keeps no past."""
        return self.table.row.swept_by is not None and self.table.row.silver.merge != "scd2"

    def _superseded(self, batch: DataFrame, others: DataFrame) -> DataFrame:
        key, by = self.table.row.key, self.table.row.swept_by
        if self.table.row.silver.merge == "scd2":
            return superseded_rows(batch, others, [*key, "_watermark"])
        if by is None:
            return superseded_rows(batch, others, key)
        return superseded_slices(batch, others, key, by)

    def _tally(self, batch: DataFrame, read: int) -> tuple[Counts, datetime | None, dict[str, int]]:
        """Rows by class, the batch's greatest watermark, and what the contract's rules measure."""
        asked = measures(self.table.contract)
        found = one_row(
            batch.agg(
                f.max("_watermark").alias("_latest"),
                *[f.expr(f"count_if(_class = '{name}')").alias(name) for name in CLASSES],
                *[f.expr(aggregate).alias(name) for name, aggregate in asked.items()],
            )
        )
        latest = found.pop("_latest")
        measured = {name: found.pop(name) for name in asked}
        return Counts(read=read, duplicates=found.pop("duplicate"), **found), latest, measured

    def _incomplete(self, batch: DataFrame) -> list[str]:
        """What the batch says of files that break off, without those delivered again since."""
        reasons = (
            batch.where("not _outdated")
            .select(f.explode("_reasons").alias("reason"))
            .where(f.col("reason").contains(f": {INCOMPLETE}: "))
            .distinct()
            .collect()
        )
        return sorted(row["reason"] for row in reasons)

    def _keys(self, rows: DataFrame) -> int:
        return rows.select(*self.table.row.key).distinct().count()

    def _keys_before(self, hour: datetime, others: list[datetime], received: pa.Schema) -> int:
        """Keys that a whole read is measured by: the stored ones, or those of the read before."""
        if not others:
            return self._live_keys()
        before = max((other for other in others if other < hour), default=None)
        return 0 if before is None else self._keys(self._standardised(received, [before]))

    def _live_keys(self) -> int:
        live = self.lakehouse.read("silver", self.table.entity).where(
            "not _deleted and not _inferred"
        )
        if self.table.row.silver.merge == "scd2":
            live = live.where("is_current")
        return live.count()

    def _missing(
        self,
        stack: ExitStack,
        hour: datetime,
        batch: DataFrame,
        others: list[datetime],
        facts: Facts,
        received: pa.Schema,
        *,
        emptied: bool,
    ) -> DataFrame | None:
        """Stored keys that this whole read of their slice lacks and no later one brought back.

        None where there is nothing to sweep, or where the versions are rebuilt from all reads. An
        empty read sweeps only a table that was approved as ``emptied`` and not read again later.
        """
        key, by = self.table.row.key, self.table.row.swept_by
        versions = self.table.row.silver.merge == "scd2"
        if by is None or (facts.rows == 0 and not emptied) or (versions and others):
            return None
        if self._is_replaced(hour):
            return None
        if emptied and others and self._read_after(facts):
            return None
        in_force = "valid_to is null" if versions else "not _deleted"
        target = self.lakehouse.read("silver", self.table.entity)
        target = target.where(f"{in_force} and not _inferred")
        # A refused row says that its key is there; in a table that is replaced it says nothing.
        there = "_there and _good" if self._replaces else "_there"
        missing = missing_from(batch, there, target, key, by)
        if others:
            later = read_again_later(batch, self._standardised(received, others), key, by)
            missing = missing.join(later, list(key), "left_anti")
        stored = self.lakehouse.row_count("silver", self.table.entity)
        missing = stack.enter_context(self.lakehouse.staged(missing, rows=stored))
        return missing if missing.count() else None

    def _read_after(self, facts: Facts) -> bool:
        latest, own = self.ledger.max_extracted(self.asset), facts.extracted_max
        return latest is not None and own is not None and latest > own

    def _commit(
        self,
        batch: DataFrame,
        counts: Counts,
        missing: DataFrame | None,
        hour: datetime,
        others: list[datetime],
        received: pa.Schema,
        facts: Facts,
    ) -> int:
        """Commits the batch; returns the number of swept keys."""
        if self.table.row.silver.merge == "scd2":
            return self._commit_versions(batch, counts, missing, hour, others, received)
        if counts.applied:
            apply_rows(self.lakehouse, self.table, batch, counts.applied)
        if missing is None:
            return 0
        return sweep(
            self.lakehouse,
            self.table,
            missing,
            hour=hour,
            extracted_at=facts.extracted_max,
            replaces=self._replaces,
        ).updated

    def _commit_versions(
        self,
        batch: DataFrame,
        counts: Counts,
        missing: DataFrame | None,
        hour: datetime,
        others: list[datetime],
        received: pa.Schema,
    ) -> int:
        if self.table.row.swept_by == () and others:
            hours = sorted([*others, hour])
            read = self._observed(received, hours)
            apply_rebuilt(self.lakehouse, self.table, read, hours, hour)
            return 0
        if others and self._dates_rows:
            # A read in between parts or joins runs of equal content that other hours brought.
            read = self._observed(received, [*others, hour])
            apply_observed(self.lakehouse, self.table, read, batch, hour=hour)
            return 0
        swept = missing.count() if missing is not None else 0
        if counts.applied or swept:
            apply_versions(
                self.lakehouse, self.table, batch, missing=missing, hour=hour, rows=counts.read
            )
        return swept

    def _infer(self, batch: DataFrame, rows: int) -> int:
        good = batch.where("_class in ('applied', 'unchanged')")
        return sum(
            add_inferred_members(
                self.lakehouse,
                self.catalog.by_entity[reference.entity],
                reference.column,
                good,
                rows=rows,
            )
            for reference in self.table.row.references
        )

    def _reference_verdicts(self, inferred: int) -> list[Verdict]:
        """Warns as long as members wait for their own rows, not only when they are inferred."""
        if not self.table.row.references:
            return []
        parents = {reference.entity for reference in self.table.row.references}
        waiting = {
            entity: members
            for entity in sorted(parents)
            if (members := waiting_members(self.lakehouse, self.catalog.by_entity[entity]))
        }
        listed = ", ".join(f"{entity} ({members})" for entity, members in waiting.items())
        return [
            Verdict(
                check=REFERENCES,
                passed=not waiting,
                blocking=False,
                text=f"{inferred} members inferred because rows refer to them before they arrived; "
                + (f"still waiting for their own rows: {listed}" if listed else "none is waiting"),
                figures={"inferred": inferred, **waiting},
            )
        ]


def _listed(hours: list[datetime]) -> str:
    return ", ".join(timestamp_literal(hour) for hour in hours)
