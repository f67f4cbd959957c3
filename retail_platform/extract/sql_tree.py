"""Parts of query trees: names, values and types that any dialect can write.

Belongs here: what keeps a name or a value from ever being read as SQL: names are quoted
identifiers, values are typed literals, and sqlglot writes both. Not here: what is asked
(`sql_query`) and what databases do in their own way (`sql_dialects`).
"""

from collections.abc import Mapping, Sequence

from sqlglot import exp

Type = exp.DType
_ALIAS = "t"


def name(text: str) -> exp.Identifier:
    """A name exactly as it is spelled, whatever it contains."""
    return exp.Identifier(this=text, quoted=True)


def column(text: str, of: str = _ALIAS) -> exp.Column:
    """A column of the table that is read.

    Always with its table: SQLite takes a quoted name that is no column for a text.
    """
    return exp.Column(this=name(text), table=name(of))


def text(value: str) -> exp.Expr:
    """A text literal."""
    return exp.Literal.string(value)


def number(value: int) -> exp.Expr:
    """A literal of a whole number."""
    return exp.Literal.number(value)


def cast(value: exp.Expr, kind: exp.DType, *sizes: int | str) -> exp.Cast:
    """A value as another type."""
    return exp.Cast(this=value, to=_type(kind, *sizes))


def convert(value: exp.Expr, kind: exp.DType, *sizes: int | str, style: int) -> exp.Expr:
    """A value as text in one of SQL Server's numbered styles."""
    return exp.Convert(this=_type(kind, *sizes), expression=value, style=number(style))


def call(function: str, *arguments: exp.Expr) -> exp.Expr:
    """A function that is spelled alike wherever it exists."""
    return exp.Anonymous(this=function, expressions=list(arguments))


def count() -> exp.Expr:
    """The number of rows, in 64 bits."""
    return exp.Count(this=exp.Star(), big_int=True)


def either(conditions: Sequence[exp.Expr]) -> exp.Expr:
    """Any of these conditions."""
    return exp.or_(*conditions, copy=False)


def table(spelled: str, alias: str = _ALIAS) -> exp.Table:
    """The table of ``[schema.]name``; by default the one that `column` speaks of."""
    schema, bare = split_table(spelled)
    return exp.Table(this=name(bare), db=name(schema) if schema else None, alias=_alias(alias))


def rows_of(function: exp.Expr, alias: str = _ALIAS) -> exp.Table:
    """What a function returns; by default as the table that `column` speaks of."""
    return exp.Table(this=function, alias=_alias(alias))


def select(
    values: Mapping[str, exp.Expr],
    source: exp.Table | exp.Subquery | None = None,
    where: exp.Expr | None = None,
) -> exp.Select:
    """These values under these names, of the rows for which the condition holds."""
    return exp.Select(
        expressions=[exp.Alias(this=value, alias=name(key)) for key, value in values.items()],
        from_=exp.From(this=source) if source else None,
        where=exp.Where(this=where) if where else None,
    )


def union(parts: Sequence[exp.Query]) -> exp.Query:
    """The rows of all parts, one after the other."""
    whole, *further = parts
    for part in further:
        whole = exp.Union(this=whole, expression=part, distinct=False)
    return whole


def nested(query: exp.Query) -> exp.Subquery:
    """A query as the table that `column` speaks of."""
    return exp.Subquery(this=query, alias=_alias(_ALIAS))


def split_table(spelled: str) -> tuple[str | None, str]:
    """Schema (None when not given) and name of ``[schema.]name``."""
    schema, _, bare = spelled.rpartition(".")
    return schema or None, bare


def _alias(text: str) -> exp.TableAlias:
    return exp.TableAlias(this=name(text))


def _type(kind: exp.DType, *sizes: int | str) -> exp.DataType:
    given = (number(size) if isinstance(size, int) else exp.Var(this=size) for size in sizes)
    return exp.DataType(this=kind, expressions=[exp.DataTypeParam(this=size) for size in given])
