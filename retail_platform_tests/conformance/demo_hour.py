"""The simulator's first trading hour through the whole graph, on an engine that runs already.

Belongs here: loading it and reading back what came of it. Not here: the comparison of engines.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from deltalake import DeltaTable

from retail_platform.control.database import open_control
from retail_platform.control.ledger import Ledger
from retail_platform.definitions import build_defs
from retail_platform.operations.jobs import ALL_HOURLY
from retail_platform.operations.running import run_hour
from retail_platform.settings import Settings
from retail_platform.simulator import Simulator

NOW = datetime(2025, 11, 20, 8, tzinfo=UTC)
"""A Thursday in the past: no test depends on the day on which it runs."""

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class LoadedHour:
    """What an engine made of the hour.

    Attributes:
        failures: Step to message; empty when all went well.
        silver: Rows by entity, without technical columns.
        gold: Rows by model, without technical columns; without snapshots and what tells of the
            platform's own times.
        counts: Ledger counts by asset.
        seconds: Step to seconds.
    """

    failures: dict[str, str]
    silver: dict[str, list[Row]]
    gold: dict[str, list[Row]]
    counts: dict[str, dict[str, int]]
    seconds: dict[str, float]


@contextmanager
def sources(home: Path) -> Iterator[tuple[datetime, dict[str, str]]]:
    """Runs the simulator; yields its first trading hour, just closed, and where the sources are."""
    (hour,) = Simulator.plan_trading_hours(1, now=NOW)
    simulator = Simulator.open(home, now=NOW, start=hour)
    simulator.advance_to(hour + timedelta(hours=1))
    with simulator.serve() as environment:
        simulator.catch_up_events()
        yield hour, environment


def load(
    home: Path, hour: datetime, environ: dict[str, str], *, engine: str, engine_url: str
) -> LoadedHour:
    """Runs the hourly job for one hour into a fresh ``home``.

    Args:
        home: State folder.
        hour: Aware UTC hour.
        environ: Where the sources are.
        engine: Name of the engine, for the ledger.
        engine_url: ``sc://`` URL of the running engine.
    """
    (home / "dagster").mkdir(parents=True)
    settings = Settings.from_environment(
        {
            "RETAIL_HOME": str(home),
            "RETAIL_ENGINE": engine,
            "RETAIL_ENGINE_URL": engine_url,
            "RETAIL_PII_KEY": "equal on every engine, so that masks are equal",
            "RETAIL_PARTITIONS_START": "2025-11-01T00:00+00:00",
            "RETAIL_WITHOUT_SOURCES": environ["RETAIL_WITHOUT_SOURCES"],
        }
    )
    os.environ.update(environ)
    job = build_defs(settings).resolve_job_def(ALL_HOURLY)
    with dg.DagsterInstance.ephemeral(tempdir=str(home / "dagster")) as instance:
        result = run_hour(job, instance=instance, hour=hour)
    events = result.all_events
    return LoadedHour(
        failures={
            event.step_key or "": str(event.step_failure_data.error)
            for event in events
            if event.is_step_failure
        },
        silver=_layer(settings, "silver"),
        gold=_layer(settings, "gold"),
        counts=_counts(settings),
        seconds={
            event.step_key or "": event.step_success_data.duration_ms / 1000
            for event in events
            if event.is_step_success
        },
    )


def _layer(settings: Settings, layer: str) -> dict[str, list[Row]]:
    folders = sorted(Path(settings.lake_url, layer).glob("*"))
    return {
        folder.name: plain_rows(str(folder))
        for folder in folders
        if not folder.name.startswith(("snap_", "mart_platform_"))
    }


def plain_rows(location: str) -> list[Row]:
    """Rows of a Delta table without technical columns, in a fixed order."""
    table = DeltaTable(location)
    names = sorted(f.name for f in table.schema().fields if not f.name.startswith("_"))
    rows = table.to_pyarrow_table(columns=names).to_pylist()
    return sorted(rows, key=lambda row: [str(row[name]) for name in names])


def _counts(settings: Settings) -> dict[str, dict[str, int]]:
    ledger = Ledger(open_control(settings.control_url))
    return {
        row.asset: {"read": row.read, "applied": row.applied, "quarantined": row.quarantined}
        | {"duplicates": row.duplicates, "stale": row.stale, "unchanged": row.unchanged}
        | {"rejected": row.rejected, "swept": row.swept, "inferred": row.inferred}
        | {"target_rows_after": row.target_rows_after or 0}
        for row in ledger.loads(status="SUCCESS")
    }
