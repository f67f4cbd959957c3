"""A mart with two versions: graph, lineage, tables on the engine, and the way from one to two."""

import logging
from logging.handlers import BufferingHandler
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from deltalake import DeltaTable

from retail_platform.control.database import open_control
from retail_platform.control.ledger import Ledger
from retail_platform.control.models import Status
from retail_platform.gold.assets import build_gold_defs
from retail_platform.gold.by_hand import PROJECT
from retail_platform.gold.lineage import gold_lineage
from retail_platform.gold.project import GoldProject
from retail_platform.silver.standardise import silver_schema
from retail_platform_tests.gold.next_project import (
    DEPRECATED,
    MART,
    NEW,
    OLD,
    add_reader,
    add_version,
    project_copy,
)
from retail_platform_tests.gold.scenario import BATCHES, HOURS
from retail_platform_tests.gold.silver_lake import NewLake, SilverLake, catalog
from retail_platform_tests.gold.silver_model import SilverModel
from retail_platform_tests.gold.test_assets import (
    KEYS,
    PARTITIONS,
    ledger_of_loaded_silver,
    run_gold,
)

READER = "dim_category"


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for dbt's artefacts, shared so that each project is parsed once."""
    return tmp_path_factory.mktemp("dbt")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dbt project with the mart's second version."""
    project = project_copy(tmp_path_factory.mktemp("next"))
    add_version(project)
    add_reader(project)
    return project


@pytest.fixture(scope="module")
def said(project: Path, target: Path) -> str:
    """What is logged when the project is parsed for the first time."""
    handler = BufferingHandler(capacity=100)
    logger = logging.getLogger("retail_platform.gold.project")
    logger.addHandler(handler)
    try:
        GoldProject(project_dir=project, target_path=target).manifest_path()
    finally:
        logger.removeHandler(handler)
    return "\n".join(record.getMessage() for record in handler.buffer)


@pytest.fixture(scope="module")
def gold(said: str, project: Path, target: Path) -> dg.Definitions:
    """The definitions over that project."""
    del said
    return build_gold_defs(dbt_project_dir=project, target_path=target, partitions_def=PARTITIONS)


@pytest.fixture(scope="module")
def assets(gold: dg.Definitions) -> dg.AssetsDefinition:
    """All of Gold."""
    (definition,) = list(gold.assets or ())
    assert isinstance(definition, dg.AssetsDefinition)
    return definition


def key(table: str) -> dg.AssetKey:
    return dg.AssetKey(["gold", table])


def test_each_version_is_an_asset_and_the_latest_has_the_models_name(
    assets: dg.AssetsDefinition,
) -> None:
    """References without version lead to the latest, pinned ones to theirs; each has its checks."""
    specs = assets.specs_by_key
    upstream = {name: {dep.asset_key for dep in spec.deps} for name, spec in specs.items()}
    assert upstream[key(MART)] == upstream[key(f"{MART}_v1")] == {key("fct_sales")}
    assert key(MART) in upstream[key(READER)]
    assert key(f"{MART}_v1") not in upstream[key(READER)]
    assert key(f"{MART}_v1") in upstream[key("mart_sales_kpi")]
    assert key(MART) not in upstream[key("mart_sales_kpi")]
    assert len(specs) == 27 + 2
    checks: dict[dg.AssetKey, set[str]] = {}
    for check in assets.check_specs:
        checks.setdefault(check.asset_key, set()).add(check.name)
    reconciled = f"{MART}_reconciles_with_silver"
    assert checks[key(MART)] >= {reconciled, f"primary_key_{MART}_v2_bucket_key"}
    assert checks[key(f"{MART}_v1")] >= {reconciled, f"primary_key_{MART}_v1_bucket_key"}
    assert len(checks[key(MART)]) == len(checks[key(f"{MART}_v1")])


def test_who_looks_at_a_deprecated_version_is_told(assets: dg.AssetsDefinition) -> None:
    """In words, as a tag to search for, and as metadata; the latest says which it is."""
    old, latest = assets.specs_by_key[key(f"{MART}_v1")], assets.specs_by_key[key(MART)]
    assert (old.description or "").startswith(
        f"Deprecated: version 1 goes on {DEPRECATED}; read version 2, gold/{MART}.\n\nSales by hour"
    )
    assert old.tags["deprecated"] == DEPRECATED
    assert old.metadata["dbt/deprecation_date"] == DEPRECATED
    assert (old.metadata["dbt/version"], latest.metadata["dbt/version"]) == (1, 2)
    assert (latest.description or "").startswith("Sales by hour")
    assert "deprecated" not in latest.tags


