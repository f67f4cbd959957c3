"""Queries over the positions by which a database orders its changes, as sqlglot trees.

Belongs here: what is asked of each database that has positions. Not here: which positions belong to
an hour (`offsets`), and connecting and streaming (`sql`).

Sources: SQL Server's MIN_ACTIVE_ROWVERSION, CHANGETABLE, CHANGE_TRACKING_CURRENT_VERSION and
CHANGE_TRACKING_MIN_VALID_VERSION; PostgreSQL's pg_current_snapshot, pg_snapshot_xmin and xid8.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
from sqlglot import exp

from retail_platform.extract import sql_tree as tree
from retail_platform.extract.sql_dialects import SqlDialect
from retail_platform.failures import PermanentFailure
from retail_platform.metadata.sql_reads import CHANGE_OPERATION

CHANGE_VERSION = "_change_version"
"""Column of Bronze: the position of a row's last change, of Change Tracking."""
_TRACKED = "c"
"""The rows of CHANGETABLE in a query."""
_WHOLE_NUMBERS = ("smallint", "integer", "int", "bigint")
_ROWVERSION_BYTES = 8


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """What orders the changes of a table.

    Attributes:
        by: How, see `retail_platform.metadata.sql_reads.Changes`.
        table: ``[schema.]name``.
        column: The source's column of versions, for ``rowversion``.
        key: The source's columns of the primary key, for ``change_tracking``.
    """

    by: Literal["rowversion", "change_tracking"]
    table: str
    column: str = ""
    key: tuple[str, ...] = ()


def positions(tracking: Tracking, dialect: SqlDialect, *, source: str) -> exp.Query:
    """``low`` and ``high``: what changed at ``[low, high)`` is there, committed and kept.

    A transaction that is still open, however early it began, has all its changes at or after
    ``high``. Both are NULL where the database does not keep what is asked for.

    Raises:
        PermanentFailure: the database has no such positions.
    """
    if dialect.name == "mssql" and tracking.by == "change_tracking":
        oldest = tree.call("CHANGE_TRACKING_MIN_VALID_VERSION", _object_id(tracking, dialect))
        newest = tree.call("CHANGE_TRACKING_CURRENT_VERSION")
        # Changes after the oldest valid version are kept, and the newest is one of them.
        return tree.select({"low": _after(oldest), "high": _after(newest)})
    if dialect.name == "mssql":
        high = tree.cast(tree.call("MIN_ACTIVE_ROWVERSION"), tree.Type.BIGINT)
    elif dialect.name == "postgresql" and tracking.by == "rowversion":
        oldest = tree.call("PG_SNAPSHOT_XMIN", tree.call("PG_CURRENT_SNAPSHOT"))
        high = tree.cast(tree.cast(oldest, tree.Type.TEXT), tree.Type.BIGINT)
    else:
        raise PermanentFailure(
            f"source {source}, table {tracking.table}: changes by {tracking.by} are read from "
            f"{'SQL Server' if tracking.by == 'change_tracking' else 'SQL Server and PostgreSQL'}, "
            f"not from {dialect.name}; read the table with load: incremental"
        )
    return tree.select({"low": tree.cast(tree.number(0), tree.Type.BIGINT), "high": high})


def between(
    tracking: Tracking, dialect: SqlDialect, start: int, end: int, *, declared: str
) -> exp.Expr:
    """Which rows of the table have their last change at ``[start, end)``, by ``rowversion``.

    Args:
        tracking: What orders the changes.
        dialect: The database's.
        start: The first position; 0 takes all rows below ``end``, also those without a version.
        end: The position after the last.
        declared: The column's declared type.
    """
    column = tree.column(tracking.column)
    below = exp.LT(this=column, expression=_version(dialect, end, declared))
    if start == 0:
        return tree.either([below, exp.Is(this=column.copy(), expression=exp.Null())])
    at_least = exp.GTE(this=column.copy(), expression=_version(dialect, start, declared))
    return exp.And(this=at_least, expression=below)


