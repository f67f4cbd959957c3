"""The last loaded hour of this platform's Gold once more, and where its seconds go.

Belongs here: running and timing. Not here: printing (`retail_platform.cli.bench`).
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from retail_platform.failures import PermanentFailure
from retail_platform.gold.by_hand import PROJECT, hand_environment, hand_project
from retail_platform.gold.project import DBT, staging_of
from retail_platform.gold.runner import NOT_HOURLY, hour_variable
from retail_platform.lakehouse.resource import LakehouseResource
from retail_platform.serving.datasets import MARTS, mart_dataset
from retail_platform.serving.page import page_html
from retail_platform.serving.pages import report_page
from retail_platform.serving.vega import vega_script

LIMIT_SECONDS = 30.0
"""What incremental models and blocking tests of an hour may take."""
TABLES = ("--resource-type", "model", "--resource-type", "snapshot")
BLOCKING = "config.severity:error"


@dataclass(frozen=True, kw_only=True)
class GoldSeconds:
    """Seconds of the parts of an hour of Gold; dbt's are its own, without its start.

    Attributes:
        hour: The hour.
        models: Incremental models and snapshots.
        blocking_tests: Tests that keep what is made of a table from being built.
        unit_tests: Tests of the models' SQL.
        reports: The pages that are made from marts.
    """

    hour: datetime
    models: float
    blocking_tests: float
    unit_tests: float
    reports: float

    @property
    def within_limit(self) -> bool:
        """Whether models and blocking tests took no longer than they may."""
        return self.models + self.blocking_tests <= LIMIT_SECONDS


def run_gold(*, home: Path, lakehouse: LakehouseResource, hour: datetime) -> GoldSeconds:
    """Builds and tests the hour again.

    Args:
        home: State folder, for dbt's artefacts.
        lakehouse: The open lake.
        hour: An hour that was loaded, aware UTC.

    Raises:
        PermanentFailure: dbt ended with errors; the message carries its words.
    """
    with staging_of(lakehouse.gold_root) as staging:
        environment = hand_environment(
            hand_project(home), lakehouse, staging=staging, hours=hour_variable([hour])
        )
        # Parsing is no part of an hour: the platform does it once for each change of the project.
        _dbt(["parse"], environment)
        not_hourly = NOT_HOURLY.split()
        models = _dbt(["build", *TABLES], environment)
        blocking = _dbt(
            ["test", "--select", BLOCKING, "--exclude", *not_hourly, "source:*"], environment
        )
        unit = _dbt(["test", "--select", "test_type:unit"], environment)
    return GoldSeconds(
        hour=hour,
        models=models,
        blocking_tests=blocking,
        unit_tests=unit,
        reports=_reports(lakehouse.gold_root, hour),
    )


def _dbt(arguments: Sequence[str], environment: dict[str, str]) -> float:
    done = subprocess.run(
        [sys.executable, "-c", DBT, *arguments],
        env=environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise PermanentFailure(
            f"dbt {' '.join(arguments)} ended with errors: {done.stdout[-3000:]} "
            "Load an hour first (retail-platform demo --no-ui), or mend what dbt names."
        )
    results = Path(environment["DBT_TARGET_PATH"]) / "run_results.json"
    if not results.exists():
        return 0.0
    return float(json.loads(results.read_text("utf-8"))["elapsed_time"])


def _reports(gold_root: str, hour: datetime) -> float:
    with tempfile.TemporaryDirectory(prefix="retail_bench_") as folder:
        script = vega_script(Path(folder))
        started = time.monotonic()
        for name in MARTS:
            dataset = mart_dataset(name, gold_root=gold_root, hour=hour)
            page = page_html(
                report_page(name),
                dataset.rows,
                hour=hour,
                made_at=datetime.now(UTC),
                made_from=dataset.made_from,
                others=[],
                script=script,
            )
            (Path(folder) / f"{name}.html").write_text(page, "utf-8")
        return time.monotonic() - started
