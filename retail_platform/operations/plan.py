"""The dry run: what loading an hour would read, change and touch, and what would stop it.

Nothing is written and no engine is started: sources are asked, Delta logs and the ledger are read.
How each part is found is in the modules beside this one; printing it is the command's.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

import sqlalchemy as sa

from retail_platform.bronze.load import READ_AS_OF_NOW
from retail_platform.bronze.windows import window_of
from retail_platform.control.database import open_control_read_only
from retail_platform.control.files import FileRegistry
from retail_platform.control.ledger import Ledger
from retail_platform.control.loads import Counts
from retail_platform.control.models import metadata
from retail_platform.extract.opening import open_reader
from retail_platform.extract.reader import Expected
from retail_platform.extract.window import Window
from retail_platform.failures import (
    AwaitedFailure,
    PermanentFailure,
    PlatformFailure,
    TransientFailure,
)
from retail_platform.metadata.loader import Catalog, Table
from retail_platform.operations.plan_metadata import Setting, duration_text, resolved
from retail_platform.operations.plan_order import Blockers
from retail_platform.operations.plan_storage import Columns, Storage, Touched
from retail_platform.partitions import key_of, latest_closed_hour
from retail_platform.quality.verdicts import (
    ROW_COUNT,
    TYPES,
    Verdict,
    holding,
    judge,
    with_approvals,
)
from retail_platform.settings import Settings
from retail_platform.silver.stored import refuse_retypes, retypes_of, retypes_verdict


class Outcome(StrEnum):
    """What a load of the hour would come to."""

    LOADS = "loads"
    STAYS = "stays"
    WAITS = "waits"
    UNKNOWN = "unknown"
    FAILS = "FAILS"
    BLOCKED = "BLOCKED"


STOPPED = (Outcome.FAILS, Outcome.BLOCKED)


@dataclass(frozen=True, kw_only=True)
class TablePlan:
    """What loading one hour of one table would do.

    Attributes:
        table: ``source.table``.
        entity: Its Silver entity.
        hour: Partition hour, aware UTC.
        outcome: ``loads``; ``stays`` where the hour can be read no more; ``waits`` for the source's
            clock or marker; ``unknown`` where the source cannot be reached now; ``FAILS``;
            ``BLOCKED``.
        reasons: Why, and what else a person should know.
        settings: Resolved metadata.
        window: Watermarks that would be read; None of other loads than incremental ones, and where
            the source's clock is unknown.
        policies: What becomes of rows without watermark, or dated in the future.
        rows: Rows at the source; None where only reading would tell.
        reads: The same for people.
        columns: Columns added, cast and dropped.
        touched: Files and partitions of Bronze and Silver.
        guard: What the row count check would say of a whole read; None of other reads.
    """

    table: str
    entity: str
    hour: datetime
    outcome: Outcome
    reasons: tuple[str, ...] = ()
    settings: tuple[Setting, ...] = ()
    window: Window | None = None
    policies: tuple[str, ...] = ()
    rows: int | None = None
    reads: str = ""
    columns: Columns = field(default_factory=Columns)
    touched: tuple[Touched, ...] = ()
    guard: str | None = None


def plan(
    settings: Settings,
    catalog: Catalog,
    names: Sequence[str] = (),
    *,
    hour: datetime | None = None,
    environ: Mapping[str, str] = os.environ,
) -> list[TablePlan]:
    """Plans one hour of tables, parents before children.

    Args:
        settings: The platform's settings.
        catalog: All tables.
        names: Entities, ``source.table``, or wildcards over either; all tables if none.
        hour: The hour (aware UTC); each source's latest closed one if None.
        environ: Where the sources' addresses are.

    Raises:
        PermanentFailure: a name matches no table, or the control database is of another version.
        TransientFailure: the control database cannot be reached.
    """
    tables = selected(catalog, names)
    control = open_control_read_only(settings.control_url)
    # Without a control database nothing was ever loaded: an empty one in memory says the same.
    engine = control or _nothing_loaded()
    planner = _Planner(settings, Ledger(engine), FileRegistry(engine), environ)
    try:
        return planner.plan(tables, hour)
    finally:
        engine.dispose()


def selected(catalog: Catalog, names: Sequence[str]) -> list[Table]:
    """The tables that names mean, parents before children.

    Raises:
        PermanentFailure: a name matches no table.
    """
    if not names:
        return list(catalog.tables)
    found: set[str] = set()
    for name in names:
        matching = {
            table.entity
            for table in catalog.tables
            for known in (table.entity, f"{table.source}.{table.row.table}", table.bronze)
            if fnmatchcase(known, name)
        }
        if not matching:
            known = ", ".join(f"{t.entity} ({t.source}.{t.row.table})" for t in catalog.tables)
            raise PermanentFailure(f"no table is called {name!r}; there are: {known}")
        found |= matching
    return [table for table in catalog.tables if table.entity in found]


def _nothing_loaded() -> sa.Engine:
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    metadata.create_all(engine)
    return engine


class _Planner:
    """Plans tables one after the other; a source's clock is asked once."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        files: FileRegistry,
        environ: Mapping[str, str],
    ) -> None:
        self.settings = settings
        self.ledger = ledger
        self.files = files
        self.environ = environ
        self.storage = Storage(settings.lake_url)
        self.clocks: dict[str, datetime | PlatformFailure] = {}

    def plan(self, tables: Sequence[Table], hour: datetime | None) -> list[TablePlan]:
        for table in tables:
            if table.source not in self.clocks:
                self.clocks[table.source] = self._clock(table)
        blockers = Blockers(self.ledger, {table.entity for table in tables})
        plans: list[TablePlan] = []
        for table in tables:
            found = self._planned(table, hour or self._latest_hour(table, tables))
            causes, notes = blockers.judge(table, found.hour)
            if causes:
                found = replace(found, outcome=Outcome.BLOCKED, reasons=(*causes, *found.reasons))
            found = replace(found, reasons=(*found.reasons, *notes))
            if found.outcome in STOPPED:
                blockers.stop(table, found.hour, found.reasons[0])
            plans.append(found)
        return plans

    def _clock(self, table: Table) -> datetime | PlatformFailure:
        try:
            with open_reader(table, self.files, self.environ) as reader:
                return reader.clock()
        except PlatformFailure as failure:
            return failure

    def _latest_hour(self, table: Table, tables: Sequence[Table]) -> datetime:
        """The latest hour that the source has closed.

        A folder has no clock, and a source that cannot be reached does not tell it: then the latest
        hour of the others counts, so that one plan is about one hour.
        """
        own = self.clocks[table.source]
        if isinstance(own, datetime) and table.connection.kind != "files":
            return latest_closed_hour(own)
        others = {t.source for t in tables if t.connection.kind != "files"}
        told = [clock for s in others if isinstance(clock := self.clocks[s], datetime)]
        return latest_closed_hour(max(told, default=datetime.now(UTC)))

    def _planned(self, table: Table, hour: datetime) -> TablePlan:
        base = TablePlan(
            table=f"{table.source}.{table.row.table}",
            entity=table.entity,
            hour=hour,
            outcome=Outcome.LOADS,
            settings=resolved(table),
            policies=tuple(_policies(table)),
        )
        clock = self.clocks[table.source]
        if isinstance(clock, PlatformFailure):
            return self._with_storage(table, _stopped(base, clock), None)
        window = self._window(table, hour, clock)
        if table.row.load == "incremental":
            base = replace(base, window=window)
        if clock < window.end:
            return self._with_storage(table, _waiting(base, clock), None)
        if table.row.load in READ_AS_OF_NOW and not window.latest:
            return self._with_storage(table, self._passed(table, base), None)
        try:
            with open_reader(table, self.files, self.environ) as reader:
                expected = reader.expect(table, window)
        except PlatformFailure as failure:
            return self._with_storage(table, _stopped(base, failure), None)
        return self._with_storage(
            table, replace(base, rows=expected.rows, reads=expected.text), expected
        )

    def _window(self, table: Table, hour: datetime, clock: datetime) -> Window:
        """The window that the Bronze load of the hour would ask for."""
        window = window_of(table, hour, self.ledger, None, loaded=False)
        return replace(window, latest=latest_closed_hour(clock) == hour)

    def _passed(self, table: Table, base: TablePlan) -> TablePlan:
        loaded = base.hour in self.ledger.succeeded_hours(f"bronze/{table.bronze}")
        told = (
            "its rows were read in time and stay; Silver would process them again"
            if loaded
            else "the hour has passed without a read and counts as missed: no rows, nothing swept"
        )
        reason = f"a {table.row.load} load reads the source's present: {told}"
        return replace(base, outcome=Outcome.STAYS, reasons=(reason,))

    def _with_storage(self, table: Table, base: TablePlan, expected: Expected | None) -> TablePlan:
        """The plan with what the lake adds to it."""
        columns = self.storage.columns(table, expected.columns if expected else None)
        silver = self.storage.silver(
            table, expected.ranges if expected else {}, expected.rows if expected else None
        )
        found = replace(
            base, columns=columns, touched=(self.storage.bronze(table, base.hour), silver)
        )
        if columns.retyped:
            found = self._with_retypes(table, found)
        if table.row.pii and not self.settings.pii_key:
            found = _failing(
                found, f"it masks {', '.join(table.row.pii)} and RETAIL_PII_KEY is not set"
            )
        if expected is None or expected.rows is None or table.row.swept_by != ():
            return found
        return self._with_guard(table, found, expected.rows)

    def _with_retypes(self, table: Table, base: TablePlan) -> TablePlan:
        places = retypes_of(table, self.storage.retyped(table))
        try:
            refuse_retypes(table, places)
        except PermanentFailure as failure:
            return _failing(base, str(failure))
        if self.ledger.approvals.approved(f"silver/{table.entity}", base.hour, TYPES):
            return base
        return _held(table, base, retypes_verdict(places))

    def _with_guard(self, table: Table, base: TablePlan, rows: int) -> TablePlan:
        asset = f"silver/{table.entity}"
        first = min(self.ledger.succeeded_hours(asset), default=base.hour)
        verdicts = judge(
            table,
            Counts(read=rows, applied=rows),
            {},
            live_before=self.storage.live_keys(table),
            live_read=rows,
            history=max(base.hour - first, timedelta(0)),
        )
        approvals = {
            verdict.check: given
            for verdict in holding(verdicts)
            if (given := self.ledger.approvals.approved(asset, base.hour, verdict.check))
        }
        verdicts = with_approvals(verdicts, approvals)
        said = next(verdict for verdict in verdicts if verdict.check == ROW_COUNT)
        base = replace(base, guard=said.text)
        if said not in holding(verdicts):
            return base
        return _held(table, base, said)


