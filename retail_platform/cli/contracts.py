"""``contracts``: the data contracts as a gate."""

import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from retail_platform.cli.contract_layers import ContractLayers
    from retail_platform.metadata.contract_impact import Hit
    from retail_platform.metadata.contract_releases import Checked

DAY = click.DateTime(["%Y-%m-%d"])


@click.group()
def contracts() -> None:
    """Check, release, lint, document and export the data contracts."""


@contracts.command()
@click.argument("entities", nargs=-1, metavar="[ENTITY]...")
@click.option("--on", "day", type=DAY, help="Check as on this day; default: today (UTC).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def check(entities: tuple[str, ...], day: datetime | None, as_json: bool) -> None:
    """Compare the contracts with their last released versions.

    Silver's by the name of the entity, Gold's public models by theirs (mart_sales_kpi, or
    mart_sales_kpi.v1). A breaking change is refused with what it would reach and a way around it:
    in Silver unless a change request in contracts/changes lets it through on its date, and the
    version number must rise with what changed; in Gold within a version of the model, and where a
    version goes before its deprecation date. Exit code 1 where a contract may not go.
    """
    from retail_platform.cli.contract_layers import ContractLayers
    from retail_platform.cli.platform import Platform

    platform = Platform.here()
    layers = ContractLayers(platform)
    chosen = layers.named(entities) if entities else layers.all_known()
    checked = [layer.check(entity, _day(day)) for layer, entity in chosen]
    in_silver = [
        one for one, (layer, _) in zip(checked, chosen, strict=True) if layer is layers.silver
    ]
    hits = _silver_impacts(platform, layers, in_silver)
    hits |= _gold_readers(layers, [one for one in checked if one not in in_silver])
    if as_json:
        click.echo(json.dumps([_as_json(one, hits) for one in checked], indent=2, default=str))
    else:
        for one in checked:
            _print(one, hits)
    sys.exit(0 if all(one.passed for one in checked) else 1)


@contracts.command()
@click.argument("entities", nargs=-1, metavar="[ENTITY]...")
@click.option("--all", "everything", is_flag=True, help="Every contract.")
@click.option("--on", "day", type=DAY, help="Release as on this day; default: today (UTC).")
def release(entities: tuple[str, ...], everything: bool, day: datetime | None) -> None:
    """Freeze the present version of contracts: from now on consumers count on it.

    Refused where `contracts check` says no.
    """
    from retail_platform.cli.contract_layers import ContractLayers
    from retail_platform.cli.platform import Platform

    if bool(entities) == everything:
        raise click.UsageError("Name the contracts to release, or pass --all.")
    layers = ContractLayers(Platform.here())
    for layer, entity in layers.named(entities) if entities else layers.all_working():
        path = layer.release(entity, _day(day))
        click.echo(f"{entity} {path.stem}: released as {path.parent.name}/{path.name}")


@contracts.command()
@click.argument("entities", nargs=-1, metavar="[ENTITY]...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def lint(entities: tuple[str, ...], as_json: bool) -> None:
    """Find typos, missing words, and rules that cannot be parsed or can never fail.

    In Silver's contracts; those of Gold are dbt's YAML, which retail-platform dbt -- parse judges.
    Exit code 1 where something must be mended.
    """
    from dataclasses import asdict

    from retail_platform.failures import PermanentFailure
    from retail_platform.metadata.contract_lint import lint as lint_file
    from retail_platform.settings import Settings

    folder = Settings.from_environment().catalog / "contracts" / "silver"
    paths = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    unknown = [entity for entity in entities if entity not in paths]
    if unknown:
        raise PermanentFailure(
            f"No contract {unknown} of Silver. Contracts: {list(paths)}. Models of Gold are not "
            "linted here: `retail-platform dbt -- parse` finds what is wrong in their YAML, and "
            "`retail-platform contracts check` what would break their readers."
        )
    findings = [finding for entity in entities or paths for finding in lint_file(paths[entity])]
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            kind = "error" if finding.is_error else "warning"
            click.echo(
                f"{finding.file} line {finding.line}: {kind}: {finding.field}: {finding.text}"
            )
        if not findings:
            click.echo(f"{len(entities or paths)} contracts, nothing to mend")
    sys.exit(1 if any(finding.is_error for finding in findings) else 0)


@contracts.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the pages; default: contracts in the state folder.",
)
def docs(out: Path | None) -> None:
    """Write the contracts as HTML: an index, and one page each without a network.

    Silver's, and Gold's public models: columns, rules, service level, lineage up and down to dbt's
    columns, versions.
    """
    from retail_platform.cli.contract_layers import ContractLayers
    from retail_platform.cli.contract_pages import contract_pages
    from retail_platform.cli.platform import Platform

    platform = Platform.here()
    pages = contract_pages(platform, ContractLayers(platform), datetime.now(UTC).date())
    folder = out or platform.settings.home / "contracts"
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in pages.items():
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    click.echo(f"{len(pages)} pages: {folder / 'index.html'}")


@contracts.command()
@click.argument("entity")
@click.option(
    "--to",
    required=True,
    type=click.Choice(["great-expectations", "dbt", "odcs"]),
    help="The tool that shall read it.",
)
def export(entity: str, to: str) -> None:
    """Print a contract's rules for another tool.

    A Great Expectations suite (JSON), a dbt source with tests (YAML), or the contract itself
    (ODCS). A public model of Gold, or one version of it (mart_sales_kpi.v1), has the last only: its
    rules are dbt's tests.
    """
    from retail_platform.cli.contract_layers import ContractLayers
    from retail_platform.cli.platform import Platform

    platform = Platform.here()
    layers = ContractLayers(platform)
    click.echo(layers.exported(entity, to, datetime.now(UTC).date()), nl=False)


def _day(day: datetime | None) -> date:
    return day.date() if day else datetime.now(UTC).date()


def _gold_readers(
    layers: "ContractLayers", checked: list["Checked"]
) -> dict[tuple[str, str], list["Hit"]]:
    """Contract and text of every breaking change to who reads the model."""
    return {
        (one.entity, change.text): layers.gold.readers(one.entity)
        for one in checked
        for change in one.breaking
    }


def _silver_impacts(
    platform: Any,  # noqa: ANN401 - imported when a command runs
    layers: "ContractLayers",
    checked: list["Checked"],
) -> dict[tuple[str, str], list["Hit"]]:
    """Entity and text of every breaking change to what it reaches; compiles Gold only if needed."""
    breaking = [(one, change) for one in checked for change in one.breaking]
    if not breaking:
        return {}
    from retail_platform.metadata.contract_impact import impact, platform_checks
    from retail_platform.operations.downstream import platform_downstream

    released = {one.entity: layers.silver.last_released(one.entity) for one in checked}
    downstream = platform_downstream(platform.settings, platform.catalog, released)
    found = {}
    for one, change in breaking:
        contract = released[one.entity]
        assert contract is not None, "what breaks was released"
        found[one.entity, change.text] = impact(
            change,
            table=f"silver.{one.entity}",
            readers=downstream.readers,
            checks=platform_checks(platform.catalog, contract),
            downstream=downstream.reports,
        )
    return found


def _as_json(checked: "Checked", hits: dict[tuple[str, str], list["Hit"]]) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "entity": checked.entity,
        "released": checked.released,
        "working": checked.working,
        "least": checked.least,
        "passed": checked.passed,
        "problems": checked.problems,
        "request": checked.request.model_dump(mode="json") if checked.request else None,
        "changes": [
            {
                "column": change.column,
                "field": change.field,
                "level": change.level.name.lower(),
                "text": change.text,
                "counter_offer": change.counter_offer,
                "impact": [asdict(hit) for hit in hits.get((checked.entity, change.text), [])],
            }
            for change in checked.changes
        ],
    }


