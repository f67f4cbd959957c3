"""What sqlfluff is given in place of dbt and of macros that ask the lake: an hour's build.

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


def day_spans(query: str) -> list[list[int]]:
    """The days of the hour, since 1970."""
    del query
    return [[20513, 20513]]


def days_of(date: str, rows: str) -> list[list[int]]:
    """The same of a date in a table's rows."""
    del date, rows
    return [[20513, 20513]]


def hours_days() -> list[list[int]]:
    """The days of the hours, since 1970."""
    return [[20513, 20513]]


def united_spans(spans: list[list[int]]) -> list[list[int]]:
    """Spans in order."""
    return sorted(spans)


def widened_spans(spans: list[list[int]], before: int, after: int) -> list[list[int]]:
    """Spans with days before and after them."""
    return [[first - before, last + after] for first, last in spans]


def shifted_spans(spans: list[list[int]], shifts: list[int]) -> list[list[int]]:
    """Spans so many days later."""
    return [[first + shift, last + shift] for first, last in spans for shift in shifts]


def date_in_spans(column: str, spans: list[list[int]]) -> str:
    """Whether a date lies in spans."""
    del spans
    return f"({column} >= date'2026-03-01' and {column} <= date'2026-03-01')"


def in_spans(moment: str, spans: list[list[int]]) -> str:
    """Whether a moment lies in spans."""
    return overlaps_spans(moment, moment, spans)


def overlaps_spans(first_moment: str, last_moment: str, spans: list[list[int]]) -> str:
    """Whether what lasts between two moments lies in spans in part."""
    del spans
    return f"({last_moment} >= {_HOUR} and {first_moment} < {_HOUR})"


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


def id_spans(ids: str) -> list[list[int]]:
    """The ids that the hour touched."""
    del ids
    return [[1, 1]]


def id_in_spans(column: str, spans: list[list[int]]) -> str:
    """Whether an id lies in spans."""
    del spans
    return f"({column} >= 1 and {column} <= 1)"


def text_between(column: str, rows: str, group: str) -> str:
    """Whether a text lies between the ends of a group of rows."""
    del rows, group
    return f"({column} >= 'a' and {column} <= 'b')"
