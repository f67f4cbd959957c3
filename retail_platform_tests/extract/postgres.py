"""A throw-away PostgreSQL server, where the machine has one installed, and statements for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

import retail_platform.simulator.postgres as private
from retail_platform_tests.services import require_service


@contextmanager
def postgres_server() -> Iterator[str]:
    """Serve from a folder of its own; yields the URL of an empty database, password included.

    Skips the test where there is no PostgreSQL, or fails it (see `services`).
    """
    require_service("postgresql", found=private.postgres_programs() is not None)
    with private.postgres_server() as url:
        yield url.replace("postgresql://", "postgresql+psycopg://")


def run(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Commits each statement; gives the rows of the last."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        cursors = [connection.execute(statement.encode()) for statement in statements]
        return cursors[-1].fetchall() if cursors[-1].description else []