def _print(checked: "Checked", hits: dict[tuple[str, str], list["Hit"]]) -> None:
    versions = f"{checked.released or 'never released'} -> {checked.working or 'removed'}"
    click.echo(f"{checked.entity} {versions}: {_verdict(checked)}")
    for change in checked.changes:
        click.echo(f"  {change.level.name.lower()}: {change.text}")
        for hit in hits.get((checked.entity, change.text), []):
            click.echo(f"    reaches {hit.kind} {hit.name}{_reached(hit)}")
        if change.counter_offer:
            click.echo(f"    instead: {change.counter_offer}")
    for problem in checked.problems:
        click.echo(f"  refused: {problem}")


def _verdict(checked: "Checked") -> str:
    if not checked.passed:
        return "REFUSED"
    if checked.released is None:
        return f"new; freeze it with: retail-platform contracts release {checked.entity}"
    if checked.request is not None and checked.breaking:
        return f"goes by change request, signed by {', '.join(checked.request.signed_by)}"
    return "ok" if checked.changes else "unchanged"


def _reached(hit: "Hit") -> str:
    parts = []
    if hit.columns:
        parts.append(f"columns {', '.join(hit.columns)}")
    if hit.rows and hit.kind != "test":
        parts.append("its rows (join, filter or group)")
    if hit.kind == "report":
        parts.append(f"through {', '.join(hit.via)}")
    return f": {'; '.join(parts)}" if parts else ""
