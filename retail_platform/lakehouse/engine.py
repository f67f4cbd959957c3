"""Starts the compute engine and opens a Spark Connect session on it.

Only here is it known which engine runs. Everything else sees a session and its URL. Tables and
writes belong in ``tables``, the engines' processes in ``local_sail`` and ``local_spark``.
"""

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.sql.connect.client.retries import DefaultPolicy
from pyspark.sql.connect.session import SparkSession

from retail_platform.failures import PermanentFailure
from retail_platform.lakehouse.local_sail import local_sail
from retail_platform.settings import Engine


@dataclass(frozen=True, kw_only=True)
class EngineSession:
    """An open session.

    Attributes:
        spark: The Spark Connect session, its time zone set to UTC.
        remote_url: ``sc://`` URL that joins this very session from another process (dbt).
        server: The engine's process; None where it is not a child of this one.
    """

    spark: SparkSession
    remote_url: str
    server: subprocess.Popen[bytes] | None = None


class _WhileItRuns(DefaultPolicy):
    """Tries a call again as pyspark does, but not for ten minutes at a server that has ended."""

    def __init__(self, server: subprocess.Popen[bytes]) -> None:
        super().__init__()
        self.server = server

    def can_retry(self, e: BaseException) -> bool:
        """Whether the call may be tried again.

        Raises:
            PermanentFailure: the server's process is gone.
        """
        if self.server.poll() is not None:
            raise PermanentFailure(
                f"The embedded engine's process ended with {self.server.returncode} in the middle "
                "of a statement (-9: the machine had no memory left for it); what was not "
                "committed is not there. See its last words in the log, free memory or take fewer "
                "threads, and run the hour again."
            )
        return super().can_retry(e)


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
        with local_sail() as (address, server), _session(address, server) as session:
            yield session
    else:
        # Imported here: classic pyspark and Delta's helper cost the default engine a second.
        from retail_platform.lakehouse.local_spark import local_spark

        with local_spark() as address, _session(address) as session:
            yield session


@contextmanager
def _session(
    address: str, server: subprocess.Popen[bytes] | None = None
) -> Iterator[EngineSession]:
    url = session_url(address)
    # Not getOrCreate: that hands back the process's first session, whatever the URL.
    spark = SparkSession.builder.remote(url).create()
    if server is not None:
        spark.client.set_retry_policies([_WhileItRuns(server)])
    try:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
        yield EngineSession(spark=spark, remote_url=url, server=server)
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
