"""What the extraction tests share: the ads server."""

from collections.abc import Iterator

import pytest

from retail_platform_tests.extract.ads_server import AdsServer, serving


@pytest.fixture
def server() -> Iterator[AdsServer]:
    """A running ads server without rows."""
    with serving(AdsServer()) as state:
        yield state
