"""Turns a source's CHECK constraints into rules of a contract, where their meaning is certain.

A list of values becomes valid values of its column; comparisons become a Spark SQL predicate.
Whatever uses functions or casts whose meaning may differ is told, not guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

_KNOWN = (
    exp.And, exp.Or, exp.Not, exp.Paren, exp.Column, exp.Identifier, exp.Literal, exp.Boolean,
    exp.Null, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.In, exp.Is,
    exp.Add, exp.Sub, exp.Mul, exp.Neg, exp.Length,
)  # fmt: skip
# Casts that PostgreSQL writes into what it stores, and that change nothing in a comparison.
_NEUTRAL = (exp.DType.TEXT, exp.DType.VARCHAR, exp.DType.CHAR, exp.DType.DECIMAL)
_TEXT_LENGTHS = (exp.DType.VARCHAR, exp.DType.CHAR)


@dataclass(frozen=True, kw_only=True)
class CheckRule:
    """What a CHECK constraint says: the values of one column, or a predicate over several.

    Attributes:
        column: Platform name of the only column of a list of values; None for a predicate.
        values: Its values.
        predicate: Spark SQL over platform names.
    """

    column: str | None = None
    values: tuple[str, ...] = ()
    predicate: str = ""


def check_rule(sql: str, *, dialect: str, names: Mapping[str, str]) -> CheckRule | None:
    """The rule of a constraint; None where it cannot be said with certainty.

    Args:
        sql: The constraint's condition.
        dialect: Its dialect, as sqlglot calls it.
        names: Platform name by name in the source.
    """
    try:
        tree = parse_one(sql, read=dialect).transform(_without_noise).unnest()
    except SqlglotError:
        return None
    spelled = {source.lower(): target for source, target in names.items()}
    columns = list(tree.find_all(exp.Column))
    if not columns or any(column.name.lower() not in spelled for column in columns):
        return None
    for column in columns:
        column.replace(exp.column(spelled[column.name.lower()]))
    if isinstance(tree, exp.Column):
        return None
    if isinstance(tree, exp.In) and isinstance(tree.this, exp.Column):
        values = tree.expressions
        if values and all(isinstance(value, exp.Literal) for value in values):
            return CheckRule(
                column=tree.this.name, values=tuple(str(value.this) for value in values)
            )
    if any(not isinstance(node, _KNOWN) for node in tree.walk()):
        return None
    return CheckRule(predicate=tree.sql("spark").replace("LENGTH(", "length("))


def _without_noise(node: exp.Expr) -> exp.Expr:
    """Casts that change nothing, and ``= ANY (ARRAY[...])`` as a list of values."""
    if isinstance(node, exp.Cast) and _changes_nothing(node):
        inner = node.this.unnest()
        if node.to.this == exp.DType.DECIMAL and isinstance(inner, exp.Literal):
            return parse_one(str(inner.this))
        return _without_noise(inner)
    if isinstance(node, exp.EQ) and isinstance(node.expression, exp.Any):
        arrays = list(node.expression.find_all(exp.Array))
        if len(arrays) == 1:
            return exp.In(
                this=node.this.transform(_without_noise).unnest(),
                expressions=[item.transform(_without_noise) for item in arrays[0].expressions],
            )
    if isinstance(node, exp.Paren) and isinstance(node.this, (exp.Literal, exp.Column)):
        return node.this
    return node


def _changes_nothing(cast: exp.Cast) -> bool:
    kind = cast.to
    inner = cast.this.unnest()
    plain = isinstance(inner, (exp.Column, exp.Literal, exp.Neg))
    return plain and kind.this in _NEUTRAL and not kind.expressions
