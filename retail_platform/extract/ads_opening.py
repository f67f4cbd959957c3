"""Opens the readers of ad platforms: clients from a connection's settings, budgets from the row."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from retail_platform.control.calls import ApiCalls
from retail_platform.extract.account import Account
from retail_platform.extract.ads_reader import AdsReader
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
        client = FacebookAdsResource(**_settings(table, connection, value)).client(
            table.row.insights, expected=_account(connection), budget=_budget(table, calls)
        )
    else:
        assert table.row.gaql is not None, "the catalog checks it"
        client = GoogleAdsResource(**_settings(table, connection, value)).client(
            table.row.gaql, expected=_account(connection), budget=_budget(table, calls)
        )
    with client:
        yield AdsReader(client, connection.timezone)


def _settings(
    table: Table, connection: FacebookAdsConnection | GoogleAdsConnection, value: Value
) -> dict[str, Any]:
    """The settings of a platform's resource: what the connection names, and what it says."""
    named = {
        name: value(setting) for name, setting in connection if isinstance(setting, FromEnvironment)
    }
    return {
        "base_url": named.pop("url"),
        **named,
        "version": connection.version,
        "name": table.source,
    }


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
