"""A control database per test: SQLite always, PostgreSQL where it is installed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from retail_platform.control.database import open_control


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """A fresh control database."""
    if request.param == "sqlite":
        control = open_control(f"sqlite:///{tmp_path}/control.db")
        yield control
        control.dispose()
        return
    url = request.getfixturevalue("postgres_url")
    control = open_control(url)
    yield control
    with control.begin() as connection:
        connection.exec_driver_sql(
            "DROP SCHEMA public CASCADE; CREATE SCHEMA public;"
            "GRANT USAGE ON SCHEMA public TO public"
        )
    control.dispose()
