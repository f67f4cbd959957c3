"""The queries of a SQL source, built with SQLAlchemy Core and compiled with typed literals.

Belongs here: what is asked, per dialect. Not here: connecting, streaming and failures (`sql`).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, postgresql, sqlite

from retail_platform.extract.local_time import local_now, naive_ranges
from retail_platform.extract.window import Window
from retail_platform.failures import PermanentFailure

_DIALECTS: dict[str, sa.Dialect] = {
    "sqlite": sqlite.dialect(),
    "postgresql": postgresql.dialect(),
    "mssql": mssql.dialect(),
}

# Types that arrive as text by themselves, or whose text depends on the session, so that Arrow
# writes it. Any other is written by the server.
_BARE_AS_STRING = frozenset(
    {
        *("character varying", "character", "text", "uuid", "json", "jsonb"),
        *("varchar", "nvarchar", "char", "nchar", "ntext", "uniqueidentifier"),
        *("date", "timestamp without time zone", "timestamp with time zone"),
        *("datetime", "smalldatetime"),
    }
)


class Queries:
    """The queries for one dialect and one zone."""

    def __init__(self, dialect: str, zone: ZoneInfo) -> None:
        """Choose the dialect.

        Raises:
            PermanentFailure: The dialect is not one of sqlite, postgresql, mssql.
        """
        if dialect not in _DIALECTS:
            raise PermanentFailure(
                f"SQL dialect {dialect!r} is not supported; use one of {', '.join(_DIALECTS)}"
            )
        self.dialect = dialect
        self._zone = zone

    def compile(self, query: sa.ClauseElement) -> str:
        """The query's text, literals included."""
        compiled = query.compile(
            dialect=_DIALECTS[self.dialect], compile_kwargs={"literal_binds": True}
        )
        return str(compiled)

    def typed(
        self,
        query: sa.Select[*tuple[Any, ...]],
        names: Sequence[str],
        reals: Mapping[str, sa.ColumnElement[Any]] = MappingProxyType({}),
    ) -> sa.ClauseElement:
        """The query in a form whose column types do not hang on its first row.

        connectorx takes SQLite's types from the declared type of a column, or else from the first
        row, and gives up on a NULL there. The first part of the union has no rows, but its columns
        are declared TEXT (or REAL, for the columns in ``reals``), and SQLite reports the first
        part's declarations for the whole.
        """
        if self.dialect != "sqlite":
            return query
        declared = sa.table("sqlite_master", sa.column("name"))
        columns = (reals.get(name, declared.c.name).label(name) for name in names)
        nothing = sa.select(*columns).where(sa.false())
        return sa.union_all(nothing, query)

    def clock(self) -> sa.ClauseElement:
        """The database's present, in UTC."""
        if self.dialect == "mssql":
            return sa.select(sa.func.sysutcdatetime().label("now"))
        return self.typed(sa.select(sa.func.current_timestamp().label("now")), ["now"])

    def columns(self, table: str) -> sa.ClauseElement:
        """Names and declared types of a table's columns, in order."""
        schema, name = split_table(table)
        if self.dialect == "sqlite":
            info = sa.func.pragma_table_info(name).table_valued("name", "type")
            query = sa.select(_as_text(info.c.name), _as_text(info.c.type))
            return self.typed(query, ["name", "type"])
        catalog = sa.table(
            "columns",
            *map(sa.column, ("table_schema", "table_name", "column_name", "data_type")),
            sa.column("ordinal_position", sa.Integer),
            schema="information_schema",
        )
        return (
            sa.select(
                _as_text(catalog.c.column_name).label("name"),
                _as_text(catalog.c.data_type).label("type"),
            )
            .where(catalog.c.table_name == name, self._in_schema(catalog.c.table_schema, schema))
            .order_by(catalog.c.ordinal_position)
        )

    def tables(self, table: str) -> sa.ClauseElement:
        """The tables and views beside a table."""
        schema, _ = split_table(table)
        if self.dialect == "sqlite":
            master = sa.table("sqlite_master", sa.column("name"), sa.column("type"))
            query = sa.select(_as_text(master.c.name)).where(master.c.type.in_(["table", "view"]))
            return self.typed(query, ["name"])
        catalog = sa.table(
            "tables",
            sa.column("table_schema"),
            sa.column("table_name"),
            schema="information_schema",
        )
        return sa.select(_as_text(catalog.c.table_name).label("name")).where(
            self._in_schema(catalog.c.table_schema, schema)
        )

    def rows(
        self,
        table: str,
        *,
        schema: pa.Schema,
        types: dict[str, str],
        watermark: str | None,
        window: Window,
        clock: datetime | None,
    ) -> sa.ClauseElement:
        """The rows of a window, each column in a form from which its Arrow type is exact."""
        rows = _from(table, schema.names)
        columns = [
            self._exact(rows.c[field.name], field.type, types[field.name]).label(field.name)
            for field in schema
        ]
        condition = self._condition(watermark, types, window, clock)
        query = sa.select(*columns).select_from(rows).where(condition)
        reals = {
            field.name: rows.c[field.name]
            for field in schema
            if pa.types.is_floating(field.type) and _is_real(types[field.name])
        }
        return self.typed(query, schema.names, reals)

    def count(
        self,
        table: str,
        *,
        types: dict[str, str],
        watermark: str | None,
        window: Window,
        clock: datetime | None,
    ) -> sa.ClauseElement:
        """The number of rows of a window."""
        number = sa.func.count()
        query = sa.select((_as_text(number) if self.dialect == "sqlite" else number).label("rows"))
        condition = self._condition(watermark, types, window, clock)
        return self.typed(query.select_from(_from(table)).where(condition), ["rows"])

    def extent(
        self,
        table: str,
        columns: Sequence[str],
        *,
        types: dict[str, str],
        watermark: str | None,
        window: Window,
        clock: datetime | None,
    ) -> sa.ClauseElement:
        """The number of rows of a window, and the least and greatest value of columns."""
        rows = _from(table, columns)
        values: dict[str, sa.ColumnElement[Any]] = {"rows": sa.func.count()}
        for number, name in enumerate(columns):
            values[f"least_{number}"] = sa.func.min(rows.c[name])
            values[f"greatest_{number}"] = sa.func.max(rows.c[name])
        sqlite_text = self.dialect == "sqlite"
        query = sa.select(
            *((_as_text(value) if sqlite_text else value).label(n) for n, value in values.items())
        )
        condition = self._condition(watermark, types, window, clock)
        return self.typed(query.select_from(rows).where(condition), list(values))

    def hourly(
        self, table: str, *, types: dict[str, str], watermark: str, hours: Sequence[datetime]
    ) -> sa.ClauseElement | None:
        """Rows and greatest watermark of each hour, by its place in ``hours``; one row an hour.

        None where no hour can have rows: naive values never mean the second pass of a doubled hour.
        """
        aware = _is_aware(types[watermark])
        latest = sa.func.max(sa.column(watermark))
        parts: list[sa.Select[*tuple[Any, ...]]] = []
        for number, hour in enumerate(hours):
            if not aware and hour.astimezone(self._zone).fold:
                continue
            window = Window.of_hour(hour, buffer=timedelta(0), initial=False)
            figures = [sa.literal(number), sa.func.count(), latest]
            if self.dialect == "sqlite":
                figures = [_as_text(figure) for figure in figures]
            labelled = zip(figures, ("number", "rows", "latest"), strict=True)
            condition = self._condition(watermark, types, window, None)
            parts.append(
                sa.select(*(figure.label(name) for figure, name in labelled))
                .select_from(_from(table))
                .where(condition)
            )
        if not parts:
            return None
        # As a subquery: SQLite takes no union inside of a union.
        figures_of_all = sa.union_all(*parts).subquery()
        return self.typed(sa.select(*figures_of_all.c), ["number", "rows", "latest"])

    def greatest(
        self, table: str, *, types: dict[str, str], watermark: str, before: Sequence[datetime]
    ) -> sa.ClauseElement:
        """The greatest watermark before each moment, by its place in ``before``; one row each."""
        parts: list[sa.Select[*tuple[Any, ...]]] = []
        for number, end in enumerate(before):
            window = Window(hour=end, start=None, end=end, initial=False)
            figures = [sa.literal(number), sa.func.max(sa.column(watermark))]
            if self.dialect == "sqlite":
                figures = [_as_text(figure) for figure in figures]
            labelled = zip(figures, ("number", "latest"), strict=True)
            parts.append(
                sa.select(*(figure.label(name) for figure, name in labelled))
                .select_from(_from(table))
                .where(self._condition(watermark, types, window, None))
            )
        figures_of_all = sa.union_all(*parts).subquery()
        return self.typed(sa.select(*figures_of_all.c), ["number", "latest"])

    def _in_schema(
        self, column: sa.ColumnElement[Any], schema: str | None
    ) -> sa.ColumnElement[bool]:
        if schema is not None:
            return column == schema
        current = "schema_name" if self.dialect == "mssql" else "current_schema"
        return column == getattr(sa.func, current)()

    def _exact(
        self, column: sa.ColumnElement[Any], arrow: pa.DataType, declared: str
    ) -> sa.ColumnElement[Any]:
        if self.dialect == "sqlite":
            # As text a double would lose its last digits.
            bare = pa.types.is_floating(arrow) and _is_real(declared)
            return column if bare else _as_text(column)
        # connectorx gives every numeric as decimal(38, 10): text is what keeps its digits.
        wants_text = pa.types.is_string(arrow) and declared.lower() not in _BARE_AS_STRING
        return self._server_text(column) if wants_text or pa.types.is_decimal(arrow) else column

    def _server_text(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return sa.cast(column, sa.String(100) if self.dialect == "mssql" else sa.String())

    def _condition(
        self,
        watermark: str | None,
        types: dict[str, str],
        window: Window,
        clock: datetime | None,
    ) -> sa.ColumnElement[bool]:
        if watermark is None:
            return sa.true()
        column = sa.column(watermark)
        aware = _is_aware(types[watermark])
        if aware:
            bounds = [(window.start, window.end)]
        else:
            bounds = naive_ranges(window.start, window.end, self._zone)
        conditions = []
        for low, high in bounds:
            below = column < self._moment(high, aware=aware)
            conditions.append(
                below if low is None else (column >= self._moment(low, aware=aware)) & below
            )
        if window.latest and clock is not None:
            present = clock if aware else local_now(clock, self._zone)
            conditions += [column.is_(None), column > self._moment(present, aware=aware)]
            if self.dialect == "sqlite":
                # Text that is no timestamp has no place in any hour: it comes with the latest one.
                conditions.append(sa.func.glob("????-??-?? ??:??:??*", column) == sa.literal(0))
        return sa.or_(*conditions)

    def _moment(self, moment: datetime, *, aware: bool) -> sa.ColumnElement[Any]:
        """A typed literal; on SQLite text, in the shortest form, which no longer form precedes."""
        text = moment.isoformat(sep=" ")
        if self.dialect == "sqlite":
            return sa.literal(text.rstrip("0") if moment.microsecond else text)
        if self.dialect == "mssql":
            return sa.cast(sa.literal(text), mssql.DATETIMEOFFSET if aware else mssql.DATETIME2)
        return sa.cast(sa.literal(text), postgresql.TIMESTAMP(timezone=aware))


def split_table(table: str) -> tuple[str | None, str]:
    """Schema (None when not given) and name of ``[schema.]name``."""
    schema, _, name = table.rpartition(".")
    return schema or None, name


def _from(table: str, columns: Sequence[str] = ()) -> sa.TableClause:
    schema, name = split_table(table)
    return sa.table(name, *map(sa.column, columns), schema=schema)


def _as_text(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.cast(column, sa.Text())


def _is_real(declared: str) -> bool:
    return declared.lower() in ("real", "float", "double", "double precision")


def _is_aware(declared: str) -> bool:
    lowered = declared.lower()
    return "with time zone" in lowered or lowered in ("timestamptz", "datetimeoffset")
