"""A server that speaks SQL Server's protocol: TDS 7.4 by pysqlbridge, over tables in DuckDB.

It proves the wiring: login, encryption, catalogue, queries that a T-SQL parser reads, and each
type's exact bytes. It follows SQL Server's documentation where its conversions lose something, so
that a query that loses something fails a test: money and floats as text in style 0, `datetime` in
its default style, binary as characters. It does not prove T-SQL: plans, transactions, isolation,
collations and permissions are not SQL Server's.

Values are held as text in their canonical form (ISO 8601 with a blank, hex without 0x, decimals
with all digits of their scale), and as typed values only where a query compares them.
"""

import logging
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import duckdb
import sqlalchemy as sa
import sqlglot
from pysqlbridge.logins import Login, LoginStore
from pysqlbridge.server import start_background
from pysqlbridge.tds.result import Column, Query, QueryError, QueryResult
from sqlglot import exp
from sqlglot.errors import SqlglotError

from retail_platform_tests.extract.tds_catalogue import (
    INFORMATION_SCHEMA,
    VIEWS,
    Catalogue,
    Declared,
    Entry,
)
from retail_platform_tests.extract.tds_types import split_type, wire_type

USER, PASSWORD = "loader", "S3cret;pass}word=1"
_INVALID_OBJECT, _INVALID_COLUMN, _SYNTAX = 208, 207, 102
_CHARACTERS = ("CHAR", "VARCHAR", "NCHAR", "NVARCHAR", "TEXT")
_BINARY = ("binary", "varbinary", "image", "timestamp", "rowversion")
_TYPED = {
    **{name: name.upper() for name in ("smallint", "int", "bigint", "real", "date", "time")},
    **dict.fromkeys(("datetime", "smalldatetime", "datetime2"), "TIMESTAMP"),
    "bit": "INT",
    "tinyint": "SMALLINT",
    "float": "DOUBLE",
    "money": "DECIMAL(19,4)",
    "smallmoney": "DECIMAL(10,4)",
    "datetimeoffset": "TIMESTAMPTZ",
}
_WRITTEN = {
    ("money", 0): "CAST({0} AS DECIMAL(19,2))",
    ("smallmoney", 0): "CAST({0} AS DECIMAL(19,2))",
    ("real", 0): "printf('%g', {0}::DOUBLE)",
    ("float", 0): "printf('%g', {0}::DOUBLE)",
    ("datetime", 0): "strftime({0}::TIMESTAMP, '%b %d %Y %I:%M%p')",
    ("smalldatetime", 0): "strftime({0}::TIMESTAMP, '%b %d %Y %I:%M%p')",
    **{(kind, 0): "from_hex({0})::VARCHAR" for kind in _BINARY},
    **{(kind, 1): "'0x' || {0}" for kind in _BINARY},
}
"""What a value is as text, by type and style of the conversion; else its canonical text."""
_BYTES = (exp.DType.BINARY, exp.DType.VARBINARY)
_CHANGES = "changes_"
"""Schema of the tables that hold the last change of each row of a tracked table."""
_CHANGETABLE = re.compile(r"CHANGETABLE\(CHANGES (?P<table>.+?), (?P<since>\d+)\)")
_CLOCK = "strftime(now() AT TIME ZONE 'UTC', '%Y-%m-%d %H:%M:%S.%f0')"


