"""Families of tables in nested records: a parent, and a child for each of its lists.

Here belongs what a child takes over from its parent, and what a parent leaves to its children, on
the source's file as it was written. Reading nested records belongs to ``extract.nested``.
"""

from collections.abc import Iterator
from typing import Any

INHERITED = ("load", "path", "files", "complete", "archive", "rest", "stream")


def nested_families(source: object) -> object:
    """A source's file with its children completed and their lists named at their relatives.

    Raises:
        ValueError: a child names no parent, or no list.
    """
    if not isinstance(source, dict) or not isinstance(source.get("tables"), list | tuple):
        return source
    rows = [dict(row) if isinstance(row, dict) else row for row in source["tables"]]
    named = {row.get("table"): row for row in rows if isinstance(row, dict)}
    children = [row for row in named.values() if row.get("child_of") is not None]
    for child in children:
        parent = _parent(child, named)
        for field in INHERITED:
            if field in parent:
                child.setdefault(field, parent[field])
    for row in named.values():
        held = [path for other in children if (path := _held(other, row)) is not None]
        if held:
            row["lists"] = [*row.get("lists", ()), *held]
    return {**source, "tables": rows}


def _parent(child: dict[str, Any], named: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    table, name = child.get("table"), child["child_of"]
    parent = named.get(name)
    if parent is None or parent.get("child_of") is not None:
        tables = ", ".join(_whole_records(named))
        raise ValueError(
            f"table {table}: child_of names {name!r}, expected a table of this source that is no "
            f"child itself: {tables}; lists inside of lists are paths in elements"
        )
    if not child.get("elements"):
        raise ValueError(f"table {table}: child_of needs elements, the path of the list")
    return parent


def _whole_records(named: dict[Any, dict[str, Any]]) -> Iterator[str]:
    return (str(name) for name, row in named.items() if row.get("child_of") is None)


def _held(child: dict[str, Any], row: dict[str, Any]) -> str | None:
    """The path, inside of a row, of the list that a child holds; None: it lies elsewhere."""
    path = str(child["elements"])
    if row.get("table") == child["child_of"]:
        return path
    around = f"{row.get('elements')}."
    if row.get("child_of") == child["child_of"] and path.startswith(around):
        return path.removeprefix(around)
    return None
