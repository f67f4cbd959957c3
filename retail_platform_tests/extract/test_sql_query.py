"""Query text: names and values arrive at real databases as spelled, whatever they contain."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pyarrow as pa
import pytest

from retail_platform.extract.sql import SqlSource
from retail_platform.extract.sql_dialects import DIALECTS
from retail_platform.extract.sql_query import Queries
from retail_platform.extract.window import Window

HOUR = datetime(2026, 11, 20, 14, 0, 0, 250_000, tzinfo=UTC)
EVERYTHING = Window(hour=HOUR, start=None, end=HOUR + timedelta(hours=1), initial=True)
TABLE = 'o\'dd "x"; drop table kept --'
COLUMNS = ("se;lect", 'quo"ted', "it's", "[b]r`ck", "ünï", "order", "Rows")
MOMENT = "2026-11-20 14:30:00"


def statements() -> tuple[str, ...]:
    """Tables with names that are SQL when pasted; every value is its column's name."""

    def quoted(name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    values = ", ".join("'" + name.replace("'", "''") + "'" for name in COLUMNS)
    columns = ", ".join(f"{quoted(name)} text" for name in COLUMNS)
    return (
        "drop table if exists kept",
        f"drop table if exists {quoted(TABLE)}",
        "create table kept (id text)",
        f"create table {quoted(TABLE)} ({columns}, changed timestamp)",
        f"insert into {quoted(TABLE)} values ({values}, '{MOMENT}')",
    )


def read_by_spelling(url: str) -> None:
    source = SqlSource(url, "UTC", name="erp")
    assert [name for name in source.columns(TABLE) if name != "changed"] == [*COLUMNS]
    rows = source.read(table=TABLE, columns=COLUMNS, watermark="changed", window=EVERYTHING)
    assert rows.read_all().to_pylist() == [{name: name for name in COLUMNS}]
    assert source.count(TABLE, None, EVERYTHING) == 1
    assert source.columns("kept")


def test_names_that_are_sql_are_names_on_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "sales.db"
    connection = sqlite3.connect(path)
    for statement in statements():
        connection.execute(statement)
    connection.commit()
    connection.close()
    read_by_spelling(f"sqlite:///{path}")


@pytest.mark.postgres
def test_names_that_are_sql_are_names_on_postgresql(postgres_url: str) -> None:
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        for statement in statements():
            connection.execute(statement.encode())
    read_by_spelling(postgres_url)


def test_a_column_that_has_gone_is_an_error_and_no_text() -> None:
    """SQLite takes a quoted name that is no column for a text, unless its table is named too."""
    connection = sqlite3.connect(":memory:")
    connection.execute("create table orders (id integer)")
    queries = Queries(DIALECTS["sqlite"], ZoneInfo("UTC"))
    query = queries.rows(
        "orders",
        schema=pa.schema([("gone", pa.string())]),
        types={"gone": "text"},
        where=None,
    )
    with pytest.raises(sqlite3.OperationalError, match="no such column"):
        connection.execute(queries.compile(query))
    connection.close()


@pytest.mark.parametrize(
    ("dialect", "naive", "aware"),
    [
        ("sqlite", "'2026-11-20 15:00:00.25'", "'2026-11-20 15:00:00.25+00:00'"),
        (
            "postgresql",
            "CAST('2026-11-20 15:00:00.250000' AS TIMESTAMP)",
            "CAST('2026-11-20 15:00:00.250000+00:00' AS TIMESTAMPTZ)",
        ),
        (
            "mssql",
            "CAST('2026-11-20 15:00:00.250000' AS DATETIME2)",
            "CAST('2026-11-20 15:00:00.250000+00:00' AS DATETIMEOFFSET)",
        ),
    ],
)
def test_moments_are_typed_literals(dialect: str, naive: str, aware: str) -> None:
    queries = Queries(DIALECTS[dialect], ZoneInfo("UTC"))
    for declared, literal in (("datetime", naive), ("timestamp with time zone", aware)):
        query = queries.count(
            "orders", types={"at": declared}, watermark="at", window=EVERYTHING, clock=None
        )
        assert queries.compile(query).endswith(f" < {literal}")


def test_a_name_is_a_national_text_to_sql_server() -> None:
    """Its plain literals know the characters of the database's code page only."""
    queries = Queries(DIALECTS["mssql"], ZoneInfo("UTC"))
    text = queries.compile(queries.dialect.columns("зал.o'ст"))
    assert "[t].[TABLE_NAME] = N'o''ст'" in text
    assert "[t].[TABLE_SCHEMA] = N'зал'" in text
