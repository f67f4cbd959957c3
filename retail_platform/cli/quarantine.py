"""``quarantine``: refused rows, shown, replayed and discarded."""

import functools
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from retail_platform.cli.times import MOMENT

if TYPE_CHECKING:
    from retail_platform.cli.platform import Platform
    from retail_platform.quality.quarantined import QuarantinedRow

Command = Callable[..., None]
STATUSES = ["OPEN", "REPLAYED", "DISCARDED"]


def _choosing(*, limit: int | None) -> Callable[[Command], Command]:
    """The options that choose rows."""
    shown = f"At most so many, those read last first; {limit or 'all of them'} by default."
    options = (
        click.option("--reason", help="Only rows with a reason that contains this text."),
        click.option("--since", type=MOMENT, help="Only rows last read since then (UTC), or 24h."),
        click.option("--limit", type=click.IntRange(min=1), default=limit, help=shown),
        click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts."),
    )

    def decorate(command: Command) -> Command:
        return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)

    return decorate


@click.group()
def quarantine() -> None:
    """Look at the rows that were refused, take them in again, or close them for good."""


@quarantine.command(name="list")
@click.option("--table", help="Only this Silver table, such as orders.")
@click.option("--status", type=click.Choice(STATUSES), help="Only rows that stand so.")
@_choosing(limit=None)
def list_rows(
    table: str | None,
    status: str | None,
    reason: str | None,
    since: datetime | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Count refused rows by table and reason, with when they were first and last read.

    A row counts under each of its reasons.
    """
    from dataclasses import asdict

    from retail_platform.cli.platform import Platform
    from retail_platform.quality.quarantined import counts_by_rule

    platform = Platform.here()
    rows = _rows(platform, table, status=status, reason=reason, since=since)
    counts = counts_by_rule(rows)[:limit]
    if as_json:
        _print_json([asdict(count) for count in counts])
        return
    _print_table(
        "Quarantined rows",
        ["table", "status", "rows", "reason", "first seen (UTC)", "last seen (UTC)"],
        [
            [
                count.entity,
                count.status.value,
                f"{count.rows:,}",
                count.rule,
                f"{count.first_seen:%Y-%m-%d %H:%M}",
                f"{count.last_seen:%Y-%m-%d %H:%M}",
            ]
            for count in counts
        ],
    )


@quarantine.command()
@click.option("--table", required=True, help="Silver table, such as orders.")
@click.option("--status", type=click.Choice(STATUSES), help="Only rows that stand so.")
@_choosing(limit=20)
def show(
    table: str,
    status: str | None,
    reason: str | None,
    since: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show refused rows with all their reasons, as received, without personal columns."""
    import json

    from retail_platform.cli.platform import Platform

    platform = Platform.here()
    rows = _rows(platform, table, status=status, reason=reason, since=since)[:limit]
    if as_json:
        _print_json([{**_plain(row), "payload": json.loads(row.payload)} for row in rows])
        return
    for row in rows:
        click.echo(f"{row.status} {row.row_hash}")
        for text in row.reasons:
            click.echo(f"  reason    {text}")
        click.echo(f"  row       {row.payload}")
        click.echo(f"  place     {row.place or 'no file'}; Bronze hour {row.hour:%Y-%m-%d %H:%M}")
        click.echo(f"  contract  {row.entity} {row.contract_version}, run {row.run_id}")
        click.echo(f"  seen      {row.first_seen:%Y-%m-%d %H:%M} to {row.last_seen:%Y-%m-%d %H:%M}")
        if row.decision:
            given = row.decision
            click.echo(f"  decision  {given.ruling} by {given.person}: {given.reason}")


@quarantine.command()
@click.option("--table", required=True, help="Silver table, such as orders.")
@click.option("--person", required=True, help="Who asks for it.")
@click.option("--because", required=True, help="Why: what was corrected.")
@_choosing(limit=None)
def replay(
    table: str,
    person: str,
    because: str,
    reason: str | None,
    since: datetime | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Judge open rows by today's rules and take in those that pass.

    They are read again from Bronze and keep the order in which they were read: an old row replaces
    no newer one. Exit code 1 where rows stay open.
    """
    import uuid

    from retail_platform.cli.platform import Platform
    from retail_platform.operations.quarantine import replay_rows, table_named, tell_dagster
    from retail_platform.partitions import key_of

    platform = Platform.here()
    entity = table_named(platform.catalog, table).entity
    with platform.lakehouse() as lakehouse:
        done = replay_rows(
            platform.catalog,
            lakehouse,
            platform.control,
            entity=entity,
            pii_key=platform.settings.pii_key,
            run_id=str(uuid.uuid4()),
            person=person,
            because=because,
            reason=reason,
            since=since,
            limit=limit,
        )
    changed = [key_of(hour.hour) for hour in done.hours if hour.counts.applied]
    told = tell_dagster(entity, done)
    still_open = done.refused + done.absent
    if as_json:
        counts = {name: getattr(done, name) for name in ("chosen", "replayed", "refused", "absent")}
        _print_json({"table": entity, **counts, "changed_hours": changed})
        sys.exit(1 if still_open else 0)
    click.echo(
        f"silver.{entity}: {done.replayed} of {done.chosen} rows replayed, {done.refused} still "
        "refused"
    )
    if done.absent:
        click.echo(f"{done.absent} rows are of hours not in Silver: materialise those hours.")
    if changed:
        follow = "Gold follows by automation" if told else "materialise what depends on it"
        click.echo(f"Changed hours: {', '.join(changed)}; {follow}.")
    sys.exit(1 if still_open else 0)


@quarantine.command()
@click.option("--table", required=True, help="Silver table, such as orders.")
@click.option("--person", required=True, help="Who decides.")
@click.option("--because", required=True, help="Why the rows are not wanted.")
@_choosing(limit=None)
def discard(
    table: str,
    person: str,
    because: str,
    reason: str | None,
    since: datetime | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Close open rows for good; read again they are counted, and opened by a new contract only."""
    from retail_platform.cli.platform import Platform
    from retail_platform.operations.quarantine import discard_rows

    platform = Platform.here()
    closed = discard_rows(
        platform.catalog,
        platform.settings.lake_url,
        platform.control.decisions,
        entity=table,
        person=person,
        because=because,
        reason=reason,
        since=since,
        limit=limit,
    )
    if as_json:
        _print_json({"table": table, "discarded": closed})
    else:
        click.echo(f"{closed} rows discarded")


def _rows(
    platform: "Platform",
    table: str | None,
    *,
    status: str | None,
    reason: str | None,
    since: datetime | None,
) -> "list[QuarantinedRow]":
    from retail_platform.operations.quarantine import quarantine_named
    from retail_platform.quality.quarantined import RowStatus, quarantined_rows

    catalog = platform.catalog
    entities = [quarantine_named(catalog, table)] if table else catalog.quarantines
    return [
        row
        for entity in entities
        for row in quarantined_rows(
            platform.settings.lake_url,
            entity,
            platform.control.decisions,
            reason=reason,
            since=since,
            status=RowStatus(status) if status else None,
        )
    ]


def _plain(row: "QuarantinedRow") -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(row), "rules": list(row.rules)}


def _print_json(value: object) -> None:
    import json

    click.echo(json.dumps(value, indent=2, default=str))


def _print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="right" if column == "rows" else "left")
    for row in rows:
        table.add_row(*row)
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 140).print(table)
