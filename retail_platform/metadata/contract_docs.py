"""Silver's contracts as pages for people: their index, and one self-contained page for each.

Pure: contracts and lineage in, HTML out. Who reads a table is found by others and handed in; so is
where the files go.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from retail_platform.metadata.contract import Contract, Property
from retail_platform.metadata.contract_html import facts, flow, page, releases, table, tags
from retail_platform.metadata.live import LiveTable
from retail_platform.metadata.loader import Catalog, Table


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """Who is below a table of Silver or Gold.

    Attributes:
        readers: Tables, tests and reports below it, with their kind in brackets.
        columns: Column to the columns below that are made of it.
    """

    readers: Sequence[str]
    columns: Mapping[str, Sequence[str]]


def silver_index(catalog: Catalog) -> str:
    """The list of Silver's contracts, as a part of the index page."""
    rows = [
        (
            f'<a href="{one.entity}.html">{escape(one.entity)}</a>',
            escape(one.contract.description.purpose),
            escape(one.contract.domain),
            escape(one.contract.team.owner or ""),
            _promise(one.contract),
            f"{one.contract.version} {tags([one.contract.status])}",
        )
        for one in sorted(
            [*catalog.tables, *catalog.live], key=lambda one: (one.contract.domain, one.entity)
        )
    ]
    heads = ("Table", "What it is for", "Domain", "Owner", "Arrives", "Version")
    lead = f"{len(rows)} tables of Silver: what they promise, and who answers for them."
    return f"<p class='lead'>{lead}</p>{table(heads, rows)}"


def contract_page(
    entity: Table | LiveTable, catalog: Catalog, lineage: Lineage, versions: Sequence[str]
) -> str:
    """The page of one contract.

    Args:
        entity: The table and its contract.
        catalog: All tables.
        lineage: Who reads it.
        versions: Its released versions, oldest first.
    """
    contract = entity.contract
    body = [
        "<p><a href='index.html'>All contracts</a></p>",
        f"<p class='lead'>{escape(contract.description.purpose)}</p>",
        _facts(entity),
        "<h2>Columns</h2>",
        _columns(contract, lineage),
        "<h2>Rules</h2>",
        _rules(entity),
        "<h2>Lineage</h2>",
        _flow(entity, catalog, lineage),
        "<h2>Versions</h2>",
        releases(versions, contract.version),
    ]
    return page(contract.name, "".join(body))


def _facts(entity: Table | LiveTable) -> str:
    contract = entity.contract
    if isinstance(entity, LiveTable):
        kept = "newest event by key, every minute"
    else:
        kept = f"{entity.row.load} into {entity.row.silver.merge}"
    availability = contract.agreed("availability")
    return facts(
        {
            "Version": f"{contract.version}, {contract.status}",
            "Owner": contract.team.owner or "nobody",
            "Arrives": _promise(contract),
            "Available": f"{availability} %" if availability is not None else "not promised",
            "Tier": str(contract.agreed("tier") or "not stated"),
            "In trouble call": str(contract.agreed("escalation") or "nobody"),
            "Key": ", ".join(contract.key),
            "Kept as": kept,
        }
    )


def _promise(contract: Contract) -> str:
    latency = contract.latency
    return (
        "not promised" if latency is None else f"within {latency.total_seconds() / 3600:g}\u00a0h"
    )


def _columns(contract: Contract, lineage: Lineage) -> str:
    rows = [
        (
            f"<code>{escape(column.name)}</code>",
            escape(column.physicalType)
            + (f" <span class='soft'>{column.time_zone}</span>" if column.time_zone else ""),
            escape(column.description),
            tags(_tags(column)),
            "<br>".join(escape(name) for name in lineage.columns.get(column.name, ())),
        )
        for column in contract.columns
    ]
    return table(("Column", "Type", "Meaning", "Promises", "Becomes"), rows)


def _tags(column: Property) -> list[str]:
    found = ["key"] if column.primaryKey else []
    found += ["required"] if column.required and not column.primaryKey else []
    found += ["unique"] if column.unique else []
    found += [f"in {column.unit}"] if column.unit else []
    found += [column.classification] if column.classification else []
    return found + [f"refers to {one.to}" for one in column.relationships]


def _rules(entity: Table | LiveTable) -> str:
    contract = entity.contract
    rows = [
        (
            escape(rule.name),
            f"<code>{escape(rule.predicate)}</code>",
            "the row goes to quarantine",
        )
        for rule in contract.row_rules
    ]
    for rule in contract.batch_rules:
        usual = f" of the median of {rule.history} hours" if rule.history else ""
        rows.append(
            (
                escape(rule.name),
                escape(f"{rule.dimension}: {rule.limits.text(rule.unit)}{usual}"),
                "the hour is held" if rule.blocking else "a check warns",
            )
        )
    if isinstance(entity, LiveTable):
        return table(("Rule", "Expected", "Otherwise"), rows)
    limits = contract.quarantine
    rows += [
        ("quarantined rows of an hour", limits.hold.text, "the hour is held"),
        ("quarantined rows of an hour", limits.warn.text, "a check warns"),
        ("open quarantined rows of the table", limits.open.text, "a check warns"),
    ]
    return table(("Rule", "Expected", "Otherwise"), rows)


def _flow(entity: Table | LiveTable, catalog: Catalog, lineage: Lineage) -> str:
    if isinstance(entity, LiveTable):
        above = [f"topic {entity.row.topic} of {entity.source}"]
    else:
        goes_first = [f"silver.{parent} (goes first)" for parent in entity.parents]
        above = [f"bronze.{entity.bronze}", *goes_first]
    referring = [
        f"silver.{other.entity} (refers to it)"
        for other in (*catalog.tables, *catalog.live)
        if any(
            str(one.to).startswith(f"{entity.entity}.")
            for column in other.contract.columns
            for one in column.relationships
        )
    ]
    return flow(above, f"silver.{entity.entity}", [*lineage.readers, *referring])