def tracked_changes(
    tracking: Tracking, columns: Mapping[str, exp.Expr], start: int, end: int
) -> exp.Query:
    """The rows that have changed at ``[start, end)``, by Change Tracking.

    A row that has changed again at or after ``end`` is left to the read of that position, and so is
    one that was deleted between its change and this read.

    Args:
        tracking: What orders the changes.
        columns: The table's columns by name; deleted rows have their key only.
        start: The first position.
        end: The position after the last.

    Returns:
        ``_change_version`` and ``_change_operation`` (I, U or D) before the columns.
    """
    # SQL Server's own spelling of "what changed after this version".
    changes = tree.call(
        "CHANGETABLE",
        exp.Introducer(this=exp.Var(this="CHANGES"), expression=_bare(tracking)),
        tree.number(start - 1),
    )
    values: dict[str, exp.Expr] = {
        CHANGE_VERSION: tree.column("SYS_CHANGE_VERSION", of=_TRACKED),
        CHANGE_OPERATION: tree.column("SYS_CHANGE_OPERATION", of=_TRACKED),
    }
    for name, value in columns.items():
        values[name] = _of_tracked(value) if name in tracking.key else value
    deleted = exp.EQ(
        this=tree.column("SYS_CHANGE_OPERATION", of=_TRACKED), expression=tree.text("D")
    )
    gone = exp.Is(this=tree.column(tracking.key[0]), expression=exp.Null())
    version = tree.column("SYS_CHANGE_VERSION", of=_TRACKED)
    query = tree.select(
        values,
        tree.rows_of(changes, alias=_TRACKED),
        exp.And(
            this=exp.LT(this=version, expression=tree.number(end)),
            expression=exp.Paren(this=tree.either([deleted, exp.Not(this=gone)])),
        ),
    )
    same = [
        exp.EQ(this=tree.column(name), expression=tree.column(name, of=_TRACKED))
        for name in tracking.key
    ]
    present = exp.Join(this=tree.table(tracking.table), side="LEFT", on=exp.and_(*same))
    query.set("joins", [present])
    return query


def marks_of_whole_table(end: int) -> dict[str, exp.Expr]:
    """The marks of a read of the whole table, which stands for all changes before ``end``."""
    return {
        CHANGE_VERSION: tree.cast(tree.number(end - 1), tree.Type.BIGINT),
        CHANGE_OPERATION: tree.text("I"),
    }


def marked(schema: pa.Schema) -> pa.Schema:
    """The columns of a table with those that say what became of a row before them."""
    marks = [pa.field(CHANGE_VERSION, pa.int64()), pa.field(CHANGE_OPERATION, pa.string())]
    return pa.schema([*marks, *schema])


def _version(dialect: SqlDialect, position: int, declared: str) -> exp.Expr:
    """A position as the column has it, so that its index is used."""
    if declared.lower() in _WHOLE_NUMBERS:
        return tree.cast(tree.number(position), tree.Type.BIGINT)
    if dialect.name == "mssql":
        number = tree.cast(tree.number(position), tree.Type.BIGINT)
        return tree.cast(number, tree.Type.BINARY, _ROWVERSION_BYTES)
    own = exp.DataType(this=tree.Type.USERDEFINED, kind="xid8")
    return exp.Cast(this=tree.text(str(position)), to=own)


def _after(version: exp.Expr) -> exp.Expr:
    return exp.Add(this=version, expression=tree.number(1))


def _bare(tracking: Tracking) -> exp.Table:
    table = tree.table(tracking.table)
    table.set("alias", None)
    return table


def _object_id(tracking: Tracking, dialect: SqlDialect) -> exp.Expr:
    spelled = _bare(tracking).sql(dialect.grammar)
    return tree.call("OBJECT_ID", exp.National(this=spelled))


def _of_tracked(value: exp.Expr) -> exp.Expr:
    for column in value.find_all(exp.Column):
        column.set("table", tree.name(_TRACKED))
    return value
