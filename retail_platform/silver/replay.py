"""Replays quarantined rows: read again from Bronze, judged by today's rules, merged if they pass.

A replay is a load of chosen rows of hours that Silver has processed. They keep the sequence they
were read with, so an old row never replaces a newer one, and loading the hour again afterwards
changes nothing. Rows that are still refused stay open with their present reasons. Batch rules do
not judge a replay, and it sweeps nothing: it is no whole read.
"""

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.connect import functions as f

from retail_platform.control.decisions import QuarantineDecisions, Ruling
from retail_platform.control.loads import Counts, LoadFacts
from retail_platform.control.models import Status
from retail_platform.failures import TransientFailure
from retail_platform.lakehouse.tables import Lakehouse, one_row
from retail_platform.partitions import key_of
from retail_platform.quality import quarantine
from retail_platform.quality.quarantined import QuarantinedRow, RowStatus, quarantined_rows
from retail_platform.silver.batch import Batch, classified_rows
from retail_platform.silver.commit import commit, infer, keep_clear
from retail_platform.silver.load import SilverLoader
from retail_platform.silver.reading import BronzeHours, HourRead
from retail_platform.silver.slices import with_last_words
from retail_platform.silver.stored import refuse_retypes, retypes


@dataclass(frozen=True, kw_only=True)
class ReplayedHour:
    """What a replay did with the rows of one hour.

    Attributes:
        hour: The hour.
        counts: Where its rows went.
        accepted: Rows (by hash) that break no rule any more.
    """

    hour: datetime
    counts: Counts
    accepted: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What a replay did.

    Attributes:
        chosen: Open rows that were to be replayed.
        absent: Those of them that no hour loaded into Silver holds: loading their hour judges them.
        hours: Hours of which rows were read, in order; what depends on Silver follows for these.
    """

    chosen: int
    absent: int
    hours: tuple[ReplayedHour, ...]

    @property
    def replayed(self) -> int:
        """Rows that break no rule any more and are closed."""
        return sum(len(hour.accepted) for hour in self.hours)

    @property
    def refused(self) -> int:
        """Rows that still break a rule and stay open."""
        return self.chosen - self.absent - self.replayed


class _ChosenRows(BronzeHours):
    """The table's hours as a replay sees them.

    Args:
        hours: The hours as every load sees them.
        chosen: Rows (by hash) that the replay is about.
        refused: Rows that nobody replays: no rivals, although today's rules might let them pass.
    """

    def __init__(
        self, hours: BronzeHours, *, chosen: Collection[str], refused: Collection[str]
    ) -> None:
        super().__init__(
            table=hours.table,
            lakehouse=hours.lakehouse,
            ledger=hours.ledger,
            pii_key=hours.pii_key,
        )
        self.chosen = chosen
        self.refused = refused

    def standardised(self, received: pa.Schema, hours: list[datetime]) -> DataFrame:
        """As every load sees the hours, but rows that stay in quarantine are not good ones."""
        rows = super().standardised(received, hours)
        if not self.refused:
            return rows
        refused = _hash_frame(self.lakehouse, self.refused).withColumn("_refused", f.lit(True))
        return with_last_words(
            rows.join(refused, "_row_hash", "left")
            .withColumn("_good", f.expr("_good and _refused is null"))
            .drop("_refused"),
            self.table,
            self.covered(hours),
        )

    def of_this_load(self, rows: DataFrame) -> DataFrame:
        """The chosen rows of the hour."""
        return _only(self.lakehouse, rows, self.chosen)


class QuarantineReplay(SilverLoader):
    """Replays rows of one Silver table's quarantine; made like its loader."""

    def replay(
        self,
        decisions: QuarantineDecisions,
        *,
        person: str,
        because: str,
        reason: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> Replay:
        """Replays open rows, each as it was read last.

        Args:
            decisions: Where closed rows are recorded.
            person: Who asks for it.
            because: Why.
            reason: Only rows with a reason that contains this text, whatever its case.
            since: Only rows last read at or after this moment (aware).
            limit: At most so many rows, those read last first.

        Raises:
            TransientFailure: the table is being loaded.
            PermanentFailure: a commit contradicts its plan, or a setting is missing.
        """
        self._refuse_beside_a_load()
        refuse_retypes(self.table, retypes(self.lakehouse, self.table), waiting=True)
        every = quarantined_rows(self.lakehouse.root, self.table.entity, decisions)
        wanted = quarantined_rows(
            self.lakehouse.root,
            self.table.entity,
            decisions,
            reason=reason,
            since=since,
            status=RowStatus.OPEN,
        )[:limit]
        refused = {row.row_hash for row in every if row.status is not RowStatus.REPLAYED}
        refused -= {row.row_hash for row in wanted}
        newest = self._newest_hours(wanted)
        hours = [
            self._replay_hour(
                hour,
                [row for row in wanted if newest.get(row.row_hash) == hour],
                refused,
                decisions,
                person,
                because,
            )
            for hour in sorted(set(newest.values()))
        ]
        return Replay(chosen=len(wanted), absent=len(wanted) - len(newest), hours=tuple(hours))

    def _refuse_beside_a_load(self) -> None:
        running = self.ledger.loads(asset=self.asset, status=Status.RUNNING)
        if running:
            load = running[-1]
            raise TransientFailure(
                f"silver.{self.table.entity}: its hour {key_of(load.hour)} is being loaded by run "
                f"{load.run_id} since {load.started_at:%Y-%m-%d %H:%M:%S} UTC; a replay beside it "
                "could undo its rows. Wait for it; if its process is gone, materialise that hour "
                "again first."
            )

    def _newest_hours(self, rows: Sequence[QuarantinedRow]) -> dict[str, datetime]:
        """The last loaded hour that holds each row, by row hash: its greatest sequence."""
        earliest = min((row.hour for row in rows), default=None)
        hours = [
            hour
            for hour in self.ledger.succeeded_hours(self.asset)
            if earliest is not None and hour >= earliest
        ]
        if not hours:
            return {}
        chosen = [row.row_hash for row in rows]
        found = _only(self.lakehouse, self.hours.raw(hours), chosen)
        newest = found.groupBy("_row_hash").agg(f.max("_hour").alias("hour")).toArrow()
        return {row["_row_hash"]: row["hour"] for row in newest.to_pylist()}

    def _replay_hour(
        self,
        hour: datetime,
        rows: Sequence[QuarantinedRow],
        refused: Collection[str],
        decisions: QuarantineDecisions,
        person: str,
        because: str,
    ) -> ReplayedHour:
        load_id = self.ledger.start(
            asset=self.asset,
            layer="silver",
            hour=hour,
            run_id=self.run_id,
            engine=self.engine,
            window=None,
            reprocess=True,
            reason=f"quarantine replay of {len(rows)} rows by {person}: {because}",
        )
        try:
            replayed, facts = self._merge_rows(hour, rows, refused)
            decisions.record(
                self.table.entity,
                {r.row_hash: r.contract_version for r in rows if r.row_hash in replayed.accepted},
                Ruling.REPLAYED,
                person=person,
                reason=because,
                load_id=load_id,
            )
            self.ledger.succeed(load_id, replayed.counts, **facts)
        except BaseException as error:
            self.ledger.fail(load_id, f"{type(error).__name__}: {error}")
            raise
        return replayed

    def _merge_rows(
        self, hour: datetime, rows: Sequence[QuarantinedRow], refused: Collection[str]
    ) -> tuple[ReplayedHour, LoadFacts]:
        table, lakehouse = self.table, self.lakehouse
        version_before = lakehouse.version("silver", table.entity)
        rows_before = lakehouse.row_count("silver", table.entity)
        chosen = [row.row_hash for row in rows]
        hours = _ChosenRows(self.hours, chosen=chosen, refused=refused)
        # A hash may occur more than once in an hour that was read more than once.
        most = lakehouse.partition_rows(table.bronze, hour)
        read = HourRead(
            hour=hour,
            received=lakehouse.schema("bronze", table.bronze),
            rows=most,
            extracted_min=None,
            extracted_max=None,
            others=self._rival_hours(rows),
        )
        with ExitStack() as stack:
            merged = classified_rows(stack, hours, read)
            found = one_row(
                merged.agg(
                    f.count(f.lit(1)).alias("rows"),
                    f.min("_extracted_at").alias("extracted_min"),
                    f.max("_extracted_at").alias("extracted_max"),
                )
            )
            others = [other for other in read.others if other != hour]
            read = replace(read, **found, others=others)
            batch = Batch.of(table, read, merged)
            counts = batch.counts
            if counts.quarantined:
                quarantine.keep(lakehouse, table, merged, self.run_id, rows=counts.quarantined)
            commit(hours, batch, None)
            keep_clear(hours, read, rows=most)
            quarantine.accept(lakehouse, table, merged, self.run_id)
            inferred = infer(lakehouse, self.catalog, table, batch)
            accepted = merged.where("_class <> 'quarantined'").select("_row_hash").distinct()
            replayed = ReplayedHour(
                hour=hour,
                counts=Counts(**{**counts.parts, "read": counts.read, "inferred": inferred}),
                accepted=frozenset(accepted.toArrow().column("_row_hash").to_pylist()),
            )
        facts = LoadFacts(
            target_rows_before=rows_before,
            target_rows_after=lakehouse.row_count("silver", table.entity),
            target_version_before=version_before,
            target_version_after=lakehouse.version("silver", table.entity),
            extracted_min=read.extracted_min,
            extracted_max=read.extracted_max,
            watermark_max=batch.watermark_max,
        )
        return replayed, facts

    def _rival_hours(self, rows: Sequence[QuarantinedRow]) -> list[datetime]:
        """Loaded hours, the rows' own among them, that may hold later readings of their keys.

        Stored rows keep the sequence of the first reading of their content, so Bronze has to be
        asked. Chains of whole reads are built from all of them, and rows are dated over all.
        """
        if self.hours.replaces:
            return []
        chains = self.table.row.swept_by == () and self.table.row.silver.merge == "scd2"
        if chains or self.hours.dates_rows:
            return self.ledger.succeeded_hours(self.asset)
        first_seen = min(row.first_seen for row in rows)
        loads = self.ledger.loads(asset=self.asset, status=Status.SUCCESS)
        return sorted(
            {
                load.hour
                for load in loads
                if load.extracted_max is not None and load.extracted_max >= first_seen
            }
        )


def _only(lakehouse: Lakehouse, rows: DataFrame, hashes: Collection[str]) -> DataFrame:
    return rows.join(_hash_frame(lakehouse, hashes), "_row_hash", "left_semi")


def _hash_frame(lakehouse: Lakehouse, hashes: Collection[str]) -> DataFrame:
    return lakehouse.spark.createDataFrame(pa.table({"_row_hash": sorted(hashes)}))
