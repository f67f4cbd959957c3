"""``onboard``: tables of a source become metadata."""

import json
import os
import sys
from typing import TYPE_CHECKING, Literal

import click

if TYPE_CHECKING:
    from retail_platform.metadata.onboarding_scope import NewSource


@click.command()
@click.argument("tables", nargs=-1, required=True, metavar="SOURCE.TABLE...")
@click.option("--yes", is_flag=True, help="Write without asking.")
@click.option("--dry-run", is_flag=True, help="Show the diff and write nothing.")
@click.option("--update", is_flag=True, help="Add the columns that onboarded tables lack.")
@click.option("--key", help="Source columns of the key, for one table without: COLUMN,COLUMN.")
@click.option("--new-source", metavar="NAME", help="Create this source; needs the two below.")
@click.option(
    "--url-env",
    metavar="VARIABLE",
    help="Environment variable with its URL, ODBC connection string or folder.",
)
@click.option("--timezone", metavar="ZONE", help="IANA zone of its naive timestamps.")
@click.option(
    "--kind",
    type=click.Choice(["sql", "odbc", "files"]),
    default="sql",
    show_default=True,
    help="Kind of the new source.",
)
@click.option(
    "--login",
    multiple=True,
    metavar="SETTING=VARIABLE",
    help="Variables of a new source's login, such as sftp.password=DROPS_PASSWORD; repeatable.",
)
@click.option("--dialect", help="SQL of a new source of kind odbc, as sqlglot calls it: oracle.")
@click.option("--clock-query", metavar="SQL", help="Query of a new database's present.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; writes with --yes only.")
def onboard(
    tables: tuple[str, ...],
    yes: bool,
    dry_run: bool,
    update: bool,
    key: str | None,
    new_source: str | None,
    url_env: str | None,
    timezone: str | None,
    kind: Literal["sql", "odbc", "files"],
    login: tuple[str, ...],
    dialect: str | None,
    clock_query: str | None,
    as_json: bool,
) -> None:
    """Look into a source and write the row and the contract of its tables.

    TABLE may hold wildcards ('sales.*', quoted) and a schema ('sales.dbo.Orders'). What was guessed
    stands as a comment above the row. The catalog loads afterwards, or nothing is written. Exit
    code 1 where a table had to be left out.
    """
    from retail_platform.cli.platform import Platform
    from retail_platform.metadata.onboarding import onboard as propose

    created = _new_source(new_source, kind, url_env, timezone, login, dialect, clock_query)
    onboarding = propose(
        Platform.here().settings.catalog,
        tables,
        environ=os.environ,
        key=[part.strip() for part in key.split(",")] if key else (),
        update=update,
        new_source=created,
    )
    if not as_json:
        for outcome in onboarding.outcomes:
            click.echo(f"{outcome.source}.{outcome.table}: {outcome.state}: {outcome.text}")
        _show(onboarding.diff)
    write = bool(onboarding.changes) and not dry_run
    if write and not yes:
        write = not as_json and click.confirm(f"Write {len(onboarding.changes)} files?")
    if write:
        onboarding.write()
    if as_json:
        _print_json(onboarding, written=write)
    elif write:
        click.echo(f"Wrote {len(onboarding.changes)} files in {onboarding.folder}.")
    sys.exit(1 if any(outcome.state == "left out" for outcome in onboarding.outcomes) else 0)


def _new_source(
    name: str | None,
    kind: Literal["sql", "odbc", "files"],
    url_env: str | None,
    timezone: str | None,
    login: tuple[str, ...],
    dialect: str | None,
    clock_query: str | None,
) -> "NewSource | None":
    from retail_platform.metadata.onboarding_scope import NewSource

    if name is None:
        if url_env or timezone or login or dialect or clock_query:
            raise click.UsageError(
                "--url-env, --timezone, --login, --dialect and --clock-query go with --new-source "
                "NAME"
            )
        return None
    if not url_env or not timezone:
        raise click.UsageError("--new-source needs --url-env VARIABLE and --timezone ZONE")
    if (kind == "odbc") != (dialect is not None) or (kind == "odbc" and not clock_query):
        raise click.UsageError("--kind odbc needs --dialect and --clock-query, for both differ")
    if any("=" not in setting for setting in login):
        raise click.UsageError("--login takes SETTING=VARIABLE")
    return NewSource(
        name=name,
        kind=kind,
        variable=url_env,
        timezone=timezone,
        login=dict(setting.split("=", 1) for setting in login),
        dialect=dialect,
        clock_query=clock_query,
    )


def _show(diff: str) -> None:
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for line in diff.splitlines():
        # click takes the colours out again where the output is no terminal.
        bold = line.startswith(("+++", "---"))
        click.secho(line, fg=None if bold else colours.get(line[:1]), bold=bold)


def _print_json(onboarding: object, *, written: bool) -> None:
    from retail_platform.metadata.onboarding_change import Onboarding

    assert isinstance(onboarding, Onboarding)
    tables = [
        {
            "source": outcome.source,
            "table": outcome.table,
            "state": outcome.state,
            "text": outcome.text,
            "entity": outcome.proposal.entity if outcome.proposal else None,
            "row": outcome.proposal.row if outcome.state == "new" and outcome.proposal else None,
            "columns": [
                {"source": c.source, "name": c.name, "type": c.physical}
                for c in (outcome.proposal.columns if outcome.proposal else ())
            ],
            "notes": list(outcome.proposal.notes) if outcome.proposal else [],
        }
        for outcome in onboarding.outcomes
    ]
    files = [change.path.relative_to(onboarding.folder).as_posix() for change in onboarding.changes]
    click.echo(
        json.dumps(
            {"tables": tables, "files": files, "diff": onboarding.diff, "written": written},
            indent=2,
        )
    )
