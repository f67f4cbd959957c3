"""Opens the readers of ad platforms: clients from a connection's settings, budgets from the row."""

from collections.abc import Callable, Generator
from contextlib import closing, contextmanager

from retail_platform.control.calls import ApiCalls
from retail_platform.extract.account import Account
from retail_platform.extract.ads_reader import AdsReader
from retail_platform.extract.google_ads import TOKEN_URL
from retail_platform.metadata.connections import (
    FacebookAdsConnection,
    FromEnvironment,
    GoogleAdsConnection,
)
from retail_platform.metadata.loader import Table
from retail_platform.resources.marketing import FacebookAdsResource, GoogleAdsResource

Value = Callable[[FromEnvironment], str]


@contextmanager
def open_ads(
    table: Table,
    connection: FacebookAdsConnection | GoogleAdsConnection,
    value: Value,
    calls: ApiCalls | None,
) -> Generator[AdsReader, None, None]:
    """The reader of a table of an ad platform.

    Args:
        table: The table's metadata.
        connection: Its source's connection.
        value: Gives the value of a setting.
        calls: Counts calls; None where nothing counts them.

    Raises:
        PermanentFailure: a setting has no value.
    """
    if isinstance(connection, FacebookAdsConnection):
        client = _facebook(table, connection, value).client(
            table.row.insights, expected=_account(connection), budget=_budget(table, calls)
        )
    else:
        assert table.row.gaql is not None, "the catalog checks it"
        client = _google(table, connection, value).client(
            table.row.gaql, expected=_account(connection), budget=_budget(table, calls)
        )
    with closing(client):
        yield AdsReader(client, connection.timezone)


def _facebook(table: Table, connection: FacebookAdsConnection, value: Value) -> FacebookAdsResource:
    return FacebookAdsResource(
        base_url=value(connection.url),
        token=value(connection.token),
        account=value(connection.account),
        app_id=value(connection.app_id) if connection.app_id else None,
        app_secret=value(connection.app_secret) if connection.app_secret else None,
        version=connection.version,
        name=table.source,
    )


def _google(table: Table, connection: GoogleAdsConnection, value: Value) -> GoogleAdsResource:
    return GoogleAdsResource(
        base_url=value(connection.url),
        refresh_token=value(connection.refresh_token),
        client_id=value(connection.client_id),
        client_secret=value(connection.client_secret),
        developer_token=value(connection.developer_token),
        customer=value(connection.customer),
        login_customer=value(connection.login_customer) if connection.login_customer else None,
        token_url=value(connection.token_url) if connection.token_url else TOKEN_URL,
        version=connection.version,
        name=table.source,
    )


def _account(connection: FacebookAdsConnection | GoogleAdsConnection) -> Account:
    return Account(timezone=connection.timezone, currency=connection.currency)


def _budget(table: Table, calls: ApiCalls | None) -> Callable[[], None] | None:
    """What counts a source's calls against its budget; None where nothing does."""
    connection = table.connection
    assert isinstance(connection, FacebookAdsConnection | GoogleAdsConnection), "as opened"
    limit = connection.budget
    if limit is None or calls is None:
        return None
    return lambda: calls.spend(table.source, limit=limit)
