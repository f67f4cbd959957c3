"""Reports as Dagster assets. Glue only."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from retail_platform.control.resource import ControlResource
from retail_platform.lakehouse.resource import LakehouseResource
from retail_platform.operations.executor import ALL_EDGES, SOFT_EDGES
from retail_platform.partitions import hour_of
from retail_platform.serving.datasets import (
    HOURLY_DAYS,
    MARTS,
    PLATFORM_MARTS,
    Dataset,
    mart_dataset,
    platform_headline,
    platform_rows,
)
from retail_platform.serving.figures import sections
from retail_platform.serving.overview import overview_html
from retail_platform.serving.page import page_html
from retail_platform.serving.pages import TITLES, report_page
from retail_platform.serving.vega import vega_script
from retail_platform.serving.whole_files import write_whole
from retail_platform.steps import ONE_HOUR_A_RUN

OVERVIEW = "overview.html"
OVERVIEW_TITLE = "RetailCorp overview"
GROUP = "reports"
OWNERS = ["team:analytics"]
KINDS = {"html"}
OVERVIEW_MARTS = (
    "mart_sales_by_region_category",
    "mart_sales_vs_spend",
    "mart_stock_turnover",
    "dim_product",
)
LEDGER = "ledger"


def build_report_defs(
    *,
    folder: Path,
    partitions_def: dg.HourlyPartitionsDefinition,
    checks: Collection[dg.AssetCheckKey],
) -> dg.Definitions:
    """The report assets: an overview and one page for each of `pages.TITLES`.

    Args:
        folder: Where reports are written.
        partitions_def: The shared hourly partitions.
        checks: Checks of which the platform's page says that they failed.
    """

    @dg.asset(
        key=["report", "overview"],
        deps=[dg.AssetKey(["gold", mart]) for mart in OVERVIEW_MARTS],
        partitions_def=partitions_def,
        backfill_policy=ONE_HOUR_A_RUN,
        group_name=GROUP,
        kinds=KINDS,
        owners=OWNERS,
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
            others=[(f"{name}.html", title) for name, title in TITLES.items()],
        )
        return _written(folder / OVERVIEW, page, rows=len(loads))

    marts = [_mart_report(name, folder=folder, partitions_def=partitions_def) for name in MARTS]
    platform = _platform_report(folder=folder, partitions_def=partitions_def, checks=checks)
    return dg.Definitions(assets=[overview, *marts, platform])


def _mart_report(
    name: str, *, folder: Path, partitions_def: dg.HourlyPartitionsDefinition
) -> dg.AssetsDefinition:
    @dg.asset(
        key=["report", name],
        deps=[dg.AssetKey(["gold", mart]) for mart in MARTS[name]],
        partitions_def=partitions_def,
        backfill_policy=ONE_HOUR_A_RUN,
        group_name=GROUP,
        kinds=KINDS,
        owners=OWNERS,
        description=f"{TITLES[name]}: a page with charts and filters, without a network.",
    )
    def report(
        context: dg.AssetExecutionContext, lakehouse: LakehouseResource
    ) -> dg.MaterializeResult:
        hour = hour_of(context.partition_key)
        dataset = mart_dataset(name, gold_root=lakehouse.gold_root, hour=hour)
        return _page(name, dataset, hour=hour, folder=folder)

    return report


def _platform_report(
    *,
    folder: Path,
    partitions_def: dg.HourlyPartitionsDefinition,
    checks: Collection[dg.AssetCheckKey],
) -> dg.AssetsDefinition:
    @dg.asset(
        key=["report", "platform"],
        deps=[
            dg.AssetKey(["gold", mart])
            for marts in (*MARTS.values(), PLATFORM_MARTS)
            for mart in marts
        ],
        # The page that says what failed is needed most where something did.
        op_tags={SOFT_EDGES: ALL_EDGES},
        partitions_def=partitions_def,
        backfill_policy=ONE_HOUR_A_RUN,
        group_name=GROUP,
        kinds=KINDS,
        owners=OWNERS,
        description="The platform's KPIs, and loads, failed checks and quarantine by table and "
        "hour, without a network.",
    )
    def platform(
        context: dg.AssetExecutionContext, lakehouse: LakehouseResource, control: ControlResource
    ) -> dg.MaterializeResult:
        hour = hour_of(context.partition_key)
        first = hour - timedelta(days=HOURLY_DAYS)
        loads = [row for row in control.ledger.loads() if row.hour > first]
        rows = platform_rows(loads, hour=hour, failed_checks=_failed(context.instance, checks))
        number = max((row.id for row in loads), default=0)
        told = platform_headline(gold_root=lakehouse.gold_root, hour=hour)
        made_from = {**told.made_from, LEDGER: number}
        return _page(
            "platform",
            Dataset(rows=rows, made_from=made_from, headline=told.rows),
            hour=hour,
            folder=folder,
        )

    return platform


def _failed(
    instance: dg.DagsterInstance, checks: Collection[dg.AssetCheckKey]
) -> Mapping[str, Collection[str]]:
    """Checks whose last evaluation did not pass, by asset."""
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key(list(checks))
    failed: dict[str, list[str]] = {}
    for key, record in records.items():
        evaluation = record.event.dagster_event if record.event else None
        # A check of an asset that was blocked was planned, and never ran.
        if evaluation and evaluation.event_type is not dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            continue
        if evaluation is not None and not evaluation.asset_check_evaluation_data.passed:
            failed.setdefault(key.asset_key.to_user_string(), []).append(key.name)
    return failed


def _page(name: str, dataset: Dataset, *, hour: datetime, folder: Path) -> dg.MaterializeResult:
    page = page_html(
        report_page(name),
        dataset.rows,
        hour=hour,
        made_at=datetime.now(UTC),
        made_from=dataset.made_from,
        others=[
            (OVERVIEW, OVERVIEW_TITLE),
            *((f"{other}.html", title) for other, title in TITLES.items() if other != name),
        ],
        script=vega_script(folder / "scripts"),
        headline=dataset.headline,
    )
    return _written(folder / f"{name}.html", page, rows=len(dataset.rows.values))


def _written(path: Path, page: str, *, rows: int) -> dg.MaterializeResult:
    write_whole(path, page)
    return dg.MaterializeResult(
        metadata={
            "report": dg.MetadataValue.path(path),
            "open": dg.MetadataValue.url(path.as_uri()),
            "bytes": len(page.encode()),
            "dagster/row_count": rows,
        }
    )
