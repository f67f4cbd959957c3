"""The life of a Facebook token against the simulated platform: exchanged, found anew, ended."""

import json
import stat
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from retail_platform.extract.facebook_ads import FacebookAds
from retail_platform.extract.facebook_token import FacebookToken, TokenPlace
from retail_platform.extract.http import Patience
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.simulator.ads_facebook_state import ACCOUNT, APP_ID, APP_SECRET, TOKEN
from retail_platform.simulator.ads_faults import Faults
from retail_platform.simulator.ads_server import AdsServer, serving

QUICK = Patience(attempts=2, backoff=0.01)


@pytest.fixture
def server() -> Iterator[AdsServer]:
    """The platform."""
    clock = datetime(2026, 11, 20, 6, tzinfo=UTC)
    with serving(lambda: clock, seed=7, faults=Faults(rate_limit_every=0)) as running:
        yield running


def ads(server: AdsServer, value: str, app: tuple[str, str] | None = None) -> FacebookAds:
    token = FacebookToken(
        place=TokenPlace(value, "facebook_ads"),
        base_url=server.base_url,
        version="v25.0",
        app=app,
        patience=QUICK,
    )
    return FacebookAds(token, account=ACCOUNT, patience=QUICK)


def written(path: Path, token: str, ends: timedelta | None = None) -> str:
    moment = (datetime.now(UTC) + ends).isoformat() if ends else None
    path.write_text(json.dumps({"access_token": token, "expires_at": moment}))
    return f"file:{path}"


def exchanges(server: AdsServer) -> int:
    return sum("oauth" in request for request in server.requests)


def test_a_token_that_ends_within_a_week_is_exchanged_and_kept(
    server: AdsServer, tmp_path: Path
) -> None:
    """The next run finds the new one with its end, and the old one may end."""
    place = written(tmp_path / "token", TOKEN, timedelta(days=6))
    ads(server, place, (APP_ID, APP_SECRET)).clock()
    kept = json.loads((tmp_path / "token").read_text())
    assert kept["access_token"] != TOKEN
    assert datetime.fromisoformat(kept["expires_at"]) > datetime.now(UTC) + timedelta(days=59)
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["token"]
    server.facebook.end(TOKEN)
    ads(server, place, (APP_ID, APP_SECRET)).clock()
    assert exchanges(server) == 1


def test_a_plain_token_in_a_file_is_exchanged_to_know_its_end(
    server: AdsServer, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    ads(server, f"file:{tmp_path / 'token'}", (APP_ID, APP_SECRET)).clock()
    assert exchanges(server) == 1
    assert json.loads((tmp_path / "token").read_text())["expires_at"]


def test_without_the_app_a_token_is_used_as_it_is(server: AdsServer, tmp_path: Path) -> None:
    ads(server, TOKEN).clock()
    ads(server, written(tmp_path / "token", TOKEN)).clock()
    assert exchanges(server) == 0


def test_a_token_that_another_run_has_put_there_is_found(server: AdsServer, tmp_path: Path) -> None:
    """It ends between two requests; the file has the next one already."""
    place = written(tmp_path / "token", TOKEN)
    client = ads(server, place)
    client.clock()
    server.facebook.end(TOKEN)
    written(tmp_path / "token", server.facebook.exchange())
    client.clock()


def test_an_ended_token_says_what_to_do_and_is_not_shown(server: AdsServer, tmp_path: Path) -> None:
    """It cannot be exchanged any more: a person makes a new one."""
    server.facebook.end(TOKEN)
    with pytest.raises(PermanentFailure, match=r"error code 190.*Business settings") as plain:
        ads(server, TOKEN).clock()
    place = written(tmp_path / "token", TOKEN)
    with pytest.raises(PermanentFailure, match=r"make a new one") as exchanged:
        ads(server, place, (APP_ID, APP_SECRET)).clock()
    for failure in (plain, exchanged):
        assert TOKEN not in str(failure.value)
        assert APP_SECRET not in str(failure.value)


@pytest.mark.parametrize("content", ["", "{", '{"token": "x"}', None])
def test_a_file_without_a_token_is_named(
    server: AdsServer, tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "token").write_text(content)
    with pytest.raises(PermanentFailure, match="no token in the file"):
        ads(server, f"file:{tmp_path / 'token'}").clock()


def test_not_even_a_traceback_of_a_failed_exchange_shows_its_parameters(tmp_path: Path) -> None:
    """The HTTP library's own errors name the whole URL, and the exchange has secrets in it."""
    place = TokenPlace(written(tmp_path / "token", "s3cret/token+1"), "facebook_ads")
    token = FacebookToken(
        place=place,
        base_url="http://127.0.0.1:1",
        version="v25.0",
        app=(APP_ID, "app/s3cret=="),
        patience=Patience(attempts=1),
    )
    with pytest.raises(TransientFailure, match="no answer") as failure:
        token.headers()
    told = "".join(traceback.format_exception(failure.value))
    assert "oauth/access_token" in told
    for secret in ("s3cret", "app%2F"):
        assert secret not in told
