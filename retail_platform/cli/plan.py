"""``plan``: the dry run of one hour."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

import click

from retail_platform.cli.times import HOUR

if TYPE_CHECKING:
    from rich.console import Console

    from retail_platform.operations.plan import TablePlan

DETAILED = 3
"""Up to so many tables are shown with all their settings."""


@click.command()
@click.argument("tables", nargs=-1, metavar="[TABLE...]")
@click.option("--hour", type=HOUR, help="Hour (UTC); each source's latest closed one by default.")
@click.option("--details", is_flag=True, help="Show metadata, columns and files of every table.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def plan(tables: tuple[str, ...], hour: datetime | None, details: bool, as_json: bool) -> None:
    """Show what loading an hour would do, without doing it.

    TABLE is an entity, SOURCE.TABLE, or a quoted wildcard; all tables by default. Nothing is
    written. Exit code 1 where a load would fail or be BLOCKED.
    """
    from rich.console import Console

    from retail_platform.cli.platform import Platform
    from retail_platform.operations.plan import STOPPED
    from retail_platform.operations.plan import plan as planned

    platform = Platform.here()
    plans = planned(platform.settings, platform.catalog, tables, hour=hour)
    if as_json:
        click.echo(json.dumps([asdict(found) for found in plans], indent=2, default=_plain))
    else:
        console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 140)
        _print_summary(console, plans)
        if details or len(plans) <= DETAILED:
            for found in plans:
                _print_details(console, found)
    sys.exit(1 if any(found.outcome in STOPPED for found in plans) else 0)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _print_summary(console: "Console", plans: Sequence["TablePlan"]) -> None:
    from rich.markup import escape
    from rich.table import Table

    shown = Table(title="Plan: nothing is written", title_justify="left")
    for name in ("table", "hour (UTC)", "outcome", "reads", "columns", "Silver files"):
        shown.add_column(name)
    for found in plans:
        outcome = f"[red]{found.outcome}[/]" if found.outcome.isupper() else str(found.outcome)
        silver = found.touched[-1]
        shown.add_row(
            f"{found.table} -> {found.entity}",
            f"{found.hour:%Y-%m-%d %H:%M}",
            outcome,
            _reads(found),
            _columns(found),
            f"{silver.touched} of {silver.files}" if silver.exists else "new table",
        )
    console.print(shown)
    for found in plans:
        for reason in found.reasons:
            console.print(f"{found.table}: {escape(reason)}", soft_wrap=True)


def _reads(found: "TablePlan") -> str:
    initial = found.window is not None and found.window.initial
    return f"{found.reads}{', initial' if initial else ''}"


def _columns(found: "TablePlan") -> str:
    columns = found.columns
    parts = {
        "added": len(columns.added_to_bronze) + len(columns.added_to_silver),
        "cast": len(columns.cast),
        "dropped": len(columns.dropped),
        "missing": len(columns.missing),
        "retyped": len(columns.retyped),
    }
    return ", ".join(f"{number} {name}" for name, number in parts.items() if number)


def _print_details(console: "Console", found: "TablePlan") -> None:
    from rich.markup import escape
    from rich.table import Table

    console.print()
    settings = Table(title=f"{found.table}: metadata", title_justify="left")
    for name in ("setting", "value", "from"):
        settings.add_column(name, overflow="fold")
    for setting in found.settings:
        settings.add_row(setting.name, escape(setting.value), setting.origin)
    console.print(settings)
    window = found.window
    if window is not None:
        start = f"{window.start:%Y-%m-%d %H:%M:%S}" if window.start else "the beginning"
        kinds = [
            n for n, is_so in (("initial", window.initial), ("latest", window.latest)) if is_so
        ]
        console.print(
            f"window: from {start} to before {window.end:%Y-%m-%d %H:%M:%S} UTC"
            f"{' (' + ', '.join(kinds) + ')' if kinds else ''}; {'; '.join(found.policies)}",
            soft_wrap=True,
        )
    for name, values in asdict(found.columns).items():
        if values:
            console.print(f"columns {name.replace('_', ' ')}: {'; '.join(values)}", soft_wrap=True)
    for table in found.touched:
        where = f", {', '.join(table.partitions)}" if table.partitions else ""
        console.print(
            f"{table.table}: {table.touched} of {table.files} files, {table.rows:,} rows{where}"
            + ("" if table.exists else " (new table)"),
            soft_wrap=True,
        )
    if found.guard:
        console.print(f"row count: {found.guard}", soft_wrap=True)
