"""``audit``: the ledger, as a command."""

from datetime import UTC, datetime

import click


@click.command()
@click.option("--table", help="Only this asset, such as silver/orders.")
@click.option(
    "--status", type=click.Choice(["RUNNING", "SUCCESS", "FAILURE", "BLOCKED"]), help="Only these."
)
@click.option("--since", type=click.DateTime(), help="Only loads started since this UTC time.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def audit(table: str | None, status: str | None, since: datetime | None, as_json: bool) -> None:
    """Show the ledger: every load, where its rows went, and what failed."""
    from retail_platform.cli.platform import Platform
    from retail_platform.demo.summary import ledger_json, print_ledger

    rows = Platform.here().control.ledger.loads(
        asset=table, status=status, since=since.replace(tzinfo=UTC) if since else None
    )
    if as_json:
        click.echo(ledger_json(rows))
    else:
        print_ledger(rows)
