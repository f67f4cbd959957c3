"""Gold as Dagster assets: names, lineage, checks, metadata, and a step that fails."""

import json
import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest
from deltalake import DeltaTable

from retail_platform.bronze.ledger_copy import ASSET
from retail_platform.control.database import open_control
from retail_platform.control.ledger import Counts, Ledger
from retail_platform.control.models import Status
from retail_platform.gold.assets import build_gold_defs
from retail_platform.gold.by_hand import PROJECT
from retail_platform.gold.project import GoldProject
from retail_platform.lakehouse.engine import EngineSession
from retail_platform.operations.blocked import DependenciesResource
from retail_platform.operations.causes import read_causes
from retail_platform.partitions import hour_of
from retail_platform_tests.gold.scenario import BATCHES, HOURS
from retail_platform_tests.gold.silver_lake import NewLake, SilverLake, catalog
from retail_platform_tests.gold.silver_model import SilverModel

PARTITIONS = dg.HourlyPartitionsDefinition("2026-03-01-00:00", fmt="%Y-%m-%d-%H:%M")
TABLES = 27
SNAPSHOTS = 2
ENTITIES = [table.entity for table in catalog().tables]
KEYS = ["2026-03-01-10:00", "2026-03-01-11:00"]


@dataclass(frozen=True)
class OpenLake:
    """The test's open lake in the shape of the platform's lakehouse resource."""

    remote_url: str
    gold_root: str
    session: EngineSession

    def refresh_catalog(self) -> None:
        """Nothing is missing: the lake registers its tables when its session opens."""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for dbt's artefacts, shared so that the project is parsed once."""
    return tmp_path_factory.mktemp("dbt")


@pytest.fixture(scope="module")
def gold(target: Path) -> dg.Definitions:
    """The definitions under test."""
    return build_gold_defs(dbt_project_dir=PROJECT, target_path=target, partitions_def=PARTITIONS)


def test_every_asset_has_lineage_owner_description_and_the_hourly_partitions(
    gold: dg.Definitions,
) -> None:
    (definition,) = list(gold.assets or ())
    assert isinstance(definition, dg.AssetsDefinition)
    built = {spec.key.to_user_string(): spec for spec in definition.specs}
    assert sorted(built) == [
        "gold/dim_campaign",
        "gold/dim_customer",
        "gold/dim_date",
        "gold/dim_hour",
        "gold/dim_product",
        "gold/dim_store",
        "gold/dim_supplier",
        "gold/fct_customer_interaction",
        "gold/fct_marketing_spend",
        "gold/fct_order_click",
        "gold/fct_purchase_line",
        "gold/fct_sales",
        "gold/fct_stock_level",
        "gold/fct_stock_movement",
        "gold/fct_web_session",
        "gold/mart_attributed_sales",
        "gold/mart_customer_segment",
        "gold/mart_platform_kpi",
        "gold/mart_platform_table",
        "gold/mart_replenishment",
        "gold/mart_sales_by_region_category",
        "gold/mart_sales_kpi",
        "gold/mart_sales_vs_spend",
        "gold/mart_stock_turnover",
        "gold/mart_supplier_performance",
        "gold/snap_campaign",
        "gold/snap_customer_segment",
    ]
    for key, spec in built.items():
        assert spec.group_name == "gold", key
        assert spec.kinds == {"dbt", "delta"}, key
        assert spec.owners, key
        assert spec.description, key
        assert spec.partitions_def == PARTITIONS, key
    upstream = {dep.asset_key.to_user_string() for dep in built["gold/fct_sales"].deps}
    assert upstream == {
        "gold/dim_customer",
        "gold/dim_product",
        "silver/order_lines",
        "silver/orders",
        "silver/pos_transactions",
        "silver/territories",
    }


def test_every_model_documents_every_column(target: Path) -> None:
    project = GoldProject(project_dir=PROJECT, target_path=target)
    manifest = json.loads(project.manifest_path().read_bytes())
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    assert len(models) == TABLES - SNAPSHOTS
    for model in models:
        assert all(column["description"] for column in model["columns"].values()), model["name"]


