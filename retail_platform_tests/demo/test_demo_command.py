"""The demo as a user starts it: a process of its own on a fresh folder.

The reconciliation that the demo ends with is the oracle: plain Python over the simulator's books,
which knows nothing of the lake.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from deltalake import DeltaTable

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]

COMMAND = [sys.executable, "-m", "retail_platform.cli", "demo", "--no-ui"]
AT = ["--at", "2026-11-18 15:00"]


def _environment(home: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("RETAIL_")}
    return {**own, "RETAIL_HOME": str(home)}


def _run(home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *AT, *options],
        env=_environment(home),
        capture_output=True,
        text=True,
        timeout=420,
        check=False,
    )


def _rows(lake: Path) -> dict[str, list[str]]:
    """Rows of every Silver and Gold table as text, without technical columns.

    Without snapshots, and without what tells of the loads themselves: a further run is one more.
    """
    tables = {}
    for layer in ("silver", "gold"):
        for folder in sorted((lake / layer).iterdir()):
            if folder.name.startswith(("snap_", "mart_platform_")):
                continue
            table = DeltaTable(folder).to_pyarrow_table()
            names = [name for name in table.column_names if not name.startswith("_")]
            tables[f"{layer}/{folder.name}"] = sorted(map(str, table.select(names).to_pylist()))
    return tables


def test_a_killed_demo_goes_on_and_reconciles_and_a_third_run_changes_nothing(
    tmp_path: Path,
) -> None:
    """SIGKILL in the middle of the second hour; the next run makes everything right, exit code 0.

    A further run loads the last hour again and leaves every Silver and Gold row as it is.
    """
    home = tmp_path / "home"
    printed = tmp_path / "first.txt"
    with printed.open("w") as output:
        first = subprocess.Popen(
            [*COMMAND, *AT, "--hours", "2"],
            env=_environment(home),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        _wait_until_second_hour(home, first, printed)
        os.killpg(first.pid, signal.SIGKILL)
        first.wait(30)

    second = _run(home, "--hours", "2")
    assert second.returncode == 0, second.stdout[-4000:] + second.stderr[-4000:]
    assert "all agree" in second.stdout
    assert "silver/orders" in second.stdout
    assert "peak memory" in second.stdout
    before = _rows(home / "lake")

    third = _run(home, "--hours", "1")
    assert third.returncode == 0, third.stdout[-4000:] + third.stderr[-4000:]
    assert _rows(home / "lake") == before
    _check_that_a_plan_works_and_writes_nothing(home)


def _check_that_a_plan_works_and_writes_nothing(home: Path) -> None:
    """The databases stay, the ad servers are gone: a row that says so, and exit code 0."""
    before = {p: p.read_bytes() for p in home.rglob("*") if p.is_file()}
    planned = subprocess.run(
        [sys.executable, "-m", "retail_platform.cli", "plan", "--json"],
        env=_environment(home),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert planned.returncode == 0, planned.stdout + planned.stderr
    outcomes: dict[str, set[str]] = {}
    for found in json.loads(planned.stdout):
        outcomes.setdefault(found["table"].partition(".")[0], set()).add(found["outcome"])
    # Only what lies on the disk outlives the demo; its servers are gone.
    stays = {"inventory", "pos", "sales", "surveys", "web_analytics"}
    assert {source for source in outcomes if outcomes[source] == {"loads"}} == stays
    assert {name for s in outcomes.keys() - stays for name in outcomes[s]} == {"unknown"}
    assert {p: p.read_bytes() for p in home.rglob("*") if p.is_file()} == before


def _wait_until_second_hour(home: Path, process: subprocess.Popen[bytes], printed: Path) -> None:
    """Waits until Bronze holds an hour's second commit: the second hour has begun."""
    deadline = time.monotonic() + 300
    log = home / "lake" / "bronze" / "sales__orders" / "_delta_log"
    while not (log / "00000000000000000002.json").exists():
        assert process.poll() is None, f"ended before it could be killed:\n{printed.read_text()}"
        assert time.monotonic() < deadline, "the second hour never began"
        time.sleep(0.1)


def test_ctrl_c_ends_every_process_of_the_demo(tmp_path: Path) -> None:
    """After SIGINT no process of the demo's group is left, also while the hours are loaded."""
    process = subprocess.Popen(
        [*COMMAND, *AT, "--hours", "1"],
        env=_environment(tmp_path / "home"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(12)
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    os.kill(process.pid, signal.SIGINT)
    process.wait(60)
    _, alive = psutil.wait_procs(family, timeout=20)
    assert [p.pid for p in alive] == []


def test_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    """The demo neither uses nor deletes a folder that is not its own."""
    (tmp_path / "thesis.txt").write_text("do not delete")
    result = _run(tmp_path, "--fresh")
    assert result.returncode == 1
    assert "is not the state folder of a demo" in result.stderr
    assert (tmp_path / "thesis.txt").exists()
