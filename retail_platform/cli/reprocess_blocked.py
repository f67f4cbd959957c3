"""``reprocess-blocked``: what could not be attempted, once its causes are repaired."""

import json
import sys
from datetime import datetime

import click

from retail_platform.cli.times import MOMENT


@click.command("reprocess-blocked")
@click.option("--since", type=MOMENT, help="Only hours from this one on (UTC).")
@click.option("--table", help="Only this asset (gold/fct_sales) and what is blocked before it.")
@click.option("--with-causes", is_flag=True, help="Also run what failed in the first place.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def reprocess_blocked(
    since: datetime | None, table: str | None, with_causes: bool, as_json: bool
) -> None:
    """Run blocked loads again, hour by hour, parents first.

    Each hour is a run of its own, seen in the UI. Exit code 1 if something stays blocked or failed.
    """
    from retail_platform.cli.platform import Platform
    from retail_platform.definitions import build_defs
    from retail_platform.operations.jobs import ALL_HOURLY
    from retail_platform.operations.repair import blocked_hours, line_of, run_blocked
    from retail_platform.operations.running import own_instance
    from retail_platform.partitions import key_of

    platform = Platform.here()
    ledger = platform.control.ledger
    with own_instance() as instance:
        job = build_defs(platform.settings).resolve_job_def(ALL_HOURLY)
        hours = blocked_hours(ledger, job, since=since, table=table, with_causes=with_causes)
        with platform.quietly():
            results = run_blocked(hours, ledger=ledger, job=job, instance=instance)
    if as_json:
        rows = [
            {
                "hour": key_of(result.hour),
                "run_id": result.run_id,
                "done": list(result.done),
                "left": [
                    {
                        "asset": row.asset,
                        "status": str(row.status),
                        "causes": row.causes,
                        "error": row.error,
                    }
                    for row in result.left
                ],
            }
            for result in results
        ]
        click.echo(json.dumps(rows, indent=2))
    else:
        for result in results:
            click.echo(line_of(result))
        if not results:
            click.echo("Nothing is blocked.")
    sys.exit(1 if any(result.left for result in results) else 0)
