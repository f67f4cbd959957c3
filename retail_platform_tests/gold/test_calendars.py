"""The calendars: how far they reach, and that no table of Silver can keep them from being built."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

from retail_platform.gold.by_hand import PROJECT
from retail_platform.gold.graph import GoldGraph
from retail_platform.gold.project import GoldProject
from retail_platform.gold.translator import GoldTranslator
from retail_platform_tests.gold.silver_lake import NewLake, SilverLake, utc

CALENDARS = ("--select", "dim_store", "dim_date", "dim_hour")


def test_calendars_follow_the_hours_and_never_shrink(new_lake: NewLake) -> None:
    """Also where a full refresh is given another hour, or none."""
    with new_lake() as lake:
        lake.dbt("run", *CALENDARS, hours=[utc("2026-03-01T10:00:00")])
        assert _reach(lake) == (date(2015, 1, 1), date(2027, 12, 31), 2026, 2026)
        lake.dbt("run", *CALENDARS, hours=[utc("2024-05-01T10:00:00")])
        assert _reach(lake) == (date(2015, 1, 1), date(2027, 12, 31), 2024, 2026)
        lake.dbt("run", *CALENDARS, hours=[utc("2028-05-01T10:00:00")])
        grown = (date(2015, 1, 1), date(2029, 12, 31), 2024, 2028)
        assert _reach(lake) == grown
        version = lake.version("dim_hour")
        lake.dbt("run", *CALENDARS, hours=[utc("2026-03-01T10:00:00")])
        assert lake.version("dim_hour") == version
        lake.dbt("run", *CALENDARS, "--full-refresh", hours=[utc("2026-03-01T10:00:00")])
        assert _reach(lake) == grown


def test_a_calendar_without_hours_reaches_as_far_as_the_clock(new_lake: NewLake) -> None:
    with new_lake() as lake:
        lake.dbt("run", *CALENDARS)
        this_year = datetime.now(UTC).year
        assert _reach(lake)[3] == this_year
        assert _reach(lake)[1] == date(this_year + 1, 12, 31)


def test_no_table_of_silver_blocks_a_calendar(tmp_path: Path) -> None:
    """Only the time zones of stores: they come with dim_store."""
    project = GoldProject(project_dir=PROJECT, target_path=tmp_path)
    manifest = json.loads(project.manifest_path().read_bytes())
    parents = GoldGraph(manifest, GoldTranslator()).parents
    assert parents["gold/dim_date"] == ()
    assert parents["gold/dim_hour"] == ("gold/dim_store",)


def _reach(lake: SilverLake) -> tuple[date, date, int, int]:
    """First and last day of dim_date, first and last year of dim_hour."""
    days = [row["date_day"] for row in lake.gold("dim_date")]
    hours = [row["hour_start"].year for row in lake.gold("dim_hour")]
    return min(days), max(days), min(hours), max(hours)
