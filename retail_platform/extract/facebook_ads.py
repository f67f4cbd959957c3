"""Facebook Marketing API: insights by hour of one ad account, as flat rows of text.

Belongs here: what is asked and how rows look. Not here: retries (`http`), limits
(`facebook_limits`), tokens (`facebook_token`), report runs (`facebook_reports`), types and rules
(the contract).

Shapes as in https://developers.facebook.com/docs/marketing-api/insights (fields, paging),
https://developers.facebook.com/docs/marketing-api/insights/breakdowns (hours) and
https://developers.facebook.com/docs/marketing-api/reference/ad-account.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from retail_platform.extract.account import Account, checked
from retail_platform.extract.closing import Closing
from retail_platform.extract.coverage import Bounds
from retail_platform.extract.facebook_limits import (
    Throttle,
    is_busy,
    is_parameter,
    is_token,
    is_too_much,
)
from retail_platform.extract.facebook_reports import Polling, completed_run
from retail_platform.extract.facebook_token import FacebookToken
from retail_platform.extract.http import JsonApi, Patience, RequestRefused
from retail_platform.extract.pages import Page, all_pages, text, text_stream
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.metadata.ads import InsightsReport

_ACCOUNT = ("account_id", "account_name")
_OF_LEVEL = {
    "account": (),
    "campaign": ("campaign_id", "campaign_name", "objective"),
    "adset": ("campaign_id", "campaign_name", "objective", "adset_id", "adset_name"),
    "ad": (
        "campaign_id",
        "campaign_name",
        "objective",
        "adset_id",
        "adset_name",
        "ad_id",
        "ad_name",
    ),
}
_MEASURES = (
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
)
_OF_CAMPAIGN = ("campaign_status", "daily_budget")
_HOUR = "hourly_stats_aggregated_by_advertiser_time_zone"
_ASKED = ("attribution_setting", "date_start", "impressions", "clicks", "spend")
_PAGE_ROWS = "500"
_UNIFIED = "unified"

Pages = Iterator[list[dict[str, Any]]]


def columns_of(report: InsightsReport) -> list[str]:
    """The columns of a report's rows, in order."""
    of_campaign = () if report.level == "account" else _OF_CAMPAIGN
    return [*_ACCOUNT, *_OF_LEVEL[report.level], *_MEASURES, *of_campaign]


