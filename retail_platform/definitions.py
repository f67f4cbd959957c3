"""The code location: one ``Definitions`` per area, merged. No logic of its own."""

import warnings
from collections.abc import Iterator, Mapping

import dagster as dg

from retail_platform.automation import MINUTE_OF_HOUR, late_data_condition
from retail_platform.bronze.assets import build_bronze_asset
from retail_platform.control.resource import ControlResource
from retail_platform.gold.assets import build_gold_defs
from retail_platform.lakehouse.resource import LakehouseResource
from retail_platform.metadata.loader import load_catalog
from retail_platform.operations.approvals import build_approve_job
from retail_platform.operations.blocked import DependenciesResource, build_blocked_defs
from retail_platform.operations.executor import platform_executor
from retail_platform.operations.gaps import build_gap_defs
from retail_platform.operations.jobs import ALL_HOURLY, build_job_defs
from retail_platform.operations.late_window import build_late_window_defs
from retail_platform.operations.ledger_copy import build_ledger_copy_defs
from retail_platform.operations.maintenance import build_maintenance_defs
from retail_platform.operations.quarantine import build_quarantine_defs
from retail_platform.operations.repair import build_reprocess_blocked_job
from retail_platform.operations.request_jobs import build_reprocess_job
from retail_platform.partitions import hourly_partitions
from retail_platform.serving.assets import build_report_defs
from retail_platform.settings import PACKAGE, Settings
from retail_platform.silver.assets import build_silver_asset
from retail_platform.simulator.reconciliation import CHECK_KEY, build_reconciliation_defs
from retail_platform.steps import ONE_HOUR_A_RUN, RETRIES

# Previews that the design needs: without partitioned checks one bad hour would mark all, without
# one backfill policy for all assets a job over them warns at every load.
warnings.filterwarnings(
    "ignore", message="Specifying a partitions_def on an AssetCheckSpec", category=dg.PreviewWarning
)
warnings.filterwarnings(
    "ignore", message="Parameter `backfill_policy` of function `asset`", category=dg.BetaWarning
)


def build_defs(
    settings: Settings, *, resource_overrides: Mapping[str, object] | None = None
) -> dg.Definitions:
    """Everything that Dagster loads.

    Args:
        settings: Settings of the deployment.
        resource_overrides: Resources that replace those of the same key, for tests.
    """
    catalog = load_catalog(settings.catalog, without=settings.without_sources)
    partitions = hourly_partitions(settings.partitions_start)
    tables = [
        build_bronze_asset(table=table, partitions_def=partitions) for table in catalog.tables
    ] + [
        build_silver_asset(
            table=table, catalog=catalog, partitions_def=partitions, pii_key=settings.pii_key
        )
        for table in catalog.tables
    ]
    gold = build_gold_defs(
        dbt_project_dir=PACKAGE / "gold" / "dbt",
        target_path=settings.home / "dbt",
        partitions_def=partitions,
        automation_condition=late_data_condition(),
        pool="gold",
        retry_policy=RETRIES,
        backfill_policy=ONE_HOUR_A_RUN,
        left_out=[table.entity for table in catalog.left_out],
    )

    def hourly() -> dg.JobDefinition:
        # Built when it is asked for: the jobs that run other hours are part of this location.
        return build_defs(settings, resource_overrides=resource_overrides).resolve_job_def(
            ALL_HOURLY
        )

    resources = {
        "lakehouse": LakehouseResource.of(settings),
        "control": ControlResource.of(settings),
        "dependencies": DependenciesResource.of(settings),
        **(resource_overrides or {}),
    }
    return dg.Definitions.merge(
        *tables,
        build_ledger_copy_defs(catalog=catalog, partitions_def=partitions),
        gold,
        build_report_defs(
            folder=settings.home / "reports",
            partitions_def=partitions,
            checks=[key for defs in (*tables, gold) for key in _checks(defs)],
        ),
        build_reconciliation_defs(settings=settings),
        build_blocked_defs(),
        build_job_defs(
            catalog=catalog,
            minute=MINUTE_OF_HOUR,
            schedule_on=settings.simulator,
            apart=dg.AssetSelection.checks(CHECK_KEY) if settings.simulator else None,
        ),
        dg.Definitions(
            jobs=[
                build_approve_job(catalog),
                build_reprocess_job(catalog=catalog, hourly=hourly),
                build_reprocess_blocked_job(hourly),
            ]
        ),
        build_quarantine_defs(catalog=catalog, pii_key=settings.pii_key),
        build_gap_defs(catalog=catalog, hourly=hourly, schedule_on=settings.simulator),
        build_late_window_defs(catalog=catalog, hourly=hourly, schedule_on=settings.simulator),
        build_maintenance_defs(
            catalog=catalog,
            root=settings.lake_url,
            quiet_hours=settings.quiet_hours,
            schedule_on=settings.simulator,
        ),
        dg.Definitions(resources=resources, executor=platform_executor),
    )


def _checks(definitions: dg.Definitions) -> Iterator[dg.AssetCheckKey]:
    for asset in definitions.assets or ():
        if isinstance(asset, dg.AssetsDefinition):
            yield from asset.check_keys


@dg.definitions
def defs() -> dg.Definitions:
    """The code location of this environment."""
    return build_defs(Settings.from_environment())
