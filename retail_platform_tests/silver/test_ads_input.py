"""Ad results over real HTTP: a faulty API changes nothing, refused rows are explained."""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from retail_platform.metadata.loader import Catalog
from retail_platform_tests.extract.ads_server import (
    HOUR,
    TOKEN,
    AdsServer,
    serving,
)
from retail_platform_tests.extract.faulty import Fault
from retail_platform_tests.platform.box import HOUR as ONE_HOUR
from retail_platform_tests.platform.box import Box, Row, hour_at
from retail_platform_tests.platform.catalogs import demo_catalog
from retail_platform_tests.platform.fixtures import Opener

ENTITY = "facebook_insights"


def hourly_catalog() -> Catalog:
    """The platform's table without its daily read of 28 days: the server knows no report runs."""
    (table,) = demo_catalog(ENTITY).tables
    row = table.row.model_copy(update={"restate_daily_days": None})
    return Catalog(tables=(replace(table, row=row),))


def insight(hour: int, *, campaign: str = "7", spend: str = "1.10") -> dict[str, Any]:
    return {
        "account_id": "42",
        "account_name": "Shop",
        "campaign_id": campaign,
        "campaign_name": "Autumn",
        "objective": "SALES",
        "attribution_setting": "7d_click",
        "date_start": "2026-01-05",
        "date_stop": "2026-01-05",
        "impressions": "100",
        "clicks": "3",
        "spend": spend,
        HOUR: f"{hour:02d}:00:00 - {hour:02d}:59:59",
    }


@pytest.fixture
def server() -> Iterator[AdsServer]:
    """The API with three results, on two pages."""
    with serving(AdsServer(insights=[insight(0), insight(1), insight(2)])) as state:
        yield state


def load(box: Box, server: AdsServer, number: int) -> Any:
    server.source_clock = (hour_at(number) + ONE_HOUR).isoformat()
    return box.both(
        ENTITY,
        number,
        {
            "FACEBOOK_ADS_URL": server.url,
            "FACEBOOK_ADS_TOKEN": TOKEN,
            "FACEBOOK_ADS_ACCOUNT": "act_42",
        },
    )


def spend(box: Box) -> dict[tuple[str, int], str]:
    return {(row["campaign_id"], row["hour"]): str(row["spend"]) for row in box.live(ENTITY)}


def test_rate_limits_errors_and_half_pages_change_nothing(
    new_box: Opener, server: AdsServer
) -> None:
    """429, 500 and half a page in the middle of the pages: the same rows as without them."""
    quiet, faulty = new_box(hourly_catalog()), new_box(hourly_catalog())
    load(quiet, server, 0)
    asked = len(server.requests)
    server.faults = deque(
        [
            Fault(status=429, headers={"Retry-After": "0"}),
            None,
            Fault(status=500),
            None,
            Fault(cut="json"),
            None,
            Fault(cut="length"),
        ]
    )
    load(faulty, server, 0)
    assert not server.faults
    assert len(server.requests) == 2 * asked + 4

    def received(box: Box) -> list[Row]:
        rows = [{**row, "_extracted_at": None} for row in box.stored_bronze(ENTITY)]
        return sorted(rows, key=lambda row: row["_row_hash"])

    assert received(faulty) == received(quiet)
    assert faulty.live(ENTITY) == quiet.live(ENTITY)
    assert len(faulty.live(ENTITY)) == 3


def test_negative_spend_is_quarantined_with_its_reason(new_box: Opener, server: AdsServer) -> None:
    """A credit is not spend; the other hours of the campaign go on."""
    box = new_box(hourly_catalog())
    server.insights[1]["spend"] = "-3.00"
    counts = load(box, server, 0).counts
    assert (counts.quarantined, counts.applied) == (1, 2)
    assert [row["reasons"] for row in box.quarantined(ENTITY)] == ["spend is negative"]
    assert set(spend(box)) == {("7", 0), ("7", 2)}


def test_a_restated_day_replaces_the_fetch_before(new_box: Opener, server: AdsServer) -> None:
    """Changed figures change, rows that the day no longer has are gone, also within an hour."""
    box = new_box(hourly_catalog())
    load(box, server, 0)
    server.insights = [insight(0, spend="9.00"), insight(2), insight(1, campaign="8")]
    load(box, server, 1)
    restated = {("7", 0): "9.0000", ("7", 2): "1.1000", ("8", 1): "1.1000"}
    assert spend(box) == restated
    server.insights = [insight(0), insight(2)]
    again = load(box, server, 1)
    assert spend(box) == {("7", 0): "1.1000", ("7", 2): "1.1000"}
    assert again.counts.swept == 1
    box.silver(ENTITY, 0)
    assert spend(box) == {("7", 0): "1.1000", ("7", 2): "1.1000"}, "an older fetch stays beaten"
