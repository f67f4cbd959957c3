"""The ad servers over real HTTP: paging, tokens, limits, faults, restated days."""

import json
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import requests

from retail_platform.simulator import ads_facebook, ads_google, ads_server
from retail_platform.simulator.ads_model import FACEBOOK, GOOGLE
from retail_platform.simulator.ads_server import Faults
from retail_platform_tests.simulator.conftest import HOUR, NOW

SEED = 7
SINCE, UNTIL = date(2026, 11, 22), date(2026, 11, 26)
QUIET = Faults(rate_limit_every=0)
INSIGHTS = {
    "level": "campaign",
    "fields": "account_id,campaign_id,campaign_name,impressions,clicks,spend,actions,action_values",
    "time_range": json.dumps({"since": SINCE.isoformat(), "until": UNTIL.isoformat()}),
    "time_increment": "1",
    "breakdowns": ads_facebook.HOURLY,
}
GAQL = (
    "SELECT customer.id, campaign.id, campaign.name, campaign_budget.amount_micros, segments.date, "
    "segments.hour, metrics.cost_micros, metrics.conversions FROM campaign "
    f"WHERE segments.date BETWEEN '{SINCE}' AND '{UNTIL}'"
)


class _Clock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    """A clock that a test may move."""
    return _Clock(NOW)


@pytest.fixture
def base_url(clock: _Clock) -> Iterator[str]:
    """A server without the regular rate limit."""
    with ads_server.serve(clock, seed=SEED, faults=QUIET) as url:
        yield url


def _facebook(base_url: str, edge: str, token: str = ads_facebook.TOKEN, **parameters: Any) -> Any:
    url = f"{base_url}/v25.0/{ads_facebook.ACCOUNT}{edge}"
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(url, params=parameters, headers=headers, timeout=10)


def _access_token(base_url: str) -> str:
    form = {
        "grant_type": "refresh_token",
        "client_id": ads_google.CLIENT_ID,
        "client_secret": ads_google.CLIENT_SECRET,
        "refresh_token": ads_google.REFRESH_TOKEN,
    }
    answer = requests.post(f"{base_url}{ads_google.TOKEN_PATH}", data=form, timeout=10).json()
    assert answer["expires_in"] == 3599
    return answer["access_token"]


def _google(base_url: str, query: str, **headers: str) -> requests.Response:
    tokens = {
        "Authorization": f"Bearer {_access_token(base_url)}",
        "developer-token": ads_google.DEVELOPER_TOKEN,
    }
    url = f"{base_url}/v25/customers/{ads_google.CUSTOMER}/googleAds:searchStream"
    return requests.post(url, json={"query": query}, headers={**tokens, **headers}, timeout=10)


def _facebook_pages(base_url: str, limit: int) -> list[dict[str, Any]]:
    answer = _facebook(base_url, "/insights", **INSIGHTS, limit=limit).json()
    rows = list(answer["data"])
    while "next" in answer["paging"]:
        headers = {"Authorization": f"Bearer {ads_facebook.TOKEN}"}
        answer = requests.get(answer["paging"]["next"], headers=headers, timeout=10).json()
        rows += answer["data"]
    return rows


def test_facebook_pages_hold_every_row_once(base_url: str, clock: _Clock) -> None:
    rows = _facebook_pages(base_url, limit=37)
    expected = list(FACEBOOK.figures(SINCE, UNTIL, clock=clock(), seed=SEED))
    keys = [(row["campaign_id"], row["date_start"], row[ads_facebook.HOURLY]) for row in rows]
    assert len(set(keys)) == len(keys) == len(expected) > 100
    found = sum(round(float(row["spend"]) * 100) for row in rows)
    assert found == sum(row.spend_cents for row in expected)
    assert all(isinstance(row["impressions"], str) for row in rows)
    assert keys[0][2].endswith(":59:59")


