"""The contracts as pages for people: an index and one self-contained page for each contract.

Pure: contracts and lineage in, HTML out. Who reads a table is found by others and handed in; so is
where the files go.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from retail_platform.metadata.contract import Contract, Property
from retail_platform.metadata.live import LiveTable
from retail_platform.metadata.loader import Catalog, Table

STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #5b6678; --line: #d8dde6; --tint: #f3f5f9;
        --mark: #3d56d6; --paper: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #98a2b3; --line: #333c4d;
        --tint: #1b2130; --mark: #93a5ff; --paper: #12161f; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 76rem; margin: 2rem auto; padding: 0 1.2rem 4rem; }
h1 { margin: .2rem 0 .3rem; } h2 { margin: 2.4rem 0 .6rem; font-size: 1.15rem; }
a { color: var(--mark); text-decoration: none; } a:hover { text-decoration: underline; }
.lead { font-size: 1.1rem; max-width: 52rem; margin: 0 0 1.2rem; }
.soft { color: var(--soft); }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .8rem; }
.fact { background: var(--tint); border-radius: .5rem; padding: .6rem .8rem; }
.fact b { display: block; font-weight: 600; color: var(--soft); font-size: .8rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid var(--line);
         vertical-align: top; }
th { color: var(--soft); font-weight: 600; font-size: .85rem; }
code { font: .88em ui-monospace, monospace; background: var(--tint); padding: .1rem .3rem;
       border-radius: .25rem; }
.tag { display: inline-block; font-size: .75rem; border: 1px solid var(--line);
       border-radius: 1rem; padding: 0 .5rem; margin: 0 .2rem .1rem 0; white-space: nowrap; }
.flow { display: grid; grid-template-columns: 1fr auto 1fr; gap: 1.2rem; align-items: center; }
.box { border: 1px solid var(--line); border-radius: .5rem; padding: .7rem .9rem; }
.box p { margin: .15rem 0; overflow-wrap: anywhere; }
.here { border: 2px solid var(--mark); font-weight: 600; }
@media (max-width: 45rem) { .flow { grid-template-columns: 1fr; } }
"""


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """Who is above and below a Silver table.

    Attributes:
        readers: Tables, tests and reports below it, with their kind in brackets.
        columns: Column to the columns below that are made of it.
    """

    readers: Sequence[str]
    columns: Mapping[str, Sequence[str]]


def index_page(catalog: Catalog) -> str:
    """The list of all contracts."""
    rows = [
        (
            f'<a href="{table.entity}.html">{escape(table.entity)}</a>',
            escape(table.contract.description.purpose),
            escape(table.contract.domain),
            escape(table.contract.team.owner or ""),
            _promise(table.contract),
            f"{table.contract.version} <span class='tag'>{table.contract.status}</span>",
        )
        for table in sorted(
            [*catalog.tables, *catalog.live], key=lambda one: (one.contract.domain, one.entity)
        )
    ]
    heads = ("Table", "What it is for", "Domain", "Owner", "Arrives", "Version")
    lead = f"{len(rows)} tables of Silver: what they promise, and who answers for them."
    return _page("Data contracts", f"<p class='lead'>{lead}</p>{_table(heads, rows)}")


def contract_page(
    table: Table | LiveTable, catalog: Catalog, lineage: Lineage, versions: Sequence[str]
) -> str:
    """The page of one contract.

    Args:
        table: The table and its contract.
        catalog: All tables.
        lineage: Who reads it.
        versions: Its released versions, oldest first.
    """
    contract = table.contract
    body = [
        "<p><a href='index.html'>All contracts</a></p>",
        f"<p class='lead'>{escape(contract.description.purpose)}</p>",
        _facts(table),
        "<h2>Columns</h2>",
        _columns(contract, lineage),
        "<h2>Rules</h2>",
        _rules(table),
        "<h2>Lineage</h2>",
        _flow(table, catalog, lineage),
        "<h2>Versions</h2>",
        _versions(contract, versions),
    ]
    return _page(contract.name, "".join(body))


def _facts(table: Table | LiveTable) -> str:
    contract = table.contract
    if isinstance(table, LiveTable):
        kept = "newest event by key, every minute"
    else:
        kept = f"{table.row.load} into {table.row.silver.merge}"
    availability = contract.agreed("availability")
    facts = [
        ("Version", f"{contract.version}, {contract.status}"),
        ("Owner", contract.team.owner or "nobody"),
        ("Arrives", _promise(contract)),
        ("Available", f"{availability} %" if availability is not None else "not promised"),
        ("Tier", str(contract.agreed("tier") or "not stated")),
        ("In trouble call", str(contract.agreed("escalation") or "nobody")),
        ("Key", ", ".join(contract.key)),
        ("Kept as", kept),
    ]
    cells = "".join(
        f"<div class='fact'><b>{escape(name)}</b>{escape(text)}</div>" for name, text in facts
    )
    return f"<div class='facts'>{cells}</div>"


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
            "".join(f"<span class='tag'>{escape(tag)}</span>" for tag in _tags(column)),
            "<br>".join(escape(name) for name in lineage.columns.get(column.name, ())),
        )
        for column in contract.columns
    ]
    return _table(("Column", "Type", "Meaning", "Promises", "Becomes"), rows)


def _tags(column: Property) -> list[str]:
    tags = ["key"] if column.primaryKey else []
    tags += ["required"] if column.required and not column.primaryKey else []
    tags += ["unique"] if column.unique else []
    tags += [f"in {column.unit}"] if column.unit else []
    tags += [column.classification] if column.classification else []
    return tags + [f"refers to {one.to}" for one in column.relationships]


def _rules(table: Table | LiveTable) -> str:
    contract = table.contract
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
    if isinstance(table, LiveTable):
        return _table(("Rule", "Expected", "Otherwise"), rows)
    limits = contract.quarantine
    rows += [
        ("quarantined rows of an hour", limits.hold.text, "the hour is held"),
        ("quarantined rows of an hour", limits.warn.text, "a check warns"),
        ("open quarantined rows of the table", limits.open.text, "a check warns"),
    ]
    return _table(("Rule", "Expected", "Otherwise"), rows)


def _flow(table: Table | LiveTable, catalog: Catalog, lineage: Lineage) -> str:
    if isinstance(table, LiveTable):
        above = [f"topic {table.row.topic} of {table.source}"]
    else:
        goes_first = [f"silver.{parent} (goes first)" for parent in table.parents]
        above = [f"bronze.{table.bronze}", *goes_first]
    referring = [
        f"silver.{other.entity} (refers to it)"
        for other in (*catalog.tables, *catalog.live)
        if any(
            str(one.to).startswith(f"{table.entity}.")
            for column in other.contract.columns
            for one in column.relationships
        )
    ]
    below = [*lineage.readers, *referring] or ["nobody yet"]
    return (
        f"<div class='flow'>{_box(above)}<div class='box here'>silver.{escape(table.entity)}</div>"
        f"{_box(below)}</div>"
    )


def _box(lines: Sequence[str]) -> str:
    return f"<div class='box'>{''.join(f'<p>{escape(line)}</p>' for line in lines)}</div>"


def _versions(contract: Contract, versions: Sequence[str]) -> str:
    if not versions:
        return "<p class='soft'>None is released yet.</p>"
    tags = "".join(f"<span class='tag'>{escape(version)}</span>" for version in reversed(versions))
    state = "" if versions[-1] == contract.version else f" {contract.version} is not, yet."
    return f"<p>Released: {tags}{escape(state)}</p>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div class='wide'>{table}</div>"


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )
