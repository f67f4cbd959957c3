"""ODBC against real drivers: PostgreSQL's and SQLite's own, over unixODBC.

What they prove of a legacy database: connecting, describing, windows and failures are ODBC's. How
exact its driver's texts are, and that sqlglot writes its dialect, only that database can tell.
"""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from retail_platform.extract.sql import SqlSource
from retail_platform.extract.window import Window
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.metadata.loader import load_catalog
from retail_platform_tests.extract.odbc import connection, require_driver
from retail_platform_tests.extract.postgres import run
from retail_platform_tests.platform.catalogs import contract, sql_source, write_catalog
from retail_platform_tests.platform.fixtures import Opener

HOUR = datetime(2026, 11, 20, 14, tzinfo=UTC)
EVERYTHING = Window(hour=HOUR, start=None, end=HOUR + timedelta(hours=1), initial=True)
CLOCK = "select now from clock"
PASSWORD = "p@ss}w;rd=1"


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    """A database whose clock stands still, for the driver of Debian's odbc-postgresql."""
    require_driver("PostgreSQL Unicode", "odbc-postgresql")
    run(
        postgres_url,
        "drop schema if exists legacy cascade",
        "drop table if exists clock cascade",
        "create schema legacy",
        "create table clock as select timestamp '2026-11-20 15:05' as now",
    )
    yield postgres_url
    run(postgres_url, "drop schema legacy cascade")


def source(url: str, **changed: str) -> SqlSource:
    return SqlSource(connection(url, **changed), "UTC", CLOCK, name="old", odbc="postgres")


@pytest.mark.postgres
def test_values_arrive_as_the_driver_writes_them(url: str) -> None:
    """Described are a double as a float and a decimal of 28 digits: neither is fetched as such."""
    run(
        url,
        """create table legacy.kinds (small smallint, big bigint, day date, precise float8,
        shortest real, amount numeric(38,18), local timestamp, label varchar(20), note text,
        ok boolean)""",
        """insert into legacy.kinds values (1, 9223372036854775807, '2026-01-05',
        0.30000000000000004, 1.1, 12345678901234567890.123456789012345678,
        '2026-01-05 10:00:00.000001', 'zażółć', repeat('x', 20000), true)""",
        "insert into legacy.kinds (small) values (null)",
    )
    old = source(url)
    columns = old.columns("legacy.kinds")
    assert columns["big"] == "int64"
    table = old.read(
        table="legacy.kinds", columns=list(columns), watermark=None, window=EVERYTHING
    ).read_all()
    assert table.to_pylist() == [
        {
            "small": 1,
            "big": 2**63 - 1,
            "day": date(2026, 1, 5),
            "precise": "0.30000000000000004",
            "shortest": "1.1",
            "amount": "12345678901234567890.123456789012345678",
            "local": "2026-01-05 10:00:00.000001",
            "label": "zażółć",
            "note": "x" * 20_000,
            "ok": "1",
        },
        dict.fromkeys(columns),
    ]


@pytest.mark.postgres
def test_a_value_longer_than_described_is_an_error_and_not_cut(url: str) -> None:
    """The driver describes a numeric of no precision with 28 digits."""
    run(
        url,
        "create table legacy.wide (amount numeric)",
        "insert into legacy.wide values (12345678901234567890.123456789012345678901)",
    )
    reader = source(url).read(
        table="legacy.wide", columns=["amount"], watermark=None, window=EVERYTHING
    )
    with pytest.raises(PermanentFailure, match=r"table legacy\.wide: .*too large"):
        reader.read_all()


@pytest.mark.postgres
def test_windows_counts_and_the_greatest_watermark(url: str) -> None:
    run(
        url,
        "create table legacy.orders (id int, changed timestamp)",
        """insert into legacy.orders values (1, '2026-11-20 13:59:59.999999'),
        (2, '2026-11-20 14:00'), (3, '2026-11-20 14:59:59.5'), (4, '2026-11-20 15:00'),
        (5, null), (6, '2099-01-01')""",
    )
    old = source(url)
    latest = Window.of_hour(HOUR, buffer=timedelta(), initial=False, latest=True)
    reader = old.read(table="legacy.orders", columns=["id"], watermark="changed", window=latest)
    assert reader.read_all()["id"].to_pylist() == [2, 3, 5, 6]
    assert old.count("legacy.orders", "changed", latest) == 4
    assert old.extent("legacy.orders", ["id"], "changed", EVERYTHING) == (3, {"id": (1, 3)})
    assert old.hourly("legacy.orders", "changed", [HOUR]) == {
        HOUR: (2, datetime(2026, 11, 20, 14, 59, 59, 500_000, tzinfo=UTC))
    }
    assert old.clock() == datetime(2026, 11, 20, 15, 5, tzinfo=UTC)
    with pytest.raises(PermanentFailure, match="watermark column id is declared int32"):
        old.count("legacy.orders", "id", latest)


