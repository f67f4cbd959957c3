"""A real HTTP server that answers in the ad APIs' documented shapes, with faults on demand.

Not the simulator: it knows a handful of rows, so that the clients are tested against the shape and
not against themselves.
"""

import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from retail_platform.simulator.http_serving import Quiet, running
from retail_platform_tests.extract.faulty import Fault, send

TOKEN = "t0ps3cret"
DEVELOPER_TOKEN = "d3vs3cret"
HOUR = "hourly_stats_aggregated_by_advertiser_time_zone"


@dataclass
class AdsServer:
    """What the server knows and what it was asked."""

    url: str = ""
    page_rows: int = 2
    repeat_cursor: bool = False
    source_clock: str | None = None
    faults: deque[Fault | None] = field(default_factory=deque)
    requests: list[dict[str, Any]] = field(default_factory=list)
    insights: list[dict[str, Any]] = field(default_factory=list)
    campaigns: list[dict[str, Any]] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def serving(state: AdsServer) -> Iterator[AdsServer]:
    """Serve on a free port for as long as the context is open."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": state}))
    with running(server) as address:
        state.url = f"http://{address}"
        yield state


class _Handler(Quiet, BaseHTTPRequestHandler):
    state: AdsServer

    def do_GET(self) -> None:
        self._serve({})

    def do_POST(self) -> None:
        self._serve(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _serve(self, body: dict[str, Any]) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.state.requests.append({"path": parts.path, "query": query, "body": body})
        fault = self.state.faults.popleft() if self.state.faults else None
        status, answer = self._answer(parts.path, query)
        if fault is not None and fault.status != 200:
            answer = {"error": {"message": "fault"}}
        send(self, status, answer, fault, {"X-Source-Clock": self.state.source_clock})

    def _answer(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            message = f"Invalid OAuth access token {self.headers.get('Authorization')}"
            return 401, {"error": {"message": message, "type": "OAuthException", "code": 190}}
        if path == "/v25.0/act_42":
            account = {"name": "Shop", "currency": "USD", "timezone_name": "America/New_York"}
            return 200, account | {"id": "act_42", "account_id": "42"}
        if path == "/v25.0/act_42/campaigns":
            return 200, self._edge(self.state.campaigns, query)
        if path == "/v25.0/act_42/insights":
            return 200, self._edge(self.state.insights, query)
        if path == "/v25/customers/99/googleAds:searchStream":
            return self._search()
        return 404, {"error": {"message": f"no such edge: {path}"}}

    def _edge(self, rows: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
        begin = int(query.get("after", "0"))
        end = begin + self.state.page_rows
        paging: dict[str, Any] = {"cursors": {"before": str(begin), "after": str(end)}}
        if end < len(rows):
            paging["next"] = f"{self.state.url}/elsewhere?after={end}"
            if self.state.repeat_cursor:
                paging["cursors"]["after"] = "1"
        return {"data": rows[begin:end], "paging": paging}

    def _search(self) -> tuple[int, Any]:
        if self.headers.get("developer-token") != DEVELOPER_TOKEN:
            return 403, {"error": {"code": 403, "message": "DEVELOPER_TOKEN_INVALID"}}
        rows, size = self.state.results, self.state.page_rows
        starts = range(0, len(rows), size)
        return 200, [{"results": rows[n : n + size], "fieldMask": ""} for n in starts]
