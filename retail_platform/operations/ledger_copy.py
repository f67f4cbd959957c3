"""The ledger's copy as a Bronze asset, made each hour once Bronze and Silver are done.

Gold's own loads of an hour end after its copy: the next hour's copy has them. Not here: what is
copied (`bronze.ledger_copy`).
"""

from datetime import UTC, datetime, timedelta

import dagster as dg

from retail_platform.bronze.ledger_copy import ASSET, NAME, copy_ledger
from retail_platform.control.resource import ControlResource
from retail_platform.lakehouse.resource import LakehouseResource
from retail_platform.metadata.loader import Catalog
from retail_platform.operations.executor import ALL_EDGES, SOFT_EDGES
from retail_platform.operations.maintenance import OWN_UPKEEP, PLATFORM_POOL
from retail_platform.partitions import hour_of
from retail_platform.steps import (
    ONE_HOUR_A_RUN,
    RETRIES,
    compacted_after_load,
    dagster_failures,
)

LAYER = "bronze"
FRESH_FOR = timedelta(hours=3)


def build_ledger_copy_defs(
    *, catalog: Catalog, partitions_def: dg.HourlyPartitionsDefinition
) -> dg.Definitions:
    """The asset `bronze/platform__loads`.

    Args:
        catalog: All tables; the copy waits for their loads, however they end.
        partitions_def: The shared hourly partitions.
    """

    @dg.asset(
        key=[LAYER, NAME],
        deps=[dg.AssetKey(["silver", table.entity]) for table in catalog.tables],
        # A ledger of failures is needed most where something failed.
        op_tags={SOFT_EDGES: ALL_EDGES},
        partitions_def=partitions_def,
        backfill_policy=ONE_HOUR_A_RUN,
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=FRESH_FOR),
        retry_policy=RETRIES,
        group_name="bronze_platform",
        kinds={"delta"},
        owners=["team:data-platform"],
        pool=PLATFORM_POOL,
        description="The load ledger as it stands after the hour: one row for each attempt.",
    )
    def platform_loads(
        context: dg.AssetExecutionContext, lakehouse: LakehouseResource, control: ControlResource
    ) -> dg.MaterializeResult:
        hour, ledger, lake = hour_of(context.partition_key), control.ledger, lakehouse.lake
        with dagster_failures():
            load = ledger.start(
                asset=ASSET,
                layer=LAYER,
                hour=hour,
                run_id=context.run.run_id,
                engine=lakehouse.engine,
                window=None,
            )
            try:
                counts, commit = copy_ledger(lake, ledger, hour=hour, now=datetime.now(UTC))
            except Exception as error:
                ledger.fail(load, f"{type(error).__name__}: {error}")
                raise
            rows, version = lake.row_count(LAYER, NAME), lake.version(LAYER, NAME)
            ledger.succeed(load, counts, target_rows_after=rows, target_version_after=version)
        compacted = compacted_after_load(context, lake, LAYER, NAME, OWN_UPKEEP) if commit else 0
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": rows,
                "delta_version": version,
                "read": counts.read,
                "applied": counts.applied,
                "files_compacted": compacted,
            }
        )

    return dg.Definitions(assets=[platform_loads])
