"""SQL extraction from a real PostgreSQL: exact numerics, both kinds of timestamp, failures."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
import sqlalchemy as sa

from retail_platform.extract.sql import SqlSource
from retail_platform.extract.window import Window
from retail_platform.failures import PermanentFailure

pytestmark = pytest.mark.postgres

HOUR = datetime(2026, 11, 20, 14, tzinfo=UTC)  # 06:00 in Los Angeles
WINDOW = Window.of_hour(HOUR, buffer=timedelta(), initial=False)
EVERYTHING = Window(hour=HOUR, start=None, end=HOUR + timedelta(hours=1), initial=True)


@pytest.fixture
def source(postgres_url: str) -> SqlSource:
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        for statement in (
            "DROP SCHEMA IF EXISTS sales CASCADE",
            "CREATE SCHEMA sales",
            """CREATE TABLE sales.orders (id bigint, amount numeric(19,4), long numeric,
            code char(3), local timestamp, moment timestamptz, ok boolean)""",
            "DROP TABLE IF EXISTS public.days",
            "CREATE TABLE public.days (id bigint, day date)",
            "INSERT INTO public.days VALUES (1, '2026-11-19'), (2, '2026-11-20'), (3, NULL)",
            """INSERT INTO sales.orders VALUES
            (NULL, NULL, NULL, NULL, NULL, NULL, NULL),
            (1, 123456789012345.6789, 3.141592653589793238, 'ab', '2026-11-20 06:00:00',
            '2026-11-20 14:00:00+00', true),
            (2, 1, 1, 'c', '2026-11-20 07:00:00', '2026-11-20 15:00:00+00', false),
            (3, 1, 1, 'c', '2099-01-01 00:00:00', '2099-01-01 00:00:00+00', false)""",
        ):
            connection.exec_driver_sql(statement)
    engine.dispose()
    return SqlSource(postgres_url, "America/Los_Angeles", name="erp")


def ids(source: SqlSource, watermark: str, window: Window) -> list[int | None]:
    reader = source.read(
        table="sales.orders",
        columns=["id"],
        casts={"id": pa.int64()},
        watermark=watermark,
        window=window,
    )
    return sorted(reader.read_all()["id"].to_pylist(), key=str)


def test_values_are_exact(source: SqlSource) -> None:
    casts = {"id": pa.int64(), "amount": pa.decimal128(19, 4), "ok": pa.bool_()}
    table = source.read(
        table="sales.orders",
        columns=["id", "amount", "long", "code", "local", "ok"],
        casts=casts,
        watermark=None,
        window=EVERYTHING,
    ).read_all()
    assert table.schema.field("amount").type == pa.decimal128(19, 4)
    assert table.to_pylist()[:2] == [
        dict.fromkeys(table.schema.names),
        {
            "id": 1,
            "amount": Decimal("123456789012345.6789"),
            "long": "3.141592653589793238",
            "code": "ab ",
            "local": "2026-11-20 06:00:00.000000",
            "ok": True,
        },
    ]


def test_only_whole_numbers_have_an_extent(source: SqlSource, postgres_url: str) -> None:
    """Types that have "int" in their names are asked for no least value, which some have not."""
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            """CREATE TABLE sales.visits (small smallint, whole integer, big bigint, nothing int,
            lasted interval, place point, within int4range, ids int[], printed text)"""
        )
        connection.exec_driver_sql(
            """INSERT INTO sales.visits VALUES
            (-1, 7, 9223372036854775807, NULL, '1 day', '(1,2)', '[1,5)', '{1,2}', '3'),
            (2, 5, -9223372036854775808, NULL, '2 hours', '(0,0)', '[2,3)', '{3}', '4')"""
        )
    engine.dispose()
    columns = list(source.columns("sales.visits"))
    assert source.extent("sales.visits", columns, None, EVERYTHING) == (
        2,
        {"small": (-1, 2), "whole": (5, 7), "big": (-(2**63), 2**63 - 1)},
    )


@pytest.mark.parametrize("watermark", ["local", "moment"])
def test_windows_of_naive_and_aware_watermarks(source: SqlSource, watermark: str) -> None:
    following = Window.of_hour(HOUR + timedelta(hours=1), buffer=timedelta(), initial=False)
    latest = Window.of_hour(HOUR, buffer=timedelta(), initial=False, latest=True)
    assert ids(source, watermark, WINDOW) == [1]
    assert ids(source, watermark, following) == [2]
    assert ids(source, watermark, EVERYTHING) == [1]
    assert set(ids(source, watermark, latest)) >= {1, 3, None}
    assert source.count("sales.orders", watermark, WINDOW) == 1


def test_a_day_as_watermark_is_the_moment_at_which_it_begins(source: SqlSource) -> None:
    """Midnight in Los Angeles: windows and greatest watermarks agree on it."""
    midnight = datetime(2026, 11, 20, 8, tzinfo=UTC)
    window = Window.of_hour(midnight, buffer=timedelta(), initial=False)
    rows = source.read(
        table="public.days",
        columns=["id"],
        casts={"id": pa.int64()},
        watermark="day",
        window=window,
    )
    assert rows.read_all()["id"].to_pylist() == [2]
    before = [midnight, midnight + timedelta(hours=1)]
    assert source.greatest("public.days", "day", before) == [midnight - timedelta(days=1), midnight]


def test_clock_columns_and_missing_names(source: SqlSource) -> None:
    assert abs(source.clock() - datetime.now(UTC)) < timedelta(seconds=5)
    assert source.columns("sales.orders")["moment"] == "timestamp with time zone"
    with pytest.raises(PermanentFailure, match=r"table sales\.order: .*tables there: orders"):
        source.columns("sales.order")
