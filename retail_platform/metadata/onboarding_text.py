"""Adds to the catalog's YAML files as text, so that every comment, order and line stays as it was.

PyYAML says where a node stands, and the new lines go there. Nothing here knows what rows and
contracts mean beyond the order in which their keys are written.
"""

import textwrap
from collections.abc import Mapping, Sequence

import yaml

from retail_platform.failures import PermanentFailure
from retail_platform.metadata.onboarding_proposal import Column, Proposal
from retail_platform.metadata.types import logical_type

WIDTH = 100
_BLOCK = ("columns", "references")
"""Keys of a row that get a line for each item where one line is too short."""


def row_lines(proposal: Proposal) -> list[str]:
    """The lines of a row, without indentation; its notes come first, as comments."""
    lines = [
        line
        for note in proposal.notes
        for line in textwrap.wrap(
            note, WIDTH - 6, initial_indent="# ", subsequent_indent="#   ", break_long_words=False
        )
    ]
    fields = [line for name, value in proposal.row.items() for line in _field(name, value)]
    return [*lines, *(f"{'- ' if place == 0 else '  '}{f}" for place, f in enumerate(fields))]


def _field(name: str, value: object) -> list[str]:
    line = f"{name}: {inline(value)}"
    if len(line) <= WIDTH - 4 or name not in _BLOCK:
        return [line]
    if isinstance(value, Mapping):
        return [f"{name}:", *(f"  {inline(k)}: {inline(v)}" for k, v in value.items())]
    assert isinstance(value, list)
    return [f"{name}:", *(f"  - {inline(item)}" for item in value)]


def inline(value: object) -> str:
    """A value as YAML on one line, quoted only where it must be."""
    dumped = yaml.safe_dump(
        value, default_flow_style=True, width=10_000_000, sort_keys=False, allow_unicode=True
    )
    return dumped.removesuffix("\n").removesuffix("\n...")


_ADDRESSES = {"sql": "url", "odbc": "connection_string", "files": "root"}


def source_text(
    *,
    name: str,
    kind: str,
    variable: str,
    timezone: str,
    login: Mapping[str, Mapping[str, str]],
    settings: Mapping[str, str | None],
) -> str:
    """The beginning of a new source's file, up to its tables.

    Args:
        name: Name of the source.
        kind: Kind of its connection.
        variable: Environment variable with its URL, connection string or root.
        timezone: IANA zone of its naive timestamps.
        login: Variables of the login, by its block and setting.
        settings: Further settings; those that are None are left out.
    """
    blocks = "".join(
        f"  {block}:\n" + "".join(f"    {key}: {{env: {env}}}\n" for key, env in variables.items())
        for block, variables in login.items()
    )
    further = "".join(f"  {k}: {inline(value)}\n" for k, value in settings.items() if value)
    return (
        f"source: {name}\n"
        f"connection:\n  kind: {kind}\n  {_ADDRESSES[kind]}: {{env: {variable}}}\n"
        f"  timezone: {timezone}\n{further}{blocks}tables:\n"
    )


def with_rows(text: str, proposals: Sequence[Proposal], *, file: str) -> str:
    """The text of a source's file with further rows at the end of its tables.

    Raises:
        PermanentFailure: the file has its tables in a form that lines cannot be added to.
    """
    tables = _node(text, ("tables",))
    if tables is None or isinstance(tables, yaml.ScalarNode):
        rows = [line for proposal in proposals for line in row_lines(proposal)]
        return text + "".join(f"  {line}\n" for line in rows)
    if not isinstance(tables, yaml.SequenceNode) or tables.flow_style:
        raise PermanentFailure(
            f"{file}: its tables are no block list; write them as lines that begin with a dash"
        )
    indent = " " * tables.start_mark.column
    lines = [f"{indent}{line}" for proposal in proposals for line in row_lines(proposal)]
    return _after_line(text, _last_line(text, tables, deeper_than=len(indent)), lines)


_QUARANTINE = (
    "      - name: quarantined rows that hold the hour",
    "        type: custom",
    "        engine: retail_platform",
    "        implementation: {measure: quarantinedRows}",
    "        unit: percent",
    "        mustBeLessOrEqualTo: 50",
)


def contract_text(proposal: Proposal, *, source: str) -> str:
    """A contract in ODCS 3.1."""
    entity = proposal.entity
    purpose = proposal.table.comment or f"Table {proposal.table.name} of {source}"
    head = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": f"silver-{entity.replace('_', '-')}",
        "name": entity,
        "version": "1.0.0",
        "status": "active",
        "domain": source,
    }
    lines = [f"{name}: {inline(value)}" for name, value in head.items()]
    lines += ["description:", f"  purpose: {inline(purpose)}", "schema:", f"  - name: {entity}"]
    lines += [
        f"    physicalName: {entity}",
        "    physicalType: table",
        f"    description: {inline(purpose)}",
        "    properties:",
    ]
    for column in proposal.columns:
        lines += [f"      {line}" for line in property_lines(column, proposal.key)]
    lines += ["    quality:", *_QUARANTINE]
    for predicate in proposal.rules:
        lines += [
            f"      - name: {inline(f'not {predicate}')}",
            "        type: custom",
            "        engine: retail_platform",
            f"        implementation: {inline(predicate)}",
        ]
    return "".join(f"{line}\n" for line in lines)


