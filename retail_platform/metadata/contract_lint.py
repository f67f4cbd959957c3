"""Finds what is wrong or missing in a contract although it loads.

Belongs here: typos in keys, missing words, rules that cannot be parsed or can never fail. Not here:
what a load cannot work with, which raises at load (`contract`, `loader`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.simplify import simplify

from retail_platform.failures import PermanentFailure
from retail_platform.metadata.contract import TIME_ZONE, Contract, Property
from retail_platform.metadata.contract_quality import Quality
from retail_platform.metadata.contract_standard import KEYS
from retail_platform.metadata.yaml_files import Steps, line_of, read_model

DIALECT = "spark"
WHOLE = 100.0
UNFINISHED = ("draft", "proposed")
"""Status in which missing words only warn."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing to mend.

    Attributes:
        file: Name of the file.
        line: Its line, from 1.
        field: The field, such as ``schema.orders.status.description``.
        text: What is wrong, and the cure.
        is_error: Whether it must be mended.
    """

    file: str
    line: int
    field: str
    text: str
    is_error: bool


def lint(path: Path) -> list[Finding]:
    """Everything to mend in a contract's file, in the order of its lines."""
    try:
        contract = read_model(path, Contract)
    except PermanentFailure as failure:
        return [Finding(file=path.name, line=1, field="", text=str(failure), is_error=True)]
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    found = [*_unknown_keys(tree, "contract", ()), *_missing(contract), *_rules(contract)]
    found += [*_columns(contract), *_status(contract)]
    draft = contract.status in UNFINISHED
    findings = [
        Finding(
            file=path.name,
            line=line_of(path, steps),
            field=_field(tree, steps),
            text=text,
            is_error=not (text.startswith(MISSING) and draft),
        )
        for steps, text in found
    ]
    return sorted(findings, key=lambda finding: (finding.line, finding.field))


Found = tuple[Steps, str]
MISSING = "is missing"


def _unknown_keys(tree: object, kind: str, steps: Steps) -> Iterator[Found]:
    if isinstance(tree, list):
        for position, one in enumerate(tree):
            yield from _unknown_keys(one, kind, (*steps, position))
        return
    known = KEYS.get(kind)
    if known is None or not isinstance(tree, dict):
        return
    for key, value in tree.items():
        if key not in known:
            like = get_close_matches(str(key), known, n=1)
            cure = (
                f"did you mean {like[0]!r}?" if like else "put words of our own in customProperties"
            )
            yield (*steps, str(key)), f"{key!r} is no key of ODCS 3.1: {cure}"
        elif not (kind == "customProperties" and key == "value"):
            yield from _unknown_keys(value, str(key), (*steps, str(key)))


def _missing(contract: Contract) -> Iterator[Found]:
    if not contract.description.purpose:
        yield ("description",), f"{MISSING}: description.purpose, what the data is for"
    if contract.team.owner is None:
        yield ("team",), f"{MISSING}: team with a member of role owner, who answers for the data"
    if contract.latency is None:
        yield ("slaProperties",), f"{MISSING}: a promise of latency, such as 2 h"
    if not contract.table.description:
        yield ("schema", 0), f"{MISSING}: description of the table"
    for position, column in enumerate(contract.columns):
        where: Steps = ("schema", 0, "properties", position)
        if not column.description:
            yield where, f"{MISSING}: description of {column.name}"
        if not column.classification:
            yield where, f"{MISSING}: classification of {column.name}, such as internal"


def _columns(contract: Contract) -> Iterator[Found]:
    for position, column in enumerate(contract.columns):
        where: Steps = ("schema", 0, "properties", position)
        if column.primaryKey and not column.required:
            yield where, f"{column.name} is a key column: set required: true"
        if column.unique and contract.key == (column.name,):
            yield (*where, "unique"), f"{column.name} is the key and unique already: leave it out"
        if column.time_zone not in (None, TIME_ZONE):
            yield (
                (*where, "logicalTypeOptions", "defaultTimezone"),
                (
                    f"timestamps of Silver are {TIME_ZONE}; the source's own zone belongs in its "
                    "connection"
                ),
            )


