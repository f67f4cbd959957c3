"""Facebook Marketing API: campaign insights by hour of one ad account, as flat rows of text.

Belongs here: the shape of this API. Not here: retries (`http`), types and rules (the contract).
"""

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from retail_platform.extract.http import JsonApi, Patience
from retail_platform.extract.pages import Page, all_pages, text, text_stream
from retail_platform.failures import PermanentFailure

VERSION = "v21.0"
COLUMNS = [
    "account_id",
    "account_name",
    "campaign_id",
    "campaign_name",
    "objective",
    "date_start",
    "hour",
    "attribution_setting",
    "impressions",
    "clicks",
    "spend",
    "purchases",
    "purchase_value",
    "currency_code",
    "timezone_name",
    "campaign_status",
    "daily_budget",
]

_HOUR = "hourly_stats_aggregated_by_advertiser_time_zone"
_FIELDS = (
    "account_id",
    "account_name",
    "campaign_id",
    "campaign_name",
    "objective",
    "attribution_setting",
    "date_start",
    "impressions",
    "clicks",
    "spend",
    "actions",
    "action_values",
)
_PAGE_ROWS = "500"
_BUSY_CODES = frozenset({"2", "4", "17", "32", "341", "613", "80000", "80003", "80004", "80014"})


class FacebookAds:
    """One ad account; open it as a context or call `close`."""

    def __init__(
        self, base_url: str, *, token: str, account: str, patience: Patience | None = None
    ) -> None:
        """Name the account.

        Args:
            base_url: Such as ``https://graph.facebook.com``.
            token: Access token.
            account: Ad account id, with or without ``act_``.
            patience: How long to try.
        """
        self._edge = f"/{VERSION}/act_{account.removeprefix('act_')}"
        self._api = JsonApi(
            base_url=base_url,
            name="facebook_ads",
            headers={"Authorization": f"Bearer {token}"},
            secrets=(token,),
            patience=patience or Patience(),
            busy=_is_busy,
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
        return self._api.call("GET", self._edge, parameters={"fields": "name"}).clock

    def read(self, *, since: date, until: date) -> pa.RecordBatchReader:
        """The account's rows by campaign, day and hour; both days are included.

        Args:
            since: First day, in the account's zone.
            until: Last day, in the account's zone.

        Returns:
            A stream of `COLUMNS`, all text as the API gave it; ``hour`` is 0 to 23 without zeros in
            front, ``daily_budget`` is in the currency's smallest unit, as Facebook keeps it, and
            ``purchases`` is NULL where the API names none.

        Raises:
            TransientFailure: The API does not answer, or its pages do not end (also while the
                stream is read).
            PermanentFailure: The API refuses, or a row has no hour (also while the stream is read).
        """
        fields = {"fields": "name,currency,timezone_name"}
        account = self._api.call("GET", self._edge, parameters=fields).body
        listing = {"fields": "id,name,status,daily_budget", "limit": _PAGE_ROWS}
        campaigns = {
            str(row["id"]): row for page in self._pages("campaigns", listing) for row in page
        }

        def flatten(row: Mapping[str, Any]) -> dict[str, str | None]:
            return _flat(row, account, campaigns.get(str(row.get("campaign_id")), {}))

        return text_stream(self._pages("insights", _insights(since, until)), COLUMNS, flatten)

    def _pages(self, edge: str, parameters: dict[str, str]) -> Iterator[list[dict[str, Any]]]:
        path = f"{self._edge}/{edge}"

        def fetch(cursor: str | None) -> Page:
            after = {"after": cursor} if cursor else {}
            body = self._api.call("GET", path, parameters=parameters | after).body
            paging = body.get("paging") or {}
            following = (paging.get("cursors") or {}).get("after") if paging.get("next") else None
            return body.get("data") or [], following

        return all_pages(fetch, place=f"source facebook_ads, GET {path}")


def _insights(since: date, until: date) -> dict[str, str]:
    return {
        "level": "campaign",
        "fields": ",".join(_FIELDS),
        "time_range": json.dumps({"since": since.isoformat(), "until": until.isoformat()}),
        "time_increment": "1",
        "breakdowns": _HOUR,
        "limit": _PAGE_ROWS,
    }


def _flat(
    row: Mapping[str, Any], account: Mapping[str, Any], campaign: Mapping[str, Any]
) -> dict[str, str | None]:
    flat = {name: text(row.get(name)) for name in COLUMNS}
    return flat | {
        "hour": _hour(row),
        "purchases": _purchase(row.get("actions")),
        "purchase_value": _purchase(row.get("action_values")),
        "currency_code": text(account.get("currency")),
        "timezone_name": text(account.get("timezone_name")),
        "campaign_status": text(campaign.get("status")),
        "daily_budget": text(campaign.get("daily_budget")),
    }


def _hour(row: Mapping[str, Any]) -> str:
    """``"07:00:00 - 07:59:59"`` is ``"7"``."""
    found = str(row.get(_HOUR, ""))
    begin = found.split(":", maxsplit=1)[0]
    if not begin.isdecimal():
        raise PermanentFailure(
            f"source facebook_ads, campaign {row.get('campaign_id')}, {row.get('date_start')}: "
            f"{_HOUR} is {found!r}, expected such as '07:00:00 - 07:59:59'; check whether the API "
            f"version {VERSION} is still served"
        )
    return str(int(begin))


def _purchase(actions: list[Mapping[str, Any]] | None) -> str | None:
    # The list also has omni_purchase and pixel purchases, which count the same purchases again.
    for action in actions or []:
        if action.get("action_type") == "purchase":
            return text(action.get("value"))
    return None


def _is_busy(_status: int, body: Mapping[str, Any]) -> bool:
    """Facebook sends rate limits as 400 or 403 too; its own code tells them apart."""
    error = body.get("error")
    return isinstance(error, Mapping) and (
        str(error.get("code")) in _BUSY_CODES or error.get("is_transient") is True
    )
