"""One Silver load: a Bronze hour is standardised, classified, judged and only then committed.

The steps in order, so that a killed process may be repeated: rewrite of widened types, quarantine,
merge, sweep, clear values of the restricted table, rows let in after all, inferred members, ledger.
Each is idempotent; the ledger says SUCCESS only after all of them. What a step does is in
`reading`, `batch`, `judging`, `stored` and `commit`.
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
        read = hours.read(hour)
        retyped = retypes(lakehouse, table)
        refuse_retypes(table, retyped)
        version_before = lakehouse.version("silver", table.entity)
        rows_before = lakehouse.row_count("silver", table.entity)
        with ExitStack() as stack:
            batch = Batch.of(table, read, classified_rows(stack, hours, read))
            counts = batch.counts
            ledger.check_balance(load_id, counts)
            reasons = quarantine.reasons_of(batch.rows) if counts.quarantined else {}
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
            missing = missing_keys(stack, hours, batch, emptied=emptied)
            if counts.quarantined:
                quarantine.keep(lakehouse, table, batch.rows, self.run_id, rows=counts.quarantined)
            swept = commit(hours, batch, missing)
            keep_clear(hours, read, rows=read.rows)
            quarantine.accept(lakehouse, table, batch.rows, self.run_id)
            inferred = infer(lakehouse, self.catalog, table, batch)
            verdicts += reference_verdicts(lakehouse, self.catalog, table, inferred)
            counts = Counts(
                **{**counts.parts, "read": counts.read, "swept": swept, "inferred": inferred}
            )
            version = lakehouse.version("silver", table.entity)
            ledger.succeed(
                load_id,
                counts,
                target_rows_before=rows_before,
                target_rows_after=lakehouse.row_count("silver", table.entity),
                target_version_before=version_before,
                target_version_after=version,
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
            version=version,
            reasons=reasons,
            clock_changes=batch.clock_changes,
        )
