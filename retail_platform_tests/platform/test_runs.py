"""Whole Dagster runs: one table's trouble stops nobody else, and what is shown shows no secrets."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from retail_platform_tests.platform.box import hour_at
from retail_platform_tests.platform.catalogs import (
    Tree,
    contract,
    demo_catalog,
    sql_source,
    write_catalog,
)
from retail_platform_tests.platform.dagster_runs import (
    Location,
    checks,
    failures,
    location,
    materialised,
    retries,
)
from retail_platform_tests.platform.sources import Database
from retail_platform_tests.silver.modes import PLAIN, RULES

# Dagster marks features that the platform uses on purpose as preview and beta.
pytestmark = [
    pytest.mark.filterwarnings("ignore::dagster.PreviewWarning"),
    pytest.mark.filterwarnings("ignore::dagster.BetaWarning"),
]

EARLY = "2025-12-01 00:00:00"
COLUMNS = {**PLAIN, "email": "string"}


def table(name: str) -> Tree:
    return {
        "table": name,
        "load": "incremental",
        "key": ["id"],
        "watermark": {"column": "modified_at"},
        "pii": {"email": "hash"},
        "silver": {"entity": name, "merge": "upsert"},
    }


@pytest.fixture
def alpha(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Source ``alpha`` is there; source ``beta`` is not."""
    database = Database(tmp_path / "alpha.db")
    for name in ("people", "visits"):
        # The e-mail column's case differs from the contract's: it is personal all the same.
        database.create(name, "id TEXT, amount TEXT, modified_at TEXT, Email TEXT, note TEXT")
        database.insert(
            name, *((str(n), "1", EARLY, "zoe@example.org", "call zoe@example.org") for n in "12")
        )
    database.set_clock(0)
    monkeypatch.setenv("ALPHA_URL", database.url)
    monkeypatch.setenv("BETA_URL", f"sqlite:///{tmp_path / 'beta.db'}")
    return database


@pytest.fixture
def hourly(
    alpha: Database, tmp_path: Path, engine_address: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Location]:
    """The hourly job of both sources; retries come without their pauses."""
    for layer in ("bronze", "silver"):
        monkeypatch.setattr(
            f"retail_platform.{layer}.assets.RETRIES", dg.RetryPolicy(max_retries=3)
        )
    names = {"alpha": ["people", "visits"], "beta": ["stock"]}
    catalog = write_catalog(
        tmp_path / "catalog",
        [sql_source(source, [table(name) for name in tables]) for source, tables in names.items()],
        [
            contract(name, COLUMNS, ["id"], rules=RULES)
            for tables in names.values()
            for name in tables
        ],
    )
    with location(catalog, tmp_path, engine_address) as opened:
        yield opened


def test_an_unreachable_database_stops_its_own_tables_only(hourly: Location) -> None:
    """The message names source, table and cure; the other source's tables are all loaded."""
    result = hourly.run(0)
    assert not result.success
    assert materialised(result) == {
        "bronze/alpha__people",
        "silver/people",
        "bronze/alpha__visits",
        "silver/visits",
    }
    (found,) = failures(result).values()
    assert "source beta, table" in found
    assert "beta.db cannot be reached" in found
    assert "check that the database runs" in found
    assert retries(result) == ["bronze__beta__stock"] * 3, "transient, so tried again"
    assert all(checks(result)[key] for key in checks(result) if key[1] != "columns_known")
    assert checks(result)["bronze/alpha__people", "columns_known"] is False, "column note"


def test_a_held_hour_fails_its_asset_and_its_check(hourly: Location, alpha: Database) -> None:
    """The check says why, the hour is not materialised, other tables and hours are."""
    alpha.execute("UPDATE people SET amount = '-1'")
    result = hourly.run(0)
    assert "silver/people" not in materialised(result)
    assert {"bronze/alpha__people", "silver/visits"} <= materialised(result)
    assert checks(result)["silver/people", "quarantined_share"] is False
    assert checks(result)["silver/visits", "quarantined_share"] is True
    held = [text for step, text in failures(result).items() if "silver__people" in step]
    assert len(held) == 1
    assert "silver__people" not in retries(result), "permanent: trying again cannot help"
    assert "held back, nothing was committed" in held[0]
    alpha.insert("people", ("3", "3", alpha.local(hour_at(1)), None, None))
    alpha.set_clock(1)
    second = hourly.run(1)
    assert "silver/people" in materialised(second)
    assert checks(second)["silver/people", "quarantined_share"] is True


def test_no_event_shows_clear_personal_text(hourly: Location, alpha: Database) -> None:
    """Previews of Bronze leave personal and unknown columns out, those of Silver are masked."""
    alpha.execute("UPDATE visits SET amount = '-1' WHERE id = '1'")
    result = hourly.run(0)
    previews = {
        event.asset_key.to_user_string(): str(event.materialization.metadata["preview"].value)
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }
    assert set(previews) == materialised(result)
    assert "| 1 |" in previews["bronze/alpha__people"]
    assert "email" in previews["silver/people"]
    assert "zoe@" not in repr(result.all_events)
    assert "zoe@" not in repr(hourly.instance.all_logs(result.run_id))


def test_the_demo_catalog_makes_one_bronze_and_one_silver_asset_a_table() -> None:
    """What the tests cut down is the platform's own: order lines bring their parents along."""
    assert {table.entity for table in demo_catalog("order_lines").tables} == {
        "categories",
        "products",
        "order_lines",
    }
