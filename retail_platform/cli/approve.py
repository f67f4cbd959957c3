"""``approve``: a person lets a held hour through."""

from datetime import datetime

import click

from retail_platform.cli.times import HOUR


@click.command()
@click.argument("asset")
@click.option("--hour", type=HOUR, required=True, help="Hour (UTC) that was held back.")
@click.option("--rule", required=True, help="Check that held it, such as row_count.")
@click.option("--reason", required=True, help="Why the batch is right.")
@click.option("--person", required=True, help="Who says so.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def approve(asset: str, hour: datetime, rule: str, reason: str, person: str, as_json: bool) -> None:
    """Let the next load of a held hour of ASSET (silver/orders) through one rule.

    The approval is spent by the first load that it lets through; the audit keeps it.
    """
    import json
    from dataclasses import asdict

    from retail_platform.cli.platform import Platform
    from retail_platform.operations.approvals import approve as record
    from retail_platform.partitions import key_of

    platform = Platform.here()
    given = record(
        platform.catalog,
        platform.control.ledger.approvals,
        asset=asset,
        hour=hour,
        rule=rule,
        reason=reason,
        person=person,
    )
    if as_json:
        click.echo(json.dumps(asdict(given), indent=2, default=str))
        return
    click.echo(
        f"Approval {given.id}. Load the hour again: materialise {given.asset}, "
        f"{key_of(given.hour)}, in the UI, or run\n"
        f"retail-platform reprocess {given.asset} --from {key_of(given.hour)} "
        f"--stored --reason 'approval {given.id}'"
    )
