"""HTTP for APIs that answer in JSON: time limits, retries, and failures in the platform's words.

Belongs here: what every API shares. Not here: paths, parameters and rows of one API.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Self

import requests

from retail_platform.control.redaction import redact
from retail_platform.failures import PermanentFailure, TransientFailure

_RETRIED = frozenset({429, 500, 502, 503, 504})
_CLOCK_HEADER = "X-Source-Clock"


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to try.

    Attributes:
        attempts: Requests before giving up.
        backoff: Seconds before the second attempt; doubled each time, with jitter.
        longest_wait: Seconds beyond which a wait is left to a later run.
        connect_timeout: Seconds to connect.
        read_timeout: Seconds between two bytes of an answer.
    """

    attempts: int = 5
    backoff: float = 0.5
    longest_wait: float = 60.0
    connect_timeout: float = 5.0
    read_timeout: float = 60.0

    def wait(self, attempt: int) -> float:
        """Seconds to wait after an attempt (from 1) whose answer names no time."""
        longest = min(self.backoff * 2 ** (attempt - 1), self.longest_wait)
        return random.uniform(longest / 2, longest)  # noqa: S311 - spreads load, hides nothing


@dataclass(frozen=True)
class Answer:
    """A JSON answer and the source's present when it was given.

    Attributes:
        body: The parsed answer; numbers are text exactly as they stood.
        clock: Aware UTC.
    """

    body: dict[str, Any]
    clock: datetime


def _never(_status: int, _body: Mapping[str, Any]) -> bool:
    return False


@dataclass(kw_only=True)
class JsonApi:
    """One API behind one base URL; open it as a context or call `close`.

    Attributes:
        base_url: What paths are relative to.
        name: The source in messages.
        headers: Sent with each request.
        secrets: Values that no message may show.
        patience: How long to try.
        busy: Tells from status and body whether an error that is not retried by its status means
            no more than "later", such as a rate limit sent as 400.
    """

    base_url: str
    name: str
    headers: Mapping[str, str]
    secrets: tuple[str, ...] = ()
    patience: Patience = field(default_factory=Patience)
    busy: Callable[[int, Mapping[str, Any]], bool] = _never
    _session: requests.Session = field(init=False, repr=False, default_factory=requests.Session)

    def __post_init__(self) -> None:
        """Give the session its headers."""
        self._session.headers.update(self.headers)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def __enter__(self) -> Self:
        """Use as a context."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Ask until there is a whole answer, the API refuses, or patience ends.

        Raises:
            TransientFailure: No whole answer within the attempts, or the API asks to wait longer.
            PermanentFailure: The API refused the request; the message is the API's own.
        """
        for attempt in range(1, self.patience.attempts + 1):
            try:
                return self._attempt(method, path, parameters, body)
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

    def _attempt(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
    ) -> Answer:
        try:
            response = self._session.request(
                method,
                f"{self.base_url.rstrip('/')}/{path.lstrip('/')}",
                params=parameters,
                json=body,
                timeout=(self.patience.connect_timeout, self.patience.read_timeout),
            )
        except (requests.ConnectionError, requests.Timeout) as error:
            raise _TryAgain(f"no answer ({self._clean(str(error))})") from error
        except requests.exceptions.ChunkedEncodingError as error:
            raise _TryAgain("the answer broke off") from error
        except requests.RequestException as error:
            raise PermanentFailure(
                f"source {self.name}, {method} {path}: the request cannot be sent "
                f"({self._clean(str(error))}); check the source's URL"
            ) from error
        return self._judged(response, f"{method} {path}")

    def _judged(self, response: requests.Response, request: str) -> Answer:
        try:
            content = response.json(parse_float=str, parse_int=str)
        except requests.JSONDecodeError as error:
            if response.ok:
                raise _TryAgain("the answer is no whole JSON (half a page)") from error
            content = {}
        content = content if isinstance(content, dict) else {"data": content}
        status = response.status_code
        if response.ok:
            return Answer(content, _clock(response))
        found = f"status {status}: {self._clean(_message(content) or response.reason)}"
        if status in _RETRIED or self.busy(status, content):
            raise _TryAgain(found, _retry_after(response))
        raise PermanentFailure(
            f"source {self.name}, {request}: {found}; check the token, the account and its rights "
            "in the source's settings"
        )

    def _clean(self, text: str) -> str:
        return redact(text, *self.secrets)


class _TryAgain(Exception):
    """An attempt that another may mend; `wait` in seconds where the API named one."""

    def __init__(self, found: str, wait: float | None = None) -> None:
        super().__init__(found)
        self.found = found
        self.wait = wait


def _message(content: Mapping[str, Any]) -> str | None:
    error = content.get("error")
    if isinstance(error, Mapping):
        return str(error.get("message") or error.get("status") or "") or None
    return str(error) if error else None


def _retry_after(response: requests.Response) -> float | None:
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0)


def _clock(response: requests.Response) -> datetime:
    own = response.headers.get(_CLOCK_HEADER)
    if own:
        return datetime.fromisoformat(own).astimezone(UTC)
    sent = response.headers.get("Date")
    return parsedate_to_datetime(sent).astimezone(UTC) if sent else datetime.now(UTC)
