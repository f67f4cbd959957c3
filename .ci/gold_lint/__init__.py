"""What sqlfluff is given in place of dbt and of `macros/hour.sql`: an hour's build, tables and all.

Here are stand-ins alone, by the names under which the models call the real ones; nothing else may
import them. They take and give what those do.
"""

from pathlib import Path
from typing import Any

import yaml

_FILE = Path(__file__).resolve().parents[2] / "retail_platform" / "gold" / "dbt" / "dbt_project.yml"
_PROJECT = yaml.safe_load(_FILE.read_text("utf-8"))
_HOUR = "timestamp'2026-03-01 10:00:00+00:00'"

execute = False


def var(name: str) -> Any:  # noqa: ANN401 - as the project declares it
    """A variable of the project."""
    return _PROJECT["vars"][name]


def load_relation(relation: object) -> object:
    """The table, which is there."""
    return relation


def is_hourly() -> bool:
    """Whether the hours alone are built."""
    return True


def hours() -> list[str]:
    """The hours of the build."""
    return ["2026-03-01 10:00:00"]


def hours_array() -> str:
    """The same as SQL."""
    return f"array({_HOUR})"


def in_hours(column: str) -> str:
    """Whether a column lies in them."""
    return f"{column} in ({_HOUR})"


def changed_hour(of_inputs: str) -> str:
    """The hour of a changed row."""
    return f"coalesce({of_inputs}, {_HOUR})"


def calendar_reach(column: str) -> list[str]:
    """First and last day of a calendar that is there."""
    del column
    return ["2026-01-01", "2026-12-31"]


def calendar_span(
    reach: list[str], start: str, years_ahead: int, *, backward: bool = False
) -> list[str]:
    """First and last day that it must hold."""
    del start, years_ahead, backward
    return reach


def calendar_is_complete(reach: list[str], span: list[str]) -> bool:
    """False: the SQL that makes a calendar is linted, too."""
    del reach, span
    return False
