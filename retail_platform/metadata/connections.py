"""How a source is reached: one frozen model per kind of connection.

Secrets are named here, never held: `FromEnvironment` says which variable has them. Opening a
connection belongs in `retail_platform.extract.opening`.
"""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from retail_platform.metadata.values import Duration, Frozen, Zone


class FromEnvironment(Frozen):
    """A value that the environment holds, named here so that no secret enters the catalog."""

    env: str


class EnvironmentOrDefault(FromEnvironment):
    """A setting that differs between deployments: the environment's, otherwise ``default``."""

    default: str


Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class SqlConnection(Frozen):
    """A SQL database.

    Attributes:
        url: SQLAlchemy URL; how to log in to SQL Server by it is in ``docs/sql-databases.md``.
        timezone: IANA zone of the naive timestamps that it stores.
        clock_query: Query that returns the source's present; None asks for CURRENT_TIMESTAMP.
        timeout: How long one query may run at a server; beyond it the load is tried again. On
            PostgreSQL ``options`` of the URL may say otherwise.
        max_connections: How many connections all loads of a process may hold to it at once; what
            is beyond waits.
    """

    kind: Literal["sql"]
    url: FromEnvironment
    timezone: Zone
    clock_query: str | None = None
    timeout: Duration = timedelta(hours=1)
    max_connections: int = Field(default=8, ge=1)


class OdbcConnection(Frozen):
    """Any SQL database that has an ODBC driver.

    Attributes:
        connection_string: ODBC connection string, ``Driver={...};Server=...;UID=...;PWD=...`` or
            ``DSN=...``.
        dialect: Its SQL, as sqlglot calls it: ``oracle``, ``mysql``, ``teradata``, ``postgres``...
        timezone: IANA zone of its timestamps; the driver's session has to be in it too.
        clock_query: Query that returns the source's present in that zone; no two databases tell
            the time alike.
        timeout: How long one query may run, where the driver heeds it.
        max_connections: How many connections all loads of a process may hold to it at once; what
            is beyond waits.
    """

    kind: Literal["odbc"]
    connection_string: FromEnvironment
    dialect: str
    timezone: Zone
    clock_query: str
    timeout: Duration = timedelta(hours=1)
    max_connections: int = Field(default=8, ge=1)


class SftpLogin(Frozen):
    """How an SFTP server is recognised, and how the platform logs in.

    Attributes:
        host_key: The server's public keys, a line each, as ``ssh-keyscan HOST`` prints them or as
            ``ssh-ed25519 AAAA...``; a server that shows another key is refused. A public key is no
            secret and may stand here itself.
        password: Password of the user that the root names.
        private_key: Or that user's private key, the text of its file.
        passphrase: Of the private key, where it has one.
        timeout: How long the server may stay silent.
    """

    host_key: FromEnvironment | str
    password: FromEnvironment | None = None
    private_key: FromEnvironment | None = None
    passphrase: FromEnvironment | None = None
    timeout: Duration = timedelta(seconds=30)

    @model_validator(mode="after")
    def _has_one_secret(self) -> "SftpLogin":
        if (self.password is None) == (self.private_key is None):
            raise ValueError("sftp needs either password or private_key")
        if self.passphrase is not None and self.private_key is None:
            raise ValueError("passphrase goes with private_key")
        return self


class AzureLogin(Frozen):
    """How a storage account is entered; with neither key nor SAS by the platform's own identity.

    Attributes:
        account_key: Key of the storage account.
        sas: Or a shared access signature for the container.
        endpoint: Blob endpoint, where it is not ``https://ACCOUNT.blob.core.windows.net``.
    """

    account_key: FromEnvironment | None = None
    sas: FromEnvironment | None = None
    endpoint: FromEnvironment | None = None

    @model_validator(mode="after")
    def _has_one_secret(self) -> "AzureLogin":
        if self.account_key is not None and self.sas is not None:
            raise ValueError("azure takes either account_key or sas, not both")
        return self


class FilesConnection(Frozen):
    """A place where files land: a folder, an SFTP server, or a container of ADLS Gen2.

    Attributes:
        root: What the tables' patterns are relative to: a local folder, ``sftp://USER@HOST/path``
            or ``abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/path``.
        timezone: IANA zone of the hour in file names and of naive timestamps in the files.
        sftp: How the server is recognised and entered, for an SFTP root.
        azure: How the account is entered, for an ADLS root.
    """

    kind: Literal["files"]
    root: FromEnvironment
    timezone: Zone
    sftp: SftpLogin | None = None
    azure: AzureLogin = AzureLogin()


