"""What the tests of Gold share: one dbt process for each test process, and lakes of their own."""

from collections.abc import Iterator

import pytest

from retail_platform_tests.gold.dbt_process import DbtProcess, dbt_process
from retail_platform_tests.gold.scenario import BATCHES, HOURS
from retail_platform_tests.gold.silver_lake import NewLake, SilverLake
from retail_platform_tests.gold.silver_model import SilverModel


@pytest.fixture(scope="session")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DbtProcess]:
    """dbt, imported and parsed once."""
    with dbt_process(tmp_path_factory.mktemp("dbt")) as process:
        yield process


@pytest.fixture(scope="session")
def new_lake(dbt: DbtProcess, tmp_path_factory: pytest.TempPathFactory) -> NewLake:
    """Makes a lake in a fresh folder, to be opened by `with`."""
    return lambda: SilverLake(root=tmp_path_factory.mktemp("lake"), dbt_process=dbt)


@pytest.fixture(scope="session")
def silver() -> SilverModel:
    """Silver after the five hours of `scenario`, in order."""
    silver = SilverModel()
    for hour, batch in zip(HOURS, BATCHES, strict=True):
        silver.process(hour, batch)
    return silver


@pytest.fixture(scope="session")
def lake(new_lake: NewLake) -> Iterator[SilverLake]:
    """The lake after each of these hours was built and tested, the last one twice.

    Its tests leave it as they find it, and stay in one process (`xdist_group("gold_five_hours")`).
    """
    silver = SilverModel()
    with new_lake() as lake:
        for hour, batch in zip(HOURS, BATCHES, strict=True):
            silver.process(hour, batch)
            silver.write_to(lake)
            lake.build(hour)
        lake.build(HOURS[-1])
        yield lake
