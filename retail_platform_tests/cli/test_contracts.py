"""``contracts`` as people and CI call it, over a copy of the platform's own catalog."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from retail_platform.cli import main
from retail_platform.settings import PACKAGE


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the catalog, in whose folder the commands run."""
    folder = tmp_path / "catalog"
    shutil.copytree(PACKAGE / "catalog", folder)
    monkeypatch.setenv("RETAIL_CATALOG", str(folder))
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path / "home"))
    return folder


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["contracts", *arguments])


def edit(catalog: Path, entity: str, *changes: tuple[str, str]) -> None:
    path = catalog / "contracts" / "silver" / f"{entity}.yaml"
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def test_the_shipped_contracts_are_released(catalog: Path) -> None:
    """What is in the repository is what consumers were told; CI asks the same."""
    result = run("check", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 0, result.output
    assert {one["entity"] for one in found} >= {"orders", "customers", "stock_levels"}
    assert all(one["released"] and not one["changes"] for one in found), result.output


def test_a_rename_is_refused_with_all_that_it_reaches(catalog: Path) -> None:
    """Models with their columns, tests, the platform's own checks, reports, and a way around."""
    edit(catalog, "orders", ("name: status,", "name: order_status,"))
    result = run("check", "orders", "--json")
    assert result.exit_code == 1
    (checked,) = json.loads(result.stdout)
    (change,) = [one for one in checked["changes"] if one["level"] == "major"]
    assert change["text"] == "column status renamed to order_status"
    assert "keep both columns" in change["counter_offer"]
    reached = {hit["name"]: hit for hit in change["impact"]}
    assert {"status", "is_cancelled"} <= set(reached["gold.fct_sales"]["columns"])
    assert "net_amount" in reached["gold.mart_sales_by_region_category"]["columns"]
    assert reached["gold.mart_sales_vs_spend"]["rows"]
    assert reached["silver.orders: rule 'status is missing'"]["kind"] == "check"
    assert reached["report/overview"]["kind"] == "report"
    assert "gold.dim_store" not in reached
    kinds = {hit["kind"] for hit in change["impact"]}
    assert {"model", "test", "check", "report"} <= kinds
    assert "changes/orders-2.0.0.yaml" in checked["problems"][0]


def test_an_added_column_is_a_minor_version_and_can_be_released(catalog: Path) -> None:
    """The text output says what to do, and doing it helps."""
    contract = catalog / "contracts" / "silver" / "stores.yaml"
    before = contract.read_text(encoding="utf-8")
    added = "      - {name: fax, logicalType: string, physicalType: string, description: Fax}\n"
    assert "      - {name: modified_at," in before
    contract.write_text(
        before.replace("      - {name: modified_at,", f"{added}      - {{name: modified_at,"),
        encoding="utf-8",
    )
    refused = run("check", "stores")
    assert (refused.exit_code, "set version: " in refused.output) == (1, True)
    version = refused.output.split("set version: ")[1].split()[0]
    released = next(line for line in before.splitlines() if line.startswith("version: "))
    edit(catalog, "stores", (released, f"version: {version}"))
    assert run("check", "stores").exit_code == 0
    assert run("release", "stores").exit_code == 0
    assert "unchanged" in run("check", "stores").output


def test_unknown_names_and_missing_names(catalog: Path) -> None:
    """Errors say what there is."""
    result = run("check", "ghosts")
    assert result.exit_code == 1
    assert "No contract 'ghosts'" in result.output
    assert run("release").exit_code == 2


def test_lint_ends_with_1_where_something_must_be_mended(catalog: Path) -> None:
    """File, line, field; as JSON for scripts."""
    assert run("lint").exit_code == 0
    edit(catalog, "orders", ("implementation: total_due >= 0", "implementation: 1 = 1"))
    result = run("lint", "orders")
    assert result.exit_code == 1
    assert "orders.yaml line" in result.output
    assert "can never fail" in result.output
    (finding,) = json.loads(run("lint", "--json").stdout)
    assert finding["field"] == "schema.orders.quality.total_due is negative.implementation"
    assert run("lint", "ghosts").exit_code == 1
    assert "`retail-platform dbt -- parse`" in run("lint", "mart_sales_kpi").output


def test_exports_are_printed(catalog: Path) -> None:
    """Each in its own format; ODCS is the contract's own file."""
    suite = json.loads(run("export", "orders", "--to", "great-expectations").stdout)
    assert suite["name"] == "silver_orders"
    assert "composite_key" in run("export", "orders", "--to", "dbt").output
    own = (catalog / "contracts" / "silver" / "orders.yaml").read_text(encoding="utf-8")
    assert run("export", "orders", "--to", "odcs").output == own
    assert "No contract 'ghosts'" in run("export", "ghosts", "--to", "odcs").output


def test_live_tables_are_exported_as_they_are_written(catalog: Path) -> None:
    """No load of an hour judges their rows, so no other tool has rules to run."""
    own = (catalog / "contracts" / "silver" / "inventory_live.yaml").read_text(encoding="utf-8")
    assert run("export", "inventory_live", "--to", "odcs").output == own
    refused = run("export", "inventory_live", "--to", "dbt")
    assert refused.exit_code == 1
    assert "Export it --to odcs" in refused.output


def test_a_model_of_gold_is_exported_as_it_was_released(catalog: Path) -> None:
    """In ODCS; its rules are dbt's already, and the message says how to run them."""
    released = catalog / "contracts" / "released" / "gold" / "mart_sales_kpi" / "1.0.0.yaml"
    for name in ("mart_sales_kpi", "mart_sales_kpi.v1"):
        assert run("export", name, "--to", "odcs").output == released.read_text("utf-8")
    for tool in ("dbt", "great-expectations"):
        refused = run("export", "mart_sales_kpi", "--to", tool)
        assert refused.exit_code == 1
        assert "`retail-platform dbt -- test --select mart_sales_kpi.v1`" in refused.output
    assert (
        "No contract 'fct_order_click'" in run("export", "fct_order_click", "--to", "odcs").output
    )


def test_docs_are_pages_of_their_own(catalog: Path, tmp_path: Path) -> None:
    """Every contract has a page with columns, rules, promises, lineage and versions."""
    out = tmp_path / "pages"
    result = run("docs", "--out", str(out))
    assert result.exit_code == 0, result.output
    index = (out / "index.html").read_text(encoding="utf-8")
    for path in (catalog / "contracts" / "silver").glob("*.yaml"):
        assert f'href="{path.stem}.html"' in index
    page = (out / "orders.html").read_text(encoding="utf-8")
    for text in (
        "Revenue, cancellations",
        "within 2\u00a0h",
        "total_due &gt;= 0",
        "refers to customers.customer_id",
        "gold.fct_sales.is_cancelled",
        "bronze.sales__orders",
        "silver.order_lines",
        "1.0.0",
    ):
        assert text in page, text
    assert "http" not in page, "nothing is fetched"
    live = (out / "inventory_live.html").read_text(encoding="utf-8")
    for text in ("topic inventory.stock of web", "quantity is missing", "every minute"):
        assert text in live, text
    for name in {one.parent.name for one in (catalog / "contracts/released/gold").glob("*/*")}:
        assert f'href="gold.{name}.html"' in index
    mart = (out / "gold.mart_sales_kpi.html").read_text(encoding="utf-8")
    for text in (
        "team:sales-analytics",
        "1.0.0, active",
        "<span class='tag'>one of hour, day</span>",
        "gold.mart_sales_by_region_category.net_amount",
        "<p>gold.mart_sales_by_region_category</p>",
        "report/sales (report)",
        "accepted_values",
        "models/marts/mart_sales_kpi.sql",
    ):
        assert text in mart, text
    assert "http" not in mart, "nothing is fetched"
    assert "(test)" not in mart, "its own tests are no readers"
    dimension = (out / "gold.dim_product.html").read_text(encoding="utf-8")
    assert "silver.products" in dimension
