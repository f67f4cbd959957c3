"""``reprocess``: hours again, on request."""

import sys
from datetime import datetime, timedelta

import click

from retail_platform.cli.times import MOMENT


@click.command()
@click.argument("table")
@click.option("--from", "start", type=MOMENT, help="First hour (UTC).")
@click.option("--to", "end", type=MOMENT, help="End, not part of the range; default: one hour.")
@click.option("--reason", required=True, help="Why; kept in the ledger.")
@click.option("--requester", help="Who asks; default: the user of this system.")
@click.option(
    "--reread/--stored",
    default=True,
    help="Read the source again where it still has the hour, or process what Bronze holds.",
)
@click.option("--downstream", is_flag=True, help="Gold and the reports of each hour follow.")
@click.option(
    "--override",
    is_flag=True,
    help="Read exactly the watermarks of the range, into the hours that they belong to.",
)
@click.option("--full", is_flag=True, help="Read the whole source table into the latest hour.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def reprocess(
    table: str,
    start: datetime | None,
    end: datetime | None,
    reason: str,
    requester: str | None,
    reread: bool,
    downstream: bool,
    override: bool,
    full: bool,
    as_json: bool,
) -> None:
    """Load hours of TABLE (silver/orders) again, beside the current ones.

    Each hour is a run of its own, seen in the UI; a failed one does not stop the others. Exit code
    1 unless all hours went well.
    """
    import getpass

    from retail_platform.cli.platform import Platform
    from retail_platform.cli.requests import print_hour, print_request, request_json
    from retail_platform.definitions import build_defs
    from retail_platform.operations.jobs import ALL_HOURLY
    from retail_platform.operations.requests import (
        is_success,
        plan_full_reload,
        plan_range,
        run_plan,
        table_named,
    )
    from retail_platform.operations.running import own_instance

    if full == (start is not None):
        raise click.UsageError("Say which hours: --from (and --to), or --full for the whole table.")
    platform = Platform.here()
    found = table_named(platform.catalog, table)
    requests, ledger = platform.control.requests, platform.control.ledger
    who = requester if requester is not None else getpass.getuser()
    with own_instance() as instance:
        job = build_defs(platform.settings).resolve_job_def(ALL_HOURLY)
        if start is None:
            plan = plan_full_reload(
                requests, job, found, reason=reason, requester=who, downstream=downstream
            )
        else:
            plan = plan_range(
                requests,
                job,
                found,
                start=start,
                end=end or start + timedelta(hours=1),
                reason=reason,
                requester=who,
                stored=not reread,
                downstream=downstream,
                override=override,
            )
        with platform.quietly():
            request, results = run_plan(
                plan,
                requests=requests,
                job=job,
                instance=instance,
                on_hour=lambda result: None if as_json else print_hour(result),
            )
    loads = ledger.loads(request_id=request.id)
    if as_json:
        click.echo(request_json(request, results, loads))
    else:
        print_request(request, loads)
    sys.exit(0 if is_success(request) else 1)
