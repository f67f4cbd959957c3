"""``dbt``: the session, the hour, the lake and the exit code that a person's dbt gets."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from retail_platform.control.database import open_control
from retail_platform.control.ledger import Ledger
from retail_platform.control.loads import Counts


def run(
    home: Path, *arguments: str, command: str = "dbt", **more: str
) -> subprocess.CompletedProcess[str]:
    """The command in a process and a state folder of its own."""
    return subprocess.run(
        [sys.executable, "-m", "retail_platform.cli", command, *arguments],
        env={**os.environ, "RETAIL_HOME": str(home), "RETAIL_PII_KEY": "test", **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A state folder in which one hour of stores was loaded."""
    ledger = Ledger(open_control(f"sqlite:///{tmp_path / 'control.db'}"))
    load = ledger.start(
        asset="silver/stores",
        layer="silver",
        hour=datetime(2026, 3, 1, 10, tzinfo=UTC),
        run_id="r",
        engine="embedded",
        window=None,
    )
    ledger.succeed(load, Counts())
    return tmp_path


def test_build_snapshot_test_and_docs_work_on_the_lake(home: Path) -> None:
    """One build of one table with its tests, on Silver tables that exist by contract, and docs."""
    built = run(home, "--", "build", "--select", "+fct_marketing_spend", "+snap_campaign")
    assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
    assert "PASS primary_key_fct_marketing_spend_v1_spend_key" in built.stdout
    assert (home / "lake" / "gold" / "snap_campaign" / "_delta_log").is_dir()
    assert not list((home / "lake" / "_staging").glob("*"))
    again = run(home, "--", "docs", "generate")
    assert again.returncode == 0, again.stdout[-3000:]
    catalog = json.loads((home / "dbt" / "target" / "catalog.json").read_text("utf-8"))
    assert "model.retail_gold.dim_campaign.v1" in catalog["nodes"]


def test_freshness_of_sources_is_asked_of_the_lake(home: Path) -> None:
    """Fresh, late enough to warn, and too old, by when the newest row was read."""
    ages = {"orders": 1, "order_lines": 5, "web_events": 30}
    assert run(home, "--", "ls", "--resource-type", "source").returncode == 0
    for entity, hours in ages.items():
        _add_row(home / "lake" / "silver" / entity, datetime.now(UTC) - timedelta(hours=hours))
    selected = [f"source:silver.{entity}" for entity in ages]
    result = run(home, "--", "source", "freshness", "--select", *selected)
    assert result.returncode == 1, result.stdout[-3000:] + result.stderr[-3000:]
    told = json.loads((home / "dbt" / "target" / "sources.json").read_text("utf-8"))["results"]
    assert {one["unique_id"].rpartition(".")[2]: one["status"] for one in told} == {
        "orders": "pass",
        "order_lines": "warn",
        "web_events": "error",
    }


def _add_row(location: Path, extracted_at: datetime) -> None:
    """Appends a row of nothing but the time at which it was read."""
    schema = pa.schema(DeltaTable(location).schema().to_arrow())
    row = {field.name: None if field.nullable else _nothing(field.type) for field in schema}
    row["_extracted_at"] = extracted_at
    write_deltalake(location, pa.Table.from_pylist([row], schema=schema), mode="append")


def _nothing(kind: pa.DataType) -> Any:
    if pa.types.is_timestamp(kind):
        return datetime(2026, 3, 1, tzinfo=UTC)
    return "" if pa.types.is_string(kind) or pa.types.is_string_view(kind) else 0


def test_without_arguments_a_shell_has_dbt_and_the_last_hour(home: Path, tmp_path: Path) -> None:
    """The shell stands in the project's folder; its exit code is the command's."""
    shell = tmp_path / "shell"
    shell.write_text('#!/bin/sh\npwd\necho "hour $RETAIL_HOUR"\ncommand -v dbt\nexit 7\n')
    shell.chmod(0o755)
    result = run(home, SHELL=str(shell))
    assert result.returncode == 7
    assert "/gold/dbt\n" in result.stdout
    assert "hour 2026-03-01 10:00:00" in result.stdout
    assert str(Path(sys.executable).parent / "dbt") in result.stdout


@pytest.mark.slow
def test_the_benchmark_of_gold_builds_tests_and_draws_also_over_empty_tables(home: Path) -> None:
    """Every part of an hour, the unit tests of the models among them."""
    result = run(home, "gold", "--json", command="bench")
    assert result.stdout.startswith("{"), result.stdout[-3000:] + result.stderr[-3000:]
    seconds = json.loads(result.stdout)
    assert all(seconds[part] > 0 for part in ("models", "blocking_tests", "unit_tests", "reports"))
    assert (home / "lake" / "gold" / "mart_sales_kpi" / "_delta_log").is_dir()
