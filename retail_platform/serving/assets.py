"""Reports as Dagster assets. Glue only."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from retail_platform.control.resource import ControlResource
from retail_platform.lakehouse.resource import LakehouseResource
from retail_platform.partitions import hour_of
from retail_platform.serving.figures import sections
from retail_platform.serving.overview import overview_html
from retail_platform.steps import ONE_HOUR_A_RUN

OVERVIEW = "overview.html"
MARTS = (
    "mart_sales_by_region_category",
    "mart_sales_vs_spend",
    "mart_stock_turnover",
    "dim_product",
)


def build_report_defs(
    *, folder: Path, partitions_def: dg.HourlyPartitionsDefinition
) -> dg.Definitions:
    """The report assets.

    Args:
        folder: Where reports are written.
        partitions_def: The shared hourly partitions.
    """

    @dg.asset(
        key=["report", "overview"],
        deps=[dg.AssetKey(["gold", mart]) for mart in MARTS],
        partitions_def=partitions_def,
        backfill_policy=ONE_HOUR_A_RUN,
        group_name="reports",
        kinds={"html"},
        owners=["team:analytics"],
        description="Sales, spend, stock and the hour's loads on one page, without a network.",
    )
    def overview(
        context: dg.AssetExecutionContext, lakehouse: LakehouseResource, control: ControlResource
    ) -> dg.MaterializeResult:
        hour = hour_of(context.partition_key)
        loads = [row for row in control.ledger.loads(hour=hour) if row.run_id == context.run.run_id]
        page = overview_html(
            hour=hour,
            made_at=datetime.now(UTC),
            sections=sections(gold_root=lakehouse.gold_root, loads=loads, hour=hour),
        )
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{OVERVIEW}.part"
        part.write_text(page, encoding="utf-8")
        part.replace(folder / OVERVIEW)
        return dg.MaterializeResult(
            metadata={
                "report": dg.MetadataValue.path(folder / OVERVIEW),
                "bytes": len(page.encode()),
                "dagster/row_count": len(loads),
            }
        )

    return dg.Definitions(assets=[overview])
