"""The command line: ``retail-platform``. Commands only parse, call and print."""

import json
import sys
from datetime import UTC, datetime

import click

from retail_platform.failures import PlatformFailure


class _Commands(click.Group):
    """Shows the platform's own failures as one message instead of a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except PlatformFailure as failure:
            raise click.ClickException(str(failure)) from failure


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """RetailCorp's lakehouse: run it, look at it, prove it."""


@main.command()
@click.option("--hours", default=6, show_default=True, help="Trading hours to load.")
@click.option("--no-ui", is_flag=True, help="Load the hours, print what came of it, and end.")
@click.option(
    "--at",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]),
    help="Load the trading hours before this UTC time instead of the last ones.",
)
@click.option("--fresh", is_flag=True, help="Delete the state of earlier runs first.")
@click.option("--port", default=3000, show_default=True, help="Port of the Dagster UI.")
def demo(hours: int, no_ui: bool, at: datetime | None, fresh: bool, port: int) -> None:
    """Start RetailCorp in a box, load its last trading hours, and open the Dagster UI.

    With --no-ui, exit code 1 says that a blocking check or the reconciliation failed.
    """
    from retail_platform.demo.command import run_demo

    before = at.replace(tzinfo=UTC) if at else None
    sys.exit(run_demo(hours=hours, ui=not no_ui, before=before, fresh=fresh, port=port))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def reconcile(as_json: bool) -> None:
    """Compare the lake with what plain Python computes from the simulator's books.

    Exit code 1 where they differ.
    """
    from retail_platform.demo.reconciled import reconciled_lines
    from retail_platform.demo.summary import print_reconciliation

    lines = reconciled_lines()
    if as_json:
        rows = [
            {
                "table": line.table,
                "measure": line.measure,
                "expected": str(line.expected),
                "actual": str(line.actual),
                "agrees": line.agrees,
            }
            for line in lines
        ]
        click.echo(json.dumps(rows, indent=2))
    else:
        print_reconciliation(lines)
    sys.exit(0 if all(line.agrees for line in lines) else 1)


@main.command()
@click.option("--table", help="Only this asset, such as silver/orders.")
@click.option(
    "--status", type=click.Choice(["RUNNING", "SUCCESS", "FAILURE", "BLOCKED"]), help="Only these."
)
@click.option("--since", type=click.DateTime(), help="Only loads started since this UTC time.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def audit(table: str | None, status: str | None, since: datetime | None, as_json: bool) -> None:
    """Show the ledger: every load, where its rows went, and what failed."""
    from retail_platform.control.database import open_control
    from retail_platform.control.ledger import Ledger
    from retail_platform.demo.summary import ledger_json, print_ledger
    from retail_platform.settings import Settings

    ledger = Ledger(open_control(Settings.from_environment().control_url))
    rows = ledger.loads(
        asset=table, status=status, since=since.replace(tzinfo=UTC) if since else None
    )
    if as_json:
        click.echo(ledger_json(rows))
    else:
        print_ledger(rows)


if __name__ == "__main__":
    main()
