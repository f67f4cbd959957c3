"""Kafka, or Event Hubs, as a Dagster resource: where it is and who asks. Shapes: `extract`."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import dagster as dg

from retail_platform.extract.kafka_client import KafkaSettings
from retail_platform.extract.kafka_topic import KafkaTopic
from retail_platform.failures import PermanentFailure

SECURITY = ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl")
ARRIVAL = ("append_time", "create_time")


class KafkaResource(dg.ConfigurableResource[None]):
    """A cluster, see `metadata.connections.KafkaConnection`.

    Attributes:
        bootstrap: Such as ``<namespace>.servicebus.windows.net:9093``.
        security: ``plaintext``, ``ssl``, ``sasl_plaintext`` or ``sasl_ssl``.
        mechanism: ``PLAIN``, ``SCRAM-SHA-256`` or ``SCRAM-SHA-512``.
        username: For Event Hubs ``$ConnectionString``.
        password: Give it as ``dg.EnvVar``, so that it stays out of the configuration.
        ca_file: File of the authorities that sign the brokers' certificates; empty: the system's.
        arrival: ``append_time`` or ``create_time``.
        heartbeat: Topic whose newest message tells the source's present; empty: none does.
        clock_skew_seconds: How far this machine's clock may be ahead of a broker's.
        stall_seconds: How long messages are waited for.
    """

    bootstrap: str
    security: str = "sasl_ssl"
    mechanism: str = "PLAIN"
    username: str = ""
    password: str = ""
    ca_file: str = ""
    arrival: str = "append_time"
    heartbeat: str = ""
    clock_skew_seconds: float = 60.0
    stall_seconds: float = 60.0

    def topic(self, topic: str, *, name: str, group: str | None = None) -> KafkaTopic:
        """A topic; close it after use.

        Args:
            topic: Its name.
            name: Source and table, for messages.
            group: Consumer group that keeps offsets; None for readers that keep none there.

        Raises:
            PermanentFailure: a setting has a value that there is not.
        """
        settings = self.settings(name)
        if group is not None:
            settings = replace(settings, group=group)
        return KafkaTopic(settings, topic, name=name)

    def settings(self, name: str) -> KafkaSettings:
        """The settings of a client.

        Args:
            name: Source and table, for messages.

        Raises:
            PermanentFailure: a setting has a value that there is not.
        """
        for setting, value, known in (
            ("security", self.security, SECURITY),
            ("arrival", self.arrival, ARRIVAL),
        ):
            if value not in known:
                raise PermanentFailure(
                    f"{name}: connection.{setting} is {value!r}; expected one of {list(known)}."
                )
        return KafkaSettings(
            configuration=self.configuration(),
            secrets=(self.password,),
            appended=self.arrival == "append_time",
            heartbeat=self.heartbeat or None,
            clock_skew=timedelta(seconds=self.clock_skew_seconds),
            stall_seconds=self.stall_seconds,
        )

    def configuration(self) -> dict[str, Any]:
        """The settings of librdkafka that say where the cluster is and who asks."""
        found: dict[str, Any] = {
            "bootstrap.servers": self.bootstrap,
            "security.protocol": self.security,
        }
        if self.security.startswith("sasl"):
            found |= {
                "sasl.mechanism": self.mechanism,
                "sasl.username": self.username,
                "sasl.password": self.password,
            }
        if self.security.endswith("ssl") and self.ca_file:
            found["ssl.ca.location"] = self.ca_file
        return found
