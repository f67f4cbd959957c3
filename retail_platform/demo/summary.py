"""What the commands print: tables of assets, checks, reconciliation and ledger."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from retail_platform.control.loads import LoadRow
from retail_platform.demo.hours import CheckOutcome, HourOutcome
from retail_platform.simulator.reconciliation import Line

# Bound to the stream of the start: the hours redirect what steps print to a log file.
CONSOLE = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120)


def print_assets(outcomes: Sequence[HourOutcome], blocked: Sequence[LoadRow] = ()) -> None:
    """One row per asset: rows after the last hour, checks and seconds over all hours.

    Args:
        outcomes: What the hours came to.
        blocked: Loads that stand BLOCKED; their assets say so, and for how many hours.
    """
    table = Table(title="Assets", title_justify="left")
    table.add_column("asset")
    table.add_column("rows", justify="right")
    table.add_column("checks passed", justify="right")
    table.add_column("warnings", justify="right")
    table.add_column("seconds", justify="right")
    names = sorted(
        {name for outcome in outcomes for name in outcome.rows} | {row.asset for row in blocked},
        key=lambda n: (_layer(n), n),
    )
    for name in names:
        checks = [c for outcome in outcomes for c in outcome.checks if c.asset == name]
        rows = next((o.rows[name] for o in reversed(outcomes) if name in o.rows), 0)
        seconds = sum(outcome.asset_seconds.get(name, 0.0) for outcome in outcomes)
        passed = sum(check.passed for check in checks)
        warned = sum(not check.passed and not check.blocking for check in checks)
        hours = sum(row.asset == name for row in blocked)
        mark = f"[red]BLOCKED {hours} h[/]  " if hours else ""
        table.add_row(
            name,
            f"{mark}{rows:,}",
            f"{passed} of {len(checks)}" if checks else "",
            str(warned) if warned else "",
            f"{seconds:.1f}",
        )
    CONSOLE.print(table)


def _layer(name: str) -> int:
    layers = ("bronze", "silver", "gold")
    layer = name.split("/", maxsplit=1)[0]
    return layers.index(layer) if layer in layers else len(layers)


def print_failures(outcomes: Sequence[HourOutcome], blocked: Sequence[LoadRow] = ()) -> None:
    """Every failed step, blocking check and blocked load, each with its message."""
    for row in blocked:
        CONSOLE.print(
            f"[red]blocked[/] {row.hour:%Y-%m-%d %H:%M} {row.asset}: {escape(row.causes or '')}"
        )
    for outcome in outcomes:
        for step, message in outcome.failures.items():
            CONSOLE.print(f"[red]failed[/] {outcome.hour:%Y-%m-%d %H:%M} {step}: {message.strip()}")
        for check in blocking_failures(outcome):
            CONSOLE.print(
                f"[red]check[/] {outcome.hour:%Y-%m-%d %H:%M} {check.asset} {check.name}: "
                f"{check.text}"
            )


def blocking_failures(outcome: HourOutcome) -> list[CheckOutcome]:
    """Checks that failed and block."""
    return [check for check in outcome.checks if check.blocking and not check.passed]


def print_reconciliation(lines: Sequence[Line]) -> None:
    """One row per table: what was compared, and where it differs."""
    table = Table(
        title="Reconciliation: the lake against plain Python over pack and change log",
        title_justify="left",
    )
    table.add_column("table")
    table.add_column("compared")
    table.add_column("rows", justify="right")
    table.add_column("result")
    for name in dict.fromkeys(line.table for line in lines):
        own = [line for line in lines if line.table == name]
        wrong = [line for line in own if not line.agrees]
        rows = next((line.actual for line in own if line.measure in ("rows", "rows read")), None)
        measures = ", ".join(line.measure for line in own)
        found = "; ".join(f"{w.measure}: expected {w.expected}, found {w.actual}" for w in wrong)
        table.add_row(
            name,
            measures,
            f"{rows:,}" if rows is not None else "",
            f"[red]{found}[/]" if wrong else "[green]agrees[/]",
        )
    CONSOLE.print(table)
    wrong_count = sum(not line.agrees for line in lines)
    CONSOLE.print(
        f"{len(lines)} comparisons, "
        + (f"[red]{wrong_count} differ[/]" if wrong_count else "[green]all agree[/]")
    )
