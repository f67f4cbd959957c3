"""HTTP server that answers as the Facebook Marketing API and the Google Ads API do.

Here belongs HTTP: who may ask, rate limits, injected faults, and handing a request to the API's own
module. The figures are simulated, see :mod:`ads_model`; the answers' shapes are in
:mod:`ads_facebook` and :mod:`ads_google`, the faults' names in :mod:`ads_faults`.

Every answer carries ``X-Source-Clock`` (ISO 8601, UTC), the simulator's present.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import retail_platform.simulator.ads_facebook as ads_facebook
import retail_platform.simulator.ads_google as ads_google
from retail_platform.simulator.ads_answer import Answer
from retail_platform.simulator.ads_facebook_state import FacebookState
from retail_platform.simulator.ads_faults import Fault, Faults
from retail_platform.simulator.ads_google import GoogleState
from retail_platform.simulator.http_serving import Quiet, running

__all__ = ["Faults", "serve", "serving"]

_CALM = 75.0
"""Percent of its limit that an account shows at most while nothing is wrong."""


class AdsServer(ThreadingHTTPServer):
    """The listening server with what its handlers need.

    Attributes:
        facebook: Tokens and report runs of the Marketing API.
        google: Access tokens of the Google Ads API.
        requests: Method and path of every request, in order.
    """

    def __init__(self, clock: Callable[[], datetime], seed: int, faults: Faults) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.clock = clock
        self.seed = seed
        self.faults = faults
        self.numbers = count(1)
        self.facebook = FacebookState(fates=faults.fates)
        self.google = GoogleState()
        self.requests: list[str] = []

    @property
    def base_url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(Quiet, BaseHTTPRequestHandler):
    """One request: fault, rate limit, then the API named by the path."""

    @property
    def _ads(self) -> AdsServer:
        return cast(AdsServer, self.server)

    def do_GET(self) -> None:
        self._serve({}, {})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length)
        if "form-urlencoded" in (self.headers.get("Content-Type") or ""):
            self._serve({}, dict(parse_qsl(content.decode(), keep_blank_values=True)))
            return
        try:
            body = json.loads(content or b"{}")
        except ValueError:
            self._send(ads_google.invalid("the body is not JSON"), None)
            return
        self._serve(body, {})

    @property
    def _is_google(self) -> bool:
        path = urlsplit(self.path).path
        return path == ads_google.TOKEN_PATH or "/customers/" in path

    def _serve(self, body: dict[str, Any], form: Mapping[str, str]) -> None:
        number = next(self._ads.numbers)
        self._ads.requests.append(f"{self.command} {urlsplit(self.path).path}")
        faults = self._ads.faults
        fault = faults.kinds.get(number)
        every = faults.rate_limit_every
        if fault == "no_answer":
            self.close_connection = True
            return
        if fault == "slow":
            time.sleep(faults.slow_seconds)
        if fault == "token_expired":
            for token in list(self._ads.facebook.valid):
                self._ads.facebook.end(token)
            self._ads.google.valid.clear()
        if fault == "rate_limit" or (every and number % every == 0):
            answer = self._api.rate_limited(faults.retry_after)
        else:
            answer = self._faulty(fault) or self._answer(body, form, fault)
        if not self._is_google:
            percent, regain = (100.0, faults.regain_minutes) if fault == "full" else (None, 0)
            used = ads_facebook.usage(percent or number * 3 % _CALM, regain)
            answer = replace(answer, headers={**answer.headers, **used})
        self._send(answer, fault)

    @property
    def _api(self) -> Any:  # noqa: ANN401 - one of two modules with the same functions
        return ads_google if self._is_google else ads_facebook

    def _faulty(self, fault: Fault | None) -> Answer | None:
        """The answer that takes the place of the proper one, if one does."""
        if fault == "server_error":
            return self._api.server_error()
        if fault == "unavailable":
            return replace(self._api.server_error(), status=503)
        if fault == "account_limit" and not self._is_google:
            return ads_facebook.account_limited()
        if fault == "cursor_expired" and not self._is_google:
            return ads_facebook.cursor_expired()
        return None

    def _answer(self, body: dict[str, Any], form: Mapping[str, str], fault: Fault | None) -> Answer:
        url = urlsplit(self.path)
        clock, seed = self._ads.clock(), self._ads.seed
        headers = {name.lower(): value for name, value in self.headers.items()}
        if url.path == ads_google.TOKEN_PATH:
            return ads_google.token(form, self._ads.google)
        if self._is_google:
            return ads_google.answer(
                self.command,
                url.path,
                body=body,
                headers=headers,
                clock=clock,
                seed=seed,
                state=self._ads.google,
                breaks=fault == "broken_stream",
            )
        return ads_facebook.answer(
            self.command,
            url.path,
            parameters={**dict(parse_qsl(url.query, keep_blank_values=True)), **form},
            headers=headers,
            base_url=self._ads.base_url,
            clock=clock,
            seed=seed,
            state=self._ads.facebook,
            repeats=fault == "repeated_page",
        )

    def _send(self, answer: Answer, fault: Fault | None) -> None:
        content = json.dumps(answer.body).encode()
        if fault == "malformed":
            content = b"<html>" + content
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Source-Clock", self._ads.clock().isoformat())
        for name, value in answer.headers.items():
            self.send_header(name, value)
        half = fault == "half_page"
        if half:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if half else content)


@contextmanager
def serving(
    clock: Callable[[], datetime], *, seed: int, faults: Faults | None = None
) -> Iterator[AdsServer]:
    """Serve both APIs on a free port of 127.0.0.1 until the context ends; yields the server.

    Args:
        clock: The simulator's present; asked at every request.
        seed: Seed of the figures.
        faults: What goes wrong on purpose; by default only the regular rate limit.
    """
    server = AdsServer(clock, seed, faults or Faults())
    with running(server):
        yield server


@contextmanager
def serve(
    clock: Callable[[], datetime], *, seed: int, faults: Faults | None = None
) -> Iterator[str]:
    """The same; yields the base URL."""
    with serving(clock, seed=seed, faults=faults) as server:
        yield server.base_url
