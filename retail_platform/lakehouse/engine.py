"""Starts the compute engine and opens a Spark Connect session on it.

Only here is it known which engine runs. Everything else sees a session and its URL. Tables and
writes belong in ``tables``.

Sail 0.7.2 keeps 0.1 to 0.5 MB of every statement until its process ends, whatever its caches are
set to (measured: 600 times ``select 1`` 70 MB, 150 merges 40 MB; lakehq/sail issue 1916). A run is
a process, and an hour is over before that matters; a process that runs many hours, such as the
demo's, grows by 200 to 300 MB an hour.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.sql.connect.session import SparkSession

from retail_platform.settings import Engine


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
        # Imported here: classic pyspark and Delta's helper cost the default engine a second.
        from retail_platform.lakehouse.local_spark import local_spark

        with local_spark() as address, _session(address) as session:
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
    # Sail's allocator would keep what a run has freed: a process of many runs grows a third less.
    os.environ.setdefault("MIMALLOC_PURGE_DELAY", "0")
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer(ip="127.0.0.1", port=0)
    server.start(background=True)
    try:
        address = server.listening_address
        assert address is not None, "a server that has started listens"
        yield f"sc://{address[0]}:{address[1]}"
    finally:
        server.stop()
