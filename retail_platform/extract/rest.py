"""A list of a REST API, page by page: what is asked, and how the next page is found.

Belongs here: paging, and what a page must not do to a read. Not here: HTTP and its retries
(`http`), the window as parameters (`rest_window`), records as rows (`nested`).
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urljoin

from retail_platform.extract.http import Answer, JsonApi, RequestRefused
from retail_platform.extract.json_text import json_text
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.metadata.rest import CursorPages, Endpoint, LinkedPages, NumberedPages

_WHO_ASKS = frozenset({401, 403})
_AGAIN = "nothing of this read is kept; it is tried again from the first page"

Records = list[object]


class RestList:
    """One list of an API."""

    def __init__(self, api: JsonApi, endpoint: Endpoint) -> None:
        """Name the list.

        Args:
            api: The API.
            endpoint: The list's metadata.
        """
        self._api = api
        self._endpoint = endpoint

    def clock(self, path: str | None) -> datetime:
        """The API's present, aware UTC.

        Args:
            path: What is asked for it; None: the list itself.

        Raises:
            TransientFailure: The API does not answer.
            PermanentFailure: The API refuses, for instance the token.
        """
        if path is not None:
            return self._api.call("GET", path).clock
        paging = self._endpoint.paging
        few = {paging.size: "1"} if paging is not None and paging.size else {}
        parameters = {**self._endpoint.parameters, **few}
        return self._api.call("GET", self._endpoint.path, parameters=parameters).clock

    def pages(self, asked: Mapping[str, str]) -> Iterator[Records]:
        """The records of each page, with numbers as `JsonNumber`.

        Args:
            asked: Parameters of this read.

        Raises:
            TransientFailure: The API does not answer; a page came twice; a cursor is not taken any
                more; records moved between the pages.
            PermanentFailure: The API refuses, or an answer is not what the metadata says.
        """
        paging = self._endpoint.paging
        size = {paging.size: str(paging.rows)} if paging is not None and paging.size else {}
        parameters = {**self._endpoint.parameters, **size, **asked}
        if isinstance(paging, NumberedPages):
            parameters[paging.parameter] = str(paging.first)
        request: tuple[str, dict[str, str]] | None = (self._endpoint.path, parameters)
        seen: dict[bytes, int] = {}
        count, total, number = 0, None, 0
        while request is not None:
            number += 1
            answer = self._page(*request, number)
            records = self._records(answer, number)
            count += len(records)
            self._refuse_twice(records, number, seen)
            total = self._total(answer, total, number)
            yield records
            request = self._following(answer, request, len(records), number, count == total)
        if total is not None and count != total:
            raise self._moved(f"{count} records in {number} pages, the API counts {total}")

    def _page(self, path: str, parameters: Mapping[str, str], number: int) -> Answer:
        try:
            return self._api.call("GET", path, parameters=parameters)
        except RequestRefused as refusal:
            if number == 1 or refusal.status in _WHO_ASKS:
                raise
            raise TransientFailure(
                f"{refusal} - that was page {number}: the API does not take its own cursor any "
                f"more, which has expired as a rule; {_AGAIN}; if it stays, ask for smaller pages"
            ) from refusal

    def _records(self, answer: Answer, number: int) -> Records:
        path = self._endpoint.records
        found = member(answer.body, path)
        if isinstance(found, list):
            return found
        if found is None and _has(answer.body, path):
            return []
        raise PermanentFailure(
            f"{self._place}, page {number}: no list of records at {path}; found "
            f"{self._api.members(answer.body)}; correct rest.records of the table's row"
        )

    def _refuse_twice(self, records: Records, number: int, seen: dict[bytes, int]) -> None:
        if not records:
            return
        digest = hashlib.blake2b(json_text(records).encode("utf-8", "replace"), digest_size=16)
        first = seen.setdefault(digest.digest(), number)
        if first != number:
            raise TransientFailure(
                f"{self._place}: page {number} is page {first} once more, so that another one is "
                f"missing; {_AGAIN}; if it stays, check rest.paging of the table's row"
            )

    def _total(self, answer: Answer, before: int | None, number: int) -> int | None:
        paging = self._endpoint.paging
        if paging is None or paging.total is None:
            return None
        found = member(answer.body, paging.total)
        if not str(found).isdecimal():
            raise PermanentFailure(
                f"{self._place}, page {number}: no number of records at {paging.total}, found "
                f"{self._api.clean(repr(found))}; correct rest.paging.total of the table's row"
            )
        total = int(str(found))
        if before is not None and total != before:
            raise self._moved(f"the API counted {before} records, and {total} on page {number}")
        return total

    def _following(
        self,
        answer: Answer,
        request: tuple[str, dict[str, str]],
        records: int,
        number: int,
        complete: bool,
    ) -> tuple[str, dict[str, str]] | None:
        """The request of the next page; None at the end."""
        paging = self._endpoint.paging
        path, parameters = request
        following = None
        if isinstance(paging, NumberedPages) and records and not complete:
            # A page that is not full is no sign of the end: the API may have a smaller limit.
            following = (path, {**parameters, paging.parameter: str(paging.first + number)})
        elif isinstance(paging, CursorPages):
            cursor = member(answer.body, paging.cursor)
            ended = paging.more is not None and member(answer.body, paging.more) in (False, None)
            if cursor and not ended:
                following = (path, {**parameters, paging.parameter: str(cursor)})
        elif isinstance(paging, LinkedPages):
            url = member(answer.body, paging.url) if paging.url else answer.following
            if url:
                # The URL carries the parameters.
                following = (urljoin(self._api.url(path), str(url)), {})
        if following == request:
            raise TransientFailure(
                f"{self._place}: page {number} names itself as the next page; {_AGAIN}"
            )
        return following

    def _moved(self, found: str) -> TransientFailure:
        return TransientFailure(
            f"{self._place}: records moved between the pages while they were read: {found}; "
            f"{_AGAIN}"
        )

    @property
    def _place(self) -> str:
        return f"source {self._api.name}, GET {self._endpoint.path}"


def member(body: object, path: str) -> Any:  # noqa: ANN401 - JSON
    """The member at a path; None where there is none."""
    for step in path.split("."):
        if not isinstance(body, dict):
            return None
        body = body.get(step)
    return body


def _has(body: object, path: str) -> bool:
    *around, last = path.split(".")
    holder = member(body, ".".join(around)) if around else body
    return isinstance(holder, dict) and last in holder
