"""HTTP for APIs that answer in JSON: time limits, retries, and failures in the platform's words.

Belongs here: what every API shares. Not here: paths, parameters and rows of one API.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError

from retail_platform.control.redaction import redact, redact_log, redacted
from retail_platform.extract.closing import Closing
from retail_platform.extract.http_times import retry_after, source_clock
from retail_platform.extract.json_text import parsed_json
from retail_platform.failures import PermanentFailure, TransientFailure

_RETRIED = frozenset({408, 429, 500, 502, 503, 504})
_UNAUTHORISED = 401
_BLOCK_BYTES = 1 << 16
_WHOLE = range(200, 300)


class RequestRefused(PermanentFailure):
    """The API refused a request.

    Attributes:
        status: HTTP status of the answer.
        body: What the answer said, for whoever knows the API better.
    """

    def __init__(self, message: str, status: int, body: Mapping[str, Any] | None = None) -> None:
        """Keep the answer beside the message."""
        super().__init__(message)
        self.status = status
        self.body = body or {}


class Authorization(Protocol):
    """Says who asks, where that changes in time; a fixed token is a header of the API."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that no message may show, those of tokens that have expired among them."""
        ...

    def headers(self) -> Mapping[str, str]:
        """Headers of the next request.

        Raises:
            TransientFailure: there is no token to be had now.
            PermanentFailure: no token is given to these credentials.
        """
        ...

    def refused(self) -> bool:
        """Told that the API refused these headers: whether asking again may help.

        Raises:
            TransientFailure: there is no token to be had now.
            PermanentFailure: no token is given to these credentials.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to try.

    Attributes:
        attempts: Requests before giving up.
        backoff: Seconds before the second attempt; doubled each time, with jitter.
        longest_wait: Seconds beyond which a wait is left to a later run.
        connect_timeout: Seconds to connect.
        read_timeout: Seconds between two bytes of an answer.
        answer_timeout: Seconds for a whole answer, for servers that send it drop by drop.
    """

    attempts: int = 5
    backoff: float = 0.5
    longest_wait: float = 60.0
    connect_timeout: float = 5.0
    read_timeout: float = 60.0
    answer_timeout: float = 300.0

    def wait(self, attempt: int) -> float:
        """Seconds to wait after an attempt (from 1) whose answer names no time."""
        longest = min(self.backoff * 2 ** (attempt - 1), self.longest_wait)
        return random.uniform(longest / 2, longest)  # noqa: S311 - spreads load, hides nothing


@dataclass(frozen=True)
class Answer:
    """A JSON answer and the source's present when it was given.

    Attributes:
        body: The parsed answer; numbers are `JsonNumber`, text exactly as they stood.
        clock: Aware UTC.
        following: URL that the answer's Link header names as the next page.
    """

    body: dict[str, Any]
    clock: datetime
    following: str | None = None


URLS_LOGGED_BY = "urllib3.connectionpool"
"""The log, at its finest level, in which whole URLs stand, parameters with secrets included."""


def _never(_status: int, _body: Mapping[str, Any]) -> bool:
    return False


def _unauthorised(status: int, _body: Mapping[str, Any]) -> bool:
    return status == _UNAUTHORISED


def _unsaid(_body: Mapping[str, Any]) -> float | None:
    return None


def _nothing(*_: object) -> None:
    """Nobody asked to be told."""