def test_every_mart_has_a_unit_test_and_a_check_against_silver(target: Path) -> None:
    project = GoldProject(project_dir=PROJECT, target_path=target)
    manifest = json.loads(project.manifest_path().read_bytes())
    marts = {
        node["unique_id"]: node["name"]
        for node in manifest["nodes"].values()
        if node["original_file_path"].startswith("models/marts/mart_")
    }
    unit_tested = {test["model"] for test in manifest["unit_tests"].values()}
    assert set(marts.values()) - unit_tested == set()
    reconciled = {
        marts[node["attached_node"]]
        for node in manifest["nodes"].values()
        if node["name"].endswith("_reconciles_with_silver")
    }
    assert set(marts.values()) - reconciled == set()


def test_a_ready_manifest_is_used_and_a_changed_project_is_parsed_anew(
    tmp_path: Path,
) -> None:
    copied = tmp_path / "project"
    shutil.copytree(PROJECT, copied)
    before = GoldProject(project_dir=copied, target_path=tmp_path / "target")
    first = before.manifest_path()
    written = first.stat().st_mtime_ns
    assert before.manifest_path().stat().st_mtime_ns == written

    (copied / "macros" / "another.sql").write_text("{% macro another() %}{% endmacro %}\n")
    after = GoldProject(project_dir=copied, target_path=tmp_path / "target")
    assert after.manifest_path() != first
    assert not list(copied.rglob("*.msgpack")), "dbt wrote into the source tree"
    assert not list(copied.rglob("dbt.log")), "dbt wrote into the source tree"


def test_a_range_of_hours_is_built_in_one_step_with_checks_and_metadata(
    gold: dg.Definitions, target: Path, tmp_path: Path, new_lake: NewLake
) -> None:
    with new_lake() as lake:
        result = run_gold(gold, lake, KEYS, loaded_silver(lake, tmp_path, KEYS))
        events = {
            event.asset_key.to_user_string(): event.materialization
            for event in result.get_asset_materialization_events()
            if event.asset_key is not None
        }
        assert len(events) == TABLES
        sales = events["gold/fct_sales"].metadata
        assert sales["dagster/row_count"].value == 10
        assert "| sales_key |" in str(sales["preview"].value)
        assert "_touched_hours" not in str(sales["preview"].value)
        schema = sales["dagster/column_schema"].value
        assert isinstance(schema, dg.TableSchema)
        columns = schema.columns
        assert {column.name: column.type for column in columns}["net_amount"] == "decimal(19,4)"
        checks = result.get_asset_check_evaluations()
        assert len(checks) == len(_hourly_tests(target))
        assert all(check.passed for check in checks), [c for c in checks if not c.passed]
        assert not list((target / "builds").iterdir())
        assert lake.session.spark.conf.get("spark.sql.ansi.enabled") == "true"


def test_a_failing_build_names_the_hour_and_keeps_its_log(
    gold: dg.Definitions, target: Path, tmp_path: Path, new_lake: NewLake
) -> None:
    with new_lake() as lake:
        url = loaded_silver(lake, tmp_path, KEYS[:1])
        lake.drop("silver", "order_lines")
        result = run_gold(gold, lake, KEYS[:1], url, succeeds=False)
        failure = result.failure_data_for_node("gold_build")
        assert failure is not None
        message = failure.error.to_string() if failure.error else ""
        assert "gold, hour 2026-03-01 10:00:00" in message
        assert "order_lines" in message
        assert list((target / "builds").rglob("dbt.log"))
        rows = {row.asset: row for row in Ledger(open_control(url)).loads() if row.layer == "gold"}
        assert rows["gold/fct_sales"].status is Status.FAILURE
        assert "order_lines" in (rows["gold/fct_sales"].error or "")
        assert rows["gold/dim_customer"].status is Status.SUCCESS
        assert rows["gold/mart_sales_by_region_category"].status is Status.BLOCKED
        (cause,) = read_causes(rows["gold/mart_sales_by_region_category"].causes)
        assert cause.root.startswith("gold/fct_sales failed: ")
        assert cause.through == ("gold/mart_sales_by_region_category",)
        assert len(rows) == TABLES


