"""Starts the compute engine and opens a Spark Connect session on it.

Only here is it known which engine runs. Everything else sees a session and its URL. Tables and
writes belong in ``tables``.
"""

import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.sql.connect.session import SparkSession

from retail_platform.failures import PermanentFailure
from retail_platform.settings import Engine

DELTA_PACKAGE = "io.delta:delta-spark_4.2_2.13:4.4.0"
LOCAL_SPARK_CONF = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    # Defaults meant for clusters make every local commit take ten seconds.
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.sql.shuffle.partitions": "4",
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.enabled": "false",
    "spark.sql.ansi.enabled": "true",
}


@dataclass(frozen=True, kw_only=True)
class EngineSession:
    """An open session.

    Attributes:
        spark: The Spark Connect session, its time zone set to UTC.
        remote_url: ``sc://`` URL that joins this very session from another process (dbt).
    """

    spark: SparkSession
    remote_url: str


@contextmanager
def open_engine(engine: Engine, engine_url: str | None = None) -> Iterator[EngineSession]:
    """Opens a session with an id of its own; an engine that it started ends with it.

    Args:
        engine: Engine to start.
        engine_url: ``sc://`` URL of a running server to join instead.

    Raises:
        PermanentFailure: the engine cannot be started.
    """
    if engine_url:
        with _session(engine_url) as session:
            yield session
    elif engine is Engine.EMBEDDED:
        with _sail() as address, _session(address) as session:
            yield session
    else:
        with _local_spark() as address, _session(address) as session:
            yield session


@contextmanager
def _session(address: str) -> Iterator[EngineSession]:
    url = session_url(address)
    # Not getOrCreate: that hands back the process's first session, whatever the URL.
    spark = SparkSession.builder.remote(url).create()
    try:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
        yield EngineSession(spark=spark, remote_url=url)
    finally:
        # Before its server ends: pyspark's exit hook would retry for minutes against a closed port.
        spark.stop()


def session_url(address: str) -> str:
    """``address`` with a fresh session id, and a user where it names none.

    Args:
        address: ``sc://host:port`` with or without ``/;name=value`` parameters.
    """
    host, _, parameters = address.partition("/;")
    given = [parameter for parameter in parameters.split(";") if parameter]
    if not any(parameter.startswith("user_id=") for parameter in given):
        given.append("user_id=retail_platform")
    given.append(f"session_id={uuid.uuid4()}")
    return f"{host.rstrip('/')}/;{';'.join(given)}"


@contextmanager
def _sail() -> Iterator[str]:
    # Sail prints an INFO line for each session to stderr unless told otherwise before its start.
    os.environ.setdefault("RUST_LOG", "error")
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer(ip="127.0.0.1", port=0)
    server.start(background=True)
    try:
        host, port = server.listening_address
        yield f"sc://{host}:{port}"
    finally:
        server.stop()


@contextmanager
def _local_spark() -> Iterator[str]:
    from pyspark.sql import SparkSession as ClassicSession

    logging.getLogger("py4j").setLevel(logging.ERROR)
    builder = ClassicSession.builder.master("local[2]").appName("retail_platform")
    conf = {
        **LOCAL_SPARK_CONF,
        "spark.jars.packages": DELTA_PACKAGE,
        "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
        "spark.connect.grpc.binding.port": "0",
    }
    for key, value in conf.items():
        builder = builder.config(key, value)
    try:
        session = builder.getOrCreate()
    except Exception as error:
        raise PermanentFailure(
            "Apache Spark did not start. Engine 'spark' needs Java 17 or newer and, once, access "
            "to Maven Central for delta-spark; engine 'embedded' needs neither."
        ) from error
    try:
        yield f"sc://127.0.0.1:{_connect_port(session)}"
    finally:
        session.stop()


def _connect_port(session: object) -> int:
    service = session._jvm.org.apache.spark.sql.connect.service.SparkConnectService  # type: ignore[attr-defined]
    return int(service.localPort())