def _status(contract: Contract) -> Iterator[Found]:
    if contract.status == "deprecated" and contract.agreed("endofsupport") is None:
        yield ("status",), "deprecated without a date: add endOfSupport to slaProperties"
    if contract.status == "retired":
        yield ("status",), "retired, and still here: remove the contract and the table's row"


def _rules(contract: Contract) -> Iterator[Found]:
    for position, column in enumerate(contract.columns):
        for number, rule in enumerate(column.quality):
            where: Steps = ("schema", 0, "properties", position, "quality", number)
            yield from _rule(contract, rule, column, where)
    for number, rule in enumerate(contract.table.quality):
        yield from _rule(contract, rule, None, ("schema", 0, "quality", number))


def _rule(
    contract: Contract, rule: Quality, column: Property | None, where: Steps
) -> Iterator[Found]:
    if rule.is_custom:
        for text in _predicate_faults(contract, str(rule.implementation)):
            yield (*where, "implementation"), text
    limits = rule.limits
    if limits is None or not (rule.is_on_batch or rule.measure):
        return
    floor = limits.minimum is None or limits.minimum <= 0
    if floor and (limits.maximum is None or (rule.unit == "percent" and limits.maximum >= WHOLE)):
        most = rule.metric != "rowCount" or limits.maximum is None
        if most:
            yield where, f"can never fail: {limits.text(rule.unit)} is every batch"
    if rule.metric == "nullValues" and column is not None and column.required:
        yield (
            where,
            f"can never fail: {column.name} is required, rows without it go to quarantine first",
        )


def _predicate_faults(contract: Contract, predicate: str) -> Iterator[str]:
    try:
        tree = parse_one(predicate, dialect=DIALECT)
    except SqlglotError as error:
        yield f"is no Spark SQL: {str(error).splitlines()[0]}"
        return
    names = {column.name.lower() for column in contract.columns}
    used = [column.name for column in tree.find_all(exp.Column)]
    unknown = sorted({name for name in used if name.lower() not in names})
    if unknown:
        yield f"names {', '.join(unknown)}, which the contract does not have"
    if not used or _is_always_true(tree):
        yield "can never fail: it is the same for every row"
        return
    missing = _not_null(tree)
    if any(column.required and column.name == missing for column in contract.columns):
        yield f"can never fail: {missing} is required already"


def _is_always_true(tree: exp.Expr) -> bool:
    simple = simplify(tree.copy(), dialect=DIALECT)
    if isinstance(simple, exp.Boolean):
        return bool(simple.this)
    if isinstance(simple, exp.EQ | exp.GTE | exp.LTE) and simple.left == simple.right:
        return True
    if isinstance(simple, exp.Or):
        # Whatever the value, one side holds: x is null or x is not null.
        sides = list(simple.flatten())
        return any(isinstance(one, exp.Not) and one.this.unnest() in sides for one in sides)
    return False


def _not_null(tree: exp.Expr) -> str | None:
    """The column of ``x is not null``."""
    if isinstance(tree, exp.Not) and isinstance(tree.this, exp.Is):
        column, value = tree.this.this, tree.this.expression
        if isinstance(column, exp.Column) and isinstance(value, exp.Null):
            return column.name
    return None


def _field(tree: Any, steps: Steps) -> str:  # noqa: ANN401 - YAML is anything
    names: list[str] = []
    for step in steps:
        if isinstance(tree, dict):
            tree = tree.get(step)
        elif isinstance(tree, list) and isinstance(step, int) and step < len(tree):
            tree = tree[step]
        name = tree.get("name") if isinstance(step, int) and isinstance(tree, dict) else None
        names.append(str(name or step))
    return ".".join(names)
