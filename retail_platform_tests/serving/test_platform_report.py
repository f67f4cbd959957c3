"""The platform's page as an asset: failed checks and the ledger, and Gold where there is some."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from retail_platform.control.database import open_control
from retail_platform.control.ledger import Ledger
from retail_platform.control.loads import LIVE_LAYER, Counts
from retail_platform.control.resource import ControlResource
from retail_platform.lakehouse.resource import LakehouseResource
from retail_platform.serving.assets import build_report_defs
from retail_platform.settings import PACKAGE

PARTITIONS = dg.HourlyPartitionsDefinition("2026-03-01-00:00", fmt="%Y-%m-%d-%H:%M")
ORDERS = dg.AssetKey(["silver", "orders"])
NAMES = ("mended", "broken")


@dg.asset(key=ORDERS, check_specs=[dg.AssetCheckSpec(name, asset=ORDERS) for name in NAMES])
def orders(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    first = context.run.tags.get("run") == "first"
    return dg.MaterializeResult(
        check_results=[
            dg.AssetCheckResult(check_name="mended", passed=not first),
            dg.AssetCheckResult(check_name="broken", passed=False),
        ]
    )


def test_checks_that_failed_last_and_loads_are_on_the_page(tmp_path: Path) -> None:
    """Also where Gold could not be built, when the page is needed most: it has no marts here."""
    url = f"sqlite:///{tmp_path / 'control.db'}"
    ledger = Ledger(open_control(url))
    load = ledger.start(
        asset="silver/orders",
        layer="silver",
        hour=datetime(2026, 3, 1, 10, tzinfo=UTC),
        run_id="r",
        engine="embedded",
        window=None,
    )
    ledger.succeed(load, Counts(read=5, applied=5))
    live = ledger.start(
        asset="silver/stock_live",
        layer=LIVE_LAYER,
        hour=datetime(2026, 3, 1, 10, tzinfo=UTC),
        run_id="r",
        engine="delta-rs",
        window=None,
    )
    ledger.succeed(live, Counts(read=1, applied=1))
    defs = build_report_defs(
        folder=tmp_path / "reports",
        partitions_def=PARTITIONS,
        checks=[dg.AssetCheckKey(ORDERS, name) for name in NAMES],
    )
    key = dg.AssetKey(["report", "platform"])
    (page,) = (a for a in defs.assets or () if isinstance(a, dg.AssetsDefinition) and a.key == key)
    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize([orders], instance=instance, tags={"run": "first"})
        dg.materialize([orders], instance=instance)
        result = dg.materialize(
            [page],
            instance=instance,
            partition_key="2026-03-01-10:00",
            resources={
                "control": ControlResource(url=url),
                "lakehouse": LakehouseResource(
                    lake_url=str(tmp_path / "lake"), catalog=str(PACKAGE / "catalog")
                ),
            },
        )
    (made,) = result.asset_materializations_for_node("report__platform")
    assert made.metadata["dagster/row_count"].value == 1
    html = (tmp_path / "reports" / "platform.html").read_text("utf-8")
    assert '"failed checks: broken"' in html
    assert "from ledger (version 2)." in html
    assert "stock_live" not in html, "a micro-batch is no hour of a table"
