"""``demo``: RetailCorp in a box."""

import sys
from datetime import UTC, datetime

import click


@click.command()
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
