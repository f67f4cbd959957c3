"""What the extraction tests share: the ads server, and PostgreSQL where it is installed."""

from collections.abc import Iterator

import pytest

from retail_platform_tests.extract.ads_server import AdsServer, serving
from retail_platform_tests.extract.postgres import postgres_server


@pytest.fixture
def server() -> Iterator[AdsServer]:
    """A running ads server without rows."""
    with serving(AdsServer()) as state:
        yield state


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of a running PostgreSQL; skips where there is none."""
    with postgres_server() as url:
        yield url