def test_dbts_own_warning_of_a_deprecated_reference_is_logged(said: str) -> None:
    """Parsing ends well and still says which model has to move."""
    assert "mart_sales_kpi" in said
    assert f"{MART}.v1, which is slated for deprecation on '{DEPRECATED}" in said


def test_the_columns_of_both_versions_are_followed(project: Path, target: Path) -> None:
    """Each version is a table of its own, and its readers are those that name it."""
    silver = {table.entity: silver_schema(table).names for table in catalog().tables}
    found = gold_lineage(GoldProject(project_dir=project, target_path=target), silver)
    columns = {reader.name: reader.columns for reader in found}
    assert columns[f"gold.{MART}"][NEW] == {("gold.fct_sales", "category")}
    assert columns[f"gold.{MART}_v1"][OLD] == {("gold.fct_sales", "category")}
    assert columns["gold.mart_sales_kpi"]["category"] == {(f"gold.{MART}_v1", OLD)}
    assert columns[f"gold.{READER}"][NEW] == {(f"gold.{MART}", NEW)}


def test_an_hour_builds_both_versions_once_the_latest_is_rebuilt(
    gold: dg.Definitions, target: Path, tmp_path: Path, new_lake: NewLake
) -> None:
    """From a lake of version 1: the build says what to rebuild, and then both are kept.

    Version 1 loses no row on the way, and an hour after it reaches both tables and their readers.
    """
    before = build_gold_defs(dbt_project_dir=PROJECT, target_path=target, partitions_def=PARTITIONS)
    silver = SilverModel()
    with new_lake() as lake:
        silver.process(HOURS[0], BATCHES[0])
        silver.write_to(lake)
        url = ledger_of_loaded_silver(tmp_path, KEYS)
        run_gold(before, lake, KEYS[:1], url)
        first = rows(lake, MART)
        assert first

        run_gold(gold, lake, KEYS[:1], url, succeeds=False)
        loads = {row.asset: row for row in Ledger(open_control(url)).loads()}
        assert loads[f"gold/{MART}"].status is Status.FAILURE
        assert f"gold.{MART} has the columns" in (loads[f"gold/{MART}"].error or "")
        command = f"dbt build --full-refresh --select retail_gold.marts.{MART}.v2+"
        assert command in (loads[f"gold/{MART}"].error or "")
        assert loads[f"gold/{MART}_v1"].status is Status.SUCCESS
        assert loads[f"gold/{READER}"].status is Status.BLOCKED
        run_gold(gold, lake, KEYS[:1], url, rebuilt=[MART])
        assert rows(lake, f"{MART}_v1") == first
        assert rows(lake, MART) == [renamed(row) for row in first]

        silver.process(HOURS[1], BATCHES[1])
        silver.write_to(lake)
        result = run_gold(gold, lake, KEYS[1:], url)
        assert all(check.passed for check in result.get_asset_check_evaluations())
        second = rows(lake, f"{MART}_v1")
        assert second != first
        assert rows(lake, MART) == [renamed(row) for row in second]
        assert {row[NEW] for row in lake.gold(READER)} == {row[OLD] for row in second}
        sold = {row["category"] for row in lake.gold("mart_sales_kpi")}
        assert sold == {row[OLD] for row in second}
        for table, column, absent in ((MART, NEW, OLD), (f"{MART}_v1", OLD, NEW)):
            names = DeltaTable(f"{lake.gold_root}/{table}").schema().to_arrow().names
            assert column in names
            assert absent not in names


def rows(lake: SilverLake, table: str) -> list[dict[str, Any]]:
    """A version's rows by key."""
    return sorted(lake.gold(table), key=lambda row: str(row["bucket_key"]))


def renamed(row: dict[str, Any]) -> dict[str, Any]:
    """A row of version 1 as version 2 has it."""
    return {NEW if name == OLD else name: value for name, value in row.items()}
