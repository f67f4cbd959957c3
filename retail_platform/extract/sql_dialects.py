"""What each SQL database does in its own way: its catalogue, its clock, its exact texts.

Belongs here: one class a database. Not here: what is asked of all of them alike (`sql_query`), and
the Arrow types that declared types arrive in (`sql_types`).
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar

import pyarrow as pa
from sqlglot import Dialect, Dialects, exp

from retail_platform.extract import sql_tree as tree
from retail_platform.extract.sql_types import is_real
from retail_platform.failures import PermanentFailure


class SqlDialect:
    """What databases with an ``information_schema`` have in common.

    Attributes:
        name: The dialect in a SQLAlchemy URL, or ``odbc``.
        grammar: The dialect as sqlglot calls it.
        shared: Whether it is made for several connections at once.
        moments: What a watermark has to be, for messages.
        moment_shape: Pattern (GLOB) of a timestamp where timestamps are text.
    """

    name: ClassVar[str]
    grammar: str
    shared: ClassVar[bool] = True
    moments: ClassVar[str] = "a timestamp"
    moment_shape: str | None = None
    _bare_as_string: ClassVar[Collection[str]] = ()

    def clock(self) -> exp.Query:
        """The database's present, in UTC, as ``now``."""
        return tree.select({"now": exp.CurrentTimestamp()})

    def columns(self, table: str) -> exp.Query:
        """``name`` and ``type`` of a table's columns, in order."""
        schema, name = tree.split_table(table)
        query = tree.select(
            {"name": self._catalogued("column_name"), "type": self._catalogued("data_type")},
            self._catalogue("columns"),
            exp.And(
                this=exp.EQ(this=self._entry("table_name"), expression=self._text(name)),
                expression=self._in_schema(schema),
            ),
        )
        query.set("order", exp.Order(expressions=[self._entry("ordinal_position")]))
        return query

    def tables(self, table: str) -> exp.Query:
        """``name`` of the tables and views beside a table."""
        schema, _ = tree.split_table(table)
        return tree.select(
            {"name": self._catalogued("table_name")},
            self._catalogue("tables"),
            self._in_schema(schema),
        )

    def exact(self, name: str, arrow: pa.DataType, declared: str) -> exp.Expr:
        """A column in the form from which its Arrow type is exact."""
        column = tree.column(name)
        # connectorx gives every numeric as decimal(38, 10): text is what keeps its digits.
        wants_text = pa.types.is_string(arrow) and declared.lower() not in self._bare_as_string
        if wants_text or pa.types.is_decimal(arrow):
            return self._server_text(column, declared.lower())
        return column

    def is_moment(self, declared: str) -> bool:
        """Whether windows of time can be asked of a column of this type."""
        return bool(declared)

    def moment(self, moment: datetime) -> exp.Expr:
        """A typed literal of a timestamp, naive or with its offset."""
        kind = tree.Type.TIMESTAMPTZ if moment.tzinfo else tree.Type.TIMESTAMP
        return tree.cast(tree.text(moment.isoformat(sep=" ")), kind)

    def in_calendar(self, value: exp.Expr, declared: str) -> exp.Expr:
        """A value of a declared type that some calendar has, where the database has others."""
        del declared
        return value

    def figure(self, value: exp.Expr) -> exp.Expr:
        """A number or an extreme value in the form in which it arrives whole."""
        return value

    def typed(
        self, query: exp.Query, reals: Collection[str] = (), source: str | None = None
    ) -> exp.Query:
        """The query in a form whose column types do not hang on its first row."""
        del reals, source  # A server knows its types without a row.
        return query

    def _catalogue(self, view: str) -> exp.Table:
        return tree.table(f"information_schema.{view}")

    def _entry(self, name: str) -> exp.Column:
        return tree.column(name)

    def _catalogued(self, name: str) -> exp.Expr:
        return tree.cast(self._entry(name), tree.Type.TEXT)

    def _in_schema(self, schema: str | None) -> exp.Expr:
        asked = exp.CurrentSchema() if schema is None else self._text(schema)
        return exp.EQ(this=self._entry("table_schema"), expression=asked)

    def _text(self, value: str) -> exp.Expr:
        return tree.text(value)

    def _server_text(self, column: exp.Expr, declared: str) -> exp.Expr:
        """The text of a value, as the server writes it."""
        del declared  # Most casts to text lose nothing.
        return tree.cast(column, tree.Type.VARCHAR)


_POSTGRESQL_MOMENTS = {
    "date": tree.Type.DATE,
    "timestamp without time zone": tree.Type.TIMESTAMP,
    "timestamp with time zone": tree.Type.TIMESTAMPTZ,
}


