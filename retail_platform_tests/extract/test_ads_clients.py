"""The ad clients against a real server in the documented shapes."""

import json
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import pytest

from retail_platform.extract import facebook_ads, google_ads
from retail_platform.extract.facebook_ads import FacebookAds
from retail_platform.extract.google_ads import GoogleAds
from retail_platform.extract.http import Patience
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.resources.marketing import FacebookAdsResource, GoogleAdsResource
from retail_platform_tests.extract.ads_server import (
    DEVELOPER_TOKEN,
    HOUR,
    TOKEN,
    AdsServer,
    Fault,
)

SINCE, UNTIL = date(2026, 11, 18), date(2026, 11, 20)
QUICK = Patience(attempts=3, backoff=0.01)


def facebook(server: AdsServer, token: str = TOKEN) -> FacebookAds:
    return FacebookAds(server.url, token=token, account="act_42", patience=QUICK)


def google(server: AdsServer, token: str = TOKEN, developer: str = DEVELOPER_TOKEN) -> GoogleAds:
    return GoogleAds(
        server.url, token=token, developer_token=developer, customer="9-9", patience=QUICK
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
    assert table.schema.names == facebook_ads.COLUMNS
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
    assert asked["path"] == "/v21.0/act_42/insights"
    assert json.loads(asked["query"]["time_range"]) == {
        "since": "2026-11-18",
        "until": "2026-11-20",
    }
    assert asked["query"]["breakdowns"] == HOUR
    assert (asked["query"]["level"], asked["query"]["time_increment"]) == ("campaign", "1")


def test_facebook_pages_give_each_row_once_also_with_faults_between(server: AdsServer) -> None:
    server.campaigns = [{"id": str(n), "status": f"S{n}"} for n in range(5)]
    server.insights = [insight(n, campaign_id=str(n % 5)) for n in range(24)]
    half, busy = Fault(half="connection closed"), Fault(status=429, headers={"Retry-After": "0"})
    server.faults.extend([None, None, half, None, busy, None, Fault(status=500), None])
    rows = facebook(server).read(since=SINCE, until=UNTIL).read_all().to_pylist()
    assert [row["hour"] for row in rows] == [str(n) for n in range(24)]
    assert {row["campaign_status"] for row in rows} == {"S0", "S1", "S2", "S3", "S4"}


def test_no_rows_still_have_columns(server: AdsServer) -> None:
    assert facebook(server).read(since=SINCE, until=UNTIL).read_all().num_rows == 0
    empty = google(server).read(since=SINCE, until=UNTIL).read_all()
    assert empty.schema.names == google_ads.COLUMNS


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
    server.faults.extend([None, Fault(half="whole length"), Fault(status=503), None])
    rows = google(server).read(since=SINCE, until=UNTIL).read_all().to_pylist()
    assert [row["segments_hour"] for row in rows] == [str(n) for n in range(9)]


def test_a_repeated_page_is_found_out(server: AdsServer) -> None:
    server.repeat_cursor = True
    server.insights = [insight(n) for n in range(9)]
    server.results = [result(n) for n in range(9)]
    with pytest.raises(TransientFailure, match="same page cursor twice"):
        facebook(server).read(since=SINCE, until=UNTIL).read_all()
    with pytest.raises(TransientFailure, match="same page cursor twice"):
        google(server).read(since=SINCE, until=UNTIL).read_all()


def test_bad_tokens_are_permanent_at_once_and_not_shown(server: AdsServer) -> None:
    with pytest.raises(PermanentFailure, match=r"source facebook_ads.*status 401") as first:
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


def test_resources_take_their_tokens_from_the_environment(
    server: AdsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_ADS_TOKEN", TOKEN)
    monkeypatch.setenv("TEST_DEVELOPER_TOKEN", DEVELOPER_TOKEN)
    server.insights, server.results = [insight(1)], [result(1)]
    token, developer = dg.EnvVar("TEST_ADS_TOKEN"), dg.EnvVar("TEST_DEVELOPER_TOKEN")

    @dg.asset
    def rows(facebook: FacebookAdsResource, google: GoogleAdsResource) -> int:
        with facebook.client() as ads, google.client() as search:
            streams = [client.read(since=SINCE, until=UNTIL) for client in (ads, search)]
            return sum(stream.read_all().num_rows for stream in streams)

    result_of_run = dg.materialize(
        [rows],
        resources={
            "facebook": FacebookAdsResource(base_url=server.url, token=token, account="42"),
            "google": GoogleAdsResource(
                base_url=server.url, token=token, developer_token=developer, customer="99"
            ),
        },
    )
    assert result_of_run.output_for_node("rows") == 2