def test_a_failed_silver_parent_blocks_the_tables_made_of_it_and_no_others(
    gold: dg.Definitions, tmp_path: Path, new_lake: NewLake
) -> None:
    """Built are those whose Silver was loaded; the step says which were not, and why."""
    with new_lake() as lake:
        url = loaded_silver(lake, tmp_path, KEYS[:1], failed="customers")
        result = run_gold(gold, lake, KEYS[:1], url, succeeds=False)
        blocked = {
            "gold/dim_customer",
            "gold/fct_sales",
            "gold/mart_attributed_sales",
            "gold/mart_sales_by_region_category",
            "gold/mart_sales_vs_spend",
            "gold/mart_stock_turnover",
            "gold/mart_sales_kpi",
            "gold/mart_replenishment",
            "gold/mart_customer_segment",
            "gold/snap_customer_segment",
        }
        (definition,) = list(gold.assets or ())
        assert isinstance(definition, dg.AssetsDefinition)
        gold_tables = {key.to_user_string() for key in definition.keys}
        built = {
            event.asset_key.to_user_string()
            for event in result.get_asset_materialization_events()
            if event.asset_key is not None
        }
        assert built == gold_tables - blocked
        rows = Ledger(open_control(url)).standing(Status.BLOCKED)
        assert {row.asset for row in rows} == blocked
        causes = {row.asset: row.causes for row in rows}
        assert causes["gold/mart_sales_by_region_category"] == (
            "silver/customers failed: the source hung up; so gold/dim_customer, gold/fct_sales, "
            "gold/mart_sales_by_region_category"
        )
        failure = result.failure_data_for_node("gold_build")
        assert failure is not None
        assert failure.user_failure_data is not None
        assert "BLOCKED" in (failure.user_failure_data.description or "")
        assert not [e for e in result.all_events if e.is_step_up_for_retry]

        ledger = Ledger(open_control(url))
        _load(ledger, "silver/customers", HOURS[0])
        repaired = run_gold(gold, lake, KEYS[:1], url)
        assert len(repaired.get_asset_materialization_events()) == TABLES
        assert ledger.standing(Status.BLOCKED) == []


def test_a_source_that_is_left_out_blocks_nothing(
    target: Path, tmp_path: Path, new_lake: NewLake
) -> None:
    """Its Silver tables are there and empty; no load of them is waited for."""
    gold = build_gold_defs(
        dbt_project_dir=PROJECT,
        target_path=target,
        partitions_def=PARTITIONS,
        left_out=["suppliers"],
    )
    with new_lake() as lake:
        ledger = Ledger(open_control(f"sqlite:///{tmp_path / 'control.db'}"))
        _load(ledger, ASSET, HOURS[0])
        for entity in set(ENTITIES) - {"suppliers"}:
            _load(ledger, f"silver/{entity}", HOURS[0])
        run_gold(gold, lake, KEYS[:1], f"sqlite:///{tmp_path / 'control.db'}")
        assert [row["name"] for row in lake.gold("dim_supplier")] == ["Unknown"]


def test_a_test_that_does_not_pass_blocks_what_is_made_of_its_table(
    gold: dg.Definitions, tmp_path: Path, new_lake: NewLake
) -> None:
    """The table itself is built and its check fails; in the ledger it is no failure."""
    with new_lake() as lake:
        url = loaded_silver(lake, tmp_path, KEYS[:1])
        products = DeltaTable(lake.root / "silver" / "products").to_pyarrow_table().to_pylist()
        lake.write("products", [*products, products[0]])
        lake.open_again()
        run_gold(gold, lake, KEYS[:1], url, succeeds=False)
        rows = {row.asset: row for row in Ledger(open_control(url)).loads() if row.layer == "gold"}
        assert rows["gold/dim_product"].status is Status.SUCCESS
        below = [row for row in rows.values() if row.status is Status.BLOCKED]
        assert "gold/fct_sales" in {row.asset for row in below}
        for row in below:
            (cause,) = read_causes(row.causes)
            assert cause.root.startswith("gold/dim_product failed: its test primary_key")


