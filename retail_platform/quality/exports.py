"""A contract's rules in the words of other tools: a Great Expectations suite, dbt tests, ODCS.

Exports of the rules that a load executes as predicates, for daily or on-demand runs; the load never
reads them. Belongs here: the translation, as plain data, without importing those tools. Not here:
running a suite (`exports_suite`).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from sqlglot import exp, parse_one

from retail_platform.failures import PermanentFailure
from retail_platform.metadata.contract import Contract, Property
from retail_platform.metadata.contract_quality import BatchRule, Quality, RowRule
from retail_platform.metadata.loader import Table

DIALECT = "spark"
HALF_OPEN: dict[type[exp.Expr], tuple[str, bool]] = {
    exp.GT: ("min_value", True),
    exp.GTE: ("min_value", False),
    exp.LT: ("max_value", True),
    exp.LTE: ("max_value", False),
}
MIRRORED: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.GT: exp.LT,
    exp.GTE: exp.LTE,
    exp.LT: exp.GT,
    exp.LTE: exp.GTE,
    exp.EQ: exp.EQ,
}
LIVE = "not coalesce(_deleted, false) and not coalesce(_inferred, false)"


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """One expectation of Great Expectations.

    Attributes:
        type: Its name there, such as ``expect_column_values_to_not_be_null``.
        kwargs: Its arguments.
        rule: The rule of the contract that it says.
        on_rows: Whether it decides about single rows, as a quarantine does.
        blocking: Whether the rule quarantines rows or holds the hour.
    """

    type: str
    kwargs: dict[str, Any]
    rule: str
    on_rows: bool
    blocking: bool = True


class _NoEquivalentError(Exception):
    """A predicate that no expectation says."""


def expectations(contract: Contract) -> list[Expectation]:
    """The rules of a contract that Great Expectations can say, row rules first."""
    written = {_name(rule, column): rule for column, rule in contract.rules}
    found = [
        expectation
        for rule in contract.row_rules
        if (translated := _row_expectations(contract, rule, written.get(rule.name))) is not None
        for expectation in translated
    ]
    for rule in contract.batch_rules:
        found += _batch_expectations(rule)
    return found


def not_exported(contract: Contract) -> list[str]:
    """Names of the rules that Great Expectations cannot say."""
    said = {expectation.rule for expectation in expectations(contract)}
    names = [rule.name for rule in (*contract.row_rules, *contract.batch_rules)]
    return [name for name in names if name not in said]


def great_expectations_suite(contract: Contract) -> dict[str, Any]:
    """The suite as Great Expectations 1.x stores it; ``meta`` lists what it cannot say."""
    return {
        "name": f"silver_{contract.name}",
        "expectations": [
            {
                "type": one.type,
                "kwargs": one.kwargs,
                "meta": {"rule": one.rule, "on_rows": one.on_rows},
                "severity": "critical" if one.blocking else "warning",
            }
            for one in expectations(contract)
        ],
        "meta": {
            "contract": contract.name,
            "contract_version": contract.version,
            "not_exported": not_exported(contract),
        },
    }


def dbt_sources(table: Table) -> str:
    """A dbt YAML file that declares the Silver table as a source with the contract's tests.

    Tests look at live rows; those whose rule only warns have ``severity: warn``. Predicates use
    the project's generic test ``row_rule``.
    """
    contract = table.contract
    versions = table.row.silver.merge == "scd2"
    # Old versions were judged by the rules of their day, and share the values of their successors.
    where = f"{LIVE} and is_current" if versions else LIVE
    key = {"columns": [*table.row.key, *(["valid_from"] if versions else [])]}
    tests: list[dict[str, Any]] = [
        {"composite_key": {"arguments": key, "config": {"tags": ["daily"]}}}
    ]
    for column, rule in contract.rules:
        predicate = _row_predicate(rule, column)
        if predicate is not None:
            arguments = {"predicate": predicate}
            name = _name(rule, column)
            tests.append(_dbt_test("row_rule", arguments, rule.severity, where, name))
    source = {
        "name": table.entity,
        "description": contract.description.purpose or contract.table.description,
        "config": {"meta": {"contract_version": contract.version}},
        "data_tests": tests,
        "columns": [_dbt_column(column, where) for column in contract.columns],
    }
    document = {"sources": [{"name": "silver", "schema": "silver", "tables": [source]}]}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)


def _row_predicate(rule: Quality, column: str | None) -> str | None:
    """The predicate of rules that dbt has no test of its own for."""
    if rule.is_custom:
        return str(rule.implementation)
    pattern = rule.arguments.get("pattern")
    if pattern is None or not rule.is_on_rows:
        return None
    escaped = str(pattern).replace("\\", "\\\\").replace("'", "\\'")
    return f"cast({column} as string) rlike '{escaped}'"


def _dbt_column(column: Property, where: str) -> dict[str, Any]:
    tests: list[Any] = []
    if column.required:
        tests.append(_dbt_test("not_null", {}, "error", where))
    if column.unique:
        tests.append(_dbt_test("unique", {}, "error", where))
    for rule in column.quality:
        if rule.arguments.get("validValues") and rule.is_on_rows:
            values = [str(value) for value in rule.arguments["validValues"]]
            # Compared as text, as the load does.
            arguments = {"values": values, "quote": True}
            tests.append(_dbt_test("accepted_values", arguments, rule.severity, where))
    for relationship in column.relationships:
        entity, _, field = str(relationship.to).partition(".")
        # An unknown member is inferred, so that a row never waits for it.
        arguments = {"to": f"source('silver', '{entity}')", "field": field}
        tests.append(_dbt_test("relationships", arguments, "warning", where))
    written: dict[str, Any] = {"name": column.name, "description": column.description}
    return {**written, "data_tests": tests} if tests else written


def _dbt_test(
    name: str, arguments: dict[str, Any], severity: str, where: str, description: str | None = None
) -> dict[str, Any]:
    config: dict[str, Any] = {"where": where, "tags": ["daily"]}
    if severity == "warning":
        config["severity"] = "warn"
    body: dict[str, Any] = {"description": description} if description else {}
    return {name: {**body, **({"arguments": arguments} if arguments else {}), "config": config}}


def _name(rule: Quality, column: str | None) -> str:
    if rule.name:
        return rule.name
    if rule.is_custom:
        return f"not {rule.implementation}"
    values = rule.arguments.get("validValues")
    if values:
        return f"{column} is not one of {', '.join(str(value) for value in values)}"
    return f"{column} does not match {rule.arguments.get('pattern')}"


def _row_expectations(
    contract: Contract, rule: RowRule, written: Quality | None
) -> list[Expectation] | None:
    try:
        if written is not None and written.metric == "invalidValues" and rule.column:
            said = [_valid_values(contract, written, rule.column)]
        else:
            said = list(_predicate(parse_one(rule.predicate, dialect=DIALECT)))
    except _NoEquivalentError:
        return None
    return [
        Expectation(type=kind, kwargs=kwargs, rule=rule.name, on_rows=True) for kind, kwargs in said
    ]


Said = tuple[str, dict[str, Any]]


def _valid_values(contract: Contract, rule: Quality, name: str) -> Said:
    column = contract.column(name)
    if column is None or column.physicalType not in ("string", "int", "bigint"):
        raise _NoEquivalentError
    if rule.arguments.get("validValues"):
        of_type = str if column.physicalType == "string" else int
        values = [of_type(value) for value in rule.arguments["validValues"]]
        return "expect_column_values_to_be_in_set", {"column": name, "value_set": values}
    if column.physicalType != "string":
        raise _NoEquivalentError
    regex = {"column": name, "regex": str(rule.arguments["pattern"])}
    return "expect_column_values_to_match_regex", regex


def _predicate(tree: exp.Expr) -> Iterator[Said]:
    """Expectations that together say a predicate.

    Raises:
        _NoEquivalentError: none do, such as for ``or``, functions and arithmetic.
    """
    if isinstance(tree, exp.Paren):
        yield from _predicate(tree.this)
    elif isinstance(tree, exp.And):
        yield from _predicate(tree.left)
        yield from _predicate(tree.right)
    elif isinstance(tree, exp.Not) and isinstance(tree.this, exp.Is):
        yield "expect_column_values_to_not_be_null", {"column": _column(tree.this.this)}
    elif isinstance(tree, exp.Between):
        bounds = {"min_value": _literal(tree.args["low"]), "max_value": _literal(tree.args["high"])}
        yield (
            "expect_column_values_to_be_between",
            {"column": _column(tree.this), **bounds},
        )
    elif isinstance(tree, exp.In) and tree.expressions:
        values = [_literal(one) for one in tree.expressions]
        column = _column(tree.this)
        yield "expect_column_values_to_be_in_set", {"column": column, "value_set": values}
    elif type(tree) in MIRRORED and isinstance(tree, exp.Binary):
        yield _comparison(type(tree), tree.left, tree.right)
    else:
        raise _NoEquivalentError


def _comparison(kind: type[exp.Expr], left: exp.Expr, right: exp.Expr) -> Said:
    if isinstance(left, exp.Column) and isinstance(right, exp.Column):
        return _pair(kind, left, right)
    if not isinstance(left, exp.Column):
        left, right, kind = right, left, MIRRORED[kind]
    column, value = _column(left), _literal(right)
    if kind is exp.EQ:
        return "expect_column_values_to_be_in_set", {"column": column, "value_set": [value]}
    bound, strict = HALF_OPEN[kind]
    kwargs: dict[str, Any] = {"column": column, bound: value}
    if strict:
        kwargs["strict_min" if bound == "min_value" else "strict_max"] = True
    return "expect_column_values_to_be_between", kwargs


def _pair(kind: type[exp.Expr], left: exp.Column, right: exp.Column) -> Said:
    missing = {"ignore_row_if": "either_value_is_missing"}
    if kind is exp.EQ:
        names = {"column_A": left.name, "column_B": right.name}
        return "expect_column_pair_values_to_be_equal", {**names, **missing}
    if kind in (exp.LT, exp.LTE):
        left, right = right, left
    return "expect_column_pair_values_a_to_be_greater_than_b", {
        "column_A": left.name,
        "column_B": right.name,
        "or_equal": kind in (exp.GTE, exp.LTE),
        **missing,
    }


def _column(tree: exp.Expr) -> str:
    if not isinstance(tree, exp.Column):
        raise _NoEquivalentError
    return tree.name


def _literal(tree: exp.Expr) -> str | int | float:
    if isinstance(tree, exp.Neg) and isinstance(tree.this, exp.Literal) and tree.this.is_number:
        value = _literal(tree.this)
        return -value if not isinstance(value, str) else value
    if not isinstance(tree, exp.Literal):
        raise _NoEquivalentError
    if tree.is_string:
        return tree.name
    return int(tree.name) if tree.is_int else float(tree.name)


def _batch_expectations(rule: BatchRule) -> list[Expectation]:
    """Batch rules that mean the same on a whole frame: missing shares, uniqueness, row counts."""
    if rule.dimension == "completeness" and rule.column and not rule.reads_values:
        most = rule.limits.maximum
        if rule.unit == "percent" and most is not None and rule.limits.minimum in (None, 0):
            kwargs: dict[str, Any] = {"column": rule.column, "mostly": round(1 - most / 100, 6)}
        elif rule.limits.maximum == 0:
            kwargs = {"column": rule.column}
        else:
            return []
        return [_of_batch("expect_column_values_to_not_be_null", kwargs, rule)]
    if rule.dimension == "uniqueness" and rule.limits.maximum == 0:
        if len(rule.duplicates_of) == 1:
            column = {"column": rule.duplicates_of[0]}
            return [_of_batch("expect_column_values_to_be_unique", column, rule)]
        columns = {
            "column_list": list(rule.duplicates_of),
            "ignore_row_if": "any_value_is_missing",
        }
        return [_of_batch("expect_compound_columns_to_be_unique", columns, rule)]
    return []


def _of_batch(kind: str, kwargs: dict[str, Any], rule: BatchRule) -> Expectation:
    return Expectation(
        type=kind, kwargs=kwargs, rule=rule.name, on_rows=False, blocking=rule.blocking
    )


def export_text(table: Table, to: str, odcs: str) -> str:
    """An export as text.

    Args:
        table: The table and its contract.
        to: ``great-expectations`` (JSON), ``dbt`` (YAML) or ``odcs`` (YAML).
        odcs: The contract's own file, which is ODCS already.

    Raises:
        PermanentFailure: there is no such export.
    """
    if to == "great-expectations":
        return json.dumps(great_expectations_suite(table.contract), indent=2) + "\n"
    if to == "dbt":
        return dbt_sources(table)
    if to == "odcs":
        return odcs
    raise PermanentFailure(f"No export {to!r}: great-expectations, dbt or odcs.")
