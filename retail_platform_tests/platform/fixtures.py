"""Fixtures that the areas share: one engine for each test process, one box for each test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from retail_platform.lakehouse.engine import open_engine
from retail_platform.metadata.loader import Catalog
from retail_platform.settings import Engine
from retail_platform_tests.platform.box import Box, open_box

Opener = Callable[[Catalog], Box]


@pytest.fixture(scope="session")
def engine_address() -> Iterator[str]:
    """``sc://host:port`` of an embedded engine that ends with the test session."""
    with open_engine(Engine.EMBEDDED) as session:
        yield session.remote_url.partition("/;")[0]


@pytest.fixture
def new_box(engine_address: str, tmp_path: Path) -> Iterator[Opener]:
    """Opens boxes in fresh folders, each with a session of its own."""
    with ExitStack() as stack:
        count = 0

        def opener(catalog: Catalog) -> Box:
            nonlocal count
            count += 1
            return stack.enter_context(open_box(tmp_path / f"box{count}", catalog, engine_address))

        yield opener
