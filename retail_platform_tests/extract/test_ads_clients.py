"""The ad clients against a real server in the documented shapes."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pytest

from retail_platform.extract.facebook_ads import FacebookAds, columns_of
from retail_platform.extract.facebook_token import FacebookToken, TokenPlace
from retail_platform.extract.google_ads import GoogleAds
from retail_platform.extract.http import Patience
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.metadata.ads import GaqlReport, InsightsReport
from retail_platform_tests.extract.ads_server import (
    DEVELOPER_TOKEN,
    HOUR,
    TOKEN,
    AdsServer,
)
from retail_platform_tests.extract.faulty import Fault

SINCE, UNTIL = date(2026, 11, 18), date(2026, 11, 20)
QUICK = Patience(attempts=3, backoff=0.01)


REPORT = GaqlReport(
    resource="campaign",
    fields={
        "account_id": "customer.id",
        "campaign_id": "campaign.id",
        "campaign_name": "campaign.name",
        "campaign_status": "campaign.status",
        "channel_type": "campaign.advertising_channel_type",
        "segments_date": "segments.date",
        "segments_hour": "segments.hour",
        "impressions": "metrics.impressions",
        "clicks": "metrics.clicks",
        "cost_micros": "metrics.cost_micros",
        "conversions": "metrics.conversions",
        "conversions_value": "metrics.conversions_value",
        "currency_code": "customer.currency_code",
        "timezone_name": "customer.time_zone",
        "daily_budget_micros": "campaign_budget.amount_micros",
    },
)


@dataclass
class Fixed:
    """An access token that nobody renews."""

    token: str

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.token,)

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def refused(self) -> bool:
        return False


def facebook(
    server: AdsServer, token: str = TOKEN, report: InsightsReport | None = None
) -> FacebookAds:
    place = TokenPlace(token, "facebook_ads")
    known = FacebookToken(place=place, base_url=server.url, version="v25.0", patience=QUICK)
    return FacebookAds(known, account="act_42", report=report, patience=QUICK)


def google(server: AdsServer, token: str = TOKEN, developer: str = DEVELOPER_TOKEN) -> GoogleAds:
    return GoogleAds(
        server.url,
        authorization=Fixed(token),
        developer_token=developer,
        customer="9-9",
        report=REPORT,
        version="v25",
        patience=QUICK,
    )


def insight(hour: int, **other: Any) -> dict[str, Any]:
    return {
        "account_id": "42",
        "account_name": "Shop",
        "campaign_id": "7",
        "campaign_name": "Autumn",
        "objective": "SALES",
        "attribution_setting": "7d_click",
        "date_start": "2026-11-20",
        "date_stop": "2026-11-20",
        "impressions": "100",
        "clicks": "3",
        "spend": "1.10",
        HOUR: f"{hour:02d}:00:00 - {hour:02d}:59:59",
        **other,
    }


def result(hour: int, **metrics: Any) -> dict[str, Any]:
    return {
        "customer": {"id": "99", "currencyCode": "USD", "timeZone": "America/Los_Angeles"},
        "campaign": {
            "id": "5",
            "name": "Brand",
            "status": "ENABLED",
            "advertisingChannelType": "SEARCH",
        },
        "campaignBudget": {"amountMicros": "50000000"},
        "segments": {"date": "2026-11-20", "hour": hour},
        "metrics": {
            "impressions": "10",
            "clicks": "1",
            "costMicros": "1230000",
            "conversions": 0.1,
            "conversionsValue": 12345678901234.56,
            **metrics,
        },
    }


def test_facebook_rows_are_flat_text(server: AdsServer) -> None:
    server.campaigns = [{"id": "7", "name": "Autumn", "status": "ACTIVE", "daily_budget": "5000"}]
    pixel = {"action_type": "omni_purchase", "value": "9"}
    server.insights = [
        insight(
            7,
            actions=[pixel, {"action_type": "purchase", "value": "2"}],
            action_values=[{"action_type": "purchase", "value": "19.90"}],
        ),
        insight(0, campaign_id="8", spend="-0.50"),
    ]
    table = facebook(server).read(since=SINCE, until=UNTIL).read_all()
    assert table.schema.names == columns_of(InsightsReport())
    first, second = table.to_pylist()
    assert first == {
        "account_id": "42",
        "account_name": "Shop",
        "campaign_id": "7",
        "campaign_name": "Autumn",
        "objective": "SALES",
        "date_start": "2026-11-20",
        "hour": "7",
        "attribution_setting": "7d_click",
        "impressions": "100",
        "clicks": "3",
        "spend": "1.10",
        "purchases": "2",
        "purchase_value": "19.90",
        "currency_code": "USD",
        "timezone_name": "America/New_York",
        "campaign_status": "ACTIVE",
        "daily_budget": "5000",
    }
    assert (second["hour"], second["spend"], second["purchases"]) == ("0", "-0.50", None)
    assert (second["campaign_status"], second["daily_budget"]) == (None, None)


def test_facebook_is_asked_for_the_hours_of_the_days(server: AdsServer) -> None:
    facebook(server).read(since=SINCE, until=UNTIL).read_all()
    asked = server.requests[-1]
    assert asked["path"] == "/v25.0/act_42/insights"
    assert json.loads(asked["query"]["time_range"]) == {
        "since": "2026-11-18",
        "until": "2026-11-20",
    }
    assert asked["query"]["breakdowns"] == HOUR
    assert (asked["query"]["level"], asked["query"]["time_increment"]) == ("campaign", "1")


def test_facebook_pages_give_each_row_once_also_with_faults_between(server: AdsServer) -> None:
    server.campaigns = [{"id": str(n), "status": f"S{n}"} for n in range(5)]
    server.insights = [insight(n, campaign_id=str(n % 5)) for n in range(24)]
    half, busy = Fault(cut="length"), Fault(status=429, headers={"Retry-After": "0"})
    server.faults.extend([None, None, half, None, busy, None, Fault(status=500), None])
    rows = facebook(server).read(since=SINCE, until=UNTIL).read_all().to_pylist()
    assert [row["hour"] for row in rows] == [str(n) for n in range(24)]
    assert {row["campaign_status"] for row in rows} == {"S0", "S1", "S2", "S3", "S4"}


def test_no_rows_still_have_columns(server: AdsServer) -> None:
    assert facebook(server).read(since=SINCE, until=UNTIL).read_all().num_rows == 0
    empty = google(server).read(since=SINCE, until=UNTIL).read_all()
    assert empty.schema.names == list(REPORT.fields)


def test_facebook_rate_limits_sent_as_400_are_waited_for(server: AdsServer) -> None:
    limit = {"error": {"message": "User request limit reached", "code": 17}}
    server.faults.append(Fault(status=400, body=limit))
    facebook(server).clock()
    assert len(server.requests) == 2


def test_an_hour_in_another_shape_names_the_row(server: AdsServer) -> None:
    server.insights = [insight(7, **{HOUR: "seven"})]
    with pytest.raises(PermanentFailure, match=r"campaign 7, 2026-11-20: .*is 'seven'"):
        facebook(server).read(since=SINCE, until=UNTIL).read_all()


def test_google_rows_are_flat_text_with_every_digit(server: AdsServer) -> None:
    server.results = [result(7)]
    assert google(server).read(since=SINCE, until=UNTIL).read_all().to_pylist() == [
        {
            "account_id": "99",
            "campaign_id": "5",
            "campaign_name": "Brand",
            "campaign_status": "ENABLED",
            "channel_type": "SEARCH",
            "segments_date": "2026-11-20",
            "segments_hour": "7",
            "impressions": "10",
            "clicks": "1",
            "cost_micros": "1230000",
            "conversions": "0.1",
            "conversions_value": "12345678901234.56",
            "currency_code": "USD",
            "timezone_name": "America/Los_Angeles",
            "daily_budget_micros": "50000000",
        }
    ]
    query = server.requests[0]["body"]["query"]
    assert "segments.date BETWEEN '2026-11-18' AND '2026-11-20'" in query


def test_google_pages_give_each_row_once_also_with_faults_between(server: AdsServer) -> None:
    server.results = [result(n % 24) for n in range(9)]
    server.faults.extend([None, Fault(cut="json"), Fault(status=503), None])
    rows = google(server).read(since=SINCE, until=UNTIL).read_all().to_pylist()
    assert [row["segments_hour"] for row in rows] == [str(n) for n in range(9)]


def test_a_cursor_that_repeats_is_found_out(server: AdsServer) -> None:
    server.repeat_cursor = True
    server.insights = [insight(n) for n in range(9)]
    with pytest.raises(TransientFailure, match="same page cursor twice"):
        facebook(server).read(since=SINCE, until=UNTIL).read_all()


def test_bad_tokens_are_permanent_at_once_and_not_shown(server: AdsServer) -> None:
    with pytest.raises(PermanentFailure, match=r"source facebook_ads.*error code 190") as first:
        facebook(server, "wr0ng").read(since=SINCE, until=UNTIL)
    with pytest.raises(
        PermanentFailure, match=r"source google_ads.*DEVELOPER_TOKEN_INVALID"
    ) as last:
        google(server, developer="wr0ng").read(since=SINCE, until=UNTIL)
    assert "wr0ng" not in str(first.value) + str(last.value)


def test_clocks(server: AdsServer) -> None:
    server.source_clock = "2026-11-20T06:00:00+00:00"
    expected = datetime(2026, 11, 20, 6, tzinfo=UTC)
    assert facebook(server).clock() == google(server).clock() == expected