@dataclass
class SqlServer:
    """A running server; `create` and `insert` are its side of the tests.

    Attributes:
        keeps_versions: Whether its database allows snapshot isolation, as it says; it has none.
        version: What stands for the database's last change, of rowversions and Change Tracking.
        asked: Every statement that came, in order.
    """

    port: int = 0
    keeps_versions: bool = False
    version: int = 0
    asked: list[str] = field(default_factory=list)
    _database: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)
    _declared: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    _catalogue: Catalogue = field(default_factory=Catalogue)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        for (schema, name), columns in VIEWS.items():
            self._make(schema, name, columns)

    def url(self, user: str = USER, password: str = PASSWORD, **query: str) -> str:
        """SQLAlchemy URL of its database."""
        return sa.URL.create(
            "mssql",
            username=user,
            password=password,
            host="127.0.0.1",
            port=self.port,
            database="shop",
            query={"TrustServerCertificate": "yes", **query},
        ).render_as_string(hide_password=False)

    def create(
        self, table: str, columns: Mapping[str, str], declared: Declared | None = None
    ) -> None:
        """A table (``[schema.]name``) with SQL Server's types, and what else is declared of it."""
        place = _place(table)
        self._make(*place, columns)
        self._enter(self._catalogue.entries(place, columns, declared or Declared()))

    def track(self, table: str, key: Sequence[str]) -> None:
        """Switch Change Tracking on for a table with this key; `change` is told from now on."""
        place = _place(table)
        types = self._declared[place]
        marks = {"SYS_CHANGE_VERSION": "bigint", "SYS_CHANGE_OPERATION": "nchar(1)"}
        self._make(_CHANGES, _named(place), marks | {name: types[name] for name in key})
        number = self._catalogue.number(place)
        self._enter([(("sys", "change_tracking_tables"), {"object_id": number})])

    def change(self, table: str, operation: str, *key: str) -> None:
        """A change of a tracked row: CHANGETABLE has a row's last one only."""
        changes = _named((_CHANGES, _named(_place(table))))
        names = list(self._declared[_CHANGES, _named(_place(table))])[2:]
        same = " AND ".join(f"{_quoted(name)} = ?" for name in names)
        self.version += 1
        with self._lock:
            self._database.execute(f"DELETE FROM {changes} WHERE {same}", list(key))
            marks = ", ".join("?" * len(names))
            row = [str(self.version), operation, *key]
            self._database.execute(f"INSERT INTO {changes} VALUES (?, ?, {marks})", row)

    def insert(self, table: str, *rows: Sequence[str | None]) -> None:
        """Rows, each value in its canonical text."""
        if not rows:
            return
        place = _place(table)
        marks = ", ".join("?" * len(rows[0]))
        with self._lock:
            self._database.executemany(
                f"INSERT INTO {_named(place)} VALUES ({marks})", [list(row) for row in rows]
            )
            if place not in VIEWS:
                self._database.execute(
                    "UPDATE sys.partitions SET rows = rows::BIGINT + ? WHERE object_id = ?",
                    [len(rows), str(self._catalogue.number(place))],
                )

    def clear(self) -> None:
        """Forget all tables, and what was asked."""
        for place in [place for place in self._declared if place not in VIEWS]:
            self.execute(f"DROP TABLE IF EXISTS {_named(place)}")
            del self._declared[place]
        for view in VIEWS:
            self.execute(f"DELETE FROM {_named(view)}")
        self._catalogue = Catalogue()
        self.version = 0
        self.keeps_versions = False
        self.asked.clear()

    def _make(self, schema: str, name: str, columns: Mapping[str, str]) -> None:
        listed = ", ".join(f"{_quoted(column)} VARCHAR" for column in columns)
        self.execute(f"CREATE SCHEMA IF NOT EXISTS {_quoted(schema)}")
        self.execute(f"CREATE TABLE {_named((schema, name))} ({listed})")
        self._declared[schema, name] = dict(columns)

    def _enter(self, entries: Iterable[Entry]) -> None:
        for view, entry in entries:
            row = [entry[column] for column in VIEWS[view]]
            self.insert(".".join(view), [None if v is None else str(v) for v in row])

    def execute(self, statement: str) -> None:
        """A statement of DuckDB, such as DELETE."""
        with self._lock:
            self._database.execute(statement)

    def answer(self, request: Query | str) -> QueryResult:
        """What a client's statement gives.

        Raises:
            QueryError: as SQL Server numbers it.
        """
        text = request if isinstance(request, str) else request.sql
        self.asked.append(text)
        if text.startswith("SET TRANSACTION ISOLATION LEVEL "):
            return QueryResult([], [])
        if "[sys].[databases]" in text:
            return QueryResult([Column("state", wire_type("int"))], [[int(self.keeps_versions)]])
        try:
            tree = sqlglot.parse_one(_with_changes(text), read="tsql")
        except SqlglotError as error:
            raise QueryError(f"Incorrect syntax near {error}"[:400], number=_SYNTAX) from error
        if not isinstance(tree, exp.Query):
            return QueryResult([], [])
        columns = [
            Column(shown.alias_or_name, wire_type(self._type(shown)))
            for shown in _first(tree).expressions
        ]
        with self._lock:
            try:
                rows = self._database.execute(self._in_duckdb(tree)).fetchall()
            except duckdb.CatalogException as error:
                missing = f"Invalid object name ({error})"
                raise QueryError(missing, number=_INVALID_OBJECT) from error
            except duckdb.BinderException as error:
                missing = f"Invalid column name ({error})"
                raise QueryError(missing, number=_INVALID_COLUMN) from error
        return QueryResult(columns, [list(row) for row in rows])

    def _in_duckdb(self, tree: exp.Query) -> str:
        for column in list(tree.find_all(exp.Column)):
            declared = self._declared_type(column)
            if declared is not None:
                _replace(column, *split_type(declared))
        for part in list(tree.find_all(exp.Anonymous, exp.CurrentSchema, exp.National)):
            if isinstance(part, exp.CurrentSchema):
                part.replace(exp.Literal.string("dbo"))
            elif isinstance(part, exp.National):
                part.replace(exp.Literal.string(part.name))
            else:
                part.replace(sqlglot.parse_one(self._value(part), read="duckdb"))
        for cast in list(tree.find_all(exp.Cast)):
            if cast.to.this in _BYTES and isinstance(cast.this, exp.Cast):
                # A number as eight bytes, which are held as hex.
                digits = exp.Literal.string("%016X")
                cast.replace(exp.Anonymous(this="printf", expressions=[digits, cast.this]))
        for table in list(tree.find_all(exp.Table)):
            schema = table.db or "dbo"
            schema = INFORMATION_SCHEMA if schema == "INFORMATION_SCHEMA" else schema
            table.set("db", exp.to_identifier(schema, quoted=True))
        return tree.sql("duckdb")

    def _value(self, function: exp.Anonymous) -> str:
        """DuckDB's expression for one of SQL Server's functions."""
        match function.name.upper():
            case "SYSUTCDATETIME":
                return _CLOCK
            case "MIN_ACTIVE_ROWVERSION":
                return str(self.version + 1)
            case "CHANGE_TRACKING_CURRENT_VERSION":
                return str(self.version)
            case "CHANGE_TRACKING_MIN_VALID_VERSION":
                named = function.find(exp.National)
                assert named is not None
                table = sqlglot.to_table(named.name, "tsql")
                tracked = (_CHANGES, _named((table.db or "dbo", table.name))) in self._declared
                return "0" if tracked else "NULL"
            case other:
                raise QueryError(f"{other!r} is not a recognized built-in function", number=195)

    def _type(self, shown: exp.Expr) -> str:
        """SQL Server's type of a value in a result."""
        match shown:
            case exp.Alias() | exp.Max() | exp.Min():
                return self._type(shown.this)
            case exp.Column():
                return self._declared_type(shown) or self._inner_type(shown)
            case exp.Cast():
                return shown.to.sql("tsql").lower()
            case exp.Convert():
                return shown.this.sql("tsql").lower()
            case exp.Count() | exp.Add():
                return "bigint"
            case exp.Literal(is_string=False):
                return "int"
            case exp.Anonymous() if shown.name.upper() == "SYSUTCDATETIME":
                return "datetime2(7)"
            case _:
                return "nvarchar(4000)"

    def _declared_type(self, column: exp.Column) -> str | None:
        """The declared type of a table's column; None for what is no table's."""
        source = _source(column)
        if not isinstance(source, exp.Table):
            return None
        schema = INFORMATION_SCHEMA if source.db == "INFORMATION_SCHEMA" else source.db
        return self._declared.get((schema or "dbo", source.name), {}).get(column.name)

    def _inner_type(self, column: exp.Column) -> str:
        source = _source(column)
        if isinstance(source, exp.Subquery):
            for shown in _first(source.this).expressions:
                if shown.alias_or_name == column.name:
                    return self._type(shown)
        return "nvarchar(128)"


