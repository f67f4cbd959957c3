"""Small Dagster code locations over test catalogs, run in this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from retail_platform.bronze.assets import build_bronze_asset
from retail_platform.control.database import open_control
from retail_platform.control.ledger import Ledger
from retail_platform.control.resource import ControlResource
from retail_platform.lakehouse.resource import LakehouseResource
from retail_platform.metadata.loader import load_catalog
from retail_platform.operations.blocked import DependenciesResource
from retail_platform.operations.executor import platform_executor
from retail_platform.operations.running import run_hour
from retail_platform.partitions import hourly_partitions
from retail_platform.silver.assets import build_silver_asset
from retail_platform_tests.platform.box import FIRST_HOUR, PII_KEY, hour_at

POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Location:
    """A job over all Bronze and Silver assets of a catalog, and where its events are kept."""

    job: dg.JobDefinition
    instance: dg.DagsterInstance
    ledger: Ledger

    def run(self, number: int, *assets: str) -> dg.ExecuteInProcessResult:
        """Runs one hour of all assets, or of some."""
        keys = [dg.AssetKey(asset.split("/")) for asset in assets] or None
        return run_hour(self.job, instance=self.instance, hour=hour_at(number), assets=keys)


@contextmanager
def location(catalog: Path, home: Path, address: str) -> Iterator[Location]:
    """The code location of a catalog folder on a running engine."""
    tables = load_catalog(catalog)
    partitions = hourly_partitions(FIRST_HOUR)
    assets = [
        definitions
        for table in tables.tables
        for definitions in (
            build_bronze_asset(table=table, partitions_def=partitions),
            build_silver_asset(
                table=table, catalog=tables, partitions_def=partitions, pii_key=PII_KEY
            ),
        )
    ]
    job = dg.define_asset_job("all")
    lakehouse = LakehouseResource(
        lake_url=str(home / "lake"), catalog=str(catalog), engine_url=address
    )
    url = f"sqlite:///{home / 'control.db'}"
    resources = {
        "lakehouse": lakehouse,
        "control": ControlResource(url=url),
        "dependencies": DependenciesResource(
            control_url=url, engine="embedded", poll_seconds=POLL_SECONDS
        ),
    }
    rest = dg.Definitions(
        jobs=[job],
        resources=resources,
        executor=platform_executor,
    )
    with dg.DagsterInstance.ephemeral() as instance:
        whole = dg.Definitions.merge(*assets, rest)
        ledger = Ledger(open_control(url))
        yield Location(whole.resolve_job_def("all"), instance, ledger)


def materialised(result: dg.ExecuteInProcessResult) -> set[str]:
    """Asset keys, as text, that a run has materialised."""
    events = result.get_asset_materialization_events()
    return {event.asset_key.to_user_string() for event in events if event.asset_key}


def checks(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], bool]:
    """Whether each check (asset, name) that a run has evaluated has passed."""
    return {
        (check.asset_key.to_user_string(), check.check_name): check.passed
        for check in result.get_asset_check_evaluations()
    }


def retries(result: dg.ExecuteInProcessResult) -> list[str]:
    """Steps that were started again, one entry for each time."""
    return [e.step_key for e in result.all_events if e.is_step_restarted and e.step_key]


def failures(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """Failed steps and the text of their failures, causes included."""
    return {
        event.step_key: event.step_failure_data.error_display_string
        for event in result.all_events
        if event.is_step_failure and event.step_key
    }