class FacebookAdsConnection(Frozen):
    """The insights edge of the Facebook Marketing API, for one ad account.

    Attributes:
        url: Such as ``https://graph.facebook.com``.
        token: Access token, or ``file:`` and the path of a file that holds it: such a file is read
            again when the token is refused, and rewritten when it is exchanged.
        account: Ad account id, with or without ``act_``.
        timezone: The account's own IANA zone: its days and hours are in it.
        currency: The account's own currency, ISO 4217; another one is refused.
        app_id: Id of the app that the token was given to; with it tokens are exchanged in time.
        app_secret: Secret of that app.
        version: Version of the API.
        budget: Calls an hour that all runs together may make; None: as many as needed.
    """

    kind: Literal["facebook_ads"]
    url: FromEnvironment
    token: FromEnvironment
    account: FromEnvironment
    timezone: Zone
    currency: Currency | None = None
    app_id: FromEnvironment | None = None
    app_secret: FromEnvironment | None = None
    version: str = Field(default="v25.0", pattern=r"^v\d+\.\d+$")
    budget: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _app_is_whole(self) -> Self:
        if (self.app_id is None) != (self.app_secret is None):
            raise ValueError("app_id and app_secret go together: tokens are exchanged with both")
        return self


class GoogleAdsConnection(Frozen):
    """The searchStream method of the Google Ads API, for one customer.

    Attributes:
        url: Such as ``https://googleads.googleapis.com``.
        refresh_token: OAuth refresh token; access tokens, which live an hour, come from it.
        client_id: Id of the OAuth client that it was given to.
        client_secret: Secret of that client.
        token_url: Where access tokens are given; Google's own where it is left out.
        developer_token: Developer token of the API.
        customer: Customer id, with or without dashes.
        login_customer: Manager account through which the customer is reached, if it is.
        timezone: The customer's own IANA zone: its days and hours are in it.
        currency: The customer's own currency, ISO 4217; another one is refused.
        version: Version of the API.
        budget: Calls an hour that all runs together may make; None: as many as needed.
    """

    kind: Literal["google_ads"]
    url: FromEnvironment
    refresh_token: FromEnvironment
    client_id: FromEnvironment
    client_secret: FromEnvironment
    token_url: FromEnvironment | None = None
    developer_token: FromEnvironment
    customer: FromEnvironment
    login_customer: FromEnvironment | None = None
    timezone: Zone
    currency: Currency | None = None
    version: str = Field(default="v25", pattern=r"^v\d+$")
    budget: int | None = Field(default=None, ge=1)


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


class BearerToken(Frozen):
    """A fixed token, sent as ``Authorization: Bearer``."""

    kind: Literal["bearer"]
    token: FromEnvironment


class ClientCredentials(Frozen):
    """OAuth 2.0 client credentials (RFC 6749, section 4.4): tokens that expire and are renewed.

    Attributes:
        token_url: The token endpoint.
        client_id: Who asks.
        client_secret: Proof of it.
        scope: What is asked for; None: what the server gives.
    """

    kind: Literal["oauth"]
    token_url: FromEnvironment
    client_id: FromEnvironment
    client_secret: FromEnvironment
    scope: str | None = None


class RestConnection(Frozen):
    """A REST API that answers in JSON.

    Attributes:
        url: What the tables' paths are relative to.
        timezone: IANA zone of naive timestamps in its answers.
        auth: Who asks; None: nobody in particular.
        clock: Path whose answer's Date header tells the API's present; None: the table's own.
        attempts: Requests before a fault of the API fails the load.
        timeout: Seconds between two bytes of an answer.
    """

    kind: Literal["rest"]
    url: FromEnvironment
    timezone: Zone
    auth: Annotated[BearerToken | ClientCredentials, Field(discriminator="kind")] | None = None
    clock: str | None = None
    attempts: int = Field(default=4, ge=1)
    timeout: float = Field(default=60, gt=0)


Connection = Annotated[
    SqlConnection
    | OdbcConnection
    | FilesConnection
    | FacebookAdsConnection
    | GoogleAdsConnection
    | KafkaConnection
    | RestConnection,
    Field(discriminator="kind"),
]