@contextmanager
def sql_server() -> Iterator[SqlServer]:
    """A running server without tables that admits `USER` with `PASSWORD`."""
    logging.getLogger("pysqlbridge").setLevel(logging.CRITICAL)
    state = SqlServer()
    logins = LoginStore([Login(USER, PASSWORD, hashed=False)])
    server, thread = start_background(query_handler=state.answer, logins=logins)
    state.port = server.address[1]
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _replace(column: exp.Column, kind: str, sizes: list[int]) -> None:
    """Put DuckDB's expression where a query speaks of a column, which holds canonical text."""
    parent, text = column.parent, column.sql("duckdb")
    value = f"replace(replace({text}, ' +', '+'), ' -', '-')" if kind == "datetimeoffset" else text
    value = f"rtrim({text})" if kind in ("char", "nchar") else value
    typed = "DECIMAL({},{})".format(*(*sizes, 0)[:2]) if kind in ("decimal", "numeric") else ""
    typed = typed or _TYPED.get(kind, "VARCHAR")
    if isinstance(parent, exp.Max | exp.Min):
        function = "arg_max" if isinstance(parent, exp.Max) else "arg_min"
        new, place = f"{function}({text}, CAST({value} AS {typed}))", parent
    elif isinstance(parent, exp.Cast | exp.Convert):
        if isinstance(parent.parent, exp.Convert) and kind in _BINARY:
            parent = parent.parent
        target = parent.to if isinstance(parent, exp.Cast) else parent.this
        assert isinstance(target, exp.DataType)
        if target.this.value not in _CHARACTERS:
            return
        style = parent.args.get("style")
        new = _WRITTEN.get((kind, int(style.name) if style else 0), "{0}").format(text)
        size = target.expressions[0].name if target.expressions else "30"
        new, place = new if size.upper() == "MAX" else f"left({new}, {size})", parent
    elif column.find_ancestor(exp.Where, exp.Order, exp.Having):
        new, place = f"CAST({value} AS {typed})", column
    else:
        return
    place.replace(sqlglot.parse_one(new, read="duckdb"))


