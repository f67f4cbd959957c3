"""Google Ads API: a report of one customer in its query language, as flat rows of text.

Belongs here: queries and rows. Not here: retries (`http`), errors (`google_errors`), tokens
(`oauth`), types and rules (the contract).

Shapes as in https://developers.google.com/google-ads/api/rest/common/search (searchStream),
https://developers.google.com/google-ads/api/rest/auth (headers) and
https://developers.google.com/google-ads/api/docs/query/overview (the language).
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa

from retail_platform.extract.account import Account, checked
from retail_platform.extract.closing import Closing
from retail_platform.extract.coverage import Bounds
from retail_platform.extract.google_errors import delay, explained, in_stream, is_busy
from retail_platform.extract.http import (
    Answer,
    Authorization,
    JsonApi,
    Patience,
    RequestRefused,
)
from retail_platform.extract.pages import text, text_stream
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.metadata.ads import CUSTOMER, DAY, GaqlReport

NAME = "google_ads"
TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 - where tokens are given
_WHO = "SELECT customer.id, customer.currency_code, customer.time_zone FROM customer LIMIT 1"

Rows = list[dict[str, Any]]


class GoogleAds(Closing):
    """One customer account; open it as a context or call `close`."""

    def __init__(
        self,
        base_url: str,
        *,
        authorization: Authorization,
        developer_token: str,
        customer: str,
        report: GaqlReport,
        version: str,
        login_customer: str | None = None,
        expected: Account | None = None,
        budget: Callable[[], None] | None = None,
        patience: Patience | None = None,
        name: str = NAME,
    ) -> None:
        """Name the account.

        Args:
            base_url: Such as ``https://googleads.googleapis.com``.
            authorization: OAuth access tokens.
            developer_token: Developer token of the API.
            customer: Customer id, with or without dashes.
            report: What is asked for.
            version: Version of the API, such as ``v25``.
            login_customer: Manager account through which the customer is reached.
            expected: Zone and currency that metadata gives the customer.
            budget: Called before every request; raises where none may be sent.
            patience: How long to try.
            name: The source in messages.
        """
        self._customer = customer.replace("-", "")
        self._report = report
        self._expected = expected
        self._path = f"/{version}/customers/{self._customer}/googleAds:searchStream"
        self._patience = patience or Patience()
        through = {"login-customer-id": login_customer.replace("-", "")} if login_customer else {}
        self._api = JsonApi(
            base_url=base_url,
            name=name,
            headers={"developer-token": developer_token, **through},
            secrets=(developer_token,),
            patience=self._patience,
            busy=is_busy,
            delay=delay,
            authorization=authorization,
            before=budget or _unlimited,
        )

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def clock(self) -> datetime:
        """The API's present, aware UTC.

        Raises:
            TransientFailure: The API does not answer.
            PermanentFailure: The API refuses, for instance the token, or the customer has another
                zone or currency than metadata says.
        """
        answer, rows = self._asked(_WHO)
        customer: Mapping[str, Any] = rows[0].get("customer") or {} if rows else {}
        found = Account(
            timezone=text(customer.get("timeZone")), currency=text(customer.get("currencyCode"))
        )
        place = f"source {self._api.name}, customer {self._customer}"
        checked(found, self._expected, place=place)
        return answer.clock

    def bounds(self, since: date, until: date) -> Bounds:
        """What a read of these days brings whole."""
        return {
            self._report.column(CUSTOMER): (self._customer, self._customer),
            self._report.column(DAY): (since.isoformat(), until.isoformat()),
        }

    def read(self, *, since: date, until: date) -> pa.RecordBatchReader:
        """The customer's rows of these days; both are included.

        Args:
            since: First day, in the account's zone.
            until: Last day, in the account's zone.

        Returns:
            A stream of the report's columns, all text as the API gave it; money in micros.

        Raises:
            TransientFailure: The API does not answer (also while the stream is read).
            PermanentFailure: The API refuses (also while the stream is read).
        """
        pages = self._pages(since, until)
        # Asked for now, so that a refusal is raised here and not in the middle of a write.
        first = next(pages)
        return text_stream(_chained(first, pages), list(self._report.fields), self._flat)

    def _pages(self, since: date, until: date) -> Iterator[Rows]:
        step = timedelta(days=self._report.days_per_call)
        while since <= until:
            last = min(since + step - timedelta(days=1), until)
            yield self._asked(search_query(self._report, since, last))[1]
            since = last + timedelta(days=1)

    def _asked(self, query: str) -> tuple[Answer, Rows]:
        """The rows of a query, all of them or none: a stream that breaks off is asked for anew."""
        attempt = 1
        while True:
            try:
                answer = self._api.call("POST", self._path, body={"query": query})
            except RequestRefused as refusal:
                raise RequestRefused(
                    f"{refusal} [{explained(refusal.body)}]", refusal.status, refusal.body
                ) from refusal
            chunks = answer.body.get("data")
            chunks = chunks if isinstance(chunks, list) else [answer.body]
            broken = in_stream(chunks)
            if broken is None:
                return answer, [row for chunk in chunks for row in chunk.get("results") or []]
            wait = self._again(broken, attempt)
            time.sleep(wait)
            attempt += 1

    def _again(self, broken: Mapping[str, Any], attempt: int) -> float:
        """Seconds after which a stream that ended in an error is asked for anew.

        Raises:
            TransientFailure: not in this run.
            PermanentFailure: never.
        """
        found = f"source {self._api.name}, POST {self._path}: {self._api.clean(explained(broken))}"
        if not is_busy(200, broken):
            raise PermanentFailure(f"{found}; check gaql of the table and the account's rights")
        named = delay(broken)
        wait = self._patience.wait(attempt) if named is None else named
        if attempt >= self._patience.attempts or wait > self._patience.longest_wait:
            raise TransientFailure(
                f"{found}; gave up after {attempt} attempts (the next would wait {wait:.0f} s); "
                "nothing of this read is kept; it is tried again with the next run"
            )
        return wait

    def _flat(self, row: Mapping[str, Any]) -> dict[str, str | None]:
        return {column: text(_value(row, field)) for column, field in self._report.fields.items()}


def search_query(report: GaqlReport, since: date, until: date) -> str:
    """The query of a report; dates are the only values in it."""
    return (
        f"SELECT {', '.join(report.fields.values())} FROM {report.resource} "
        f"WHERE {DAY} BETWEEN '{since.isoformat()}' AND '{until.isoformat()}'"
    )


def _unlimited() -> None:
    """There is no budget."""


def _chained(first: Rows, rest: Iterator[Rows]) -> Iterator[Rows]:
    yield first
    yield from rest


def _value(row: Mapping[str, Any], field: str) -> object:
    """A field of an answer, which nests the query's names in camel case."""
    found: Any = row
    for name in field.split("."):
        found = found.get(_camel(name)) if isinstance(found, Mapping) else None
    return found


def _camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)
