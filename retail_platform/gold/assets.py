"""Gold as Dagster assets: every dbt model and snapshot one asset, every dbt test one check.

What belongs here: glue between a step and dbt. Not here: meaning (the SQL in `dbt/`), names
(`translator`), processes (`project`, `runner`), engine sessions (`lakehouse`).
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets
from dagster_dbt.core.dbt_cli_invocation import DbtCliInvocation
from dagster_dbt.errors import DagsterDbtCliRuntimeError

from retail_platform.failures import BlockedFailure, PermanentFailure
from retail_platform.gold.build_record import BuildRecord
from retail_platform.gold.graph import GoldGraph
from retail_platform.gold.metadata import table_metadata
from retail_platform.gold.project import PARTIAL_PARSE, GoldProject, staging_of
from retail_platform.gold.runner import (
    NOT_HOURLY,
    LakehouseSession,
    ansi_mode_kept,
    end_build,
    hour_variable,
    remove_build,
    start_build,
)
from retail_platform.gold.translator import GoldTranslator
from retail_platform.gold.worker import DbtWorkerResource
from retail_platform.operations.blocked import DependenciesResource
from retail_platform.operations.causes import written
from retail_platform.operations.executor import ALL_EDGES, SOFT_EDGES
from retail_platform.steps import dagster_failures

PARTITION_FORMAT = "%Y-%m-%d-%H:%M"
LAKEHOUSE = "lakehouse"
DEPENDENCIES = "dependencies"
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
    left_out: Collection[str] = (),
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
        left_out: Silver entities whose source this deployment leaves out; they are empty.

    Returns:
        Definitions that bring the resource `dbt_worker` and require the resources `lakehouse`
        (`runner.LakehouseSession`) and `dependencies`. A run over several partitions builds all of
        its hours at once. What was not loaded leaves out the tables that are made of it, and fails
        the step once the others are built.

    Raises:
        PermanentFailure: dbt cannot parse the project.
    """
    project = GoldProject(project_dir=dbt_project_dir, target_path=target_path.absolute())
    manifest: Mapping[str, Any] = json.loads(project.manifest_path().read_bytes())
    translator = GoldTranslator(automation_condition)
    graph = GoldGraph(manifest, translator)

    @dbt_assets(
        manifest=manifest,
        exclude=NOT_HOURLY,
        name="gold_build",
        partitions_def=partitions_def,
        backfill_policy=backfill_policy,
        dagster_dbt_translator=translator,
        required_resource_keys={LAKEHOUSE, DBT_WORKER, DEPENDENCIES},
        op_tags={SOFT_EDGES: ALL_EDGES},
        pool=pool,
        retry_policy=retry_policy,
    )
    def gold_build(context: dg.AssetExecutionContext, config: GoldConfig) -> Iterator[Any]:
        lakehouse: LakehouseSession = getattr(context.resources, LAKEHOUSE)
        dependencies: DependenciesResource = getattr(context.resources, DEPENDENCIES)
        hours = [_hour_of(key) for key in context.partition_keys]
        record = BuildRecord(
            graph=graph,
            ledger=dependencies.ledger,
            run_id=context.run.run_id,
            engine=dependencies.engine,
            hours=hours,
            selected={key.to_user_string() for key in context.selected_asset_keys},
            never_filled=[f"silver/{entity}" for entity in left_out],
        )
        # What this run has skipped so far is in the ledger only once it is looked for.
        dependencies.record_blocked(context.instance, context.run)
        with dagster_failures():
            record.block_by_parents(dependencies.judge(context.instance, context.run.run_id))
            if len(record.blocked) == len(context.selected_asset_keys):
                raise _blocked(record, hours)
            lakehouse.refresh_catalog()
            with staging_of(lakehouse.gold_root) as staging:
                invocation = start_build(
                    context,
                    project=project,
                    manifest=manifest,
                    translator=translator,
                    lakehouse=lakehouse,
                    worker=getattr(context.resources, DBT_WORKER),
                    hours=hours,
                    staging=staging,
                    full_refresh=config.full_refresh,
                    left_out=graph.selectors(record.blocked),
                )
                error: str | None = None
                try:
                    with ansi_mode_kept(lakehouse.session.spark):
                        yield from _events(invocation, manifest, lakehouse.gold_root, graph, record)
                except DagsterDbtCliRuntimeError as failure:
                    error = str(failure)
                    raise PermanentFailure(
                        f"gold, hour {hour_variable(hours)}: dbt ended with errors; what it built "
                        "before them stays, and building the hour again is safe. Log and compiled "
                        f"SQL: {invocation.target_path.name} in the folder of dbt builds. {failure}"
                    ) from failure
                except PermanentFailure as failure:
                    # The engine has ended, and dbt with it.
                    error = str(failure)
                    raise
                finally:
                    end_build(invocation)
                    record.end(error)
            remove_build(invocation.target_path)
            if record.blocked:
                raise _blocked(record, hours)

    return dg.Definitions(
        assets=[gold_build],
        resources={
            DBT_WORKER: DbtWorkerResource(
                project_dir=str(dbt_project_dir), parsed=str(project.parsed_dir / PARTIAL_PARSE)
            )
        },
    )


def _hour_of(partition_key: str) -> datetime:
    return datetime.strptime(partition_key, PARTITION_FORMAT).replace(tzinfo=UTC)


def _events(
    invocation: DbtCliInvocation,
    manifest: Mapping[str, Any],
    gold_root: str,
    graph: GoldGraph,
    record: BuildRecord,
) -> Iterator[Any]:
    """Dagster's events of a build, noted in the ledger on the way."""
    for message in invocation.stream_raw_events():
        record.heard(message.raw_event)
        for event in message.to_default_asset_events(
            manifest=invocation.manifest,
            dagster_dbt_translator=invocation.dagster_dbt_translator,
            context=invocation.context,
            target_path=invocation.target_path,
        ):
            if not isinstance(event, dg.Output):
                yield event
                continue
            unique_id = str(event.metadata["unique_id"].value)
            node = manifest["nodes"][unique_id]
            table = table_metadata(f"{gold_root.rstrip('/')}/{node['alias']}", node["columns"])
            record.built(
                graph.assets[unique_id],
                rows=int(str(table["dagster/row_count"].value)),
                version=int(str(table["delta_version"].value)),
            )
            yield event.with_metadata({**event.metadata, **table})


def _blocked(record: BuildRecord, hours: Sequence[datetime]) -> BlockedFailure:
    causes = written(cause for causes in record.blocked.values() for cause in causes)
    return BlockedFailure(
        f"gold, hour {hour_variable(hours)}: BLOCKED: {', '.join(record.blocked)}; what "
        f"else was asked for is built. {causes}. Repair what failed or load what is missing, then "
        f"run: retail-platform reprocess-blocked --since {min(hours):%Y-%m-%dT%H:%M} --with-causes"
    )
