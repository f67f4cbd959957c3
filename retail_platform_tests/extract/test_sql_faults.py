"""Faults of a real PostgreSQL: the hour completes, or fails clearly and completes on retry."""

import traceback
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from retail_platform.extract.sql import SqlSource
from retail_platform.extract.window import Window
from retail_platform.failures import PermanentFailure, PlatformFailure, TransientFailure
from retail_platform_tests.extract.postgres import run
from retail_platform_tests.extract.things import Interrupted, box_of_things
from retail_platform_tests.platform.box import Box, hour_at
from retail_platform_tests.platform.fixtures import Opener

pytestmark = pytest.mark.postgres
ROWS = 200_000
EVERYTHING = Window(hour=hour_at(0), start=None, end=hour_at(1), initial=True)
PASSWORD = "p@ss+w/rd% x:1"


@pytest.fixture
def url(postgres_url: str) -> str:
    """A server whose clock has just closed hour 0, with a table that takes some batches to read."""
    run(
        postgres_url,
        "drop table if exists things, clock cascade",
        "create table clock as select timestamp '2026-01-05 13:00' as now",
        "create table things as select g as id, repeat('x', 200) as label,"
        " timestamp '2026-01-05 12:10' as modified_at"
        f" from generate_series(1, {ROWS}) g",
    )
    return postgres_url


@pytest.fixture
def box(tmp_path: Path, new_box: Opener) -> Box:
    """A platform with that table."""
    return box_of_things(new_box, tmp_path / "catalog")


def test_a_connection_lost_half_way_loses_and_doubles_nothing(url: str, box: Box) -> None:
    """The server ends the session within the stream: transient, nothing stored; then all of it."""

    def end_sessions() -> None:
        run(
            url,
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where pid <> pg_backend_pid() and backend_type = 'client backend'",
        )

    source = SqlSource(url, "UTC", "select now from clock", name="erp")
    with pytest.raises(TransientFailure, match=r"source erp, table things: .* broke off"):
        box.bronze_from("things", 0, Interrupted(source, end_sessions))
    assert box.stored_bronze("things") == []
    (failed,) = box.ledger.loads(asset="bronze/erp__things")
    assert str(failed.status) == "FAILURE"
    load = box.bronze("things", 0, {"ERP_URL": url})
    assert load.counts.applied == ROWS
    assert len({row["id"] for row in box.stored_bronze("things")}) == ROWS


def test_a_server_that_is_too_slow_is_given_up_and_tried_again(url: str) -> None:
    """The server itself ends the query, so that nothing goes on running there."""
    run(
        url,
        "create or replace view slow as select id, pg_sleep(0.001) is null as waited from things",
    )
    hasty = SqlSource(url, "UTC", name="erp", timeout=timedelta(milliseconds=300))
    with pytest.raises(TransientFailure, match="statement timeout"):
        hasty.read(
            table="slow", columns=["id", "waited"], watermark=None, window=EVERYTHING
        ).read_all()
    patient = SqlSource(url, "UTC", name="erp")
    assert patient.count("things", None, EVERYTHING) == ROWS


def test_a_clock_that_is_slow_makes_the_hour_wait(url: str, box: Box) -> None:
    """An hour that the source has not closed is not read, whatever our own clock says."""
    run(url, "update clock set now = '2026-01-05 12:59:59'")
    with pytest.raises(TransientFailure, match="not closed yet"):
        box.bronze("things", 0, {"ERP_URL": url})
    run(url, "update clock set now = '2026-01-05 13:00:00'")
    assert box.bronze("things", 0, {"ERP_URL": url}).counts.applied == ROWS


def test_rows_of_a_clock_that_is_fast_come_with_the_latest_hour(url: str, box: Box) -> None:
    """Rows that another server stamped in the source's future belong to no hour yet."""
    run(url, "delete from things where id > 2")
    assert box.bronze("things", 0, {"ERP_URL": url}).counts.applied == 2
    run(
        url,
        "update clock set now = '2026-01-05 14:00'",
        "insert into things values (3, 'fast', '2026-01-05 14:07')",
    )
    assert box.bronze("things", 1, {"ERP_URL": url}).counts.applied == 1


def nasty(url: str, **changed: Any) -> str:
    """The URL of a user whose password needs quoting everywhere."""
    return (
        sa.make_url(url)
        .set(username="reader", password=PASSWORD)
        .set(**changed)
        .render_as_string(hide_password=False)
    )


def told(url: str, box: Box, capfd: pytest.CaptureFixture[str]) -> str:
    """Everything that a failing load says anywhere: traceback, ledger, output."""
    with pytest.raises(PlatformFailure) as raised:
        box.bronze("things", 0, {"ERP_URL": url})
    texts = traceback.format_exception(raised.value)
    texts += [str(row) for row in box.ledger.loads(asset="bronze/erp__things")]
    output = capfd.readouterr()
    return "".join([*texts, output.out, output.err])


def test_a_password_is_used_and_never_shown(
    url: str, box: Box, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of each way to fail: traceback with its causes, ledger, and what the driver prints."""
    run(
        url,
        "drop role if exists reader",
        f"create role reader login password '{PASSWORD}'",
        "grant select on clock to reader",
    )
    missing = {"host": "127.0.0.1", "port": 1}
    for broken in (nasty(url), nasty(url, **missing), nasty(url, database="elsewhere")):
        text = told(broken, box, capfd)
        assert "source erp, table" in text
        assert "p@ss" not in text
        assert "p%40ss" not in text
        assert "w/rd" not in text
    wrong = nasty(url).replace("rd%25", "rd%25%25")
    assert "p@ss" not in told(wrong, box, capfd)
    run(url, "grant select on things to reader", "delete from things where id > 5")
    assert box.bronze("things", 0, {"ERP_URL": nasty(url)}).counts.applied == 5
    control = Path(str(box.control.url.database)).read_bytes()
    assert b"p@ss" not in control
    assert b"w/rd" not in control
    run(url, "drop owned by reader", "drop role reader")


def test_a_refused_right_is_permanent(url: str, box: Box) -> None:
    """Trying again does not give rights: the message says what to do."""
    run(
        url,
        "drop role if exists reader",
        f"create role reader login password '{PASSWORD}'",
        "grant select on clock to reader",
    )
    with pytest.raises(PermanentFailure, match="give the account the right to read it"):
        box.bronze("things", 0, {"ERP_URL": nasty(url)})
    run(url, "drop owned by reader", "drop role reader")
