"""Describes tables of SQLite and PostgreSQL: by SQLAlchemy's inspector, and with a sample of rows.

The inspector is asked once for all tables, not once a table: two hundred tables are seconds.
Nothing is written, and a missing SQLite file is not created.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.engine.reflection import ObjectKind, ObjectScope
from sqlalchemy.types import TypeEngine

from retail_platform.control.redaction import redact
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.metadata.onboarding_tables import (
    EXACT,
    MOST_DIGITS,
    SAMPLE_ROWS,
    ForeignKey,
    SourceColumn,
    SourceTable,
)

_SYSTEM_SCHEMAS = {"information_schema", "pg_catalog", "pg_toast"}
_DRIVERS = {"postgresql": "postgresql+psycopg"}
_SQLGLOT = {"postgresql": "postgres", "sqlite": "sqlite"}

Reflected = Mapping[tuple[str | None, str], Any]


class SqlDescriber:
    """Describes the tables of one database.

    Args:
        url: SQLAlchemy URL, as the source's environment variable holds it.
        source: Name of the source, for messages.

    Raises:
        PermanentFailure: the database's driver is not installed.
    """

    def __init__(self, url: str, source: str) -> None:
        self._source = source
        self._url = _readable(sa.make_url(url))
        self._dialect = self._url.get_backend_name()
        try:
            self._engine = sa.create_engine(self._url)
        except (ModuleNotFoundError, exc.NoSuchModuleError) as error:
            raise PermanentFailure(
                f"source {source}: no driver to look into {self._url.drivername} ({error}); "
                "install it, name it in the URL (dialect+driver://...), or write the row by hand"
            ) from error

    def names(self) -> list[str]:
        """All tables and views: bare in the default schema, else ``schema.name``.

        Raises:
            TransientFailure: the database cannot be reached.
        """
        with self._inspector() as inspector:
            default = inspector.default_schema_name
            found = []
            for schema in inspector.get_schema_names():
                if schema in _SYSTEM_SCHEMAS or schema.startswith("pg_toast"):
                    continue
                own = None if schema == default or self._dialect == "sqlite" else schema
                tables = [*inspector.get_table_names(own), *inspector.get_view_names(own)]
                found += [f"{own}.{name}" if own else name for name in tables]
                if self._dialect == "sqlite":
                    break
            return sorted(set(found))

    def views(self) -> set[str]:
        """The views of the default schema, which a wildcard leaves out."""
        with self._inspector() as inspector:
            return set(inspector.get_view_names())

    def describe(self, names: Sequence[str]) -> list[SourceTable]:
        """The tables of these names, which must exist.

        Raises:
            TransientFailure: the database cannot be reached.
        """
        found: list[SourceTable] = []
        with self._inspector() as inspector:
            for schema in sorted({_split(name)[0] or "" for name in names}):
                own = schema or None
                bare = [table for s, table in map(_split, names) if s == own]
                found += self._described(inspector, own, bare)
        order = {name: place for place, name in enumerate(names)}
        return sorted(found, key=lambda table: order[table.name])

    def unique(self, table: str, columns: Sequence[str]) -> bool:
        """Whether no two rows of the whole table agree in these columns and none is NULL."""
        clause = _clause(table, columns)
        chosen = [clause.c[name] for name in columns]
        missing = sa.select(sa.literal(1)).where(sa.or_(*(c.is_(None) for c in chosen))).limit(1)
        twice = sa.select(sa.literal(1)).group_by(*chosen).having(sa.func.count() > 1).limit(1)
        with self._connection() as connection:
            return not any(
                connection.execute(query.select_from(clause)).first() for query in (missing, twice)
            )

    def _described(
        self, inspector: sa.Inspector, schema: str | None, names: Collection[str]
    ) -> Iterator[SourceTable]:
        wanted = {
            "schema": schema,
            "filter_names": list(names),
            "kind": ObjectKind.ANY,
            "scope": ObjectScope.DEFAULT,
        }
        columns = inspector.get_multi_columns(**wanted)
        keys = inspector.get_multi_pk_constraint(**wanted)
        unique = inspector.get_multi_unique_constraints(**wanted)
        indexes = inspector.get_multi_indexes(**wanted)
        foreign = inspector.get_multi_foreign_keys(**wanted)
        checks = inspector.get_multi_check_constraints(**wanted)
        comments = self._comments(inspector, wanted)
        default = inspector.default_schema_name
        rows = self._estimates(schema or default, names)
        for place, reflected in columns.items():
            _, bare = place
            name = f"{schema}.{bare}" if schema else bare
            key = tuple((keys.get(place) or {}).get("constrained_columns") or ())
            constraints = [tuple(u["column_names"]) for u in unique.get(place) or ()]
            plain = [(tuple(filter(None, i["column_names"])), i) for i in indexes.get(place) or ()]
            constraints += [
                columns
                for columns, index in plain
                # An index over expressions, or over some rows only, is no key.
                if index.get("unique")
                and len(columns) == len(index["column_names"])
                and not any("where" in option for option in index.get("dialect_options") or {})
            ]
            yield SourceTable(
                name=name,
                columns=tuple(self._column(column) for column in reflected),
                primary_key=key,
                unique=tuple(dict.fromkeys(constraints)),
                foreign_keys=tuple(
                    ForeignKey(
                        columns=tuple(f["constrained_columns"]),
                        table=_joined(f.get("referred_schema"), f["referred_table"], default),
                        referred=tuple(f["referred_columns"]),
                    )
                    for f in foreign.get(place) or ()
                ),
                checks=tuple(check["sqltext"] for check in checks.get(place) or ()),
                indexed=frozenset(
                    columns[0]
                    for columns in (*constraints, *(columns for columns, _ in plain), key)
                    if columns
                ),
                comment=(comments.get(place) or {}).get("text") or "",
                rows=rows.get(bare),
                sample=tuple(self._sample(name, [c["name"] for c in reflected], key)),
                ordered=bool(key),
                dialect=_SQLGLOT[self._dialect],
                # SQLite types values, not columns; its constraints hold.
                promised=self._dialect != "sqlite",
            )

    def _comments(self, inspector: sa.Inspector, wanted: dict[str, Any]) -> Reflected:
        if not inspector.dialect.supports_comments:
            return {}
        return inspector.get_multi_table_comment(**wanted)

    def _column(self, reflected: Mapping[str, Any]) -> SourceColumn:
        kind: TypeEngine[Any] = reflected["type"]
        try:
            declared = kind.compile(self._engine.dialect)
        except exc.CompileError:
            declared = type(kind).__name__.lower()
        return SourceColumn(
            name=reflected["name"],
            declared=declared,
            physical=_physical(kind, self._dialect),
            required=not reflected["nullable"] or bool(reflected.get("primary_key")),
            comment=reflected.get("comment") or "",
            values=tuple(kind.enums) if isinstance(kind, sa.Enum) else (),
        )

    def _sample(
        self, name: str, columns: Sequence[str], key: Sequence[str]
    ) -> Iterator[dict[str, str | None]]:
        clause = _clause(name, columns)
        query = sa.select(*(clause.c[column] for column in columns)).limit(SAMPLE_ROWS)
        # From the end: the index has these rows at hand, and they are those written today.
        query = query.order_by(*(clause.c[column].desc() for column in key))
        with self._connection() as connection:
            for row in connection.execute(query):
                yield {
                    column: None if value is None else str(value)
                    for column, value in zip(columns, row, strict=True)
                }

    def _estimates(self, schema: str | None, names: Collection[str]) -> dict[str, int]:
        with self._connection() as connection:
            if self._dialect == "postgresql":
                return self._postgres_estimates(connection, schema)
            return {name: self._sqlite_rows(connection, name) for name in names}

    def _postgres_estimates(self, connection: sa.Connection, schema: str | None) -> dict[str, int]:
        # -1 is a table that was never analysed: its size in pages and the usual row say enough.
        rows = connection.execute(_POSTGRES_ROWS, {"schema": schema})
        return {name: int(number) for name, number in rows}

    def _sqlite_rows(self, connection: sa.Connection, name: str) -> int:
        try:
            last = connection.execute(
                sa.select(sa.func.max(sa.column("rowid"))).select_from(sa.table(name))
            ).scalar()
        except exc.OperationalError:
            # A view, or a table WITHOUT ROWID.
            query = sa.select(sa.func.count()).select_from(sa.table(name))
            return int(connection.execute(query).scalar_one())
        return int(last or 0)

    @contextmanager
    def _inspector(self) -> Iterator[sa.Inspector]:
        with self._connection() as connection:
            yield sa.inspect(connection)

    @contextmanager
    def _connection(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except exc.OperationalError as error:
            shown = self._url.render_as_string(hide_password=True)
            raise TransientFailure(
                f"source {self._source}: {shown} cannot be looked into "
                f"({redact(str(error.orig), self._url.password or '').strip()}); check that the "
                "database runs and that the source's variable names the right one"
            ) from error


_POSTGRES_ROWS = sa.text(
    "select c.relname, case when c.reltuples >= 0 then c.reltuples "
    "else pg_relation_size(c.oid) / 100 end from pg_class c "
    "join pg_namespace n on n.oid = c.relnamespace "
    "where n.nspname = :schema and c.relkind in ('r', 'p', 'm')"
)


def _readable(url: sa.URL) -> sa.URL:
    """The URL with a driver that is installed, read-only where a missing file would be made."""
    if url.get_backend_name() == "sqlite":
        return url.set(
            database=f"file:{quote(url.database or '')}", query={"mode": "ro", "uri": "true"}
        )
    return url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))


def _split(name: str) -> tuple[str | None, str]:
    schema, _, bare = name.rpartition(".")
    return schema or None, bare


def _joined(schema: str | None, name: str, default: str | None) -> str:
    return name if schema in (None, default) else f"{schema}.{name}"


def _clause(table: str, columns: Sequence[str]) -> sa.TableClause:
    schema, name = _split(table)
    return sa.table(name, *map(sa.column, columns), schema=schema)


def _physical(kind: TypeEngine[Any], dialect: str) -> str | None:
    """The contract's type for a declared one; None where the values have to tell."""
    if isinstance(kind, sa.Numeric) and not isinstance(kind, sa.Float):
        return _decimal(kind)
    if isinstance(kind, sa.String):
        # On SQLite text is also how money and time are kept.
        return None if dialect == "sqlite" else "string"
    simple: tuple[tuple[type[TypeEngine[Any]], str], ...] = (
        (sa.Boolean, "boolean"),
        (sa.BigInteger, "bigint"),
        # SQLite's only integer has 64 bits, whatever it is called.
        (sa.Integer, "bigint" if dialect == "sqlite" else "int"),
        (sa.Float, "double"),
        (sa.DateTime, "timestamp"),
        (sa.Date, "date"),
        (sa.types.NullType, ""),
    )
    for declared, physical in simple:
        if isinstance(kind, declared):
            return physical or None
    return "string"


def _decimal(kind: sa.Numeric[Any]) -> str:
    if kind.precision is None or kind.precision > MOST_DIGITS:
        return EXACT
    return f"decimal({kind.precision},{kind.scale or 0})"
