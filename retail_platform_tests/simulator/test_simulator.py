"""The databases and their clock: determinism, monotone advance, crashes, the end of the data."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path

import pytest

from retail_platform.failures import PermanentFailure
from retail_platform.simulator import EndOfData, Simulator, databases
from retail_platform.simulator.shifts import COMPANY_ZONE
from retail_platform_tests.simulator.conftest import HOUR, NOW

DIE_IN_THE_MIDDLE = """
import os, sys
from datetime import datetime
from pathlib import Path
from retail_platform.simulator import Simulator, databases

simulator = Simulator.open(Path(sys.argv[1]))
target = datetime.fromisoformat(sys.argv[2])
changes = [c for c in simulator.log.between(simulator.clock, target)
           if c.table in databases.BY_NAME and databases.BY_NAME[c.table].database == "sales"]

def half():
    yield from changes[: len(changes) // 2]
    os._exit(9)

databases.apply(simulator.folder / "sales.db", database="sales", changes=half(), clock=target)
"""


def _rows(path: Path, table: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return sorted(connection.execute(f"SELECT * FROM {table}").fetchall(), key=repr)
    finally:
        connection.close()


def _assert_databases_show(simulator: Simulator, clock: datetime) -> None:
    for table in databases.TABLES:
        state = simulator.log.state(table.name, clock)
        expected = [tuple(row[name] for name in table.column_names) for row in state.values()]
        found = _rows(simulator.folder / f"{table.database}.db", table.name)
        assert found == sorted(expected, key=repr), table.name


def test_two_first_starts_make_the_same_world(
    simulator: Simulator, hours: list[datetime], tmp_path: Path
) -> None:
    twin = Simulator.open(tmp_path, now=NOW, start=hours[0])
    assert twin.log.digest() == simulator.log.digest()
    assert (twin.folder / "state.json").read_text() == (simulator.folder / "state.json").read_text()


def test_changes_are_strictly_ordered_per_table_and_say_when(simulator: Simulator) -> None:
    last: dict[str, datetime] = {}
    for change in simulator.log.changes:
        assert change.at > last.get(change.table, datetime.min.replace(tzinfo=UTC))
        last[change.table] = change.at
        if change.op != "delete":
            naive = datetime.fromisoformat(str(change.row["modified_at"]))
            assert naive.replace(tzinfo=COMPANY_ZONE).astimezone(UTC) == change.at
    kinds = {(change.table, change.op) for change in simulator.log.changes}
    assert ("stock_levels", "delete") in kinds
    assert ("customers", "insert") in kinds
    assert {("orders", "update"), ("order_lines", "update"), ("products", "update")} <= kinds


def test_late_customers_are_committed_after_their_first_order(simulator: Simulator) -> None:
    ordered: dict[object, datetime] = {}
    late = 0
    for change in simulator.log.changes:
        if change.table == "orders" and change.op == "insert":
            ordered.setdefault(change.row["customer_id"], change.at)
        if change.table == "customers" and change.op == "insert":
            late += ordered.get(change.row["customer_id"], change.at) < change.at
    assert late > 3


def test_order_totals_follow_their_lines(simulator: Simulator) -> None:
    clock = simulator.ends_at
    orders = simulator.log.state("orders", clock)
    sums: dict[object, float] = {}
    for line in simulator.log.state("order_lines", clock).values():
        sums[line["order_id"]] = sums.get(line["order_id"], 0) + float(str(line["line_total"]))
    for (order_id,), order in orders.items():
        assert abs(float(str(order["sub_total"])) - sums[order_id]) < 0.01
    assert {order["status"] for order in orders.values()} == {"placed", "shipped", "cancelled"}


def test_advancing_applies_exactly_the_changes_before_and_never_goes_back(
    simulator: Simulator, hours: list[datetime]
) -> None:
    _assert_databases_show(simulator, simulator.start)
    for hour in hours[:3]:
        coming = simulator.log.between(simulator.clock, hour + HOUR)
        expected = sum(change.table in databases.BY_NAME for change in coming)
        assert simulator.advance_to(hour + HOUR) == expected
        assert simulator.clock == hour + HOUR
    assert simulator.advance_to(hours[0]) == 0
    assert simulator.clock == hours[2] + HOUR
    _assert_databases_show(simulator, simulator.clock)
    for name in databases.DATABASES:
        ((now, utc),) = _rows(simulator.folder / f"{name}.db", "clock")
        assert datetime.fromisoformat(str(utc)) == simulator.clock
        local = datetime.fromisoformat(str(now)).replace(tzinfo=COMPANY_ZONE)
        assert local == simulator.clock


def test_a_process_killed_inside_a_transaction_leaves_the_state_before_it(
    simulator: Simulator, hours: list[datetime]
) -> None:
    target = hours[3] + HOUR
    script = [sys.executable, "-c", DIE_IN_THE_MIDDLE]
    died = subprocess.run([*script, str(simulator.folder.parent), target.isoformat()], check=False)
    assert died.returncode == 9
    _assert_databases_show(simulator, simulator.clock)
    simulator.advance_to(target)
    _assert_databases_show(simulator, target)


def test_a_process_killed_between_two_databases_is_caught_up_at_the_next_start(
    simulator: Simulator, hours: list[datetime]
) -> None:
    target = hours[4] + HOUR
    path = simulator.folder / "sales.db"
    changes = simulator.log.between(simulator.clock, target)
    databases.apply(path, database="sales", changes=changes, clock=target)
    again = Simulator.open(simulator.folder.parent)
    assert again.clock == target
    _assert_databases_show(again, target)
    assert (again.landing / "pos").is_dir()


def test_the_end_of_the_data_is_said(simulator: Simulator) -> None:
    with pytest.raises(EndOfData, match="data of feed pos ends at"):
        simulator.advance_to(simulator.ends_at + HOUR)
    assert simulator.clock == simulator.ends_at
    _assert_databases_show(simulator, simulator.ends_at)


def test_a_log_that_cannot_be_made_again_is_refused(simulator: Simulator) -> None:
    path = simulator.folder / "state.json"
    state = json.loads(path.read_text())
    path.write_text(json.dumps({**state, "log_sha256": "0" * 64}))
    with pytest.raises(PermanentFailure, match="--fresh"):
        _ = Simulator.open(simulator.folder.parent).log
    path.write_text("{")
    with pytest.raises(PermanentFailure, match="--fresh"):
        Simulator.open(simulator.folder.parent)


def test_a_time_without_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PermanentFailure, match="no time zone"):
        Simulator.open(tmp_path, now=datetime(2026, 11, 26))  # noqa: DTZ001


def test_the_live_process_prints_its_addresses_and_stops_on_sigterm(tmp_path: Path) -> None:
    port_file = tmp_path / "ports.json"
    arguments = ["--home", str(tmp_path), "--port-file", str(port_file)]
    process = subprocess.Popen(
        [sys.executable, "-m", "retail_platform.simulator", *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines = list(takewhile(lambda line: not line.startswith("data ends"), process.stdout))
        environment = json.loads(port_file.read_text())
        assert f"SALES_DB_URL={environment['SALES_DB_URL']}\n" in lines
        assert Path(environment["SALES_DB_URL"].removeprefix("sqlite:///")).exists()
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.communicate()
    clock = Simulator.open(tmp_path).clock
    assert datetime.now(UTC) - clock < timedelta(minutes=5)
