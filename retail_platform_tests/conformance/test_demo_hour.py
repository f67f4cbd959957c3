"""The simulator's first trading hour gives the same lake and the same ledger on every engine."""

from datetime import datetime
from pathlib import Path

import pytest

from retail_platform_tests.conformance.conftest import SPARK, forget_tables
from retail_platform_tests.conformance.demo_hour import LoadedHour, load, sources

pytestmark = [*SPARK, pytest.mark.slow]
Both = tuple[LoadedHour, LoadedHour]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, engine_address: str, spark_address: str) -> Both:
    """The hour through the whole hourly job, from the same sources, on Sail and on Spark."""
    home = tmp_path_factory.mktemp("demo")
    forget_tables(spark_address)
    with sources(home / "sources") as (hour, environ):
        return (
            _loaded(home / "embedded", hour, environ, "embedded", engine_address),
            _loaded(home / "spark", hour, environ, "spark", spark_address),
        )


def _loaded(
    home: Path, hour: datetime, environ: dict[str, str], engine: str, address: str
) -> LoadedHour:
    loaded = load(home, hour, environ, engine=engine, engine_url=address)
    assert loaded.failures == {}, engine
    return loaded


def test_the_ledgers_count_the_same(both: Both) -> None:
    """Every Bronze and Silver load read, refused and applied the same number of rows."""
    embedded, spark = both
    assert spark.counts == embedded.counts
    assert {"bronze/pos__transactions", "silver/order_lines"} <= set(spark.counts)
    assert sum(counts["applied"] for counts in spark.counts.values()) > 100_000


def test_silver_holds_the_same_rows(both: Both) -> None:
    """Equal to the microsecond, the cent and the masked e-mail; technical columns left out."""
    embedded, spark = both
    assert spark.silver.keys() == embedded.silver.keys()
    different = [name for name, rows in embedded.silver.items() if spark.silver[name] != rows]
    assert different == []
    assert all(embedded.silver.values()), "no table is empty"


def test_gold_holds_the_same_rows(both: Both) -> None:
    """Dimensions, facts and marts; snapshots left out."""
    embedded, spark = both
    assert spark.gold.keys() == embedded.gold.keys()
    different = [name for name, rows in embedded.gold.items() if spark.gold[name] != rows]
    assert different == []
    assert {"fct_sales", "dim_customer", "mart_sales_vs_spend"} <= set(embedded.gold)
