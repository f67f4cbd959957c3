"""Retries, waits and refusals against a real server."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from retail_platform.extract.http import JsonApi, Patience
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform_tests.extract.ads_server import (
    TOKEN,
    AdsServer,
)
from retail_platform_tests.extract.faulty import Fault

PATH = "/v25.0/act_42"


def api(server: AdsServer, *, token: str = TOKEN, attempts: int = 3, url: str = "") -> JsonApi:
    return JsonApi(
        base_url=url or server.url,
        name="ads",
        headers={"Authorization": f"Bearer {token}"},
        secrets=(token,),
        patience=Patience(attempts=attempts, backoff=0.01, longest_wait=5),
    )


@pytest.mark.parametrize(
    "fault",
    [
        *(Fault(status=status) for status in (429, 500, 502, 503, 504)),
        Fault(cut="json"),
        Fault(cut="length"),
    ],
    ids=str,
)
def test_passing_faults_are_tried_again(server: AdsServer, fault: Fault) -> None:
    server.faults.extend([fault, fault])
    with api(server) as client:
        assert client.call("GET", PATH).body["currency"] == "USD"
    assert len(server.requests) == 3


def test_faults_that_stay_are_transient_and_attempts_are_limited(server: AdsServer) -> None:
    server.faults.extend([Fault(status=503)] * 9)
    with pytest.raises(TransientFailure, match=r"source ads, GET .*status 503: fault.*3 attempts"):
        api(server).call("GET", PATH)
    assert len(server.requests) == 3


def test_half_a_page_that_stays_says_so(server: AdsServer) -> None:
    server.faults.extend([Fault(cut="json")] * 9)
    with pytest.raises(TransientFailure, match="half a page"):
        api(server).call("GET", PATH)


def test_retry_after_in_seconds_is_honoured(server: AdsServer) -> None:
    server.faults.append(Fault(status=429, headers={"Retry-After": "1"}))
    began = time.monotonic()
    api(server).call("GET", PATH)
    assert 1 <= time.monotonic() - began < 3


def test_retry_after_as_a_date_is_honoured(server: AdsServer) -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    server.faults.append(Fault(status=503, headers={"Retry-After": when}))
    began = time.monotonic()
    api(server).call("GET", PATH)
    assert 0.8 <= time.monotonic() - began < 3


def test_a_long_wait_is_left_to_the_next_run(server: AdsServer) -> None:
    server.faults.append(Fault(status=429, headers={"Retry-After": "3600"}))
    with pytest.raises(TransientFailure, match="would wait 3600 s"):
        api(server).call("GET", PATH)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_refusals_are_permanent_with_the_api_s_message(server: AdsServer, status: int) -> None:
    server.faults.append(Fault(status=status, body={"error": {"message": "(#100) no"}}))
    with pytest.raises(PermanentFailure, match=rf"status {status}: \(#100\) no"):
        api(server).call("GET", PATH)
    assert len(server.requests) == 1


def test_a_bad_token_is_not_shown_even_when_the_api_repeats_it(server: AdsServer) -> None:
    with pytest.raises(PermanentFailure, match="status 401: Invalid OAuth") as failure:
        api(server, token="wr0ng-token").call("GET", PATH)
    assert "wr0ng-token" not in str(failure.value)


def test_a_server_that_is_not_there_is_transient(server: AdsServer) -> None:
    with pytest.raises(TransientFailure, match="no answer"):
        api(server, url="http://127.0.0.1:1").call("GET", PATH)


def test_the_clock_is_the_source_s_own_or_that_of_http(server: AdsServer) -> None:
    now = datetime.now(UTC)
    assert abs(api(server).call("GET", PATH).clock - now) < timedelta(seconds=3)
    server.source_clock = "2026-11-20T06:00:00+00:00"
    assert api(server).call("GET", PATH).clock == datetime(2026, 11, 20, 6, tzinfo=UTC)