def test_google_streams_hold_every_row_once(base_url: str, clock: _Clock) -> None:
    chunks = _google(base_url, GAQL).json()
    assert len(chunks) > 1
    rows = [row for chunk in chunks for row in chunk["results"]]
    expected = list(GOOGLE.figures(SINCE, UNTIL, clock=clock(), seed=SEED))
    keys = {(r["campaign"]["id"], r["segments"]["date"], r["segments"]["hour"]) for r in rows}
    assert len(keys) == len(rows) == len(expected) > 100
    micros = sum(int(row["metrics"]["costMicros"]) for row in rows)
    assert micros == sum(row.spend_cents for row in expected) * 10_000
    assert "conversionsValue" not in rows[0]["metrics"]


def test_pages_stay_as_of_the_first_one_when_the_clock_moves(base_url: str, clock: _Clock) -> None:
    first = _facebook(base_url, "/insights", **INSIGHTS, limit=20).json()
    whole = len(_facebook_pages(base_url, limit=500))
    clock.now += 30 * HOUR
    rows, answer = first["data"], first
    while "next" in answer["paging"]:
        headers = {"Authorization": f"Bearer {ads_facebook.TOKEN}"}
        answer = requests.get(answer["paging"]["next"], headers=headers, timeout=10).json()
        rows += answer["data"]
    assert len(rows) == whole
    assert len(_facebook_pages(base_url, limit=500)) > whole


def test_account_and_campaigns_of_facebook(base_url: str) -> None:
    account = _facebook(base_url, "", fields="name,currency,timezone_name").json()
    assert account["timezone_name"] == "America/New_York"
    assert account["id"] == ads_facebook.ACCOUNT
    answer = _facebook(base_url, "/campaigns", fields="id,name,status,daily_budget", limit=4)
    assert len(answer.json()["data"]) == 4
    assert "next" in answer.json()["paging"]
    assert answer.headers["X-Source-Clock"] == NOW.isoformat()


def test_wrong_tokens_are_refused_in_each_platforms_shape(base_url: str) -> None:
    answer = _facebook(base_url, "/insights", token="wrong", **INSIGHTS)
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "OAuthException"
    assert answer.json()["error"]["code"] == 190
    for header in ("Authorization", "developer-token"):
        answer = _google(base_url, GAQL, **{header: "wrong"})
        assert answer.status_code == 401
        assert answer.json()[0]["error"]["status"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "query",
    ["", "SELECT campaign.id FROM keyword_view", "SELECT campaign.nothing FROM campaign"],
)
def test_a_wrong_query_is_refused(base_url: str, query: str) -> None:
    answer = _google(base_url, query)
    assert answer.status_code == 400
    assert answer.json()[0]["error"]["status"] == "INVALID_ARGUMENT"
    without_level = {name: value for name, value in INSIGHTS.items() if name != "level"}
    assert _facebook(base_url, "/insights", **without_level).json()["error"]["code"] == 100


def test_every_fortieth_request_is_limited_and_a_retry_succeeds(clock: _Clock) -> None:
    with ads_server.serve(clock, seed=SEED, faults=Faults(retry_after=0)) as url:
        answers = [_facebook(url, "", fields="name") for _ in range(41)]
    statuses = [answer.status_code for answer in answers]
    assert [number for number, status in enumerate(statuses, start=1) if status == 429] == [40]
    assert answers[39].headers["Retry-After"] == "0"
    assert answers[39].json()["error"]["code"] == 17


def test_injected_faults_hit_exactly_their_requests(clock: _Clock) -> None:
    faults = Faults(
        kinds={1: "server_error", 2: "half_page", 3: "rate_limit", 4: "no_answer", 5: "malformed"},
        rate_limit_every=0,
        retry_after=1,
    )
    with ads_server.serve(clock, seed=SEED, faults=faults) as url:
        assert _facebook(url, "", fields="name").status_code == 500
        with pytest.raises(requests.RequestException):
            _facebook(url, "", fields="name").json()
        limited = _facebook(url, "", fields="name")
        assert (limited.status_code, limited.headers["Retry-After"]) == (429, "1")
        with pytest.raises(requests.ConnectionError):
            _facebook(url, "", fields="name")
        with pytest.raises(requests.JSONDecodeError):
            _facebook(url, "", fields="name").json()
        assert _facebook(url, "", fields="name").status_code == 200


