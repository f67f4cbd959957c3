"""What the tests of Gold share: one dbt process for each test process, and lakes of their own."""

from collections.abc import Iterator

import pytest

from retail_platform_tests.gold.dbt_process import DbtProcess, dbt_process
from retail_platform_tests.gold.silver_lake import NewLake, SilverLake


@pytest.fixture(scope="session")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DbtProcess]:
    """dbt, imported and parsed once."""
    with dbt_process(tmp_path_factory.mktemp("dbt")) as process:
        yield process


@pytest.fixture(scope="session")
def new_lake(dbt: DbtProcess, tmp_path_factory: pytest.TempPathFactory) -> NewLake:
    """Makes a lake in a fresh folder, to be opened by `with`."""
    return lambda: SilverLake(root=tmp_path_factory.mktemp("lake"), dbt_process=dbt)
