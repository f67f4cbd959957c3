"""Tokens that expire, and servers that misbehave in ways that only HTTP can."""

from collections.abc import Iterator

import pytest

from retail_platform.extract.http import JsonApi, Patience
from retail_platform.extract.oauth import OAuthToken
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform_tests.extract.faulty import Fault
from retail_platform_tests.extract.rest_server import (
    CLIENT_SECRET,
    TOKEN,
    RestServer,
    serving_rest,
)

PATIENCE = Patience(attempts=2, backoff=0.01, longest_wait=1, read_timeout=0.3, answer_timeout=0.5)


@pytest.fixture
def server() -> Iterator[RestServer]:
    with serving_rest(RestServer(answer=lambda *_: (200, {"n": 1.50}))) as state:
        yield state


def token_api(server: RestServer, secret: str = CLIENT_SECRET) -> JsonApi:
    token = OAuthToken.client_credentials(
        f"{server.url}/token",
        client_id="the-platform",
        client_secret=secret,
        scope="read",
        name="crm",
        patience=PATIENCE,
    )
    return JsonApi(
        base_url=server.url, name="crm", headers={}, patience=PATIENCE, authorization=token
    )


def plain_api(server: RestServer) -> JsonApi:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return JsonApi(
        base_url=server.url, name="crm", headers=headers, secrets=(TOKEN,), patience=PATIENCE
    )


def test_a_token_is_asked_for_once_and_used(server: RestServer) -> None:
    with token_api(server) as api:
        api.call("GET", "/a")
        api.call("GET", "/b")
    assert [path for path, _ in server.requests] == ["/a", "/b"]
    (form,) = server.token_requests
    assert (form["grant_type"], form["scope"]) == ("client_credentials", "read")


def test_a_token_that_the_server_calls_back_is_renewed_and_the_request_repeated(
    server: RestServer,
) -> None:
    with token_api(server) as api:
        api.call("GET", "/a")
        server.tokens.clear()
        assert api.call("GET", "/b").body == {"n": "1.5"}
    assert [path for path, _ in server.requests] == ["/a", "/b", "/b"]
    assert len(server.token_requests) == 2


def test_a_token_about_to_expire_is_renewed_before_it_is_refused(server: RestServer) -> None:
    server.expires_in = 0
    with token_api(server) as api:
        api.call("GET", "/a")
        api.call("GET", "/b")
    assert [path for path, _ in server.requests] == ["/a", "/b"]
    assert len(server.token_requests) == 2


def test_refused_credentials_are_permanent_and_not_shown(server: RestServer) -> None:
    with (
        token_api(server, secret="wr0ng-secret") as api,
        pytest.raises(PermanentFailure, match=r"invalid_client.*check client id") as failure,
    ):
        api.call("GET", "/a")
    assert "wr0ng-secret" not in str(failure.value)


def test_a_token_that_is_refused_although_new_is_permanent_and_not_shown(
    server: RestServer,
) -> None:
    server.faults.extend([Fault(status=401)] * 2)
    with token_api(server) as api, pytest.raises(PermanentFailure, match="status 401") as failure:
        api.call("GET", "/a")
    assert TOKEN not in str(failure.value)


@pytest.mark.parametrize("fault", [Fault(silent=0.8), Fault(drip=0.1)], ids=["silent", "drip"])
def test_a_slow_answer_is_given_up(server: RestServer, fault: Fault) -> None:
    server.faults.extend([fault, None])
    assert plain_api(server).call("GET", "/a").body == {"n": "1.5"}
    server.faults.extend([fault, fault])
    with pytest.raises(TransientFailure, match="gave up after 2 attempts"):
        plain_api(server).call("GET", "/a")


def test_another_server_is_not_told_the_token(server: RestServer) -> None:
    with serving_rest(RestServer()) as other:
        server.faults.append(Fault(status=302, headers={"Location": f"{other.url}/a"}))
        with pytest.raises(PermanentFailure, match=rf"to {other.url}, which is not followed"):
            plain_api(server).call("GET", "/a")
        with pytest.raises(PermanentFailure, match="not its own server"):
            plain_api(server).call("GET", f"{other.url}/a?page=2")
    assert other.requests == []


def test_the_next_page_of_a_link_header_is_a_whole_url(server: RestServer) -> None:
    server.links = lambda _path, _query: '</a?page=2>; rel="next", </a>; rel="first"'
    assert plain_api(server).call("GET", "/a").following == f"{server.url}/a?page=2"
