"""Stock counts over SFTP, from the operator's server to Silver: faults lose and double nothing.

A real SFTP server and the platform's own catalog; of servers of other makes it proves nothing.
"""

import gzip
import logging
import sqlite3
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncssh
import pytest

from retail_platform.control.database import open_control
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.metadata.loader import load_catalog
from retail_platform.metadata.onboarding import onboard
from retail_platform.metadata.onboarding_scope import NewSource
from retail_platform.operations.plan import Outcome, plan
from retail_platform.settings import Settings
from retail_platform.simulator.sftp_server import SftpServer, serve_sftp
from retail_platform_tests.platform.box import FIRST_HOUR, Box, hour_at
from retail_platform_tests.platform.catalogs import Tree, contract, demo_catalog, write_catalog
from retail_platform_tests.platform.dagster_runs import failures, location, materialised
from retail_platform_tests.platform.fixtures import Opener

ENTITY = "stock_counts"
SECRET = "planted-password-4711"
HEADER = "CountNo;ProductId;LocationId;Counted;CountedAt\r\n"


def counts(*numbers: int, counted: int = 5) -> str:
    lines = (f"C-{n};{300 + n};7;{counted};2026-01-05 04:10:00\r\n" for n in numbers)
    return HEADER + "".join(lines)


class Operator:
    """The operator's server and what it puts there."""

    def __init__(self, server: SftpServer, root: Path) -> None:
        self.server = server
        self.root = root

    @property
    def environ(self) -> dict[str, str]:
        return {
            "WAREHOUSE_SFTP_ROOT": self.server.url("outgoing"),
            "WAREHOUSE_SFTP_HOST_KEY": self.server.host_key,
            "WAREHOUSE_SFTP_PASSWORD": self.server.password,
        }

    def put(self, text: str, number: int = 0, addition: str = "") -> str:
        """Files are named by the hour in Los Angeles."""
        local = hour_at(number) - timedelta(hours=8)
        stem = f"counts/{local:%Y-%m-%d}/counts_{local:%Y%m%dT%H}"
        path = self.root / "outgoing" / f"{stem}{addition}.csv.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode(), 0))
        (self.root / "outgoing" / f"{stem}.done").touch()
        return f"{stem}{addition}.csv.gz"


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    root = tmp_path / "sftp"
    root.mkdir()
    with serve_sftp(root, password=SECRET) as server:
        yield Operator(server, root)


@pytest.fixture
def box(new_box: Opener) -> Box:
    return new_box(demo_catalog(ENTITY))


def numbers(box: Box) -> list[str]:
    return sorted(row["count_no"] for row in box.live(ENTITY))


def test_counts_arrive_with_their_place_and_time(box: Box, operator: Operator) -> None:
    path = operator.put(counts(1, 2) + "C-3;303;7;?;2026-01-05 04:20:00\r\n")
    load = box.both(ENTITY, 0, operator.environ)
    assert (load.counts.applied, load.counts.quarantined) == (2, 1)
    first = box.live(ENTITY)[0]
    assert (first["file_path"], first["line_number"]) == (path, 2)
    assert first["counted_at"] == datetime(2026, 1, 5, 12, 10, tzinfo=UTC)
    assert "cannot read ? as int" in box.quarantined(ENTITY)[0]["reasons"]


def test_a_line_that_drops_half_way_leaves_nothing_and_the_next_attempt_is_whole(
    box: Box, operator: Operator
) -> None:
    """The first of two files is there when the server closes: not a row of it is kept."""
    operator.put(counts(1, 2), addition="_1")
    operator.put(counts(*range(3, 9_000)), addition="_2")
    operator.server.faults.drop_after = 100_000
    with pytest.raises(TransientFailure, match=r"broke off .*nothing was committed"):
        box.bronze(ENTITY, 0, operator.environ)
    assert box.stored_bronze(ENTITY) == []
    assert box.bronze(ENTITY, 0, operator.environ).counts.applied == 8_999
    assert box.bronze(ENTITY, 0, operator.environ).counts.applied == 0, "a re-run adds nothing"


