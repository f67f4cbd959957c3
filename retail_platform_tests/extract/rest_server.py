"""A real HTTP server of a paged REST API with OAuth, and faults on demand.

Not the simulator: it knows what a test gives it, and what it was asked is kept.
"""

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from retail_platform.simulator.http_serving import Quiet, running

TOKEN = "t0ken-0f-the-rest-api"
CLIENT_SECRET = "cl1ent-s3cret-of-the-rest-api"
Rows = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What an answer becomes.

    Attributes:
        status: Its status; 200 leaves the proper one.
        headers: Added to it.
        body: Takes the body's place.
        cut: ``length``: half of the announced bytes, then the line is dropped; ``json``: a whole
            answer whose body is half of the JSON.
        drip: Seconds between the bytes of the body.
        silent: Seconds before anything is sent.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    cut: str | None = None
    drip: float = 0.0
    silent: float = 0.0


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
        fault = fault or Fault()
        content = json.dumps(body).encode() if fault.body is None else fault.body
        if fault.cut == "json":
            content = content[: len(content) // 2]
        time.sleep(fault.silent)
        try:
            self.send_response(fault.status if fault.status != 200 else status)
            self.send_header("Content-Length", str(len(content)))
            if self.state.source_clock:
                self.send_header("X-Source-Clock", self.state.source_clock)
            for name, value in (fault.headers | ({"Link": link} if link else {})).items():
                self.send_header(name, value)
            self.end_headers()
            if fault.cut == "length":
                content = content[: len(content) // 2]
                self.close_connection = True
            for byte in content if fault.drip else ():
                self.wfile.write(bytes([byte]))
                time.sleep(fault.drip)
            if not fault.drip:
                self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            # The client has lost patience, as some tests want it to.
            self.close_connection = True
