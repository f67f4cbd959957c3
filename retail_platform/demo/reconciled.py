"""Reconciliation of the lake that the settings name, for the command and the demo."""

from retail_platform.control.database import open_control
from retail_platform.control.ledger import Ledger
from retail_platform.metadata.loader import load_catalog
from retail_platform.settings import Settings
from retail_platform.simulator.reconciliation import Line, reconcile
from retail_platform.simulator.simulator import Simulator


def reconciled_lines(simulator: Simulator | None = None) -> list[Line]:
    """Compares the lake of this environment with its simulator, the open one where there is one."""
    settings = Settings.from_environment()
    return reconcile(
        simulator=simulator or Simulator.open(settings.home),
        ledger=Ledger(open_control(settings.control_url)),
        lake_url=settings.lake_url,
        catalog=load_catalog(settings.catalog, without=settings.without_sources),
    )