def _policies(table: Table) -> Iterator[str]:
    watermark = table.row.watermark
    if watermark is None or table.row.load != "incremental":
        return
    yield f"buffer {duration_text(watermark.buffer)}"
    yield f"without {watermark.column}: {watermark.null}"
    yield f"{watermark.column} in the future: {watermark.future}"


def _held(table: Table, base: TablePlan, said: Verdict) -> TablePlan:
    return _failing(
        base,
        f"it would be held back: {said.text}; if that is right: retail-platform approve "
        f"silver/{table.entity} --hour {key_of(base.hour)} --rule {said.check} --reason WHY "
        "--person WHO",
    )


def _failing(base: TablePlan, reason: str) -> TablePlan:
    return replace(base, outcome=Outcome.FAILS, reasons=(*base.reasons, reason))


def _waiting(base: TablePlan, clock: datetime) -> TablePlan:
    reason = f"the source's clock says {clock:%Y-%m-%d %H:%M:%S} UTC: the hour is not closed yet"
    return replace(base, outcome=Outcome.WAITS, reasons=(reason,))


def _stopped(base: TablePlan, failure: PlatformFailure) -> TablePlan:
    """A failure while asking: one that passes by itself says nothing about the load."""
    if isinstance(failure, TransientFailure):
        waits = isinstance(failure, AwaitedFailure)
        outcome = Outcome.WAITS if waits else Outcome.UNKNOWN
        return replace(base, outcome=outcome, reasons=(*base.reasons, str(failure)))
    return _failing(base, str(failure))
