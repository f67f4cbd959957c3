"""Sources that a deployment leaves out: not loaded, not waited for, and empty."""

from pathlib import Path

import dagster as dg
import pytest

from retail_platform.definitions import build_defs
from retail_platform.failures import PermanentFailure
from retail_platform.lakehouse.resource import LakehouseResource
from retail_platform.metadata.loader import load_catalog
from retail_platform.settings import Settings

ENVIRONMENT = {"RETAIL_PII_KEY": "key", "RETAIL_WITHOUT_SOURCES": "suppliers,sales"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A deployment without two of the sources."""
    return Settings.from_environment({"RETAIL_HOME": str(tmp_path), **ENVIRONMENT})


def test_their_tables_are_known_and_not_loaded(settings: Settings) -> None:
    """References find their entities; no table waits for one that nobody loads."""
    catalog = load_catalog(settings.catalog, without=settings.without_sources)
    assert "suppliers" not in catalog.sources
    assert "sales" not in catalog.sources
    assert "purchase_orders" in catalog.by_entity
    loaded = {table.entity for table in catalog.tables}
    assert loaded.isdisjoint(table.entity for table in catalog.left_out)
    assert all(set(table.parents) <= loaded for table in catalog.tables)
    whole = load_catalog(settings.catalog)
    assert {t.entity for t in whole.tables} == loaded | {t.entity for t in catalog.left_out}


def test_the_code_location_has_none_of_their_assets(settings: Settings) -> None:
    """Gold, which reads them, stays as it is."""
    definitions = build_defs(settings)
    job = definitions.resolve_job_def("all_hourly")
    keys = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
    assert not {key for key in keys if key.startswith(("bronze/suppliers__", "bronze/sales__"))}
    assert "silver/orders" not in keys
    assert {"silver/stock_levels", "gold/fct_sales"} <= keys
    dg.Definitions.validate_loadable(definitions)


def test_their_silver_tables_stand_empty(settings: Settings, engine_address: str) -> None:
    """What reads them finds a table with columns and no rows."""
    resource = LakehouseResource(
        lake_url=settings.lake_url, catalog=str(settings.catalog), engine_url=engine_address
    )
    with resource.opened():
        orders = resource.lake.read("silver", "purchase_orders")
        assert "supplier_id" in orders.columns
        assert orders.count() == 0


def test_an_unknown_source_is_an_error(settings: Settings) -> None:
    """A typo must not load what was to be left out."""
    with pytest.raises(PermanentFailure, match=r"'supplier'.*Sources: \["):
        load_catalog(settings.catalog, without={"supplier"})