class FacebookAds(Closing):
    """One ad account; open it as a context or call `close`."""

    def __init__(
        self,
        token: FacebookToken,
        *,
        account: str,
        report: InsightsReport | None = None,
        expected: Account | None = None,
        budget: Callable[[], None] | None = None,
        patience: Patience | None = None,
        polling: Polling | None = None,
    ) -> None:
        """Name the account.

        Args:
            token: Access token, and with it the API's URL and version.
            account: Ad account id, with or without ``act_``.
            report: What is asked for; campaigns with their own attribution by default.
            expected: Zone and currency that metadata gives the account.
            budget: Called before every request; raises where none may be sent.
            patience: How long to try.
            polling: How report runs are waited for.
        """
        patience = patience or Patience()
        self._name = token.place.name
        self._version = token.version
        self._account_id = account.removeprefix("act_")
        self._edge = f"/{self._version}/act_{self._account_id}"
        self._report = report or InsightsReport()
        self._expected = expected
        self._polling = polling or Polling()
        self._known: Mapping[str, Any] | None = None
        throttle = Throttle(self._name, patience.longest_wait)

        def before() -> None:
            throttle.pause()
            if budget is not None:
                budget()

        self._api = JsonApi(
            base_url=token.base_url,
            name=self._name,
            headers={},
            patience=patience,
            busy=is_busy,
            authorization=token,
            expired=is_token,
            delay=throttle.delay,
            before=before,
            watch=throttle.seen,
        )

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def clock(self) -> datetime:
        """The API's present, aware UTC.

        Raises:
            TransientFailure: The API does not answer.
            PermanentFailure: The API refuses, for instance the token, or the account has another
                zone or currency than metadata says.
        """
        fields = {"fields": "account_id,name,currency,timezone_name"}
        answer = self._api.call("GET", self._edge, parameters=fields)
        found = Account(
            timezone=text(answer.body.get("timezone_name")),
            currency=text(answer.body.get("currency")),
        )
        checked(found, self._expected, place=f"source {self._name}, account {self._account_id}")
        self._known = answer.body
        return answer.clock

    def bounds(self, since: date, until: date) -> Bounds:
        """What a read of these days brings whole.

        With unified attribution that is every setting; a window of its own is the only one.
        """
        whole = {
            "account_id": (self._account_id, self._account_id),
            "date_start": (since.isoformat(), until.isoformat()),
        }
        setting = self._report.attribution
        return whole if setting == _UNIFIED else whole | {"attribution_setting": (setting, setting)}

    def read(self, *, since: date, until: date) -> pa.RecordBatchReader:
        """The account's rows by day and hour; both days are included.

        Args:
            since: First day, in the account's zone.
            until: Last day, in the account's zone.

        Returns:
            A stream of `columns_of` the report, all text as the API gave it; ``hour`` is 0 to 23
            without zeros in front, ``daily_budget`` is in the currency's smallest unit, as
            Facebook keeps it, and ``purchases`` is NULL where the API names none.

        Raises:
            TransientFailure: The API does not answer, or its pages do not end, or a cursor has
                expired (also while the stream is read).
            PermanentFailure: The API refuses, or a row has no hour (also while the stream is read).
        """
        if self._known is None:
            self.clock()
        account = self._known
        assert account is not None, "just read"
        campaigns: dict[str, Mapping[str, Any]] = {}
        if self._report.level != "account":
            listing = {"fields": "id,name,status,daily_budget", "limit": _PAGE_ROWS}
            pages = self._pages(f"{self._edge}/campaigns", listing)
            campaigns = {str(row["id"]): row for page in pages for row in page}

        def flatten(row: Mapping[str, Any]) -> dict[str, str | None]:
            return self._flat(row, account, campaigns.get(str(row.get("campaign_id")), {}))

        return text_stream(self._insights(since, until), columns_of(self._report), flatten)

    def _insights(self, since: date, until: date) -> Pages:
        edge, asked = f"{self._edge}/insights", self._parameters(since, until)
        if self._report.is_large(since, until):
            return self._of_run(edge, asked)
        pages = self._pages(edge, asked | {"limit": _PAGE_ROWS})
        try:
            # Asked for now, while there is still another way to ask.
            first = next(pages)
        except RequestRefused as refusal:
            if not is_too_much(refusal.body):
                raise
            return self._of_run(edge, asked)
        return _chained(first, pages)

    def _of_run(self, edge: str, asked: dict[str, str]) -> Pages:
        path = completed_run(
            self._api,
            edge=edge,
            version=self._version,
            parameters=asked,
            polling=self._polling,
        )
        return self._pages(path, {"limit": _PAGE_ROWS})

    def _parameters(self, since: date, until: date) -> dict[str, str]:
        report = self._report
        parameters = {
            "level": report.level,
            "fields": ",".join(
                (*_ACCOUNT, *_OF_LEVEL[report.level], *_ASKED, "actions", "action_values")
            ),
            "time_range": json.dumps({"since": since.isoformat(), "until": until.isoformat()}),
            "time_increment": "1",
            "breakdowns": _HOUR,
        }
        if report.attribution == _UNIFIED:
            return parameters | {"use_unified_attribution_setting": "true"}
        return parameters | {"action_attribution_windows": json.dumps([report.attribution])}

    def _pages(self, path: str, parameters: dict[str, str]) -> Pages:
        def fetch(cursor: str | None) -> Page:
            after = {"after": cursor} if cursor else {}
            try:
                body = self._api.call("GET", path, parameters=parameters | after).body
            except RequestRefused as refusal:
                if cursor is None or not is_parameter(refusal.body):
                    raise
                raise TransientFailure(
                    f"source {self._name}, GET {path}: the page cursor has expired "
                    f"({refusal}); nothing of this read is kept; it is tried again from the first "
                    "page"
                ) from refusal
            paging = body.get("paging") or {}
            following = (paging.get("cursors") or {}).get("after") if paging.get("next") else None
            return body.get("data") or [], following

        return all_pages(fetch, place=f"source {self._name}, GET {path}", distinct=True)

    def _flat(
        self, row: Mapping[str, Any], account: Mapping[str, Any], campaign: Mapping[str, Any]
    ) -> dict[str, str | None]:
        report = self._report
        flat = {name: text(row.get(name)) for name in columns_of(report)}
        flat |= {
            "hour": self._hour(row),
            "purchases": _counted(row.get("actions"), report),
            "purchase_value": _counted(row.get("action_values"), report),
            "currency_code": text(account.get("currency")),
            "timezone_name": text(account.get("timezone_name")),
        }
        if report.attribution != _UNIFIED:
            flat["attribution_setting"] = report.attribution
        if report.level != "account":
            flat["campaign_status"] = text(campaign.get("status"))
            flat["daily_budget"] = text(campaign.get("daily_budget"))
        return flat

    def _hour(self, row: Mapping[str, Any]) -> str:
        """``"07:00:00 - 07:59:59"`` is ``"7"``."""
        found = str(row.get(_HOUR, ""))
        begin = found.split(":", maxsplit=1)[0]
        if not begin.isdecimal():
            raise PermanentFailure(
                f"source {self._name}, campaign {row.get('campaign_id')}, {row.get('date_start')}: "
                f"{_HOUR} is {found!r}, expected such as '07:00:00 - 07:59:59'; check whether the "
                f"API version {self._version} is still served"
            )
        return str(int(begin))


def _chained(first: list[dict[str, Any]], rest: Pages) -> Pages:
    yield first
    yield from rest


def _counted(actions: list[Mapping[str, Any]] | None, report: InsightsReport) -> str | None:
    # The list also has omni_purchase and pixel purchases, which count the same purchases again.
    by = "value" if report.attribution == _UNIFIED else report.attribution
    for action in actions or []:
        if action.get("action_type") == report.action:
            return text(action.get(by))
    return None