def test_a_slow_server_is_given_up_and_the_next_attempt_is_whole(
    box: Box, operator: Operator, tmp_path: Path
) -> None:
    table = box.catalog.by_entity[ENTITY]
    login = table.connection.model_dump()["sftp"] | {"timeout": "1s"}
    connection = type(table.connection).model_validate(
        table.connection.model_dump() | {"sftp": login}
    )
    object.__setattr__(table, "connection", connection)
    operator.put(counts(1, 2))
    operator.server.faults.seconds_a_read = 3
    with pytest.raises(TransientFailure, match="was silent for 1 s"):
        box.bronze(ENTITY, 0, operator.environ)
    operator.server.faults.seconds_a_read = 0
    assert box.both(ENTITY, 0, operator.environ).counts.applied == 2


def test_each_file_is_fetched_once_a_load(box: Box, operator: Operator) -> None:
    path = operator.put(counts(1, 2))
    box.bronze(ENTITY, 0, operator.environ)
    assert operator.server.reads == [f"outgoing/{path}"]


def test_a_file_under_another_name_is_taken_once(box: Box, operator: Operator) -> None:
    operator.put(counts(1, 2))
    operator.put(counts(1, 2), addition=" (1)")
    assert box.both(ENTITY, 0, operator.environ).counts.read == 2
    operator.put(counts(1, counted=9))
    box.both(ENTITY, 0, operator.environ)
    assert [(row["count_no"], row["counted_quantity"]) for row in box.live(ENTITY)] == [("C-1", 9)]


