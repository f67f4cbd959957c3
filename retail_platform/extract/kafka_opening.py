"""Opens a cluster from its source's connection: settings and secrets of the environment."""

import os
from collections.abc import Mapping

from retail_platform.failures import PermanentFailure
from retail_platform.metadata.connections import (
    EnvironmentOrDefault,
    FromEnvironment,
    KafkaConnection,
)
from retail_platform.resources.kafka import KafkaResource


def kafka_resource(
    connection: KafkaConnection, environ: Mapping[str, str] = os.environ, *, place: str
) -> KafkaResource:
    """The cluster of a connection.

    Args:
        connection: The connection.
        environ: Where its settings and secrets are.
        place: Table or asset, for messages.

    Raises:
        PermanentFailure: a variable that the connection needs is not set.
    """

    def chosen(setting: str | EnvironmentOrDefault | None) -> str:
        if isinstance(setting, EnvironmentOrDefault):
            return environ.get(setting.env) or setting.default
        return setting or ""

    def needed(name: str, setting: FromEnvironment | None) -> str:
        found = environ.get(setting.env) if setting else None
        if not found:
            told = f"{setting.env}, which is not set" if setting else f"connection.{name}"
            raise PermanentFailure(
                f"{place}: its cluster needs {told}. `retail-platform demo` sets it for the "
                "simulator where Kafka is there; set it to your own cluster otherwise."
            )
        return found

    security = chosen(connection.security)
    asks = security.startswith("sasl")
    return KafkaResource(
        bootstrap=needed("bootstrap", connection.bootstrap),
        security=security,
        mechanism=connection.mechanism,
        username=needed("username", connection.username) if asks else "",
        password=needed("password", connection.password) if asks else "",
        ca_file=environ.get(connection.ca_file.env, "") if connection.ca_file else "",
        arrival=chosen(connection.arrival),
        heartbeat=chosen(connection.heartbeat),
        clock_skew_seconds=connection.clock_skew.total_seconds(),
    )