class Postgresql(SqlDialect):
    """PostgreSQL."""

    name = "postgresql"
    grammar = "postgres"
    # Types that arrive as text by themselves, or whose text depends on the session, so that Arrow
    # writes it. Any other is written by the server.
    _bare_as_string = frozenset(
        {
            *("character varying", "character", "text"),
            *("date", "timestamp without time zone", "timestamp with time zone"),
        }
    )
    # What no calendar has: ``infinity`` and years beyond 9999 overflow on their way into Arrow.
    _first_and_last: ClassVar[Mapping[str, tuple[str, str]]] = {
        "date": ("0001-01-01", "9999-12-31"),
        "timestamp without time zone": ("0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"),
        "timestamp with time zone": ("0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00"),
    }

    def exact(self, name: str, arrow: pa.DataType, declared: str) -> exp.Expr:
        """A column in the form from which its Arrow type is exact."""
        exact = super().exact(name, arrow, declared)
        return self.in_calendar(exact, declared)

    def in_calendar(self, value: exp.Expr, declared: str) -> exp.Expr:
        """A date or moment within the years 1 to 9999; what lies outside as the first or last."""
        ends = self._first_and_last.get(declared.lower())
        if ends is None:
            return value
        kind = _POSTGRESQL_MOMENTS[declared.lower()]
        first, last = (tree.cast(tree.text(end), kind) for end in ends)
        return exp.Case(
            ifs=[
                exp.If(this=exp.LT(this=value, expression=first), true=first.copy()),
                exp.If(this=exp.GT(this=value.copy(), expression=last), true=last.copy()),
            ],
            default=value.copy(),
        )


class Mssql(SqlDialect):
    """SQL Server, Azure SQL and Synapse's serverless pool."""

    name = "mssql"
    grammar = "tsql"
    _bare_as_string = frozenset(
        {
            *("varchar", "nvarchar", "char", "nchar", "text", "ntext", "xml", "uniqueidentifier"),
            *("date", "datetime", "smalldatetime"),
            # As a text of the server's it would have six digits; Arrow writes its shortest form.
            "real",
        }
    )

    def clock(self) -> exp.Query:
        """The database's present, in UTC, as ``now``."""
        return tree.select({"now": tree.call("SYSUTCDATETIME")})

    # A case-sensitive database knows its catalogue in capitals only.
    def _catalogue(self, view: str) -> exp.Table:
        return tree.table(f"INFORMATION_SCHEMA.{view.upper()}")

    def _entry(self, name: str) -> exp.Column:
        return tree.column(name.upper())

    def _catalogued(self, name: str) -> exp.Expr:
        return self._entry(name)

    def _text(self, value: str) -> exp.Expr:
        # A literal without N has the characters of the database's code page only.
        return exp.National(this=value)

    def is_moment(self, declared: str) -> bool:
        """Whether windows of time can be asked of a column of this type."""
        return declared in ("date", "datetime", "smalldatetime", "datetime2", "datetimeoffset")

    # The styles are those of CONVERT in its documentation; the usual one rounds money to cents.
    def _server_text(self, column: exp.Expr, declared: str) -> exp.Expr:
        match declared:
            case "decimal" | "numeric":
                return tree.cast(column, tree.Type.VARCHAR, 41)
            case "money" | "smallmoney":
                return tree.convert(column, tree.Type.VARCHAR, 41, style=2)
            case "time" | "datetime2":
                return tree.convert(column, tree.Type.VARCHAR, 34, style=121)
            case "datetimeoffset":
                # Without the blank before the offset, which few readers of ISO 8601 take.
                written = tree.convert(column, tree.Type.VARCHAR, 34, style=121)
                for sign in "+-":
                    blank, none = tree.text(f" {sign}"), tree.text(sign)
                    written = tree.call("REPLACE", written, blank, none)
                return written
            case "timestamp" | "rowversion":
                # Its name notwithstanding no time, but a number of the database's changes.
                raw = tree.cast(column, tree.Type.BINARY, 8)
                return tree.convert(raw, tree.Type.VARCHAR, 18, style=1)
            case "binary" | "varbinary" | "image":
                raw = tree.cast(column, tree.Type.VARBINARY, "MAX")
                return tree.convert(raw, tree.Type.VARCHAR, "MAX", style=1)
            case _:
                return tree.cast(column, tree.Type.NVARCHAR, "MAX")


