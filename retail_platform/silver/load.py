"""One Silver load: a Bronze hour is standardised, classified, judged and only then committed.

The steps in order, so that a killed process may be repeated: rewrite of widened types, quarantine,
merge, sweep, clear values of the restricted table, rows let in after all, inferred members, ledger.
Each is idempotent; the ledger says SUCCESS only after all of them. Until its own table is written a
load keeps other threads away from it: what was planned is what the commit finds. What a step does
is in `reading`, `batch`, `judging`, `stored` and `commit`.
"""

from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime

from retail_platform.control.ledger import Counts, Ledger
from retail_platform.control.requests import Request
from retail_platform.lakehouse.tables import Lakehouse
from retail_platform.metadata.loader import Catalog, Table
from retail_platform.metadata.types import schema_json
from retail_platform.partitions import key_of
from retail_platform.quality import quarantine
from retail_platform.quality.verdicts import (
    ROW_COUNT,
    Verdict,
    held_back,
    holding,
    with_approvals,
)
from retail_platform.silver.batch import Batch, classified_rows
from retail_platform.silver.clock_changes import ClockChanges
from retail_platform.silver.commit import commit, infer, keep_clear, missing_keys
from retail_platform.silver.judging import approvals_of, reference_verdicts, verdicts_on
from retail_platform.silver.reading import BronzeHours
from retail_platform.silver.standardise import silver_schema
from retail_platform.silver.stored import refuse_retypes, retype, retypes, retypes_verdict


@dataclass(frozen=True, kw_only=True)
class SilverLoad:
    """What one load did.

    Attributes:
        counts: Where the rows went.
        verdicts: What the checks found.
        version: Version of the Silver table afterwards.
        missed: True where the source was not read in time: nothing to do.
        reasons: Quarantined rows by reason; a row counts under each of its reasons.
        clock_changes: Values that the source's clock changes make doubtful.
    """

    counts: Counts
    verdicts: list[Verdict]
    version: int
    missed: bool = False
    reasons: dict[str, int] = field(default_factory=dict)
    clock_changes: ClockChanges = field(default_factory=ClockChanges)


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
        self.run_id = run_id
        self.engine = engine
        self.hours = BronzeHours(table=table, lakehouse=lakehouse, ledger=ledger, pii_key=pii_key)
        self.asset = self.hours.asset

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
        table, lakehouse, ledger, hours = self.table, self.lakehouse, self.ledger, self.hours
        with ExitStack() as stack:
            with lakehouse.alone("silver", table.entity):
                read = hours.read(hour)
                retyped = retypes(lakehouse, table)
                refuse_retypes(table, retyped)
                before = _Target.of(lakehouse, table)
                batch = Batch.of(table, read, classified_rows(stack, hours, read))
                ledger.check_balance(load_id, batch.counts)
                reasons = quarantine.reasons_of(batch.rows) if batch.counts.quarantined else {}
                verdicts = verdicts_on(hours, batch, reasons)
                if table.row.drift.types == "evolve":
                    verdicts.append(retypes_verdict(retyped))
                approvals = approvals_of(hours, hour, verdicts)
                verdicts = with_approvals(verdicts, approvals)
                if holding(verdicts):
                    raise held_back(table, key_of(hour), verdicts)
                for approval in approvals.values():
                    ledger.approvals.use(approval, load_id)
                retype(lakehouse, table, retyped)
                emptied = ROW_COUNT in approvals and not read.rows
                swept = self._commit(stack, batch, emptied=emptied)
                after = _Target.of(lakehouse, table)
            # Not within: two tables may refer to each other, and each would wait for the other.
            inferred = infer(lakehouse, self.catalog, table, batch)
        verdicts += reference_verdicts(lakehouse, self.catalog, table, inferred)
        counts = Counts(
            **{**batch.counts.parts, "read": batch.counts.read, "swept": swept},
            inferred=inferred,
        )
        ledger.succeed(
            load_id,
            counts,
            target_rows_before=before.rows,
            target_rows_after=after.rows,
            target_version_before=before.version,
            target_version_after=after.version,
            extracted_min=read.extracted_min,
            extracted_max=read.extracted_max,
            watermark_max=batch.watermark_max,
            schema_version=ledger.schemas.schema_version(
                self.asset, schema_json(silver_schema(table))
            ),
        )
        return SilverLoad(
            counts=counts,
            verdicts=verdicts,
            version=after.version,
            reasons=reasons,
            clock_changes=batch.clock_changes,
        )

    def _commit(self, stack: ExitStack, batch: Batch, *, emptied: bool) -> int:
        """Commits the judged batch, step by step; returns how many keys became tombstones."""
        table, lakehouse, read = self.table, self.lakehouse, batch.read
        missing = missing_keys(stack, self.hours, batch, emptied=emptied)
        if batch.counts.quarantined:
            rows = batch.counts.quarantined
            quarantine.keep(lakehouse, table, batch.rows, self.run_id, rows=rows)
        swept = commit(self.hours, batch, missing)
        keep_clear(self.hours, read, rows=read.rows)
        quarantine.accept(lakehouse, table, batch.rows, self.run_id)
        return swept


@dataclass(frozen=True, kw_only=True)
class _Target:
    """The Silver table at one moment of the load."""

    rows: int
    version: int

    @classmethod
    def of(cls, lakehouse: Lakehouse, table: Table) -> "_Target":
        return cls(
            rows=lakehouse.row_count("silver", table.entity),
            version=lakehouse.version("silver", table.entity),
        )
