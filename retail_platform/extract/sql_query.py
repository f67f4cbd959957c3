"""The queries of a SQL source, as sqlglot trees with typed literals.

Belongs here: what is asked, alike of every database. Not here: how each of them says it
(`sql_dialects`), who runs it (`sql_driver`), and what a source checks (`sql`).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

import pyarrow as pa
from sqlglot import Dialect, ErrorLevel, exp

from retail_platform.extract import sql_tree as tree
from retail_platform.extract.local_time import local_now, naive_ranges
from retail_platform.extract.sql_dialects import SqlDialect
from retail_platform.extract.sql_ranges import ValueRange
from retail_platform.extract.sql_types import is_aware, is_real
from retail_platform.extract.window import Window


class Queries:
    """The queries for one dialect and one zone."""

    def __init__(self, dialect: SqlDialect, zone: ZoneInfo) -> None:
        self.dialect = dialect
        self._zone = zone

    def compile(self, query: exp.Query) -> str:
        """The query's text, literals included; the tree is used up."""
        return query.sql(self.dialect.grammar, copy=False, unsupported_level=ErrorLevel.RAISE)

    def no_rows(self, table: str) -> exp.Query:
        """All columns of a table, for what describes a result by itself."""
        never = exp.EQ(this=tree.number(0), expression=tree.number(1))
        return exp.Select(
            expressions=[exp.Star()],
            from_=exp.From(this=tree.table(table)),
            where=exp.Where(this=never),
        )

    def rows(
        self,
        table: str,
        *,
        schema: pa.Schema,
        types: dict[str, str],
        where: exp.Expr | None,
        also: Mapping[str, exp.Expr] = MappingProxyType({}),
    ) -> exp.Query:
        """The rows for which a condition holds, exact.

        Args:
            table: ``[schema.]name``.
            schema: Columns and the Arrow types that they are to have.
            types: Their declared types.
            where: The condition; None: all rows.
            also: Columns of another making that come before.
        """
        reals = [
            field.name
            for field in schema
            if pa.types.is_floating(field.type) and is_real(types[field.name])
        ]
        columns = {**also, **self.exact(schema, types)}
        return self.dialect.typed(tree.select(columns, tree.table(table), where), reals, table)

    def last_rows(
        self,
        table: str,
        key: Sequence[str],
        count: int,
        *,
        schema: pa.Schema,
        types: dict[str, str],
    ) -> exp.Query:
        """Up to ``count`` rows, those with the greatest ``key`` first, for which an index serves.

        Args:
            table: ``[schema.]name``.
            key: Columns, the first one weighing most; none: any rows.
            count: How many.
            schema: Columns and the Arrow types that they are to have.
            types: Their declared types.
        """
        query = tree.select(self.exact(schema, types), tree.table(table)).limit(count, copy=False)
        # As the database orders NULL by itself: any other order is not the index's.
        first = Dialect.get_or_raise(self.dialect.grammar).NULL_ORDERING == "nulls_are_large"
        for name in key:
            newest = exp.Ordered(this=tree.column(name), desc=True, nulls_first=first)
            query.order_by(newest, copy=False)
        return self.dialect.typed(query)

    def exact(self, schema: pa.Schema, types: dict[str, str]) -> dict[str, exp.Expr]:
        """Columns, each in a form from which its Arrow type is exact."""
        return {
            field.name: self.dialect.exact(field.name, field.type, types[field.name])
            for field in schema
        }

    def bounds(self, table: str, column: str, declared: str, where: exp.Expr | None) -> exp.Query:
        """The ``least`` and ``greatest`` value of a column among rows of a condition."""
        least, greatest = exp.Min(this=tree.column(column)), exp.Max(this=tree.column(column))
        values = {
            "least": self.dialect.in_calendar(least, declared),
            "greatest": self.dialect.in_calendar(greatest, declared),
        }
        return self.dialect.typed(self._figures(values, table, where))

    def within(self, column: str, range_: ValueRange, where: exp.Expr | None) -> exp.Expr | None:
        """A condition, of the rows whose column lies in a range."""
        sides: list[exp.Expr] = [where.copy()] if where is not None else []
        ends = [(exp.GTE, range_.low), (exp.LT, range_.high)]
        inside = [
            side(this=tree.column(column), expression=self._value(end))
            for side, end in ends
            if end is not None
        ]
        if inside and range_.low is None:
            missing = exp.Is(this=tree.column(column), expression=exp.Null())
            inside = [tree.either([*inside, missing])]
        sides += inside
        return exp.and_(*sides, copy=False) if sides else None

    def _value(self, value: int | datetime) -> exp.Expr:
        return self.dialect.moment(value) if isinstance(value, datetime) else tree.number(value)

    def count(
        self,
        table: str,
        *,
        types: dict[str, str],
        watermark: str | None,
        window: Window,
        clock: datetime | None,
    ) -> exp.Query:
        """The number of rows of a window."""
        condition = self.condition(watermark, types, window, clock)
        return self.dialect.typed(self._figures({"rows": tree.count()}, table, condition))

    def extent(
        self,
        table: str,
        columns: Sequence[str],
        *,
        types: dict[str, str],
        watermark: str | None,
        window: Window,
        clock: datetime | None,
    ) -> exp.Query:
        """The number of rows of a window, and the least and greatest value of columns."""
        values = {"rows": tree.count()}
        for number, name in enumerate(columns):
            values[f"least_{number}"] = exp.Min(this=tree.column(name))
            values[f"greatest_{number}"] = exp.Max(this=tree.column(name))
        condition = self.condition(watermark, types, window, clock)
        return self.dialect.typed(self._figures(values, table, condition))

    def hourly(
        self, table: str, *, types: dict[str, str], watermark: str, hours: Sequence[datetime]
    ) -> exp.Query | None:
        """Rows and greatest watermark of each hour, by its place in ``hours``; one row an hour.

        None where no hour can have rows: naive values never mean the second pass of a doubled hour.
        """
        aware = is_aware(types[watermark])
        parts: list[exp.Query] = []
        for number, hour in enumerate(hours):
            if not aware and hour.astimezone(self._zone).fold:
                continue
            window = Window.of_hour(hour, buffer=timedelta(0), initial=False)
            values = {
                "number": tree.number(number),
                "rows": tree.count(),
                "latest": exp.Max(this=tree.column(watermark)),
            }
            condition = self.condition(watermark, types, window, None)
            parts.append(self._figures(values, table, condition))
        return self._together(parts) if parts else None

    def greatest(
        self, table: str, *, types: dict[str, str], watermark: str, before: Sequence[datetime]
    ) -> exp.Query:
        """The greatest watermark before each moment, by its place in ``before``; one row each."""
        parts: list[exp.Query] = []
        for number, end in enumerate(before):
            window = Window(hour=end, start=None, end=end, initial=False)
            latest = exp.Max(this=tree.column(watermark))
            values = {"number": tree.number(number), "latest": latest}
            condition = self.condition(watermark, types, window, None)
            parts.append(self._figures(values, table, condition))
        return self._together(parts)

    def _figures(
        self, values: dict[str, exp.Expr], table: str, condition: exp.Expr | None
    ) -> exp.Query:
        figures = {name: self.dialect.figure(value) for name, value in values.items()}
        return tree.select(figures, tree.table(table), condition)

    def _together(self, parts: Sequence[exp.Query]) -> exp.Query:
        # As a subquery: SQLite takes no union inside of a union.
        names = parts[0].named_selects
        rows = tree.nested(tree.union(parts))
        return self.dialect.typed(tree.select({name: tree.column(name) for name in names}, rows))

    def condition(
        self,
        watermark: str | None,
        types: dict[str, str],
        window: Window,
        clock: datetime | None,
    ) -> exp.Expr | None:
        """Which rows belong to the window; None where all do."""
        if watermark is None:
            return None
        aware = is_aware(types[watermark])
        if aware:
            bounds = [(window.start, window.end)]
        else:
            bounds = naive_ranges(window.start, window.end, self._zone)
        conditions = [self._between(watermark, low, high) for low, high in bounds]
        if window.latest and clock is not None:
            present = self.dialect.moment(clock if aware else local_now(clock, self._zone))
            conditions += [
                exp.Is(this=tree.column(watermark), expression=exp.Null()),
                exp.GT(this=tree.column(watermark), expression=present),
            ]
            if self.dialect.moment_shape:
                # Text that is no timestamp has no place in any hour: it comes with the latest one.
                shape = tree.text(self.dialect.moment_shape)
                moment_like = exp.Glob(this=tree.column(watermark), expression=shape)
                conditions.append(exp.Not(this=moment_like))
        return tree.either(conditions)

    def _between(self, watermark: str, low: datetime | None, high: datetime) -> exp.Expr:
        end = self.dialect.moment(high)
        below = exp.LT(this=tree.column(watermark), expression=end)
        if low is None:
            return below
        start = self.dialect.moment(low)
        return exp.And(
            this=exp.GTE(this=tree.column(watermark), expression=start), expression=below
        )