class Sqlite(SqlDialect):
    """SQLite, which types values, not columns: all but REAL arrives as text."""

    name = "sqlite"
    grammar = "sqlite"
    shared = False
    moments = "text 'YYYY-MM-DD HH:MM:SS'"
    moment_shape = "????-??-?? ??:??:??*"

    def clock(self) -> exp.Query:
        """The database's present, in UTC, as ``now``."""
        return self.typed(super().clock())

    def columns(self, table: str) -> exp.Query:
        """``name`` and ``type`` of a table's columns, in order."""
        _, name = tree.split_table(table)
        entries = {key: self.figure(tree.column(key)) for key in ("name", "type")}
        info = tree.rows_of(tree.call("pragma_table_info", tree.text(name)))
        return self.typed(tree.select(entries, info))

    def tables(self, table: str) -> exp.Query:
        """``name`` of the tables and views."""
        del table  # A file has one schema.
        kinds = exp.In(this=tree.column("type"), expressions=[*map(tree.text, ("table", "view"))])
        entries = {"name": self.figure(tree.column("name"))}
        return self.typed(tree.select(entries, tree.table("sqlite_master"), kinds))

    def exact(self, name: str, arrow: pa.DataType, declared: str) -> exp.Expr:
        """A column in the form from which its Arrow type is exact."""
        # As text a double would lose its last digits.
        bare = pa.types.is_floating(arrow) and is_real(declared)
        return tree.column(name) if bare else self.figure(tree.column(name))

    def is_moment(self, declared: str) -> bool:
        """Not a number: SQLite sorts them before every text, and windows would be empty."""
        return not any(part in declared.upper() for part in ("INT", "REAL", "FLOA", "DOUB"))

    def moment(self, moment: datetime) -> exp.Expr:
        """Text in the shortest form, which no longer form precedes."""
        written = moment.isoformat(sep=" ")
        local = moment.replace(tzinfo=None).isoformat(sep=" ")
        offset = written.removeprefix(local)
        return tree.text((local.rstrip("0") if moment.microsecond else local) + offset)

    def figure(self, value: exp.Expr) -> exp.Expr:
        """Everything as text."""
        return tree.cast(value, tree.Type.TEXT)

    def typed(
        self, query: exp.Query, reals: Collection[str] = (), source: str | None = None
    ) -> exp.Query:
        """The query in a form whose column types do not hang on its first row.

        connectorx takes SQLite's types from the declared type of a column, or else from the first
        row, and gives up on a NULL there. The first part of the union has no rows, but its columns
        are declared TEXT (or REAL, for ``reals``, which are columns of the table ``source``), and
        SQLite reports the first part's declarations for the whole.
        """
        declared = {
            name: tree.column(name) if name in reals else tree.column("name", of="declared")
            for name in query.named_selects
        }
        never = exp.EQ(this=tree.number(0), expression=tree.number(1))
        nothing = tree.select(declared, tree.table("sqlite_master", alias="declared"), never)
        if reals and source:
            nothing.set("joins", [exp.Join(this=tree.table(source))])
        return tree.union([nothing, query])


class Odbc(SqlDialect):
    """What sqlglot knows of a database that is read through ODBC, and the driver's descriptions.

    Args:
        grammar: The dialect as sqlglot calls it.

    Raises:
        PermanentFailure: sqlglot does not know it.
    """

    name = "odbc"
    shared = False
    moments = "a date or a timestamp as the ODBC driver describes it"

    def __init__(self, grammar: str) -> None:
        if Dialect.get(grammar) is None:
            known = ", ".join(sorted(filter(None, Dialects)))
            raise PermanentFailure(
                f"SQL dialect {grammar!r} is not known to sqlglot; use one of {known}"
            )
        self.grammar = grammar
        own = (dialect for dialect in DIALECTS.values() if dialect.grammar == grammar)
        self._own = next(own, None)
        self.moment_shape = self._own.moment_shape if self._own else None

    def exact(self, name: str, arrow: pa.DataType, declared: str) -> exp.Expr:
        """A column as it is: the driver writes texts."""
        del arrow, declared
        return tree.column(name)

    def moment(self, moment: datetime) -> exp.Expr:
        """A typed literal of a timestamp."""
        return self._own.moment(moment) if self._own else super().moment(moment)

    def is_moment(self, declared: str) -> bool:
        """Whether windows of time can be asked of a column of this type."""
        text = declared == "string" and self.moment_shape is not None
        return text or declared.startswith(("timestamp", "date"))


DIALECTS: Mapping[str, SqlDialect] = MappingProxyType(
    {dialect.name: dialect for dialect in (Sqlite(), Postgresql(), Mssql())}
)


def dialect_of(name: str) -> SqlDialect:
    """The dialect of a URL.

    Raises:
        PermanentFailure: It is not supported.
    """
    if name not in DIALECTS:
        raise PermanentFailure(
            f"SQL dialect {name!r} is not supported; use one of {', '.join(DIALECTS)}"
        )
    return DIALECTS[name]