def test_a_build_ends_with_its_engine(
    gold: dg.Definitions, tmp_path: Path, new_lake: NewLake
) -> None:
    """Without it dbt would try again for ten minutes; what was not built is blocked."""
    with new_lake() as lake:
        url = loaded_silver(lake, tmp_path, KEYS[:1])
        threading.Thread(target=_kill_engine_amid_build, args=(lake,), daemon=True).start()
        result = run_gold(gold, lake, KEYS[:1], url, succeeds=False)
        failure = result.failure_data_for_node("gold_build")
        assert failure is not None
        assert failure.user_failure_data is not None
        assert "engine's process ended with -9" in (failure.user_failure_data.description or "")
        rows = {row.asset: row for row in Ledger(open_control(url)).loads() if row.layer == "gold"}
        assert rows["gold/mart_sales_kpi"].status is Status.BLOCKED
        assert "engine's process ended with -9" in (rows["gold/mart_sales_kpi"].causes or "")


def _kill_engine_amid_build(lake: SilverLake) -> None:
    assert lake.session.server is not None
    while not DeltaTable.is_deltatable(f"{lake.gold_root}/dim_store"):
        time.sleep(0.05)
    lake.session.server.kill()


def _hourly_tests(target: Path) -> list[str]:
    project = GoldProject(project_dir=PROJECT, target_path=target)
    nodes = json.loads(project.manifest_path().read_bytes())["nodes"]
    return [n for n, node in nodes.items() if n.startswith("test.") and "daily" not in node["tags"]]


def loaded_silver(
    lake: SilverLake, folder: Path, keys: list[str], *, failed: str | None = None
) -> str:
    """Silver of the first hours; URL of a control database that has it, but for one table."""
    silver = SilverModel()
    for key, batch in zip(keys, BATCHES, strict=False):
        silver.process(hour_of(key), batch)
    silver.write_to(lake)
    return ledger_of_loaded_silver(folder, keys, failed=failed)


def ledger_of_loaded_silver(folder: Path, keys: list[str], *, failed: str | None = None) -> str:
    """URL of a control database in which Silver is loaded for the hours, but for one table."""
    url = f"sqlite:///{folder / 'control.db'}"
    ledger = Ledger(open_control(url))
    for key in keys:
        _load(ledger, ASSET, hour_of(key))
        for entity in ENTITIES:
            error = "the source hung up" if entity == failed else None
            _load(ledger, f"silver/{entity}", hour_of(key), error)
    return url


def _load(ledger: Ledger, asset: str, hour: datetime, error: str | None = None) -> None:
    load = ledger.start(
        asset=asset,
        layer=asset.partition("/")[0],
        hour=hour,
        run_id="silver",
        engine="embedded",
        window=None,
    )
    if error:
        ledger.fail(load, error)
    else:
        ledger.succeed(load, Counts())


def run_gold(
    gold: dg.Definitions,
    lake: SilverLake,
    keys: list[str],
    control_url: str,
    *,
    succeeds: bool = True,
    rebuilt: Sequence[str] = (),
) -> dg.ExecuteInProcessResult:
    """Builds Gold for hours as a run does; or rebuilds some of its tables whole."""
    open_lake = OpenLake(lake.remote_url, lake.gold_root, lake.session)
    job = dg.Definitions.merge(
        gold,
        dg.Definitions(
            resources={
                "lakehouse": dg.ResourceDefinition.hardcoded_resource(open_lake),
                "dependencies": DependenciesResource(
                    control_url=control_url, engine="embedded", poll_seconds=0.05
                ),
            },
            jobs=[
                dg.define_asset_job(
                    "gold",
                    selection=dg.AssetSelection.keys(*(["gold", name] for name in rebuilt))
                    if rebuilt
                    else dg.AssetSelection.groups("gold"),
                )
            ],
        ),
    ).resolve_job_def("gold")
    result = job.execute_in_process(
        tags={
            "dagster/asset_partition_range_start": keys[0],
            "dagster/asset_partition_range_end": keys[-1],
        },
        run_config={"ops": {"gold_build": {"config": {"full_refresh": bool(rebuilt)}}}},
        raise_on_error=False,
    )
    assert result.success is succeeds
    return result
