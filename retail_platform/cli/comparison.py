"""``audit --compare``: which tables and hours are compared, and what is printed of it."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import click

from retail_platform.automation import LATE_WINDOW
from retail_platform.bronze.comparison import HourDifference, compare_hours, ranges_to_reread
from retail_platform.cli.platform import Platform
from retail_platform.extract.opening import open_reader
from retail_platform.extract.reader import WatermarkReader
from retail_platform.extract.window import HOUR
from retail_platform.metadata.loader import Table
from retail_platform.operations.requests import table_named
from retail_platform.partitions import key_of


def compare_sources(
    platform: Platform, name: str | None, since: datetime | None
) -> list[HourDifference]:
    """Differences of one incremental table, or of all.

    Hours are compared from ``since`` (the late window by default) to the last loaded one; those
    before the first loaded hour came with it and are not told apart.
    """
    start = since or datetime.now(UTC) - LATE_WINDOW
    tables = [table_named(platform.catalog, name)] if name else _incremental(platform)
    found: list[HourDifference] = []
    with platform.lakehouse() as lakehouse:
        for table in tables:
            hours = _loaded_range(platform, table, start)
            with open_reader(table, platform.control.files) as reader:
                if isinstance(reader, WatermarkReader):
                    found += compare_hours(table, reader, lakehouse.lake, hours)
    return found


def commands(differences: Sequence[HourDifference]) -> list[str]:
    """The commands that read the late rows."""
    tables = dict.fromkeys(difference.table for difference in differences)
    return [
        f"retail-platform reprocess {table} --from {key_of(start)} --to {key_of(end)} "
        "--downstream --reason 'rows committed late'"
        for table in tables
        for start, end in ranges_to_reread([d for d in differences if d.table == table])
    ]


def print_comparison(differences: Sequence[HourDifference]) -> None:
    """One line for an hour, then the commands."""
    for hour in differences:
        parts = [f"{hour.late} late"] if hour.late else []
        parts += [f"{hour.gone} gone: deleted at the source"] if hour.gone else []
        click.echo(
            f"{hour.table}  {key_of(hour.hour)}  source {hour.source_rows}, "
            f"Bronze {hour.bronze_rows}: {', '.join(parts)}"
        )
    for command in commands(differences):
        click.echo(command)
    if any(hour.gone for hour in differences):
        click.echo(
            "Deletes are not seen by load: incremental; load: snapshot or full turns missing keys "
            "into tombstones."
        )
    if not differences:
        click.echo("No hour differs.")


def comparison_json(differences: Sequence[HourDifference]) -> str:
    """Differences and commands as JSON."""
    hours = [asdict(difference) for difference in differences]
    return json.dumps({"hours": hours, "commands": commands(differences)}, indent=2, default=str)


def _incremental(platform: Platform) -> list[Table]:
    return [table for table in platform.catalog.tables if table.row.load == "incremental"]


def _loaded_range(platform: Platform, table: Table, start: datetime) -> list[datetime]:
    loaded = platform.control.ledger.succeeded_hours(f"bronze/{table.bronze}")
    if not loaded:
        return []
    first = max(start.replace(minute=0, second=0, microsecond=0), loaded[0])
    return [first + n * HOUR for n in range((loaded[-1] - first) // HOUR + 1)]
