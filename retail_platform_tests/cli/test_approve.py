"""``approve``: as a command and as a job, and how commands take times."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import dagster as dg
import pytest
from click.testing import CliRunner

from retail_platform.cli import main
from retail_platform.cli.times import HOUR, MOMENT
from retail_platform.control.database import open_control
from retail_platform.control.ledger import Ledger
from retail_platform.definitions import build_defs
from retail_platform.settings import Settings

HELD = datetime(2026, 1, 5, 13, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of its own; the catalog is the platform's."""
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path))
    monkeypatch.setenv("RETAIL_PII_KEY", "key")
    return tmp_path


def ledger(home: Path) -> Ledger:
    return Ledger(open_control(f"sqlite:///{home / 'control.db'}"))


def arguments(asset: str = "silver/stock_levels") -> list[str]:
    return [asset, "--hour", "2026-01-05-13:00", "--rule", "row_count", "--reason", "moved"]


def test_the_command_records_the_approval(home: Path) -> None:
    """What the message of a held hour names can be pasted."""
    result = CliRunner().invoke(main, ["approve", *arguments(), "--person", "Ada", "--json"])
    assert result.exit_code == 0, result.output
    given = ledger(home).approvals.approved("silver/stock_levels", HELD, "row_count")
    assert given is not None
    assert json.loads(result.stdout)["id"] == given.id
    assert (given.person, given.reason) == ("Ada", "moved")


def test_a_wrong_table_ends_with_the_cure(home: Path) -> None:
    """Exit code 1, and the tables that there are."""
    result = CliRunner().invoke(main, ["approve", *arguments("silver/stock"), "--person", "Ada"])
    assert result.exit_code == 1
    assert "Tables: silver/categories" in result.output
    assert ledger(home).approvals.of() == []


def test_the_job_records_the_approval(home: Path) -> None:
    """The same from the UI."""
    config = {
        "asset": "silver/stock_levels",
        "hour": "2026-01-05-13:00",
        "rule": "row_count",
        "reason": "moved",
        "person": "Ada",
    }
    job = build_defs(Settings.from_environment()).resolve_job_def("approve")
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(
            run_config={"ops": {"approve_hour": {"config": config}}}, instance=instance
        )
    assert result.success
    assert ledger(home).approvals.approved("silver/stock_levels", HELD, "row_count")


@pytest.mark.parametrize(
    "text",
    ["2026-01-05T13:00", "2026-01-05 13:00", "2026-01-05-13:00", "2026-01-05T14:00+01:00"],
)
def test_times_are_utc_unless_they_say_otherwise(text: str) -> None:
    """Also a partition key is a time."""
    assert HOUR.convert(text, None, None) == HELD


def test_durations_and_what_is_no_time() -> None:
    """``24h`` is a day ago; a time within the hour is no hour."""
    before = datetime.now(UTC)
    moment = MOMENT.convert("24h", None, None)
    assert before <= moment + timedelta(hours=24) <= datetime.now(UTC)
    with pytest.raises(click.BadParameter, match="not a full hour"):
        HOUR.convert("2026-01-05T13:30", None, None)
    with pytest.raises(click.BadParameter, match="'soon' is not a time such as"):
        MOMENT.convert("soon", None, None)
