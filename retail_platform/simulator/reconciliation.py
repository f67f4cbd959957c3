"""Proof by reconciliation: the lake against what plain Python computes from pack and change log.

Which loads ran, and when, is taken from the ledger; what they must have brought is computed by
``expected`` without the lake. The command, the asset check and the tests all call ``reconcile``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import chain

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from retail_platform.control.ledger import Ledger, LoadRow
from retail_platform.control.resource import ControlResource
from retail_platform.extract.coverage import Covered
from retail_platform.metadata.live import LiveTable
from retail_platform.metadata.loader import Catalog, load_catalog
from retail_platform.settings import Settings
from retail_platform.simulator.events import STOCK
from retail_platform.simulator.expected import (
    Expected,
    Read,
    expected_facts,
    expected_reads,
    expected_silver,
)
from retail_platform.simulator.expected_events import live_stock
from retail_platform.simulator.simulator import Simulator

CHECK = "reconciles_with_sources"
CHECK_KEY = dg.AssetCheckKey(dg.AssetKey(["gold", "fct_sales"]), CHECK)
RECONCILE_JOB = "reconcile"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One comparison.

    Attributes:
        table: Table in the lake, with its layer.
        measure: What is compared: rows, versions, a sum of a column, the ledger's balance.
        expected: As computed without the lake.
        actual: As the lake or the ledger has it.
    """

    table: str
    measure: str
    expected: Decimal
    actual: Decimal

    @property
    def agrees(self) -> bool:
        """Whether both sides are equal, to the last digit."""
        return self.expected == self.actual


def reconcile(
    *, simulator: Simulator, ledger: Ledger, lake_url: str, catalog: Catalog
) -> list[Line]:
    """Compares every Bronze load, Silver table and fact with the simulator.

    Args:
        simulator: The sources' simulator.
        ledger: The load ledger.
        lake_url: Root of the lake.
        catalog: All tables.
    """
    loads = [
        row
        for table in catalog.tables
        for row in ledger.loads(asset=f"bronze/{table.bronze}", status="SUCCESS")
        if row.source_clock is not None
    ]
    reads = [read_of(row) for row in loads]
    restate_days = max(t.row.restate_days for t in catalog.tables if t.row.load == "restated")
    lines = list(_ledger_lines(ledger, catalog))
    lines += _read_lines(loads, expected_reads(simulator, reads, restate_days=restate_days))
    for entity, expected in expected_silver(simulator, reads, restate_days=restate_days).items():
        lines += _silver_lines(lake_url, entity, expected)
    hours = ledger.succeeded_hours("silver/stock_levels")
    for fact, expected in expected_facts(
        simulator, reads, restate_days=restate_days, hours=hours
    ).items():
        lines += _fact_lines(lake_url, fact, expected)
    for table in catalog.live:
        lines += _live_lines(lake_url, table, simulator)
    return lines


def read_of(row: LoadRow) -> Read:
    """A Bronze load of the ledger in the oracle's words.

    Raises:
        ValueError: The load has read nothing: it has no window or no clock.
    """
    if row.window_end is None or row.source_clock is None:
        raise ValueError(f"load {row.id} has no window")
    return Read(
        table=row.asset.removeprefix("bronze/"),
        hour=row.hour,
        start=row.window_start,
        end=row.window_end,
        clock=row.source_clock,
        days=Covered.of(row.hour, row.covered).days if row.covered else None,
    )


def _ledger_lines(ledger: Ledger, catalog: Catalog) -> Iterator[Line]:
    hourly = [(f"bronze/{table.bronze}", f"silver/{table.entity}") for table in catalog.tables]
    live = [f"silver/{table.entity}" for table in catalog.live]
    for asset in (*chain.from_iterable(hourly), *live):
        rows = ledger.loads(asset=asset, status="SUCCESS")
        parts = sum(
            row.rejected
            + row.quarantined
            + row.duplicates
            + row.stale
            + row.unchanged
            + row.applied
            for row in rows
        )
        read = sum(row.read for row in rows)
        yield Line(table=asset, measure="ledger", expected=Decimal(read), actual=Decimal(parts))


def _read_lines(
    loads: Sequence[LoadRow], expected: Mapping[tuple[str, datetime], int]
) -> list[Line]:
    last = {(row.asset.removeprefix("bronze/"), row.hour): row for row in loads}
    tables = sorted({table for table, _ in last})
    return [
        Line(
            table=f"bronze/{table}",
            measure="rows read",
            expected=Decimal(sum(n for (name, _), n in expected.items() if name == table)),
            actual=Decimal(sum(row.read for (name, _), row in last.items() if name == table)),
        )
        for table in tables
    ]


