"""Apache Spark with Delta as a Spark Connect server inside this process, for engine ``spark``.

Belongs here: the JVM's configuration and its life. Not here: sessions on it (``engine``), tables
(``tables``), and clusters, which are joined by their URL.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from delta import configure_spark_with_delta_pip
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from retail_platform.failures import PermanentFailure

CONFIGURATION = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
    "spark.connect.grpc.binding.address": "127.0.0.1",
    "spark.connect.grpc.binding.port": "0",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "2g",
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # Other readers of the lake (delta-rs, Synapse serverless) do not know deletion vectors.
    "spark.databricks.delta.properties.defaults.enableDeletionVectors": "false",
    # Defaults are meant for clusters: with them a commit of ten rows takes ten seconds.
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.sql.shuffle.partitions": "2",
    "spark.default.parallelism": "2",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
    # Hundreds of small plans, each run once: compiling one takes longer than interpreting it.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
}
JAVA_OPTIONS = (
    # What Delta's partition values and pyspark's conversions go by, beside the session's zone.
    "-Duser.timezone=UTC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
)

IVY_SETTINGS = """<ivysettings>
  <settings defaultResolver="central"/>
  <caches defaultCacheDir={cache}/>
  <resolvers><ibiblio name="central" m2compatible="true"/></resolvers>
</ivysettings>
"""
"""Maven Central alone: Spark's own chain asks ``~/.m2`` first and fails on a half-filled one."""

LOGGING = """rootLogger.level = error
rootLogger.appenderRef.stderr.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n%ex
# Clients release what they have read after their session has ended; the trace says no more.
logger.release.name = org.apache.spark.sql.connect.utils.ErrorUtils
logger.release.level = off
"""


@contextmanager
def local_spark() -> Iterator[str]:
    """Runs the server while the block runs; one at a time in a process.

    Yields:
        Its ``sc://127.0.0.1:<port>`` address.

    Raises:
        PermanentFailure: there is no Java, Delta's jars cannot be fetched, or this process has a
            Spark already.
    """
    if SparkSession.getActiveSession() is not None:
        raise PermanentFailure(
            "This process runs an Apache Spark already, and can run one at a time. Let the two "
            "loads follow each other, or set RETAIL_ENGINE_URL to a server that both join."
        )
    logging.getLogger("py4j").setLevel(logging.ERROR)
    session = _started(_cache())
    try:
        yield f"sc://127.0.0.1:{_port(session)}"
    finally:
        session.stop()


def _started(cache: Path) -> SparkSession:
    ivy_settings = cache / "ivysettings.xml"
    ivy_settings.write_text(IVY_SETTINGS.format(cache=quoteattr(str(cache / "ivy" / "cache"))))
    logging_settings = cache / "log4j2.properties"
    logging_settings.write_text(LOGGING)
    options = [*JAVA_OPTIONS, f"-Dlog4j2.configurationFile={logging_settings.as_uri()}"]
    configuration = {
        **CONFIGURATION,
        "spark.driver.extraJavaOptions": " ".join(options),
        "spark.jars.ivy": str(cache / "ivy"),
        "spark.jars.ivySettings": str(ivy_settings),
        "spark.sql.warehouse.dir": str(cache / "warehouse"),
    }
    builder = SparkSession.builder.master("local[2]").appName("retail_platform")
    for name, value in configuration.items():
        builder = builder.config(name, value)
    try:
        return configure_spark_with_delta_pip(builder).getOrCreate()
    except (PySparkException, Py4JError, OSError) as error:
        raise PermanentFailure(
            "Apache Spark did not start. Engine 'spark' needs Java 17 or newer on the PATH and, "
            "once, access to Maven Central for delta-spark's jars; engine 'embedded' needs "
            "neither (RETAIL_ENGINE=embedded)."
        ) from error


def _port(session: SparkSession) -> int:
    jvm: Any = session.sparkContext._jvm
    # A Scala object without static methods on its class.
    service = getattr(jvm.org.apache.spark.sql.connect.service, "SparkConnectService$")
    return int(getattr(service, "MODULE$").localPort())


def _cache() -> Path:
    """A folder of this user that outlives a state folder: the jars are 94 MB."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = root / "retail_platform" / "spark"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
