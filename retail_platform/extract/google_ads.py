"""Google Ads API: campaign performance by hour of one customer, as flat rows of text.

Belongs here: the shape of this API. Not here: retries (`http`), types and rules (the contract).
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from retail_platform.extract.http import JsonApi, Patience
from retail_platform.extract.pages import Page, all_pages, text, text_stream

VERSION = "v18"

# Column to GAQL field; the answer nests the same names in camel case.
_FIELDS = {
    "account_id": "customer.id",
    "campaign_id": "campaign.id",
    "campaign_name": "campaign.name",
    "campaign_status": "campaign.status",
    "channel_type": "campaign.advertising_channel_type",
    "segments_date": "segments.date",
    "segments_hour": "segments.hour",
    "impressions": "metrics.impressions",
    "clicks": "metrics.clicks",
    "cost_micros": "metrics.cost_micros",
    "conversions": "metrics.conversions",
    "conversions_value": "metrics.conversions_value",
    "currency_code": "customer.currency_code",
    "timezone_name": "customer.time_zone",
    "daily_budget_micros": "campaign_budget.amount_micros",
}
COLUMNS = list(_FIELDS)

Rows = list[dict[str, Any]]


class GoogleAds:
    """One customer account; open it as a context or call `close`."""

    def __init__(
        self,
        base_url: str,
        *,
        token: str,
        developer_token: str,
        customer: str,
        patience: Patience | None = None,
    ) -> None:
        """Name the account.

        Args:
            base_url: Such as ``https://googleads.googleapis.com``.
            token: OAuth access token.
            developer_token: Developer token of the API.
            customer: Customer id, with or without dashes.
            patience: How long to try.
        """
        self._path = f"/{VERSION}/customers/{customer.replace('-', '')}/googleAds:search"
        self._api = JsonApi(
            base_url=base_url,
            name="google_ads",
            headers={"Authorization": f"Bearer {token}", "developer-token": developer_token},
            secrets=(token, developer_token),
            patience=patience or Patience(),
        )

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def __enter__(self) -> Self:
        """Use as a context."""
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.close()

    def clock(self) -> datetime:
        """The API's present, aware UTC.

        Raises:
            TransientFailure: The API does not answer.
            PermanentFailure: The API refuses, for instance the token.
        """
        query = {"query": "SELECT customer.id FROM customer LIMIT 1"}
        return self._api.call("POST", self._path, body=query).clock

    def read(self, *, since: date, until: date) -> pa.RecordBatchReader:
        """The customer's rows by campaign, day and hour; both days are included.

        Args:
            since: First day, in the account's zone.
            until: Last day, in the account's zone.

        Returns:
            A stream of `COLUMNS`, all text as the API gave it; money in micros.

        Raises:
            TransientFailure: The API does not answer, or its pages do not end (also while the
                stream is read).
            PermanentFailure: The API refuses (also while the stream is read).
        """
        query = search_query(since, until)
        pages = all_pages(
            lambda cursor: self._page(query, cursor),
            place=f"source google_ads, POST {self._path}",
        )
        # Asked for now, so that a refusal is raised here and not in the middle of a write.
        first = next(pages)
        return text_stream(_chained(first, pages), COLUMNS, _flat)

    def _page(self, query: str, cursor: str | None) -> Page:
        # The size of a page is not asked for: the API fixed it, and refuses the field.
        body = {"query": query} | ({"pageToken": cursor} if cursor else {})
        found = self._api.call("POST", self._path, body=body).body
        return found.get("results") or [], found.get("nextPageToken") or None


def search_query(since: date, until: date) -> str:
    """The GAQL text; dates are the only values in it."""
    return (
        f"SELECT {', '.join(_FIELDS.values())} FROM campaign "
        f"WHERE segments.date BETWEEN '{since.isoformat()}' AND '{until.isoformat()}'"
    )


def _chained(first: Rows, rest: Iterator[Rows]) -> Iterator[Rows]:
    yield first
    yield from rest


def _flat(row: Mapping[str, Any]) -> dict[str, str | None]:
    return {column: text(_value(row, field)) for column, field in _FIELDS.items()}


def _value(row: Mapping[str, Any], field: str) -> object:
    resource, name = field.split(".")
    return (row.get(_camel(resource)) or {}).get(_camel(name))


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)
