"""HTTP server that answers as the Facebook Marketing API and the Google Ads API do.

Here belongs HTTP: who may ask, rate limits, injected faults, and handing a request to the API's own
module. The figures are simulated, see :mod:`ads_model`; the answers' shapes are in
:mod:`ads_facebook` and :mod:`ads_google`.

Every answer carries ``X-Source-Clock`` (ISO 8601, UTC), the simulator's present.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, Literal, cast
from urllib.parse import parse_qsl, urlsplit

import retail_platform.simulator.ads_facebook as ads_facebook
import retail_platform.simulator.ads_google as ads_google
from retail_platform.simulator.ads_answer import Answer

RATE_LIMIT_EVERY = 40
RETRY_AFTER_SECONDS = 1


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Which requests go wrong, by number (the first request to the server is 1), for tests.

    Attributes:
        kinds: Request number -> what happens: ``server_error`` answers 500, ``half_page`` announces
            the whole body and sends half of it, ``rate_limit`` answers 429 with Retry-After.
        rate_limit_every: Every n-th request is answered 429; 0 switches it off.
        retry_after: Seconds that a 429 asks to wait.
    """

    kinds: Mapping[int, Literal["server_error", "half_page", "rate_limit"]] = field(
        default_factory=dict
    )
    rate_limit_every: int = RATE_LIMIT_EVERY
    retry_after: int = RETRY_AFTER_SECONDS


class _Server(ThreadingHTTPServer):
    """The listening server with what its handlers need."""

    daemon_threads = True

    def __init__(self, clock: Callable[[], datetime], seed: int, faults: Faults) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.clock = clock
        self.seed = seed
        self.faults = faults
        self.numbers = count(1)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    """One request: fault, rate limit, then the API named by the path."""

    protocol_version = "HTTP/1.1"

    @property
    def _ads(self) -> _Server:
        return cast(_Server, self.server)

    def do_GET(self) -> None:
        self._serve({})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length) or b"{}"
        try:
            body = json.loads(content)
        except ValueError:
            self._send(ads_google.invalid("the body is not JSON"), half=False)
            return
        self._serve(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep requests out of the console."""

    def _serve(self, body: dict[str, Any]) -> None:
        number = next(self._ads.numbers)
        faults = self._ads.faults
        fault = faults.kinds.get(number)
        every = faults.rate_limit_every
        api = ads_google if self.path.startswith("/v18/") else ads_facebook
        if fault == "server_error":
            answer = api.server_error()
        elif fault == "rate_limit" or (every and number % every == 0):
            answer = api.rate_limited(faults.retry_after)
        else:
            answer = self._answer(body)
        self._send(answer, half=fault == "half_page")

    def _answer(self, body: dict[str, Any]) -> Answer:
        url = urlsplit(self.path)
        clock, seed = self._ads.clock(), self._ads.seed
        headers = {name.lower(): value for name, value in self.headers.items()}
        if url.path.startswith("/v18/"):
            return ads_google.answer(
                self.command, url.path, body=body, headers=headers, clock=clock, seed=seed
            )
        return ads_facebook.answer(
            self.command,
            url.path,
            parameters=dict(parse_qsl(url.query, keep_blank_values=True)),
            headers=headers,
            base_url=self._ads.base_url,
            clock=clock,
            seed=seed,
        )

    def _send(self, answer: Answer, *, half: bool) -> None:
        content = json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Source-Clock", self._ads.clock().isoformat())
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if half:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if half else content)


@contextmanager
def serve(
    clock: Callable[[], datetime], *, seed: int, faults: Faults | None = None
) -> Iterator[str]:
    """Serve both APIs on a free port of 127.0.0.1 until the context ends; yields the base URL.

    Args:
        clock: The simulator's present; asked at every request.
        seed: Seed of the figures.
        faults: What goes wrong on purpose; by default only the regular rate limit.
    """
    server = _Server(clock, seed, faults or Faults())
    thread = threading.Thread(
        target=server.serve_forever,
        kwargs={"poll_interval": 0.05},
        name="simulated-ads",
        daemon=True,
    )
    thread.start()
    try:
        yield server.base_url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