@pytest.mark.postgres
def test_failures_say_what_to_do_and_hide_the_password(url: str) -> None:
    old = source(url)
    with pytest.raises(PermanentFailure, match=r"table legacy\.orders: .*does not exist"):
        old.columns("legacy.orders")
    run(
        url,
        "drop role if exists reader",
        f"create role reader login password '{PASSWORD}'",
        "create table legacy.hidden (id int)",
        "grant usage on schema legacy to reader",
    )
    known = {"UID": "reader", "PWD": PASSWORD}
    texts = []
    for changed, failure, words in (
        (known, PermanentFailure, "permission denied"),
        (known | {"PWD": PASSWORD + "x"}, PermanentFailure, "authentication failed"),
        (known | {"Port": "1"}, TransientFailure, "broke off"),
        (known | {"Driver": "Nobody's"}, PermanentFailure, "Can't open lib"),
    ):
        with pytest.raises(failure, match=words) as raised:
            source(url, **changed).columns("legacy.hidden")
        texts.append(str(raised.value))
    assert not [text for text in texts if "p@ss" in text]
    run(url, "drop owned by reader", "drop role reader")


def test_an_unknown_dialect_is_permanent() -> None:
    with pytest.raises(
        PermanentFailure, match=r"'vax' is not known to sqlglot; use one of .*oracle"
    ):
        SqlSource("DSN=old", "UTC", CLOCK, odbc="vax")


def test_a_sqlite_file_through_odbc(tmp_path: Path) -> None:
    """Its driver describes a TIMESTAMP in whole seconds: text is what keeps them all."""
    require_driver("SQLite3", "libsqliteodbc")
    path = tmp_path / "old.db"
    client = sqlite3.connect(path)
    client.execute(
        "create table orders (id integer, amount text, changed varchar(40), at timestamp)"
    )
    client.execute("insert into orders values (1, '0.10', '2026-11-20 14:10:00.123456', null)")
    client.execute(
        "insert into orders values (2, '1', '2026-11-20 15:00:00', '2026-11-20 15:00:00.123456')"
    )
    client.commit()
    client.close()
    old = SqlSource(f"Driver=SQLite3;Database={path}", "UTC", CLOCK, name="old", odbc="sqlite")
    window = Window.of_hour(HOUR, buffer=timedelta(), initial=False)
    columns = list(old.columns("orders"))
    reader = old.read(table="orders", columns=columns[:3], watermark="changed", window=window)
    assert reader.read_all().to_pylist() == [
        {"id": 1, "amount": "0.10", "changed": "2026-11-20 14:10:00.123456"}
    ]
    reader = old.read(table="orders", columns=["at"], watermark=None, window=window)
    with pytest.raises(PermanentFailure, match="too large"):
        reader.read_all()


@pytest.mark.postgres
def test_a_source_of_kind_odbc_reaches_silver(url: str, tmp_path: Path, new_box: Opener) -> None:
    """From the row in the catalog: its texts are cast by the contract."""
    run(
        url,
        "create table legacy.things (id int, amount numeric(19,4), modified_at timestamp)",
        "insert into legacy.things values (1, 10.5, '2026-01-05 12:10:00.25'), (2, null, null)",
        "update clock set now = '2026-01-05 13:00'",
    )
    columns = {"id": "bigint", "amount": "decimal(19,4)", "modified_at": "timestamp"}
    row = {
        "table": "things",
        "source_name": "legacy.things",
        "load": "incremental",
        "key": ["id"],
        "watermark": {"column": "modified_at", "null": "default"},
        "silver": {"entity": "things", "merge": "upsert"},
    }
    entry = sql_source("old", [row])
    entry["connection"] = {
        "kind": "odbc",
        "connection_string": {"env": "OLD_ODBC"},
        "dialect": "postgres",
        "timezone": "UTC",
        "clock_query": CLOCK,
    }
    catalog = load_catalog(
        write_catalog(tmp_path / "catalog", [entry], [contract("things", columns, ["id"])])
    )
    box = new_box(catalog)
    assert box.both("things", 0, {"OLD_ODBC": connection(url)}).counts.applied
    (first,) = [row for row in box.live("things") if row["id"] == 1]
    assert str(first["amount"]) == "10.5000"
