"""The demo's whole graph with one broken table: who is blocked, who is not, and the repair."""

import json
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from retail_platform.cli import main
from retail_platform.definitions import build_defs
from retail_platform.demo.environment import enter_demo_environment, prepare_home
from retail_platform.operations.jobs import ALL_HOURLY
from retail_platform.operations.running import run_hour
from retail_platform.simulator import Simulator
from retail_platform_tests.platform.dagster_runs import failures, materialised

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]

NOW = datetime(2025, 11, 20, 8, tzinfo=UTC)
BLOCKED = {
    "silver/customers",
    "silver/orders",
    "silver/order_lines",
    "gold/dim_customer",
    "gold/fct_order_click",
    "gold/fct_sales",
    "gold/mart_attributed_sales",
    "gold/mart_customer_segment",
    "gold/mart_replenishment",
    "gold/mart_sales_by_region_category",
    "gold/mart_sales_kpi",
    "gold/mart_sales_vs_spend",
    "gold/mart_stock_turnover",
    "gold/snap_customer_segment",
}

PAGES = ("customers", "marketing", "overview", "sales", "stock")


def command(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """The state folder of a demo; what the demo sets in the environment is undone."""
    before = dict(os.environ)
    for name in before:
        if name.startswith("RETAIL_"):
            del os.environ[name]
    os.environ["RETAIL_HOME"] = str(tmp_path / "home")
    prepare_home(tmp_path / "home", fresh=False)
    yield tmp_path / "home"
    os.environ.clear()
    os.environ.update(before)


def test_broken_customers_leave_inventory_ads_and_their_gold_alone(home: Path) -> None:
    """The ledger names the chain; once the source is mended, one command loads what was blocked."""
    (hour,) = Simulator.plan_trading_hours(1, now=NOW)
    simulator = Simulator.open(home, now=NOW, start=hour)
    simulator.advance_to(hour + timedelta(hours=1))
    with simulator.serve_ads() as ads_url, simulator.serve_apis() as apis_url:
        sources = simulator.environment(ads_url, apis_url, None)
        settings = enter_demo_environment(home, sources, simulator.start)
        database = os.environ["SALES_DB_URL"].removeprefix("sqlite:///")
        rename(database, "customers", "elsewhere")
        job = build_defs(settings).resolve_job_def(ALL_HOURLY)
        with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
            result = run_hour(job, instance=instance, hour=hour)
        assert set(failures(result)) == {"bronze__sales__customers", "gold_build"}
        whole = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
        pages = {
            f"report/{name}" for name in ("overview", "customers", "marketing", "sales", "stock")
        }
        left = BLOCKED | {"bronze/sales__customers"} | pages
        assert materialised(result) == whole - left

        listed = json.loads(command("audit", "--status", "BLOCKED", "--json").stdout)["loads"]
        assert {row["asset"] for row in listed} == BLOCKED
        (chain,) = [row["causes"] for row in listed if row["asset"] == "silver/order_lines"]
        assert chain.startswith("bronze/sales__customers failed: ")
        assert chain.endswith("; so silver/customers, silver/orders, silver/order_lines")
        shown = " ".join(command("audit", "--status", "BLOCKED").stdout.split())
        assert "BLOCKED silver/order_lines" in shown
        assert chain.rpartition("; so ")[2] in shown

        rename(database, "elsewhere", "customers")
        done = command("reprocess-blocked", "--with-causes", "--json")
        assert done.exit_code == 0, done.output
        (repaired,) = json.loads(done.stdout)
        assert set(repaired["done"]) == BLOCKED | {"bronze/sales__customers"}
        assert repaired["left"] == []
        again = command("reprocess-blocked")
        assert again.exit_code == 0
        assert "Nothing is blocked" in again.output


def rename(database: str, table: str, name: str) -> None:
    connection = sqlite3.connect(database)
    with connection:
        connection.execute(f"ALTER TABLE {table} RENAME TO {name}")
    connection.close()
