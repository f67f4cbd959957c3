"""Both ad platforms as the simulator plays them, loaded hour by hour into a box.

What an account must show is taken from the simulator's own arithmetic.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from retail_platform.metadata.loader import Catalog, Table
from retail_platform.simulator import ads_google
from retail_platform.simulator.ads_facebook_state import ACCOUNT, TOKEN
from retail_platform.simulator.ads_faults import Faults
from retail_platform.simulator.ads_model import FACEBOOK, GOOGLE
from retail_platform.simulator.ads_server import AdsServer, serving
from retail_platform_tests.platform.box import HOUR, Box, Row, hour_at
from retail_platform_tests.platform.catalogs import demo_catalog

FACEBOOK_TABLE, GOOGLE_TABLE = "facebook_insights", "google_campaign_performance"
ACCOUNTS = {FACEBOOK_TABLE: FACEBOOK, GOOGLE_TABLE: GOOGLE}
SEED = 7


@dataclass
class Platforms:
    """The running platforms; their clock is set by the hour that is loaded."""

    server: AdsServer
    now: datetime

    @property
    def environ(self) -> dict[str, str]:
        """Where they are and with what tokens."""
        url = self.server.base_url
        return {
            "FACEBOOK_ADS_URL": url,
            "FACEBOOK_ADS_TOKEN": TOKEN,
            "FACEBOOK_ADS_ACCOUNT": ACCOUNT,
            "GOOGLE_ADS_URL": url,
            "GOOGLE_ADS_TOKEN_URL": f"{url}{ads_google.TOKEN_PATH}",
            "GOOGLE_ADS_REFRESH_TOKEN": ads_google.REFRESH_TOKEN,
            "GOOGLE_ADS_CLIENT_ID": ads_google.CLIENT_ID,
            "GOOGLE_ADS_CLIENT_SECRET": ads_google.CLIENT_SECRET,
            "GOOGLE_ADS_DEVELOPER_TOKEN": ads_google.DEVELOPER_TOKEN,
            "GOOGLE_ADS_CUSTOMER": ads_google.CUSTOMER,
        }

    def bronze(self, box: Box, entity: str, number: int) -> Any:
        """Loads an hour that the platforms' clock has just closed into Bronze."""
        self.now = hour_at(number) + HOUR
        return box.bronze(entity, number, self.environ)

    def both(self, box: Box, entity: str, number: int) -> Any:
        """The same into Bronze and Silver."""
        self.bronze(box, entity, number)
        return box.silver(entity, number)


@contextmanager
def platforms(faults: Faults | None = None) -> Iterator[Platforms]:
    """The platforms; without faults nothing goes wrong, not even the regular rate limit."""
    running: list[Platforms] = []
    wanted = replace(faults or Faults(), rate_limit_every=0)
    with serving(lambda: running[0].now, seed=SEED, faults=wanted) as server:
        running.append(Platforms(server, hour_at(1)))
        yield running[0]


def catalog_of(
    entity: str,
    row: Mapping[str, Any] | None = None,
    connection: Mapping[str, Any] | None = None,
) -> Catalog:
    """The platform's own table, with some of its metadata replaced."""
    (table,) = demo_catalog(entity).tables
    return Catalog(tables=(_changed(table, row or {}, connection or {}),))


def _changed(table: Table, row: Mapping[str, Any], connection: Mapping[str, Any]) -> Table:
    return replace(
        table,
        row=table.row.model_copy(update=dict(row)),
        connection=table.connection.model_copy(update=dict(connection)),
    )


def money(box: Box, entity: str) -> dict[tuple[str, date, int], int]:
    """Spend in cents of every live row."""
    if entity == FACEBOOK_TABLE:
        return {
            (row["campaign_id"], row["date_start"], row["hour"]): int(row["spend"] * 100)
            for row in box.live(entity)
        }
    return {
        (row["campaign_id"], row["segments_date"], row["segments_hour"]): row["cost_micros"]
        // ads_google.MICROS_PER_CENT
        for row in box.live(entity)
    }


def conversions(box: Box, entity: str) -> int:
    """Conversions of all live rows."""
    name = "purchases" if entity == FACEBOOK_TABLE else "conversions"
    return sum(int(row[name] or 0) for row in box.live(entity))


def believed(
    entity: str, number: int, days: int, *, of: int | None = None
) -> dict[tuple[str, date, int], int]:
    """What the platform says at the end of an hour, without credits: spend in cents.

    Args:
        entity: The table.
        number: The hour.
        days: How many days before the hour's own.
        of: The hour whose day is the last one; the same hour where it is left out.
    """
    account = ACCOUNTS[entity]
    until = account.local_day(hour_at(number if of is None else of))
    figures = account.figures(
        until - timedelta(days=days), until, clock=hour_at(number) + HOUR, seed=SEED
    )
    return {
        (row.campaign.campaign_id, row.day, row.hour): row.spend_cents
        for row in figures
        if row.spend_cents >= 0
    }


def received(box: Box, entity: str) -> list[Row]:
    """Bronze rows, but for when they were read."""
    rows = [{**row, "_extracted_at": None} for row in box.stored_bronze(entity)]
    return sorted(rows, key=lambda row: (row["_hour"], row["_row_hash"]))
