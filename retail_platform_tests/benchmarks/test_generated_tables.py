"""Many generated tables: the code location builds, and a failing table blocks only what follows."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from retail_platform.benchmarks.generated import KINDS, LEVELS, generate
from retail_platform.metadata.loader import load_catalog
from retail_platform_tests.platform.dagster_runs import failures, location, materialised

# Dagster marks features that the platform uses on purpose as preview and beta.
pytestmark = [
    pytest.mark.filterwarnings("ignore::dagster.PreviewWarning"),
    pytest.mark.filterwarnings("ignore::dagster.BetaWarning"),
]

HEAVY = ("great_expectations", "dbt.cli", "sklearn", "pysail", "dlt")
BUILD = f"""
import sys
from collections import Counter
from retail_platform.definitions import build_defs
from retail_platform.settings import Settings
specs = build_defs(Settings.from_environment()).resolve_all_asset_specs()
layers = Counter(spec.key.path[0] for spec in specs)
print(sum(1 for s in specs if (s.group_name or "").endswith("_generated")), layers["bronze"])
print(*[name for name in {HEAVY} if name in sys.modules])
"""


def test_two_hundred_tables_make_a_code_location(tmp_path: Path) -> None:
    """A Bronze and a Silver asset each, and loading them imports nothing that only runs need.

    One more in Bronze is the copy of the ledger.
    """
    generated = generate(tmp_path, tables=200, rows=1)
    environ = {"RETAIL_HOME": str(tmp_path / "home"), "RETAIL_CATALOG": str(generated.catalog)}
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BUILD],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.splitlines() == ["400 201", ""]


def test_generated_tables_are_of_every_kind_and_five_levels(tmp_path: Path) -> None:
    """What the benchmark measures is a mix, not two hundred times the same."""
    generated = generate(tmp_path, tables=200, rows=1)
    catalog = load_catalog(generated.catalog)
    kinds = {(table.row.load, table.row.silver.merge) for table in catalog.tables}
    assert kinds == set(KINDS)
    level: dict[str, int] = {}
    for table in catalog.tables:
        level[table.entity] = 1 + max((level[parent] for parent in table.parents), default=0)
    assert max(level.values()) == LEVELS
    assert any(table.row.references for table in catalog.tables)


def test_a_failing_table_blocks_its_descendants_and_nothing_else(
    tmp_path: Path, engine_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its source table is gone: what waits for it is not loaded, all other tables are."""
    generated = generate(tmp_path / "generated", tables=10, rows=4)
    generated.advance(0)
    for name, value in generated.environ.items():
        monkeypatch.setenv(name, value)
    broken = generated.tables[0]
    connection = sqlite3.connect(generated.database)
    with connection:
        connection.execute(f"drop table {broken}")
    connection.close()
    catalog = load_catalog(generated.catalog)
    blocked = {broken}
    for table in catalog.tables:
        if blocked.intersection(table.parents):
            blocked.add(table.entity)
    assert len(blocked) == LEVELS, "one table of each level"
    with location(generated.catalog, tmp_path, engine_address) as opened:
        result = opened.run(0)
    names = {table.entity: table.bronze for table in catalog.tables}
    assert materialised(result) == {f"bronze/{b}" for e, b in names.items() if e != broken} | {
        f"silver/{entity}" for entity in names if entity not in blocked
    }
    (step,) = failures(result)
    assert step == f"bronze__{names[broken]}"
