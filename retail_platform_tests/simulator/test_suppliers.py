"""The supplier database: a real PostgreSQL that shows the change log, and lives with its parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest

import retail_platform.simulator.simulator as simulator_module
from retail_platform.extract.sql import SqlSource
from retail_platform.extract.sql_postgresql import SnapshotSession
from retail_platform.extract.sql_reader import SqlReader
from retail_platform.extract.window import Window
from retail_platform.metadata.loader import load_catalog
from retail_platform.settings import PACKAGE
from retail_platform.simulator import Simulator
from retail_platform.simulator.postgres import postgres_programs
from retail_platform.simulator.shifts import COMPANY_ZONE
from retail_platform.simulator.supplier_database import TABLES
from retail_platform_tests.services import require_service
from retail_platform_tests.simulator.conftest import HOUR

SERVE_FOREVER = """
import sys, time
from retail_platform.simulator.postgres import postgres_server

with postgres_server() as url:
    print(url, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def installed() -> None:
    """PostgreSQL is there."""
    require_service("postgresql", found=postgres_programs() is not None)


@pytest.fixture
def served(simulator: Simulator, installed: None) -> Iterator[str]:
    """The database's URL while it is served."""
    with simulator.serve_suppliers() as url:
        assert url is not None
        yield url


def _shown(url: str, table: str, columns: tuple[str, ...]) -> list[tuple[str | None, ...]]:
    texts = ", ".join(f"{name}::text" for name in columns)
    with psycopg.connect(url) as connection:
        connection.execute(f"SET TIME ZONE '{COMPANY_ZONE.key}'".encode())
        rows = connection.execute(f"SELECT {texts} FROM {table}".encode()).fetchall()
    return sorted(rows, key=repr)


def _written(value: object, definition: str) -> str | None:
    """A value of the change log as PostgreSQL writes it."""
    if value is None:
        return None
    if "boolean" in definition:
        return "true" if value else "false"
    if "timestamptz" in definition:
        local = datetime.fromisoformat(str(value)).replace(tzinfo=COMPANY_ZONE)
        fraction = f".{local:%f}".rstrip("0").rstrip(".")
        return f"{local:%Y-%m-%d %H:%M:%S}{fraction}{local:%z}"[:-2]
    if "char" in definition:
        return str(value).rstrip()
    return str(value)


@pytest.mark.postgres
def test_the_database_shows_the_change_log_at_each_hour(
    simulator: Simulator, hours: list[datetime], served: str
) -> None:
    """Proves rows, types and clock for the first start and two advances, row by row."""
    for moment in (simulator.start, hours[0] + HOUR, hours[1] + HOUR):
        simulator.advance_to(moment)
        for table in TABLES:
            state = simulator.log.state(table.name, moment).values()
            defined = dict(zip(table.column_names, table.columns, strict=True))
            expected = [
                tuple(_written(row[name], definition) for name, definition in defined.items())
                for row in state
            ]
            assert _shown(served, table.name, table.column_names) == sorted(expected, key=repr)
        with psycopg.connect(served) as connection:
            ((now,),) = connection.execute("SELECT now FROM clock").fetchall()
        assert now == moment


@pytest.mark.postgres
def test_the_first_load_reads_lines_by_ranges_side_by_side(
    simulator: Simulator, served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the platform's own catalog says; a usual hour is one query."""
    table = load_catalog(PACKAGE / "catalog").by_entity["purchase_order_lines"]
    asked: list[str] = []
    stream = SnapshotSession.stream

    def told(session: SnapshotSession, text: str, *, place: str) -> Iterator[pa.RecordBatch]:
        asked.append(text)
        return stream(session, text, place=place)

    monkeypatch.setattr(SnapshotSession, "stream", told)
    hour = simulator.clock - HOUR
    expected = simulator.log.state("purchase_order_lines", simulator.clock)
    source = SqlSource(served, COMPANY_ZONE.key, "select now from clock", name="suppliers")
    with closing(SqlReader(source)) as reader:
        first = Window.of_hour(hour, buffer=timedelta(), initial=True)
        rows = reader.read(table, first).read_all()
        assert sum('"purchase_order_id" >=' in text for text in asked) == 15, "of 16 ranges"
        asked.clear()
        usual = Window.of_hour(hour, buffer=timedelta(), initial=False)
        assert reader.read(table, usual).read_all().num_rows < len(expected)
        assert not any('"purchase_order_id" >=' in text for text in asked)
    keys = zip(rows["purchase_order_id"].to_pylist(), rows["line_number"].to_pylist(), strict=True)
    assert sorted(keys) == sorted(expected)


@pytest.mark.postgres
def test_a_killed_parent_leaves_no_server_behind(installed: None) -> None:
    """The keeper sees the end of its standard input, stops the server and deletes its folder."""
    parent = subprocess.Popen(
        [sys.executable, "-c", SERVE_FOREVER], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    url = parent.stdout.readline().strip()
    with psycopg.connect(url) as connection:
        ((data,),) = connection.execute("SHOW data_directory").fetchall()
    assert Path(data).is_dir()
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 30
    while Path(data).parent.exists():
        assert time.monotonic() < deadline, "the server's folder is still there"
        time.sleep(0.05)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


def test_orders_are_placed_received_and_partly_refused(simulator: Simulator) -> None:
    """Lead time and fill rate can be computed, and are not the same for all."""
    log, clock = simulator.log, simulator.ends_at
    orders = log.state("purchase_orders", clock)
    lines = log.state("purchase_order_lines", clock).values()
    statuses = {order["status"] for order in orders.values()}
    assert statuses == {"pending", "approved", "rejected", "complete"}
    received = [line for line in lines if line["received_at"]]
    days = {
        (
            datetime.fromisoformat(str(line["received_at"]))
            - datetime.fromisoformat(
                str(orders[int(line["purchase_order_id"] or 0),]["ordered_at"])
            )
        ).days
        for line in received
    }
    assert min(days) > 0
    assert len(days) > 5
    assert any(line["rejected_quantity"] != "0.00" for line in received)
    short = [
        line
        for line in received
        if float(str(line["received_quantity"])) < int(line["ordered_quantity"] or 0)
    ]
    assert 0 < len(short) < len(received) / 2
    for line in received:
        order = orders[int(line["purchase_order_id"] or 0),]
        assert order["status"] in ("approved", "complete")
        assert order["shipped_at"] is not None
        assert str(line["received_at"]) > str(order["shipped_at"])


def test_every_hour_of_trade_has_some_changes_and_not_many(
    simulator: Simulator, hours: list[datetime]
) -> None:
    """The demo's hours are to show purchases without being about them."""
    names = {table.name for table in TABLES}
    for hour in hours:
        changes = [c for c in simulator.log.between(hour, hour + HOUR) if c.table in names]
        assert 0 < len(changes) < 60


def test_without_postgresql_the_source_is_left_out(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment names the source, so that no part of the platform waits for it."""
    monkeypatch.setattr(simulator_module, "postgres_programs", lambda: None)
    with simulator.serve_suppliers() as url:
        assert url is None
        environment = simulator.environment("http://127.0.0.1:1", "http://127.0.0.1:1", url)
    assert "suppliers" in environment["RETAIL_WITHOUT_SOURCES"].split(",")
    assert "SUPPLIERS_DB_URL" not in environment