def test_a_report_run_runs_and_completes_or_does_not(clock: _Clock) -> None:
    quiet = Faults(rate_limit_every=0, fates=("completes", "fails", "is_skipped", "never_ends"))
    ends = []
    with ads_server.serve(clock, seed=SEED, faults=quiet) as url:
        headers = {"Authorization": f"Bearer {ads_facebook.TOKEN}"}
        edge = f"{url}/v25.0/{ads_facebook.ACCOUNT}/insights"
        at_once = _facebook(url, "/insights", **INSIGHTS, limit=500).json()["data"]
        for _ in quiet.fates:
            run = requests.post(edge, data=INSIGHTS, headers=headers, timeout=10).json()
            path = f"{url}/v25.0/{run['report_run_id']}"
            first, last = (requests.get(path, headers=headers, timeout=10).json() for _ in "ab")
            assert first["async_status"] == "Job Running"
            ends.append((last["async_status"], last["async_percent_completion"]))
            rows = requests.get(
                f"{path}/insights", params={"limit": 500}, headers=headers, timeout=10
            )
            assert rows.json().get("data") == (at_once if len(ends) == 1 else None)
    assert ends == [
        ("Job Completed", 100),
        ("Job Failed", 80),
        ("Job Skipped", 80),
        ("Job Running", 80),
    ]


@pytest.mark.parametrize("account", [FACEBOOK, GOOGLE])
def test_days_are_restated_and_then_settle(account: Any) -> None:
    day = date(2026, 10, 1)

    def totals(age: int) -> tuple[int, int]:
        clock = NOW - (NOW.date() - day - timedelta(days=age)) + timedelta(hours=12)
        rows = list(account.figures(day, day, clock=clock, seed=SEED))
        return sum(row.spend_cents for row in rows), sum(row.conversions for row in rows)

    spend = [totals(age)[0] for age in (1, 2, 3, 10, 40)]
    conversions = [totals(age)[1] for age in (1, 5, 14, 28, 40)]
    assert len(set(spend[:3])) == 3
    assert spend[2:] == [spend[2]] * 3
    assert conversions == sorted(conversions)
    assert conversions[0] < conversions[3] == conversions[4]


def test_only_closed_hours_are_there_and_campaigns_change() -> None:
    clock = datetime.fromisoformat("2026-11-26T17:30:00+00:00")
    hours = {row.hour for row in FACEBOOK.figures(UNTIL, UNTIL, clock=clock, seed=SEED)}
    assert max(hours) <= 11
    assert not list(FACEBOOK.figures(UNTIL, UNTIL, clock=clock - 20 * HOUR, seed=SEED))
    names = {
        campaign.name
        for days in range(40)
        for campaign in GOOGLE.campaigns_at(clock + timedelta(days=days), seed=SEED)
    }
    assert len(names) > len(GOOGLE.campaigns)


def test_about_one_row_in_four_hundred_is_a_credit() -> None:
    since = NOW.date() - timedelta(days=90)
    rows = [
        row
        for account in (FACEBOOK, GOOGLE)
        for row in account.figures(since, NOW.date(), clock=NOW, seed=SEED)
    ]
    share = sum(row.spend_cents < 0 for row in rows) / len(rows)
    assert 1 / 800 < share < 1 / 200


def test_an_open_connection_does_not_hold_up_the_end_of_the_server(clock: _Clock) -> None:
    session = requests.Session()
    begin = time.monotonic()
    with ads_server.serve(clock, seed=SEED, faults=QUIET) as url:
        session.get(f"{url}/v25.0/{ads_facebook.ACCOUNT}", timeout=10)
    assert time.monotonic() - begin < 2
    session.close()
