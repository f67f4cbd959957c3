"""Gold as Dagster assets: every dbt model and snapshot one asset, every dbt test one check.

What belongs here: glue between a step and dbt. Not here: meaning (the SQL in `dbt/`), names
(`translator`), processes (`project`, `runner`), engine sessions (`lakehouse`).
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets
from dagster_dbt.errors import DagsterDbtCliRuntimeError

from retail_platform.failures import PermanentFailure
from retail_platform.gold.metadata import table_metadata
from retail_platform.gold.project import GoldProject
from retail_platform.gold.runner import (
    DAILY_TAG,
    LakehouseSession,
    ansi_mode_kept,
    end_build,
    hour_variable,
    remove_build,
    start_build,
)
from retail_platform.gold.translator import GoldTranslator
from retail_platform.gold.worker import DbtWorkerResource

PARTITION_FORMAT = "%Y-%m-%d-%H:%M"
LAKEHOUSE = "lakehouse"
DBT_WORKER = "dbt_worker"


class GoldConfig(dg.Config):
    """Run configuration of a Gold build.

    Attributes:
        full_refresh: Rebuild the selected tables whole from Silver instead of the hours alone.
    """

    full_refresh: bool = False


def build_gold_defs(
    *,
    dbt_project_dir: Path,
    target_path: Path,
    partitions_def: dg.PartitionsDefinition,
    automation_condition: dg.AutomationCondition[dg.AssetKey] | None = None,
    pool: str | None = None,
    retry_policy: dg.RetryPolicy | None = None,
    backfill_policy: dg.BackfillPolicy | None = None,
) -> dg.Definitions:
    """The Gold assets and their checks.

    Args:
        dbt_project_dir: Folder of the dbt project; nothing is written there.
        target_path: Ignored folder for manifests and for the folders of running builds.
        partitions_def: Hourly partitions in UTC with keys like `2026-03-01-10:00`.
        automation_condition: Condition of every Gold asset, if any.
        pool: Concurrency pool of the build step, if any.
        retry_policy: Retry policy of the build step, if any.
        backfill_policy: How many hours one run builds; None: all hours of a range in one build.

    Returns:
        Definitions that bring the resource `dbt_worker` and require the resource `lakehouse`
        (`runner.LakehouseSession`). A run over several partitions builds all of its hours at once.

    Raises:
        PermanentFailure: dbt cannot parse the project.
    """
    project = GoldProject(project_dir=dbt_project_dir, target_path=target_path.absolute())
    manifest: Mapping[str, Any] = json.loads(project.manifest_path().read_bytes())
    translator = GoldTranslator(automation_condition)

    @dbt_assets(
        manifest=manifest,
        exclude=DAILY_TAG,
        name="gold_build",
        partitions_def=partitions_def,
        backfill_policy=backfill_policy,
        dagster_dbt_translator=translator,
        required_resource_keys={LAKEHOUSE, DBT_WORKER},
        pool=pool,
        retry_policy=retry_policy,
    )
    def gold_build(context: dg.AssetExecutionContext, config: GoldConfig) -> Iterator[Any]:
        lakehouse: LakehouseSession = getattr(context.resources, LAKEHOUSE)
        hours = [_hour_of(key) for key in context.partition_keys]
        lakehouse.refresh_catalog()
        invocation = start_build(
            context,
            project=project,
            manifest=manifest,
            translator=translator,
            lakehouse=lakehouse,
            worker=getattr(context.resources, DBT_WORKER),
            hours=hours,
            full_refresh=config.full_refresh,
        )
        try:
            with ansi_mode_kept(lakehouse.session.spark):
                for event in invocation.stream():
                    yield _with_table(event, manifest, lakehouse.gold_root)
        except DagsterDbtCliRuntimeError as error:
            raise PermanentFailure(
                f"gold, hour {hour_variable(hours)}: dbt ended with errors; what it built before "
                f"them stays, and building the hour again is safe. Log and compiled SQL: "
                f"{invocation.target_path.name} in the folder of dbt builds. {error}"
            ) from error
        finally:
            end_build(invocation)
        remove_build(invocation.target_path)

    return dg.Definitions(
        assets=[gold_build],
        resources={DBT_WORKER: DbtWorkerResource(project_dir=str(dbt_project_dir))},
    )


def _hour_of(partition_key: str) -> datetime:
    return datetime.strptime(partition_key, PARTITION_FORMAT).replace(tzinfo=UTC)


def _with_table(event: object, manifest: Mapping[str, Any], gold_root: str) -> object:
    """Add what the table looks like to the event that says it was built."""
    if not isinstance(event, dg.Output):
        return event
    unique_id = event.metadata["unique_id"].value
    node = manifest["nodes"][unique_id]
    location = f"{gold_root.rstrip('/')}/{node['alias']}"
    return event.with_metadata({**event.metadata, **table_metadata(location, node["columns"])})
