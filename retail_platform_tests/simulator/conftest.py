"""Simulators for the tests: one fresh home, built once per module, and its moments in time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from retail_platform.simulator import Simulator

NOW = datetime(2026, 11, 26, 8, tzinfo=UTC)
"""A Thursday morning after a day with reseller orders."""

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def hours() -> list[datetime]:
    """The last six trading hours before :data:`NOW`."""
    return Simulator.plan_trading_hours(6, now=NOW)


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory, hours: list[datetime]) -> Simulator:
    """A simulator at the first of the trading hours."""
    home: Path = tmp_path_factory.mktemp("home")
    return Simulator.open(home, now=NOW, start=hours[0])
