"""``audit``: the ledger, its requests, and the comparison with the sources."""

import sys
from datetime import datetime

import click

from retail_platform.cli.times import MOMENT

STATUSES = ("RUNNING", "SUCCESS", "PARTIAL_SUCCESS", "FAILURE", "BLOCKED", "MISSED")


@click.command()
@click.option("--table", help="Only this asset (silver/orders), or all of a table (orders).")
@click.option(
    "--status", type=click.Choice(STATUSES), help="Only these; only requests are partial."
)
@click.option("--since", type=MOMENT, help="Only since this UTC time, or so long ago (24h).")
@click.option(
    "--compare",
    is_flag=True,
    help="Compare Bronze with the sources by hour of the watermark (default: the last 72h).",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def audit(
    table: str | None, status: str | None, since: datetime | None, compare: bool, as_json: bool
) -> None:
    """Show the ledger: every request and load, where its rows went, and what failed.

    With --compare, find rows that were committed late, and deletes, which no load by watermark
    sees; exit code 1 if there are any.
    """
    from retail_platform.cli.ledger import ledger_json, print_ledger, select
    from retail_platform.cli.platform import Platform

    platform = Platform.here()
    if compare:
        from retail_platform.cli.comparison import (
            compare_sources,
            comparison_json,
            print_comparison,
        )

        differences = compare_sources(platform, table, since)
        if as_json:
            click.echo(comparison_json(differences))
        else:
            print_comparison(differences)
        sys.exit(1 if differences else 0)
    chosen = select(platform, table=table, status=status, since=since)
    if as_json:
        click.echo(ledger_json(chosen))
    else:
        print_ledger(chosen)
