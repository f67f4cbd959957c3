"""Small catalogs for tests, written as the YAML files that the platform reads."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from retail_platform.metadata.loader import Catalog, load_catalog
from retail_platform.settings import PACKAGE

Tree = dict[str, Any]

LOGICAL = {"bigint": "integer", "int": "integer", "string": "string", "timestamp": "timestamp"}


def contract(
    entity: str,
    columns: Mapping[str, str],
    key: Sequence[str],
    *,
    required: Sequence[str] = (),
    rules: Mapping[str, str] | None = None,
    max_quarantined: float | None = None,
) -> Tree:
    """A contract as its YAML tree.

    Args:
        entity: Name of contract and table.
        columns: Physical type by column.
        key: Primary key; required as well.
        required: Further columns that may not be NULL.
        rules: Predicate by name of the rule.
        max_quarantined: Percent of an hour's rows that may be quarantined before it is held.
    """
    properties = [
        {
            "name": name,
            "logicalType": LOGICAL.get(physical, "string"),
            "physicalType": physical,
            "description": f"Column {name}",
            "required": name in key or name in required,
            "primaryKey": name in key,
            "primaryKeyPosition": key.index(name) + 1 if name in key else -1,
        }
        for name, physical in columns.items()
    ]
    quality: list[Tree] = [
        {"name": name, "type": "custom", "engine": "retail_platform", "implementation": predicate}
        for name, predicate in (rules or {}).items()
    ]
    if max_quarantined is not None:
        quality.append(quarantine_rule("quarantinedRows", max_quarantined))
    table = {"name": entity, "properties": properties, "quality": quality}
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": f"silver-{entity}",
        "name": entity,
        "version": "1.0.0",
        "status": "active",
        "schema": [table],
    }


def quarantine_rule(measure: str, at_most: float, **more: Any) -> Tree:
    """A threshold of the quarantine as a contract's YAML tree, in percent unless it says rows."""
    return {
        "name": f"{measure} {more.get('severity', 'error')}",
        "type": "custom",
        "engine": "retail_platform",
        "implementation": {"measure": measure},
        "unit": "percent",
        "mustBeLessOrEqualTo": at_most,
        **more,
    }


def sql_source(name: str, tables: Sequence[Tree], *, timezone: str = "UTC") -> Tree:
    """A source with a SQL connection whose URL is in ``<NAME>_URL``, as its YAML tree."""
    connection = {
        "kind": "sql",
        "url": {"env": f"{name.upper()}_URL"},
        "timezone": timezone,
        "clock_query": "select now from clock",
    }
    return {"source": name, "connection": connection, "tables": list(tables)}


def write_catalog(folder: Path, sources: Sequence[Tree], contracts: Sequence[Tree]) -> Path:
    """Writes a catalog folder and returns it."""
    (folder / "sources").mkdir(parents=True, exist_ok=True)
    (folder / "contracts" / "silver").mkdir(parents=True, exist_ok=True)
    for source in sources:
        path = folder / "sources" / f"{source['source']}.yaml"
        path.write_text(yaml.safe_dump(source, sort_keys=False), encoding="utf-8")
    for tree in contracts:
        path = folder / "contracts" / "silver" / f"{tree['name']}.yaml"
        path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return folder


def demo_catalog(*entities: str) -> Catalog:
    """The platform's own catalog, cut down to some tables (with those that they refer to)."""
    whole = load_catalog(PACKAGE / "catalog")
    wanted: set[str] = set()
    waiting = list(entities)
    while waiting:
        entity = waiting.pop()
        wanted.add(entity)
        row = whole.by_entity[entity].row
        waiting += [r.entity for r in row.references if r.entity not in wanted]
    return Catalog(tables=tuple(table for table in whole.tables if table.entity in wanted))
