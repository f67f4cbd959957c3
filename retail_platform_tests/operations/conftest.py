"""What the tests of this area share."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from retail_platform_tests.operations.layered import layered_catalog, layered_source
from retail_platform_tests.platform.dagster_runs import Location, location
from retail_platform_tests.platform.fixtures import engine_address
from retail_platform_tests.platform.sources import Database

__all__ = ["engine_address"]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The source of the twenty tables."""
    database = layered_source(tmp_path / "shop.db")
    monkeypatch.setenv("SHOP_URL", database.url)
    return database


@pytest.fixture
def no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails is not tried again: the pauses before it take longer than the test."""
    for layer in ("bronze", "silver"):
        monkeypatch.setattr(
            f"retail_platform.{layer}.assets.RETRIES", dg.RetryPolicy(max_retries=0)
        )


@pytest.fixture
def tables(
    shop: Database, tmp_path: Path, engine_address: str, no_retries: None
) -> Iterator[Location]:
    """The twenty tables; what fails is not tried again."""
    del shop, no_retries
    with location(layered_catalog(tmp_path / "catalog"), tmp_path, engine_address) as opened:
        yield opened


@pytest.fixture
def control_url(tmp_path: Path) -> str:
    """URL of the control database of `tables`."""
    return f"sqlite:///{tmp_path / 'control.db'}"