@dataclass(kw_only=True)
class JsonApi(Closing):
    """One API behind one base URL; open it as a context or call `close`.

    Attributes:
        base_url: What paths are relative to.
        name: The source in messages.
        headers: Sent with each request.
        secrets: Values that no message may show.
        patience: How long to try.
        busy: Tells from status and body whether an error that is not retried by its status means
            no more than "later", such as a rate limit sent as 400.
        authorization: Tokens that expire; None where `headers` say who asks.
        expired: Tells from status and body whether an error means that the token is refused.
        delay: Seconds to wait that an error's body names, where no header does.
        before: Called before every request, repeated ones too; raises where none may be sent.
        watch: Called with the headers of every answer.
    """

    base_url: str
    name: str
    headers: Mapping[str, str]
    secrets: tuple[str, ...] = ()
    patience: Patience = field(default_factory=Patience)
    busy: Callable[[int, Mapping[str, Any]], bool] = _never
    authorization: Authorization | None = None
    expired: Callable[[int, Mapping[str, Any]], bool] = _unauthorised
    delay: Callable[[Mapping[str, Any]], float | None] = _unsaid
    before: Callable[[], None] = _nothing
    watch: Callable[[Mapping[str, str]], None] = _nothing
    _session: requests.Session = field(init=False, repr=False, default_factory=requests.Session)

    def __post_init__(self) -> None:
        """Give the session its headers."""
        redact_log(URLS_LOGGED_BY)
        self._session.headers.update(self.headers)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask until there is a whole answer, the API refuses, or patience ends.

        Args:
            method: HTTP method.
            path: Below the base URL, or a whole URL of the same server.
            parameters: Of the query.
            body: Sent as JSON.
            form: Sent as a form.

        Raises:
            TransientFailure: No whole answer within the attempts, or the API asks to wait longer.
            RequestRefused: The API refused the request; the message is the API's own.
            PermanentFailure: The request cannot be sent, or the URL is of another server, which
                must not be told who asks.
        """
        request = _Request(method, path, parameters, body, form)
        for attempt in range(1, self.patience.attempts + 1):
            try:
                return self._attempt(request)
            except _TryAgain as again:
                wait = self.patience.wait(attempt) if again.wait is None else again.wait
                if attempt == self.patience.attempts or wait > self.patience.longest_wait:
                    raise TransientFailure(
                        f"source {self.name}, {method} {path}: {again.found}; gave up after "
                        f"{attempt} attempts (the next would wait {wait:.0f} s); it is tried again "
                        "with the next run; if it stays, check the API's status page and quota"
                    ) from again
            time.sleep(wait)
        raise AssertionError("attempts must be at least 1")

    def url(self, path: str) -> str:
        """The URL of a path below the base URL; a whole URL stays as it is.

        Raises:
            PermanentFailure: It is of another server, which must not be told who asks.
        """
        base = self.base_url.rstrip("/")
        if "://" not in path:
            return f"{base}/{path.lstrip('/')}" if path else base
        if _server(path) != _server(base):
            raise PermanentFailure(
                f"source {self.name}: the API sent us to {_server(path)}, which is not its own "
                f"server {_server(base)}; such a URL is not followed, it would be told the token. "
                "Check the source's URL"
            )
        return path

    def _attempt(self, request: "_Request") -> Answer:
        response, content = self._exchange(request)
        if (
            self.authorization is not None
            and response.status_code not in _WHOLE
            and self.expired(response.status_code, _error_body(content))
            and self.authorization.refused()
        ):
            response, content = self._exchange(request)
        return self._judged(response, content, str(request))

    def _exchange(self, request: "_Request") -> tuple[requests.Response, bytes]:
        """One request with its whole answer."""
        url = self.url(request.path)
        headers = self.authorization.headers() if self.authorization else {}
        deadline = time.monotonic() + self.patience.answer_timeout
        self.before()
        try:
            with self._session.request(
                request.method,
                url,
                params=request.parameters,
                json=request.body,
                data=request.form,
                headers=headers,
                timeout=(self.patience.connect_timeout, self.patience.read_timeout),
                stream=True,
                # Another server must not be told who asks.
                allow_redirects=False,
                # Without it a .netrc would replace the token.
                auth=_as_it_is,
            ) as response:
                self.watch(response.headers)
                return response, self._content(response, deadline)
        except (requests.ConnectionError, requests.Timeout) as error:
            raise _TryAgain(f"no answer ({self.clean(str(error))})") from self._hidden(error)
        except HTTPError as error:
            raise _TryAgain("the answer broke off") from self._hidden(error)
        except requests.RequestException as error:
            raise PermanentFailure(
                f"source {self.name}, {request}: the request cannot be sent "
                f"({self.clean(str(error))}); check the source's URL"
            ) from self._hidden(error)

    def _content(self, response: requests.Response, deadline: float) -> bytes:
        parts = []
        # As it arrives: waiting for a whole block would not see the time pass.
        while part := response.raw.read1(_BLOCK_BYTES, decode_content=True):
            parts.append(part)
            if time.monotonic() > deadline:
                raise _TryAgain(f"no whole answer in {self.patience.answer_timeout:.0f} s")
        return b"".join(parts)

    def _judged(self, response: requests.Response, text: bytes, request: str) -> Answer:
        status = response.status_code
        whole = status in _WHOLE
        if whole:
            try:
                content = parsed_json(text)
            except ValueError as error:
                raise _TryAgain("the answer is no whole JSON (half a page)") from error
            content = content if isinstance(content, dict) else {"data": content}
            link = response.links.get("next", {}).get("url")
            following = urljoin(response.url, link) if link else None
            return Answer(content, source_clock(response.headers), following)
        content = self._without_secrets(_error_body(text))
        found = f"status {status}: {self.clean(_message(content) or response.reason)}"
        if status in _RETRIED or self.busy(status, content):
            named = retry_after(response.headers)
            raise _TryAgain(found, self.delay(content) if named is None else named)
        if response.is_redirect:
            moved = _server(urljoin(response.url, response.headers["Location"]))
            found = f"{found}, to {moved}, which is not followed"
        raise RequestRefused(
            f"source {self.name}, {request}: {found}; check the token, the account and its rights "
            "in the source's settings",
            status,
            content,
        )

    def clean(self, text: str) -> str:
        """A text of the API without secrets, for messages."""
        return redact(text, *self._all_secrets)

    def members(self, body: Mapping[str, Any]) -> str:
        """The names of an answer's first members, for messages."""
        return self.clean(", ".join(sorted(body)[:20])) or "nothing"

    @property
    def _all_secrets(self) -> tuple[str, ...]:
        return (*self.secrets, *(self.authorization.secrets if self.authorization else ()))

    def _without_secrets(self, body: dict[str, Any]) -> dict[str, Any]:
        """An error as whoever knows the API better may tell it."""
        return {name: redacted(member, *self._all_secrets) for name, member in body.items()}

    def _hidden(self, error: Exception) -> Exception:
        """The error for tracebacks: the library's own text may name a URL with its parameters."""
        return ConnectionError(f"{type(error).__name__}: {self.clean(str(error))}")


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    parameters: Mapping[str, str] | None
    body: Mapping[str, Any] | None
    form: Mapping[str, str] | None

    def __str__(self) -> str:
        # A URL that the API gave may carry more than a path.
        return f"{self.method} {urlsplit(self.path).path or '/'}"


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _server(url: str) -> str:
    """Scheme and server of a URL, as people know it: without user and password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"


class _TryAgain(Exception):
    """An attempt that another may mend; `wait` in seconds where the API named one."""

    def __init__(self, found: str, wait: float | None = None) -> None:
        super().__init__(found)
        self.found = found
        self.wait = wait


def _error_body(text: bytes) -> dict[str, Any]:
    """What an error answer says; nothing where it is no JSON."""
    try:
        content = parsed_json(text)
    except ValueError:
        return {}
    # An answer that would have been a list tells its error as the list's only member.
    if isinstance(content, list) and content:
        content = content[0]
    return content if isinstance(content, dict) else {}


def _message(content: Mapping[str, Any]) -> str | None:
    error = content.get("error")
    if isinstance(error, Mapping):
        return str(error.get("message") or error.get("status") or "") or None
    told = content.get("error_description") or content.get("message") or content.get("detail")
    return ": ".join(str(part) for part in (error, told) if part) or None
