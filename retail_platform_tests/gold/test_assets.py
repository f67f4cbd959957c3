"""Gold as Dagster assets: names, lineage, checks, metadata, and a step that fails."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from retail_platform.gold.assets import build_gold_defs
from retail_platform.gold.project import GoldProject
from retail_platform.lakehouse.engine import EngineSession
from retail_platform_tests.gold.scenario import BATCHES, HOURS
from retail_platform_tests.gold.silver_lake import DBT_PROJECT, SilverLake
from retail_platform_tests.gold.silver_model import SilverModel

PARTITIONS = dg.HourlyPartitionsDefinition("2026-03-01-00:00", fmt="%Y-%m-%d-%H:%M")
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
    return build_gold_defs(
        dbt_project_dir=DBT_PROJECT, target_path=target, partitions_def=PARTITIONS
    )


def test_every_asset_has_lineage_owner_description_and_the_hourly_partitions(
    gold: dg.Definitions,
) -> None:
    (definition,) = list(gold.assets or ())
    assert isinstance(definition, dg.AssetsDefinition)
    built = {spec.key.to_user_string(): spec for spec in definition.specs}
    assert sorted(built) == [
        "gold/dim_campaign",
        "gold/dim_customer",
        "gold/dim_product",
        "gold/dim_store",
        "gold/fct_marketing_spend",
        "gold/fct_sales",
        "gold/fct_stock_level",
        "gold/mart_sales_by_region_category",
        "gold/mart_sales_vs_spend",
        "gold/mart_stock_turnover",
        "gold/snap_campaign",
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
    project = GoldProject(project_dir=DBT_PROJECT, target_path=target)
    manifest = json.loads(project.manifest_path().read_bytes())
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    assert len(models) == 10
    for model in models:
        assert all(column["description"] for column in model["columns"].values()), model["name"]


def test_a_ready_manifest_is_used_and_a_changed_project_is_parsed_anew(
    tmp_path: Path,
) -> None:
    copied = tmp_path / "project"
    shutil.copytree(DBT_PROJECT, copied)
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
    gold: dg.Definitions, target: Path, tmp_path: Path
) -> None:
    silver = SilverModel()
    with SilverLake(root=tmp_path / "lake", work=tmp_path / "work") as lake:
        silver.process(HOURS[0], BATCHES[0])
        silver.process(HOURS[1], BATCHES[1])
        silver.write_to(lake)
        result = _run(gold, lake, KEYS)
        events = {
            event.asset_key.to_user_string(): event.materialization
            for event in result.get_asset_materialization_events()
            if event.asset_key is not None
        }
        assert len(events) == 11
        sales = events["gold/fct_sales"].metadata
        assert sales["dagster/row_count"].value == 9
        assert "| sales_key |" in str(sales["preview"].value)
        assert "_touched_hours" not in str(sales["preview"].value)
        schema = sales["dagster/column_schema"].value
        assert isinstance(schema, dg.TableSchema)
        columns = schema.columns
        assert {column.name: column.type for column in columns}["net_amount"] == "decimal(19,4)"
        checks = result.get_asset_check_evaluations()
        assert len(checks) == 30
        assert all(check.passed for check in checks), [c for c in checks if not c.passed]
        assert not list((target / "builds").iterdir())
        assert lake.session is not None
        assert lake.session.spark.conf.get("spark.sql.ansi.enabled") == "true"


def test_a_failing_build_names_the_hour_and_keeps_its_log(
    gold: dg.Definitions, target: Path, tmp_path: Path
) -> None:
    silver = SilverModel()
    with SilverLake(root=tmp_path / "lake", work=tmp_path / "work") as lake:
        silver.process(HOURS[0], BATCHES[0])
        silver.write_to(lake)
        lake.drop("silver", "order_lines")
        result = _run(gold, lake, KEYS[:1], succeeds=False)
        failure = result.failure_data_for_node("gold_build")
        assert failure is not None
        message = failure.error.to_string() if failure.error else ""
        assert "gold, hour 2026-03-01 10:00:00" in message
        assert "order_lines" in message
        assert list((target / "builds").rglob("dbt.log"))


def _run(
    gold: dg.Definitions, lake: SilverLake, keys: list[str], *, succeeds: bool = True
) -> dg.ExecuteInProcessResult:
    assert lake.session is not None
    open_lake = OpenLake(lake.remote_url, lake.gold_root, lake.session)
    job = dg.Definitions.merge(
        gold,
        dg.Definitions(
            resources={"lakehouse": dg.ResourceDefinition.hardcoded_resource(open_lake)},
            jobs=[dg.define_asset_job("gold", selection=dg.AssetSelection.groups("gold"))],
        ),
    ).resolve_job_def("gold")
    result = job.execute_in_process(
        tags={
            "dagster/asset_partition_range_start": keys[0],
            "dagster/asset_partition_range_end": keys[-1],
        },
        raise_on_error=False,
    )
    assert result.success is succeeds
    return result
