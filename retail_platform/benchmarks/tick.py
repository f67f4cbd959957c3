"""One hour of many small tables through the real code location, and where its seconds go.

Belongs here: running and timing. Not here: the tables (`generated`), the peer (`dlt_peer`), and
printing (`retail_platform.cli.bench`).
"""

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from retail_platform.benchmarks.generated import FIRST_HOUR, Generated, generate
from retail_platform.benchmarks.processes import figures, peer_command
from retail_platform.control.database import open_control
from retail_platform.control.ledger import Ledger
from retail_platform.definitions import build_defs
from retail_platform.metadata.loader import load_catalog
from retail_platform.operations.jobs import ALL_HOURLY
from retail_platform.operations.running import run_hour
from retail_platform.settings import PACKAGE, Settings

HOURS = 2
"""The first fills the tables, the second merges into them."""
PEER = "retail_platform.benchmarks.dlt_peer"


@dataclass(frozen=True, kw_only=True)
class Tick:
    """One hour.

    Attributes:
        rows: Rows that Silver read.
        bronze_seconds: Seconds of the Bronze loads, by the ledger; those that ran side by side
            all count.
        silver_seconds: The same of the Silver loads.
        engine_seconds: Seconds in which at least one load ran.
        seconds: Wall time of the run.
        failures: Steps that failed.
        peer_seconds: Seconds that dlt took to merge the same rows into one layer; None: not asked.
    """

    rows: int
    bronze_seconds: float
    silver_seconds: float
    engine_seconds: float
    seconds: float
    failures: Sequence[str]
    peer_seconds: float | None = None

    @property
    def dagster_seconds(self) -> float:
        """The rest: run and steps, events, checks, previews, opening the engine."""
        return self.seconds - self.engine_seconds

    @property
    def ratio(self) -> float | None:
        """Seconds of all loads, of both layers, by those of dlt's one layer."""
        return self.engine_seconds / self.peer_seconds if self.peer_seconds else None


@dataclass(frozen=True, kw_only=True)
class TickReport:
    """What a benchmark found.

    Attributes:
        location_seconds: Seconds that the code location took to build.
        assets: Bronze and Silver assets that were run.
        hours: The hours, in order.
    """

    location_seconds: float
    assets: int
    hours: Sequence[Tick]


def run_tick(folder: Path, *, tables: int, rows: int, peer: bool) -> TickReport:
    """Loads two hours of generated tables.

    Args:
        folder: Empty folder for everything that is written.
        tables: Number of tables.
        rows: Rows that each table changes in an hour.
        peer: Whether dlt merges the same rows, in a process and environment of its own.

    Raises:
        PermanentFailure: the peer could not be run.
    """
    generated = generate(folder, tables=tables, rows=rows)
    os.environ.update(generated.environ)
    settings = Settings.from_environment(
        {
            "RETAIL_HOME": str(folder / "home"),
            "RETAIL_CATALOG": str(generated.catalog),
            "RETAIL_PARTITIONS_START": FIRST_HOUR.isoformat(),
        }
    )
    started = time.perf_counter()
    defs = build_defs(settings)
    job = defs.resolve_job_def(ALL_HOURLY)
    location_seconds = time.perf_counter() - started
    catalog = load_catalog(generated.catalog)
    assets = [dg.AssetKey(["bronze", table.bronze]) for table in catalog.tables]
    assets += [dg.AssetKey(["silver", table.entity]) for table in catalog.tables]
    dagster_home = folder / "dagster"
    dagster_home.mkdir()
    shutil.copyfile(PACKAGE.parent / "dagster.yaml", dagster_home / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(dagster_home)
    hours = []
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        for number in range(HOURS):
            generated.advance(number)
            hours.append(_hour(job, instance, assets, settings, generated, number, peer=peer))
    return TickReport(location_seconds=location_seconds, assets=len(assets), hours=hours)


def _hour(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    assets: Sequence[dg.AssetKey],
    settings: Settings,
    generated: Generated,
    number: int,
    *,
    peer: bool,
) -> Tick:
    hour = generated.hour(number)
    started = time.perf_counter()
    result = run_hour(job, instance=instance, hour=hour, assets=assets)
    seconds = time.perf_counter() - started
    loads = Ledger(open_control(settings.control_url)).loads(hour=hour)
    return Tick(
        rows=sum(load.read for load in loads if load.layer == "silver"),
        bronze_seconds=sum(load.seconds or 0 for load in loads if load.layer == "bronze"),
        silver_seconds=sum(load.seconds or 0 for load in loads if load.layer == "silver"),
        engine_seconds=_covered_seconds(
            [(load.started_at.timestamp(), load.seconds or 0) for load in loads]
        ),
        seconds=seconds,
        failures=[
            event.step_key
            for event in result.all_events
            if event.is_step_failure and event.step_key
        ],
        peer_seconds=_peer_seconds(generated) if peer else None,
    )


def _peer_seconds(generated: Generated) -> float:
    """Seconds of dlt's own run: its environment and imports do not count."""
    folders = [str(generated.database), str(generated.catalog.parent / "dlt")]
    return float(figures("dlt", peer_command(PEER), folders)["seconds"])


def _covered_seconds(spans: Sequence[tuple[float, float]]) -> float:
    """Seconds that lie in at least one of these spans, each given by its start and its length."""
    covered = 0.0
    end = float("-inf")
    for start, length in sorted(spans):
        covered += max(0.0, start + length - max(start, end))
        end = max(end, start + length)
    return covered
