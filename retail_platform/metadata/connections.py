"""How a source is reached: one frozen model per kind of connection.

Secrets are named here, never held: `FromEnvironment` says which variable has them. Opening a
connection belongs in `retail_platform.extract.opening`.
"""

from typing import Annotated, Literal

from pydantic import Field

from retail_platform.metadata.values import Frozen, Zone


class FromEnvironment(Frozen):
    """A value that the environment holds, named here so that no secret enters the catalog."""

    env: str


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


Connection = Annotated[
    SqlConnection | FilesConnection | FacebookAdsConnection | GoogleAdsConnection,
    Field(discriminator="kind"),
]
