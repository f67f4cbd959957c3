"""HTTP server of the simulated REST APIs: CRM, customer service, reviews, social, exchange rates.

Here belongs HTTP: who may ask, pages, windows, and a rate limit now and then. What the lists say is
in the modules beside this one. Each API pages and authorises in a way of its own, as in life.

Every answer carries ``X-Source-Clock`` (ISO 8601, UTC), the simulator's present.
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

from retail_platform.simulator.api_book import Book, Record
from retail_platform.simulator.http_serving import Quiet, running

CLIENT_ID = "retail-platform"
CLIENT_SECRET = "simulated-crm-client-secret"  # noqa: S105 - opens the simulator only
SUPPORT_TOKEN = "simulated-support-token"  # noqa: S105 - opens the simulator only
FEEDBACK_TOKEN = "simulated-feedback-token"  # noqa: S105 - opens the simulator only
TOKEN_SECONDS = 60
RATE_LIMIT_EVERY = 60

Books = Mapping[str, Book]
Query = Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """Status, body and headers of an answer."""

    status: int
    body: Any
    headers: tuple[tuple[str, str], ...] = ()


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Server(ThreadingHTTPServer):
    """The listening server with what its handlers need."""

    def __init__(self, clock: Callable[[], datetime], books: Callable[[], Books]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.clock = clock
        self.books = books
        self.numbers = count(1)
        self.tokens: dict[str, datetime] = {}

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def new_token(self) -> str:
        token = f"simulated-crm-token-{len(self.tokens) + 1}"
        self.tokens[token] = datetime.now(UTC)
        return token

    def knows(self, token: str) -> bool:
        given = self.tokens.get(token)
        return given is not None and (datetime.now(UTC) - given).total_seconds() < TOKEN_SECONDS


class _Handler(Quiet, BaseHTTPRequestHandler):
    @property
    def _api(self) -> _Server:
        return cast(_Server, self.server)

    def do_POST(self) -> None:
        form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        expected = ("client_credentials", CLIENT_ID, CLIENT_SECRET)
        given = tuple(form.get(name) for name in ("grant_type", "client_id", "client_secret"))
        if self.path == "/crm/oauth/token" and given == expected:
            body = {"access_token": self._api.new_token(), "expires_in": TOKEN_SECONDS}
            self._send(Answer(200, {**body, "token_type": "Bearer"}))
        else:
            self._send(Answer(401, {"error": "invalid_client"}))

    def do_GET(self) -> None:
        if next(self._api.numbers) % RATE_LIMIT_EVERY == 0:
            self._send(Answer(429, {"error": "too many requests"}, (("Retry-After", "1"),)))
            return
        url = urlsplit(self.path)
        try:
            self._send(self._answer(url.path, dict(parse_qsl(url.query))))
        except _Refused as refusal:
            self._send(Answer(refusal.status, {"error": {"message": str(refusal)}}))

    def _answer(self, path: str, query: Query) -> Answer:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        match path:
            case "/crm/v1/contacts":
                _require(self._api.knows(token))
                return self._contacts(query)
            case "/support/api/v2/tickets":
                _require(token == SUPPORT_TOKEN)
                return self._tickets(query)
            case "/feedback/v1/reviews":
                _require(token == FEEDBACK_TOKEN)
                return self._reviews(query)
            case "/social/v1/mentions":
                _require(token == FEEDBACK_TOKEN)
                return self._mentions(query)
            case "/rates/v1/daily":
                return self._rates(query)
        raise _Refused(404, f"no such list: {path}")

    def _contacts(self, query: Query) -> Answer:
        """Cursors; ``updated_since`` inclusive, ``updated_before`` exclusive."""
        rows = self._rows("contacts", query, "updated_since", "updated_before")
        part, following = _after_cursor(rows, query.get("cursor"), int(query.get("limit", "100")))
        return Answer(200, {"items": part, "page": {"next_cursor": following, "size": len(part)}})

    def _tickets(self, query: Query) -> Answer:
        """Zendesk's cursors, which are named at the end too; the window in seconds since 1970."""
        rows = self._rows("tickets", query, "start_time", None, seconds=True)
        size = int(query.get("page[size]", "100"))
        part, following = _after_cursor(rows, query.get("page[after]"), size)
        cursor = following or _cursor(len(rows))
        meta = {"has_more": following is not None, "after_cursor": cursor}
        return Answer(200, {"tickets": part, "meta": meta})

    def _reviews(self, query: Query) -> Answer:
        """Numbered pages with a total."""
        rows = self._rows("reviews", query, "changed_from", "changed_to")
        size, number = int(query.get("per_page", "50")), int(query.get("page", "1"))
        part = rows[(number - 1) * size : number * size]
        return Answer(200, {"reviews": part, "pagination": {"page": number, "total": len(rows)}})

    def _mentions(self, query: Query) -> Answer:
        """The list alone; the next page stands in the Link header."""
        rows = self._rows("mentions", query, "since", "until")
        size, begin = int(query.get("count", "50")), int(query.get("offset", "0"))
        link: tuple[tuple[str, str], ...] = ()
        if begin + size < len(rows):
            following = urlencode({**query, "offset": str(begin + size)})
            link = (("Link", f'</social/v1/mentions?{following}>; rel="next"'),)
        return Answer(200, rows[begin : begin + size], link)

    def _rates(self, query: Query) -> Answer:
        """Next URLs in the body; the window in whole days."""
        rows = self._rows("rates", query, "from", "to")
        size, begin = 100, int(query.get("offset", "0"))
        following = None
        if begin + size < len(rows):
            asked = urlencode({**query, "offset": str(begin + size)})
            following = f"{self._api.base_url}/rates/v1/daily?{asked}"
        return Answer(200, {"days": rows[begin : begin + size], "links": {"next": following}})

    def _rows(
        self, name: str, query: Query, since: str, until: str | None, *, seconds: bool = False
    ) -> list[Record]:
        def moment(parameter: str | None) -> datetime | None:
            text = query.get(parameter) if parameter else None
            if text is None:
                return None
            try:
                if seconds:
                    return datetime.fromtimestamp(int(text), UTC)
                found = datetime.fromisoformat(text)
            except ValueError as error:
                raise _Refused(400, f"{parameter} is no moment: {text}") from error
            return found if found.tzinfo else found.replace(tzinfo=UTC)

        clock = self._api.clock()
        return self._api.books()[name].listed(clock, since=moment(since), until=moment(until))

    def _send(self, answer: Answer) -> None:
        content = json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Source-Clock", self._api.clock().isoformat())
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _require(allowed: bool) -> None:
    if not allowed:
        raise _Refused(401, "the token is not valid")


def _after_cursor(
    rows: list[Record], cursor: str | None, size: int
) -> tuple[list[Record], str | None]:
    begin = 0
    if cursor:
        try:
            begin = int(base64.urlsafe_b64decode(cursor))
        except ValueError as error:
            raise _Refused(400, "no such cursor") from error
    following = _cursor(begin + size) if begin + size < len(rows) else None
    return rows[begin : begin + size], following


def _cursor(place: int) -> str:
    return base64.urlsafe_b64encode(str(place).encode()).decode()


@contextmanager
def serve(clock: Callable[[], datetime], books: Callable[[], Books]) -> Iterator[str]:
    """Serve all APIs on a free port of 127.0.0.1 until the context ends; yields the base URL.

    Args:
        clock: The simulator's present; asked at every request.
        books: The lists, asked at every request that needs them.
    """
    server = _Server(clock, books)
    with running(server):
        yield server.base_url
