"""How a source is reached: one frozen model per kind of connection.

Secrets are named here, never held: `FromEnvironment` says which variable has them. Opening a
connection belongs in `retail_platform.extract.opening`.
"""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from retail_platform.metadata.values import Duration, Frozen, Zone


class FromEnvironment(Frozen):
    """A value that the environment holds, named here so that no secret enters the catalog."""

    env: str


class EnvironmentOrDefault(FromEnvironment):
    """A setting that differs between deployments: the environment's, otherwise ``default``."""

    default: str


class SqlConnection(Frozen):
    """A SQL database.

    Attributes:
        url: SQLAlchemy URL.
        timezone: IANA zone of the naive timestamps that it stores.
        clock_query: Query that returns the source's present; None asks for CURRENT_TIMESTAMP.
    """

    kind: Literal["sql"]
    url: FromEnvironment
    timezone: Zone
    clock_query: str | None = None


class FilesConnection(Frozen):
    """A landing folder.

    Attributes:
        root: Folder that the tables' patterns are relative to.
        timezone: IANA zone of the hour in file names and of naive timestamps in the files.
    """

    kind: Literal["files"]
    root: FromEnvironment
    timezone: Zone


class FacebookAdsConnection(Frozen):
    """The insights edge of the Facebook Marketing API, for one ad account."""

    kind: Literal["facebook_ads"]
    url: FromEnvironment
    token: FromEnvironment
    account: FromEnvironment
    timezone: Zone


class GoogleAdsConnection(Frozen):
    """The search method of the Google Ads API, for one customer."""

    kind: Literal["google_ads"]
    url: FromEnvironment
    token: FromEnvironment
    developer_token: FromEnvironment
    customer: FromEnvironment
    timezone: Zone


class KafkaConnection(Frozen):
    """A Kafka cluster, or an Event Hubs namespace, which speaks the same protocol.

    Event Hubs: bootstrap ``<namespace>.servicebus.windows.net:9093``, security ``sasl_ssl``,
    mechanism ``PLAIN``, user name ``$ConnectionString``, the connection string as the password.

    Attributes:
        bootstrap: Bootstrap servers, ``host:port`` separated by commas.
        security: ``plaintext``, ``ssl``, ``sasl_plaintext`` or ``sasl_ssl``.
        mechanism: ``PLAIN``, ``SCRAM-SHA-256`` or ``SCRAM-SHA-512``, where security has SASL.
        username: User name, where security has SASL.
        password: Password, where security has SASL.
        ca_file: File of the authorities that sign the brokers' certificates; None or empty: those
            of the system.
        arrival: Which time of a message says when it arrived, and so in which hour it is read:
            ``append_time`` is the broker's (``message.timestamp.type=LogAppendTime``), for
            production; ``create_time`` is the producer's, for topics whose producer stamps the
            arrival and writes in its order: a mirror of another cluster, a replay, the simulator.
        heartbeat: Topic whose newest message tells the source's present by its arrival time; None:
            this machine's clock less ``clock_skew`` does.
        clock_skew: How far this machine's clock may be ahead of a broker's.
        timezone: IANA zone of naive timestamps in events.
    """

    kind: Literal["kafka"]
    bootstrap: FromEnvironment
    security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] | EnvironmentOrDefault = (
        "sasl_ssl"
    )
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    username: FromEnvironment | None = None
    password: FromEnvironment | None = None
    ca_file: FromEnvironment | None = None
    arrival: Literal["append_time", "create_time"] | EnvironmentOrDefault = "append_time"
    heartbeat: str | EnvironmentOrDefault | None = None
    clock_skew: Duration = timedelta(minutes=1)
    timezone: Zone = "UTC"


Connection = Annotated[
    SqlConnection | FilesConnection | FacebookAdsConnection | GoogleAdsConnection | KafkaConnection,
    Field(discriminator="kind"),
]
