"""What every test may use: engines and servers, each started once in a test process.

A service that a machine may lack is asked for through ``services``: without it the test is
skipped, or fails where services are required.
"""

from collections.abc import Iterator

import pytest

from retail_platform.lakehouse.engine import open_engine
from retail_platform.settings import Engine
from retail_platform_tests.extract.azurite import Azurite, azurite_server
from retail_platform_tests.extract.postgres import postgres_server
from retail_platform_tests.extract.tds_server import SqlServer, sql_server
from retail_platform_tests.kafka import Cluster, kafka_cluster
from retail_platform_tests.platform.fixtures import engine_address, new_box
from retail_platform_tests.services import java_is_installed, require_service

__all__ = ["engine_address", "new_box"]


@pytest.fixture(scope="session")
def spark_address() -> Iterator[str]:
    """``sc://host:port`` of a local Apache Spark that ends with the test session."""
    require_service("openjdk-17-jre-headless", found=java_is_installed())
    with open_engine(Engine.SPARK) as session:
        yield session.remote_url.partition("/;")[0]


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of a running PostgreSQL."""
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def kafka() -> Iterator[Cluster]:
    """A running Kafka; tests keep to topics of their own."""
    with kafka_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """A running Azurite."""
    with azurite_server() as running:
        yield running


@pytest.fixture(scope="session")
def tds_server() -> Iterator[SqlServer]:
    """A running stand-in for SQL Server; tests clear it before they use it."""
    with sql_server() as running:
        yield running
