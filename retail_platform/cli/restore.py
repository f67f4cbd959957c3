"""``restore``: an older version of a Silver table, by an operator's decision."""

import click


@click.command()
@click.argument("table")
@click.option("--to-version", type=int, help="Version to go back to.")
@click.option("--before-load", type=int, help="The version before this load (id of the audit).")
@click.option("--reason", required=True, help="Why; kept in the ledger.")
@click.option("--requester", help="Who asks; default: the user of this system.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def restore(
    table: str,
    to_version: int | None,
    before_load: int | None,
    reason: str,
    requester: str | None,
    as_json: bool,
) -> None:
    """Give TABLE (silver/orders) the content of an older version; never done automatically.

    Prints what must be run again afterwards.
    """
    import getpass
    import json
    from dataclasses import asdict

    from retail_platform.cli.platform import Platform
    from retail_platform.operations.requests import table_named
    from retail_platform.operations.restore import restore as run
    from retail_platform.operations.restore import version_before

    platform = Platform.here()
    found = table_named(platform.catalog, table)
    ledger = platform.control.ledger
    if table.startswith("bronze/"):
        raise click.UsageError("Bronze keeps what came and is not restored; name a Silver table.")
    if to_version is not None and before_load is None:
        version = to_version
    elif before_load is not None and to_version is None:
        version = version_before(ledger, found, before_load)
    else:
        raise click.UsageError("Say where to: either --to-version or --before-load.")
    with platform.lakehouse() as lakehouse:
        restored = run(
            lakehouse.lake,
            ledger,
            found,
            version=version,
            reason=reason,
            requester=requester if requester is not None else getpass.getuser(),
            engine=lakehouse.engine,
        )
    if as_json:
        click.echo(json.dumps(asdict(restored), indent=2, default=str))
        return
    click.echo(
        f"silver/{restored.table} has the content of version {restored.version} again, as version "
        f"{restored.new_version}. Loads of {len(restored.undone)} hours are undone."
    )
    for command in restored.commands:
        click.echo(command)
