"""The Google Ads API's side of the ads server: ``googleAds:search`` of one customer.

Here belongs the API's shape: GAQL in, camelCase out, 64-bit numbers as text, money in micros,
paging by ``nextPageToken``, errors as GoogleAdsFailure. Figures come from :mod:`ads_model`.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from retail_platform.simulator.ads_answer import Answer, Cursor
from retail_platform.simulator.ads_model import GOOGLE, Campaign, Figures

TOKEN = "simulated-google-token"  # noqa: S105 - opens nothing but this simulator
DEVELOPER_TOKEN = "simulated-developer-token"  # noqa: S105 - opens nothing but this simulator
CUSTOMER = GOOGLE.account_id
MICROS_PER_CENT = 10_000
DEFAULT_PAGE_SIZE = 200
LARGEST_PAGE_SIZE = 10_000
_PATH = f"/v18/customers/{CUSTOMER}/googleAds:search"
_QUERY = re.compile(
    r"^\s*SELECT\s+(?P<fields>.+?)\s+FROM\s+(?P<resource>\w+)(?P<rest>.*)$",
    re.DOTALL | re.IGNORECASE,
)
_BETWEEN = re.compile(r"segments\.date\s+BETWEEN\s+'([\d-]+)'\s+AND\s+'([\d-]+)'", re.IGNORECASE)
_DETAIL = "type.googleapis.com/google.ads.googleads.v18.errors.GoogleAdsFailure"


def answer(
    method: str,
    path: str,
    *,
    body: Mapping[str, Any],
    headers: Mapping[str, str],
    clock: datetime,
    seed: int,
) -> Answer:
    """The answer to one request (headers with names in lower case, body parsed from JSON)."""
    if headers.get("authorization") != f"Bearer {TOKEN}":
        return _error(
            401,
            "UNAUTHENTICATED",
            "Request had invalid authentication credentials. Expected OAuth 2 access token.",
            {"authenticationError": "OAUTH_TOKEN_INVALID"},
        )
    if headers.get("developer-token") != DEVELOPER_TOKEN:
        return _error(
            401,
            "UNAUTHENTICATED",
            "The developer token is not valid.",
            {"authenticationError": "DEVELOPER_TOKEN_INVALID"},
        )
    if method != "POST" or path != _PATH:
        return _error(
            404, "NOT_FOUND", f"Method not found: {method} {path}", {"requestError": "UNKNOWN"}
        )
    try:
        return _search(body, clock, seed)
    except (ValueError, KeyError, TypeError) as fault:
        return invalid(str(fault))


def invalid(message: str) -> Answer:
    """The request cannot be understood."""
    return _error(
        400,
        "INVALID_ARGUMENT",
        f"Request contains an invalid argument: {message}",
        {"queryError": "ERROR"},
    )


def rate_limited(retry_after: int) -> Answer:
    """Too many requests in too short a time."""
    limited = _error(
        429,
        "RESOURCE_EXHAUSTED",
        "Too many requests. Retry later.",
        {"quotaError": "RESOURCE_EXHAUSTED"},
    )
    return Answer(limited.status, limited.body, {"Retry-After": str(retry_after)})


def server_error() -> Answer:
    """Something went wrong on the platform's side."""
    return _error(
        500, "INTERNAL", "Internal error encountered.", {"internalError": "INTERNAL_ERROR"}
    )


def _error(status: int, name: str, message: str, code: dict[str, str]) -> Answer:
    details = [{"@type": _DETAIL, "errors": [{"errorCode": code, "message": message}]}]
    error = {"code": status, "message": message, "status": name, "details": details}
    return Answer(status, {"error": error})


def _search(body: Mapping[str, Any], clock: datetime, seed: int) -> Answer:
    query = _QUERY.match(str(body.get("query", "")))
    if query is None or query["resource"].lower() not in ("campaign", "customer"):
        raise ValueError("query must be SELECT ... FROM campaign or customer")
    token = body.get("pageToken")
    start = Cursor.decode(token) if token else Cursor(0, clock)
    size = min(int(body.get("pageSize") or DEFAULT_PAGE_SIZE), LARGEST_PAGE_SIZE)
    fields = [field.strip() for field in query["fields"].split(",")]
    rows = [_chosen(row, fields) for row in _rows(query, fields, start.clock, seed)]
    page = rows[start.offset : start.offset + size]
    result: dict[str, Any] = {"results": page, "fieldMask": ",".join(map(_camel, fields))}
    if start.offset + len(page) < len(rows):
        result["nextPageToken"] = Cursor(start.offset + len(page), start.clock).encode()
    return Answer(200, result)


def _rows(
    query: re.Match[str], fields: list[str], clock: datetime, seed: int
) -> list[dict[str, dict[str, Any]]]:
    if query["resource"].lower() == "customer":
        return [{"customer": _CUSTOMER}]
    if not any(field.startswith(("segments.", "metrics.")) for field in fields):
        return [_campaign(campaign) for campaign in GOOGLE.campaigns_at(clock, seed=seed)]
    between = _BETWEEN.search(query["rest"])
    if between is None:
        raise ValueError("a query of segments or metrics needs segments.date BETWEEN 'a' AND 'b'")
    since, until = date.fromisoformat(between[1]), date.fromisoformat(between[2])
    return [
        _performance(figures) for figures in GOOGLE.figures(since, until, clock=clock, seed=seed)
    ]


_CUSTOMER = {
    "resourceName": f"customers/{CUSTOMER}",
    "id": CUSTOMER,
    "descriptiveName": GOOGLE.name,
    "currencyCode": GOOGLE.currency,
    "timeZone": GOOGLE.zone.key,
}


def _campaign(campaign: Campaign) -> dict[str, dict[str, Any]]:
    return {
        "customer": _CUSTOMER,
        "campaign": {
            "resourceName": f"customers/{CUSTOMER}/campaigns/{campaign.campaign_id}",
            "id": campaign.campaign_id,
            "name": campaign.name,
            "status": "ENABLED" if campaign.status == "ACTIVE" else "PAUSED",
            "advertisingChannelType": campaign.kind,
        },
        "campaignBudget": {
            "resourceName": f"customers/{CUSTOMER}/campaignBudgets/{campaign.campaign_id}",
            "amountMicros": str(campaign.daily_budget_cents * MICROS_PER_CENT),
        },
    }


def _performance(figures: Figures) -> dict[str, dict[str, Any]]:
    return {
        **_campaign(figures.campaign),
        "segments": {"date": figures.day.isoformat(), "hour": figures.hour},
        "metrics": {
            "impressions": str(figures.impressions),
            "clicks": str(figures.clicks),
            "costMicros": str(figures.spend_cents * MICROS_PER_CENT),
            "conversions": float(figures.conversions),
            "conversionsValue": figures.conversion_value_cents / 100,
        },
    }


def _chosen(row: dict[str, dict[str, Any]], fields: list[str]) -> dict[str, dict[str, Any]]:
    """The selected fields, nested by resource; resource names come along as in the real API."""
    result: dict[str, dict[str, Any]] = {}
    for field in fields:
        resource, _, name = _camel(field).partition(".")
        if resource not in row or name not in row[resource]:
            raise ValueError(f"Unrecognized field in the query: '{field}'.")
        part = result.setdefault(resource, {})
        if "resourceName" in row[resource]:
            part["resourceName"] = row[resource]["resourceName"]
        part[name] = row[resource][name]
    return result


def _camel(field: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), field)