def _silver_lines(lake_url: str, entity: str, expected: Expected) -> list[Line]:
    table = f"silver/{entity}"
    rows = _rows(f"{lake_url}/silver/{entity}")
    real = rows.filter(pc.invert(pc.or_(rows["_inferred"], rows["_deleted"])))
    live = real.filter(real["is_current"]) if "is_current" in real.column_names else real
    quarantined = DeltaTable(f"{lake_url}/quarantine/{entity}").count()
    return [
        _line(table, "rows", expected.rows, live.num_rows),
        _line(table, "versions", expected.versions, real.num_rows),
        _line(table, "quarantined", expected.quarantined, quarantined),
        *(_sum_line(table, column, value, live) for column, value in expected.money.items()),
    ]


def _live_lines(lake_url: str, table: LiveTable, simulator: Simulator) -> list[Line]:
    """The stock as the events say that the table has read; nothing before its first micro-batch."""
    location = f"{lake_url}/silver/{table.entity}"
    if table.row.topic != STOCK or not DeltaTable.is_deltatable(location):
        return []
    rows = _rows(location)
    # Its topic has one partition, and each event the newest of its key: the last offset is there.
    last = pc.max(rows["_offset"]).as_py()
    expected = live_stock(simulator, 0 if last is None else last + 1)
    name = f"silver/{table.entity}"
    return [
        _line(name, "rows", len(expected), rows.num_rows),
        _sum_line(name, "quantity", Decimal(sum(expected.values())), rows),
    ]


def _fact_lines(lake_url: str, fact: str, expected: Expected) -> list[Line]:
    table = f"gold/{fact}"
    rows = _rows(f"{lake_url}/gold/{fact}")
    if "is_deleted" in rows.column_names:
        rows = rows.filter(pc.invert(rows["is_deleted"]))
    lines = [_line(table, "rows", expected.rows, rows.num_rows)]
    for measure, value in expected.money.items():
        if measure == "net_amount_live":
            kept = rows.filter(pc.invert(rows["is_cancelled"]))
            lines.append(_sum_line(table, "net_amount", value, kept, measure))
        else:
            lines.append(_sum_line(table, measure, value, rows))
    return lines


def _rows(location: str) -> pa.Table:
    return pa.table(DeltaTable(location).to_pyarrow_table())


def _line(table: str, measure: str, expected: int | Decimal, actual: int | Decimal) -> Line:
    return Line(table=table, measure=measure, expected=Decimal(expected), actual=Decimal(actual))


def _sum_line(
    table: str, column: str, expected: Decimal, rows: pa.Table, measure: str | None = None
) -> Line:
    total = pc.sum(rows[column]).as_py()
    return _line(table, measure or column, expected, Decimal(total or 0))


def _verdict(lines: Sequence[Line]) -> str:
    differing = [
        f"{line.table}: {line.measure}: expected {line.expected}, found {line.actual}"
        for line in lines
        if not line.agrees
    ]
    return "\n".join(differing) or f"{len(lines)} comparisons agree."


def report_reconciliation(instance: dg.DagsterInstance, lines: Sequence[Line]) -> None:
    """Records lines that were compared outside of a run as the check's newest evaluation."""
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=CHECK_KEY.asset_key,
            check_name=CHECK_KEY.name,
            passed=all(line.agrees for line in lines),
            description=_verdict(lines),
            metadata={},
        )
    )


def build_reconciliation_defs(*, settings: Settings) -> dg.Definitions:
    """The asset check and its job; nothing where no simulator stands in for the sources."""
    if not settings.simulator:
        return dg.Definitions()

    @dg.asset_check(
        name=CHECK,
        asset=CHECK_KEY.asset_key,
        description=(
            "Rows and money of Silver and facts equal those computed in plain Python from the "
            "simulator's data pack and change log, to the cent."
        ),
    )
    def reconciles(control: ControlResource) -> dg.AssetCheckResult:
        lines = reconcile(
            simulator=Simulator.open(settings.home),
            ledger=control.ledger,
            lake_url=settings.lake_url,
            catalog=load_catalog(settings.catalog, without=settings.without_sources),
        )
        return dg.AssetCheckResult(
            passed=all(line.agrees for line in lines), description=_verdict(lines)
        )

    job = dg.define_asset_job(
        RECONCILE_JOB,
        selection=dg.AssetSelection.checks(CHECK_KEY),
        description="Compares the lake with the simulator's own books.",
    )
    return dg.Definitions(asset_checks=[reconciles], jobs=[job])
