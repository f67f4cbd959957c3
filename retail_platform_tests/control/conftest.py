"""A control database per test: SQLite always, PostgreSQL where a server is installed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from retail_platform.control.database import open_control


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    """A fresh control database in a file."""
    control = open_control(f"sqlite:///{tmp_path}/control.db")
    yield control
    control.dispose()
