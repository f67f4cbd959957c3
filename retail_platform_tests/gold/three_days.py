"""Three days of the simulator, loaded by the platform's own loaders into a lake, and its Gold.

Bronze, Silver and dbt are real. The databases and ad platforms are read twice a day, the tills'
files of every hour; hours in between are a gap that the next read fills. The loads are told in the
oracle's words, so that it can say what they must have brought. Not here: what Gold must be then
(`books`, `mart_books`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from retail_platform.metadata.loader import Catalog, Table
from retail_platform.simulator.expected import Read
from retail_platform.simulator.reconciliation import read_of
from retail_platform.simulator.simulator import Simulator
from retail_platform_tests.gold.dbt_process import DbtProcess
from retail_platform_tests.gold.silver_lake import SilverLake
from retail_platform_tests.platform.box import FIRST_HOUR, HOUR, Box, open_box
from retail_platform_tests.platform.catalogs import demo_catalog
from retail_platform_tests.services import require_service

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
DAYS = tuple(MONDAY.date() + timedelta(days=number) for number in range(3))
READ_AT = (23, 24 + 14, 24 + 23, 48 + 14, 48 + 23)
"""Hours after Monday's midnight in which everything is read."""
ENTITIES = (
    "customers",
    "products",
    "stores",
    "orders",
    "order_lines",
    "stock_levels",
    "territories",
    "suppliers",
    "purchase_orders",
    "purchase_order_lines",
    "facebook_insights",
    "google_campaign_performance",
)
TILLS = "pos_transactions"


@dataclass(frozen=True)
class ThreeDays:
    """What was loaded.

    Attributes:
        simulator: The sources.
        reads: Every load of Bronze.
        hours: Hours that Gold was built for.
    """

    simulator: Simulator
    reads: Sequence[Read]
    hours: Sequence[datetime]


def load_three_days(lake: SilverLake, home: Path, address: str) -> ThreeDays:
    """Loads the days into `lake`, and builds Gold after every reading.

    Args:
        lake: The lake; `home` is its folder's parent.
        home: Folder of the simulator and the control database.
        address: ``sc://host:port`` of the engine for Bronze and Silver.
    """
    simulator = Simulator.open(home, now=MONDAY + timedelta(days=2, hours=15), start=MONDAY)
    hours: list[datetime] = []
    with (
        simulator.serve_ads() as ads,
        simulator.serve_suppliers() as suppliers,
        open_box(home, _gaps_filled(demo_catalog(*ENTITIES, TILLS)), address) as box,
    ):
        require_service("postgresql", found=suppliers is not None)
        environ = simulator.environment(ads, ads, suppliers)
        for number in READ_AT:
            hour = MONDAY + number * HOUR
            simulator.advance_to(hour + HOUR)
            began = hours[-1] + HOUR if hours else MONDAY
            span = [began + n * HOUR for n in range((hour - began) // HOUR + 1)]
            for table in box.catalog.tables:
                wanted = span if table.entity == TILLS else [hour]
                for one in wanted:
                    box.both(table.entity, (one - FIRST_HOUR) // HOUR, environ)
            lake.run(*span)
            hours += span
        return ThreeDays(simulator, _reads(box), hours)


def _gaps_filled(catalog: Catalog) -> Catalog:
    return replace(catalog, tables=tuple(_gap_filled(table) for table in catalog.tables))


def _gap_filled(table: Table) -> Table:
    watermark = table.row.watermark
    if watermark is None:
        return table
    filled = watermark.model_copy(update={"gap": watermark.gap.model_copy(update={"mode": "full"})})
    return replace(table, row=table.row.model_copy(update={"watermark": filled}))


def _reads(box: Box) -> list[Read]:
    return [
        read_of(row)
        for table in box.catalog.tables
        for row in box.ledger.loads(asset=f"bronze/{table.bronze}", status="SUCCESS")
    ]


def days_lake(home: Path, dbt: DbtProcess) -> SilverLake:
    """The lake below `home`, where the loaders put it."""
    return SilverLake(root=home / "lake", dbt_process=dbt)
