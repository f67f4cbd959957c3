"""A real HTTP server of a paged REST API with OAuth, and faults on demand.

Not the simulator: it knows what a test gives it, and what it was asked is kept.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from retail_platform.simulator.http_serving import Quiet, running
from retail_platform_tests.extract.faulty import Fault, send

TOKEN = "t0ken-0f-the-rest-api"
CLIENT_SECRET = "cl1ent-s3cret-of-the-rest-api"
Rows = list[dict[str, Any]]


@dataclass
class RestServer:
    """What the server knows and what it was asked.

    Attributes:
        url: Its address.
        answer: Gives status and body of a path with its query.
        links: Gives the Link header of a path with its query.
        tokens: Access tokens that are good now.
        expires_in: What the token endpoint says of a token's life.
        faults: What becomes of the next answers, first in first out; None: nothing.
        requests: Path and query of every request but those for tokens.
        token_requests: Forms of the requests for tokens.
    """

    url: str = ""
    answer: Callable[[str, dict[str, str]], tuple[int, Any]] = lambda _path, _query: (200, {})
    links: Callable[[str, dict[str, str]], str | None] = lambda _path, _query: None
    tokens: set[str] = field(default_factory=lambda: {TOKEN})
    expires_in: int = 3600
    source_clock: str | None = None
    faults: deque[Fault | None] = field(default_factory=deque)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    token_requests: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def serving_rest(state: RestServer) -> Iterator[RestServer]:
    """Serve on a free port for as long as the context is open."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": state}))
    with running(server) as address:
        state.url = f"http://{address}"
        yield state


class _Handler(Quiet, BaseHTTPRequestHandler):
    state: RestServer

    def do_POST(self) -> None:
        form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        self.state.token_requests.append(form)
        if form.get("client_secret") != CLIENT_SECRET:
            message = f"no client with secret {form.get('client_secret')}"
            self._send(401, {"error": "invalid_client", "error_description": message}, None)
            return
        token = f"{TOKEN}-{len(self.state.token_requests)}"
        self.state.tokens = {token}
        self._send(200, {"access_token": token, "expires_in": self.state.expires_in}, None)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        self.state.requests.append((parts.path, query))
        fault = self.state.faults.popleft() if self.state.faults else None
        sent = self.headers.get("Authorization", "")
        if sent.removeprefix("Bearer ") not in self.state.tokens:
            self._send(401, {"error": {"message": f"bad token {sent}"}}, fault)
            return
        self._send(*self.state.answer(parts.path, query), fault, self.state.links(self.path, query))

    def _send(
        self, status: int, body: object, fault: Fault | None, link: str | None = None
    ) -> None:
        clock = self.state.source_clock
        send(self, status, body, fault, {"X-Source-Clock": clock, "Link": link})