def property_lines(column: Column, key: Sequence[str]) -> list[str]:
    """The lines of a column of a contract, without indentation."""
    first: dict[str, object] = {
        "name": column.name,
        "logicalType": logical_type(column.physical),
        "physicalType": column.physical,
    }
    if column.required:
        first["required"] = True
    if column.name in key:
        first |= {"primaryKey": True, "primaryKeyPosition": key.index(column.name) + 1}
    if column.personal:
        first["classification"] = "restricted"
    more: dict[str, object] = {}
    if column.description:
        more["description"] = column.description
    if column.values:
        valid = {"validValues": list(column.values)}
        more["quality"] = [{"type": "library", "metric": "invalidValues", "arguments": valid}]
    start = inline(first).removesuffix("}")
    parts = [f"{name}: {inline(value)}" for name, value in more.items()]
    if not parts:
        return [f"- {start}}}"]
    return [f"- {start},", *(f"   {part}," for part in parts[:-1]), f"   {parts[-1]}}}"]


def with_properties(text: str, columns: Sequence[Column]) -> str:
    """The text of a contract with further columns, and its version one minor step up."""
    properties = _node(text, ("schema", 0, "properties"))
    version = _node(text, ("version",))
    if (
        not isinstance(properties, yaml.SequenceNode)
        or properties.flow_style
        or not isinstance(version, yaml.ScalarNode)
    ):
        raise PermanentFailure("a contract whose properties are no block list; add them by hand")
    indent = " " * properties.start_mark.column
    lines = [f"{indent}{line}" for column in columns for line in property_lines(column, ())]
    added = _after_line(text, _last_line(text, properties, deeper_than=len(indent)), lines)
    major, minor, *_ = version.value.split(".")
    raised = f"{major}.{int(minor) + 1}.0"
    return added[: version.start_mark.index] + raised + added[version.end_mark.index :]


def with_entries(text: str, table: str, name: str, entries: Mapping[str, object]) -> str:
    """The text of a source's file with further entries in a mapping of one of its rows."""
    if not entries:
        return text
    row = _node(text, ("tables", ("table", table)))
    assert isinstance(row, yaml.MappingNode)
    found = next((value for key, value in row.value if key.value == name), None)
    if isinstance(found, yaml.MappingNode) and not found.flow_style:
        indent = " " * found.start_mark.column
        lines = [f"{indent}{inline(k)}: {inline(v)}" for k, v in entries.items()]
        return _after_line(text, _last_line(text, found, deeper_than=len(indent) - 1), lines)
    holder = found or row
    inner = inline(dict(entries))[1:-1] if found else f"{name}: {inline(dict(entries))}"
    if holder.flow_style:
        place = holder.end_mark.index - 1
        return f"{text[:place].rstrip()}{', ' if holder.value else ''}{inner}{text[place:]}"
    indent = " " * row.start_mark.column
    key = next(value for key, value in row.value if key.value == "key")
    return _after_line(text, _last_line(text, key, deeper_than=WIDTH), [f"{indent}{inner}"])


def _node(text: str, path: Sequence[str | int | tuple[str, str]]) -> yaml.Node | None:
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    for step in path:
        if isinstance(step, str):
            entries = node.value if isinstance(node, yaml.MappingNode) else []
            node = next((value for key, value in entries if key.value == step), None)
        elif isinstance(node, yaml.SequenceNode):
            node = node.value[step] if isinstance(step, int) else _item(node, *step)
    return node


def _item(node: yaml.SequenceNode, name: str, value: str) -> yaml.Node | None:
    return next(
        (
            item
            for item in node.value
            for key, found in item.value
            if key.value == name and found.value == value
        ),
        None,
    )


def _last_line(text: str, node: yaml.Node, *, deeper_than: int) -> int:
    """The last line (from 0) of a node, comments below it that are indented deeper included."""
    line = _end_line(node)
    lines = text.splitlines()
    while line + 1 < len(lines):
        following = lines[line + 1]
        bare = following.lstrip()
        if not bare.startswith("#") or len(following) - len(bare) <= deeper_than:
            break
        line += 1
    return line


def _end_line(node: yaml.Node) -> int:
    # A block's own end is where the next thing begins: its last leaf's end is meant.
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end_line(last[1] if isinstance(last, tuple) else last)
    mark = node.end_mark
    return mark.line - 1 if mark.column == 0 and mark.line > node.start_mark.line else mark.line


def _after_line(text: str, line: int, added: Sequence[str]) -> str:
    lines = text.splitlines(keepends=True)
    if lines and not lines[line].endswith("\n"):
        lines[line] += "\n"
    lines[line + 1 : line + 1] = [f"{item}\n" for item in added]
    return "".join(lines)