def test_secrets_reach_neither_ledger_nor_dagster_nor_logs(
    operator: Operator,
    engine_address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A good load, a refused login, a server with another key: the password is told by none."""
    caplog.set_level(logging.DEBUG)
    folder = write_catalog(tmp_path / "catalog", [source()], [promise()])
    operator.put(counts(1, 2))
    for name, value in operator.environ.items():
        monkeypatch.setenv(name, value)
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    home = tmp_path / "home"
    with location(folder, home, engine_address) as hourly:
        runs = [hourly.run(0)]
        assert "bronze/warehouse__stock_counts" in materialised(runs[0])
        monkeypatch.setenv("WAREHOUSE_SFTP_PASSWORD", f"{SECRET}-wrong")
        runs.append(hourly.run(0))
        monkeypatch.setenv("WAREHOUSE_SFTP_HOST_KEY", other)
        runs.append(hourly.run(0))
        monkeypatch.setenv("WAREHOUSE_SFTP_ROOT", f"sftp://etl:{SECRET}@127.0.0.1/x")
        runs.append(hourly.run(0))
        told = [str(hourly.instance.all_logs(run.run_id)) for run in runs]
        refused = [text for run in runs for text in failures(run).values()]
    assert len(refused) == 3
    assert "refuses the login" in refused[0]
    assert "shows the host key" in refused[1]
    assert "holds a password" in refused[2]
    told += [*refused, caplog.text, *capfd.readouterr(), ledger(home)]
    assert "warehouse__stock_counts" in told[-1]
    assert not [text for text in told if SECRET in text]


def ledger(home: Path) -> str:
    open_control(f"sqlite:///{home / 'control.db'}").dispose()
    return "\n".join(sqlite3.connect(home / "control.db").iterdump())


def test_failures_that_pass_through_dagster_keep_their_kind(
    operator: Operator, engine_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that drops is tried again by the asset itself; nobody has to do anything."""
    folder = write_catalog(tmp_path / "catalog", [source()], [promise()])
    operator.put(counts(*range(9_000)))
    operator.server.faults.drop_after = 100_000
    for name, value in operator.environ.items():
        monkeypatch.setenv(name, value)
    with location(folder, tmp_path / "home", engine_address) as hourly:
        result = hourly.run(0, "bronze/warehouse__stock_counts")
    assert result.success
    assert [event.step_key for event in result.all_events if event.is_step_restarted]


def source() -> Tree:
    table: Tree = {
        "table": "stock_counts",
        "load": "files",
        "path": "counts/%Y-%m-%d/counts_%Y%m%dT%H",
        "files": {"format": "delimited", "delimiter": ";", "extension": "csv"},
        "archive": "gzip",
        "key": ["countno"],
        "columns": {"CountNo": "countno", "Counted": "counted", "_file": "file_path"},
        "silver": {"entity": ENTITY, "merge": "upsert"},
    }
    login = {
        "host_key": {"env": "WAREHOUSE_SFTP_HOST_KEY"},
        "password": {"env": "WAREHOUSE_SFTP_PASSWORD"},
    }
    connection = {
        "kind": "files",
        "root": {"env": "WAREHOUSE_SFTP_ROOT"},
        "timezone": "America/Los_Angeles",
        "sftp": login,
    }
    return {"source": "warehouse", "connection": connection, "tables": [table]}


def promise() -> Tree:
    columns = {"countno": "string", "counted": "int", "file_path": "string"}
    return contract(ENTITY, columns, ["countno"])


def test_a_plan_reads_the_server_and_says_what_stops_it(operator: Operator, tmp_path: Path) -> None:
    settings = Settings.from_environment({"RETAIL_HOME": str(tmp_path / "home")})
    catalog = load_catalog(write_catalog(tmp_path / "catalog", [source()], [promise()]))

    def planned(**changed: str) -> tuple[Outcome, str]:
        environ = operator.environ | changed
        found = plan(settings, catalog, [ENTITY], hour=FIRST_HOUR, environ=environ)[0]
        return found.outcome, found.reads or " ".join(found.reasons)

    waiting, why = planned()
    assert waiting is Outcome.WAITS
    assert "waiting for marker counts/2026-01-05/counts_20260105T04.done" in why
    operator.put(counts(1, 2))
    size = len(counts(1, 2))
    assert planned() == (Outcome.LOADS, f"1 files, {size} bytes, 0 known")
    fails, why = planned(WAREHOUSE_SFTP_PASSWORD="wrong")
    assert fails is Outcome.FAILS
    assert "refuses the login of retailcorp" in why


def test_tables_of_a_server_are_onboarded(operator: Operator, tmp_path: Path) -> None:
    """Pattern, archive and delimiter are found; the login is named by its variables only."""
    operator.put(counts(1, 2))
    new = NewSource(
        name="depot",
        kind="files",
        variable="WAREHOUSE_SFTP_ROOT",
        timezone="America/Los_Angeles",
        login={
            "sftp.host_key": "WAREHOUSE_SFTP_HOST_KEY",
            "sftp.password": "WAREHOUSE_SFTP_PASSWORD",
        },
    )
    folder = tmp_path / "catalog"
    onboard(folder, ["*"], environ=operator.environ, new_source=new).write()
    table = load_catalog(folder).by_entity["counts"]
    assert table.row.path == "counts/%Y-%m-%d/counts_%Y%m%dT%H"
    assert table.row.archive is not None
    assert table.row.archive.kind == "gzip"
    written = (folder / "sources" / "depot.yaml").read_text()
    assert "password: {env: WAREHOUSE_SFTP_PASSWORD}" in written
    assert SECRET not in written
    lacking = NewSource(
        name="depot",
        kind="files",
        variable="WAREHOUSE_SFTP_ROOT",
        timezone="UTC",
        login={"sftp.password": "WAREHOUSE_SFTP_PASSWORD"},
    )
    with pytest.raises(PermanentFailure, match=r"sftp\.host_key.*Field required") as failure:
        onboard(tmp_path / "other", ["*"], environ=operator.environ, new_source=lacking)
    assert SECRET not in "".join(traceback.format_exception(failure.value))
