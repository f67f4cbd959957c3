"""Every test of this area runs on each engine: the same code, the same rows, the same counts."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import get_args

import pytest

from retail_platform.lakehouse.engine import open_engine
from retail_platform.lakehouse.places import Layer
from retail_platform.lakehouse.tables import Lakehouse
from retail_platform.metadata.loader import Catalog
from retail_platform.settings import Engine
from retail_platform_tests.platform.box import Box, open_box

SPARK = [pytest.mark.spark, pytest.mark.xdist_group("spark")]
"""One Spark in a test run, also when its tests are spread over processes."""


def forget_tables(address: str) -> None:
    """Empties the catalog that all sessions of an engine share; the tables' files stay."""
    with open_engine(Engine.SPARK, address) as session:
        for layer in get_args(Layer):
            session.spark.sql(f"DROP DATABASE IF EXISTS {layer} CASCADE")


@pytest.fixture(params=["embedded", pytest.param("spark", marks=SPARK)])
def address(request: pytest.FixtureRequest) -> str:
    """``sc://host:port`` of a running engine that knows no tables."""
    if request.param == "embedded":
        return str(request.getfixturevalue("engine_address"))
    spark = str(request.getfixturevalue("spark_address"))
    forget_tables(spark)
    return spark


@pytest.fixture(params=[False, True], ids=["by the engine", "direct"])
def lake(address: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Lakehouse]:
    """An empty lake, whose small merges the engine runs, or delta-rs."""
    with open_engine(Engine.EMBEDDED, address) as session:
        yield Lakehouse(session.spark, str(tmp_path / "lake"), direct=request.param)


@pytest.fixture
def open_one(address: str, tmp_path: Path) -> Iterator[Callable[[Catalog], Box]]:
    """Opens one small platform with some tables."""
    with ExitStack() as stack:
        yield lambda catalog: stack.enter_context(open_box(tmp_path / "box", catalog, address))
