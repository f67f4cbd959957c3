"""Whom a change of a contract hits: models and their columns, tests, checks and reports.

Works on a lineage that others read (dbt's in `retail_platform.gold.lineage`, the asset graph's in
`retail_platform.operations.downstream`); what changed is decided in `contract_changes`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from retail_platform.metadata.contract import Contract
from retail_platform.metadata.contract_change import Change
from retail_platform.metadata.loader import Catalog

Column = tuple[str, str]
WHOLE_TABLE = ("schema", "schema.name")
ROWS = "*"
"""Stands for the rows of a table: which there are, rather than what they hold."""


class Reader(Protocol):
    """A model or a test, as `retail_platform.gold.lineage.Reader` describes it."""

    @property
    def name(self) -> str: ...  # noqa: D102 - described there
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def columns(self) -> Mapping[str, frozenset[Column]]: ...  # noqa: D102
    @property
    def rows(self) -> frozenset[Column]: ...  # noqa: D102


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A model, test, check or report that a change reaches.

    Attributes:
        name: Its name.
        kind: ``model``, ``snapshot``, ``test``, ``check``, ``report`` or ``exposure``.
        columns: Its columns that are made of what changed.
        rows: Whether what changed decides which rows it has.
        via: The tables through which the change reaches it.
    """

    name: str
    kind: str
    columns: tuple[str, ...] = ()
    rows: bool = False
    via: tuple[str, ...] = ()


def impact(
    change: Change,
    *,
    table: str,
    readers: Sequence[Reader],
    checks: Mapping[str, Iterable[str]],
    downstream: Mapping[str, Iterable[str]],
) -> list[Hit]:
    """Everything that a breaking change reaches.

    Args:
        change: The change.
        table: The changed table, such as ``silver.orders``.
        readers: dbt's models and tests, parents before children.
        checks: Checks of the platform itself to the columns that they read.
        downstream: Tables to the reports and exports that are made of them.

    Returns:
        Hits: models and snapshots with their columns, then tests, checks and reports.
    """
    touched = _first_touched(change, table, readers)
    hits: list[Hit] = []
    for reader in readers:
        columns = tuple(name for name, made in reader.columns.items() if _meets(made, touched))
        rows = _meets(reader.rows, touched)
        if not columns and not rows:
            continue
        made_of = reader.rows.union(*reader.columns.values())
        via = tuple(sorted({t for t, c in made_of if _meets(frozenset({(t, c)}), touched)}))
        hits.append(Hit(name=reader.name, kind=reader.kind, columns=columns, rows=rows, via=via))
        if reader.kind != "test":
            touched |= {(reader.name, column) for column in columns}
            if rows:
                touched.add((reader.name, ROWS))
    tables = {table, *(hit.name for hit in hits)}
    hits += [
        Hit(name=name, kind="check", columns=(change.column,), via=(table,))
        for name, columns in checks.items()
        if change.column is not None and change.column in columns
    ]
    reports: dict[str, set[str]] = {}
    for name in sorted(tables):
        for report in downstream.get(name, ()):
            reports.setdefault(report, set()).add(name)
    hits += [
        Hit(name=report, kind="report", via=tuple(sorted(via))) for report, via in reports.items()
    ]
    order = ("model", "snapshot", "test", "check", "report")
    return sorted(hits, key=lambda hit: order.index(hit.kind))


def _first_touched(change: Change, table: str, readers: Sequence[Reader]) -> set[Column]:
    if change.column is not None:
        return {(table, change.column)}
    if change.field not in WHOLE_TABLE:
        return {(table, ROWS)}
    read = {one for reader in readers for one in reader.rows.union(*reader.columns.values())}
    return {(table, ROWS), *(one for one in read if one[0] == table)}


def readers_of(
    table: str, readers: Sequence[Reader], reports: Mapping[str, Iterable[str]]
) -> tuple[list[str], dict[str, list[str]]]:
    """Who reads a table directly, and which columns are made of each of its columns.

    Args:
        table: The table, such as ``silver.orders``.
        readers: dbt's models and tests, parents before children.
        reports: Tables to the reports that are made of them.

    Returns:
        Names of models, tests and reports with their kind; and column to ``table.column`` below.
    """
    names: list[str] = []
    columns: dict[str, list[str]] = {}
    for reader in readers:
        made_of = reader.rows.union(*reader.columns.values())
        if any(one[0] == table for one in made_of):
            names.append(f"{reader.name} ({reader.kind})")
        for name, origins in reader.columns.items():
            for origin, column in origins:
                if origin == table:
                    columns.setdefault(column, []).append(f"{reader.name}.{name}")
    names += [f"{report} (report)" for report in reports.get(table, ())]
    return names, columns


def platform_checks(catalog: Catalog, contract: Contract) -> dict[str, set[str]]:
    """The platform's own checks and settings that read columns of a contract.

    Args:
        catalog: All tables.
        contract: The contract as it was released.

    Returns:
        Name, such as ``silver.orders: rule 'total_due is negative'``, to the columns.
    """
    table = f"silver.{contract.name}"
    names = {column.name for column in contract.columns}
    found: dict[str, set[str]] = {}
    for rule in contract.row_rules:
        found[f"{table}: rule {rule.name!r}"] = names_in(rule.predicate, names)
    for rule in contract.batch_rules:
        found[f"{table}: rule {rule.name!r}"] = names_in(rule.aggregate("true") or "", names)
    own = catalog.by_entity.get(contract.name)
    if own is not None and own.row.watermark:
        found[f"{own.bronze}: watermark"] = {own.row.watermark.column}
    if own is not None and own.row.changes and own.row.changes.column:
        found[f"{own.bronze}: changes"] = {own.row.changes.column}
    if own is not None and own.row.read:
        found[f"{own.bronze}: read"] = {own.row.read.partition_by}
    for reference in own.row.references if own is not None else ():
        found[f"{table}: references {reference.entity}"] = {reference.column}
    for other in catalog.tables:
        for reference in other.row.references:
            if reference.entity == contract.name:
                found[f"silver.{other.entity}: references {contract.name}"] = set(contract.key)
    return found


def names_in(sql: str, names: set[str]) -> set[str]:
    """Which of ``names`` occur as words in an expression."""
    return set(re.findall(r"\w+", sql)) & names


def _meets(columns: frozenset[Column], touched: set[Column]) -> bool:
    return not columns.isdisjoint(touched)