def _with_changes(text: str) -> str:
    """CHANGETABLE, which sqlglot writes and does not read, as the table that stands for it."""
    found = _CHANGETABLE.search(text)
    if found is None:
        return text
    table = sqlglot.to_table(found["table"], "tsql")
    changes = _named((table.db or "dbo", table.name)).replace("]", "]]")
    since = f"[c].[SYS_CHANGE_VERSION] > {found['since']} AND"
    named = text.replace(found[0], f"[{_CHANGES}].[{changes}]")
    return named.replace(" WHERE ", f" WHERE {since} ", 1)


def _source(column: exp.Column) -> exp.Expr | None:
    """The table or subquery that a column's prefix names."""
    select = column.find_ancestor(exp.Select)
    assert select is not None
    sources = [select.args["from_"].this] if select.args.get("from_") else []
    sources += [join.this for join in select.args.get("joins") or []]
    return next((source for source in sources if source.alias_or_name == column.table), None)


def _first(tree: exp.Query) -> exp.Select:
    while not isinstance(tree, exp.Select):
        tree = tree.this
    return tree


def _place(table: str) -> tuple[str, str]:
    schema, _, name = table.rpartition(".")
    return schema or "dbo", name


def _named(place: tuple[str, str]) -> str:
    return ".".join(map(_quoted, place))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
