"""The Google Ads API's side of the ads server: ``googleAds:searchStream`` of one customer.

Here belongs the API's shape: GAQL in, camelCase out, 64-bit numbers as text, money in micros, a
stream of answers, access tokens from a refresh token, errors as GoogleAdsFailure, alone or inside
of the stream. Figures come from :mod:`ads_model`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from retail_platform.simulator.ads_answer import Answer
from retail_platform.simulator.ads_model import GOOGLE, Campaign, Figures

REFRESH_TOKEN = "simulated-google-refresh-token"  # noqa: S105 - opens nothing but this simulator
CLIENT_ID = "simulated-google-client"
CLIENT_SECRET = "simulated-google-client-secret"  # noqa: S105 - opens nothing but this simulator
DEVELOPER_TOKEN = "simulated-developer-token"  # noqa: S105 - opens nothing but this simulator
CUSTOMER = GOOGLE.account_id
MICROS_PER_CENT = 10_000
CHUNK_ROWS = 200
TOKEN_PATH = "/token"  # noqa: S105 - where tokens are given
TOKEN_SECONDS = 3599
_PATH = re.compile(rf"^/v\d+/customers/{CUSTOMER}/googleAds:searchStream$")
_RESOURCES = ("ad_group", "campaign", "customer")
_QUERY = re.compile(
    r"^\s*SELECT\s+(?P<fields>.+?)\s+FROM\s+(?P<resource>\w+)(?P<rest>.*)$",
    re.DOTALL | re.IGNORECASE,
)
_BETWEEN = re.compile(r"segments\.date\s+BETWEEN\s+'([\d-]+)'\s+AND\s+'([\d-]+)'", re.IGNORECASE)
_DETAIL = "type.googleapis.com/google.ads.googleads.v25.errors.GoogleAdsFailure"
_REQUEST = "simulated-request"


@dataclass
class GoogleState:
    """Access tokens of one server.

    Attributes:
        valid: Those that open the customer.
        given: How many were given.
    """

    valid: set[str] = field(default_factory=set)
    given: int = 0

    def give(self) -> str:
        """Another access token."""
        self.given += 1
        token = f"simulated-google-access-token-{self.given}"
        self.valid.add(token)
        return token


def token(form: Mapping[str, str], state: GoogleState) -> Answer:
    """The answer of the token endpoint, in OAuth's own shape."""
    client = (form.get("client_id"), form.get("client_secret"))
    if client != (CLIENT_ID, CLIENT_SECRET):
        return Answer(
            401, {"error": "invalid_client", "error_description": "The OAuth client was not found."}
        )
    grant = (form.get("grant_type"), form.get("refresh_token"))
    if grant != ("refresh_token", REFRESH_TOKEN):
        return Answer(
            400,
            {
                "error": "invalid_grant",
                "error_description": "Token has been expired or revoked.",
            },
        )
    return Answer(
        200,
        {
            "access_token": state.give(),
            "expires_in": TOKEN_SECONDS,
            "scope": "https://www.googleapis.com/auth/adwords",
            "token_type": "Bearer",
        },
    )


def answer(
    method: str,
    path: str,
    *,
    body: Mapping[str, Any],
    headers: Mapping[str, str],
    clock: datetime,
    seed: int,
    state: GoogleState,
    breaks: bool = False,
) -> Answer:
    """The answer to one request.

    Args:
        method: HTTP method.
        path: Path without query.
        body: Parsed from JSON.
        headers: Request headers, names in lower case.
        clock: The simulator's present.
        seed: Seed of the figures.
        state: Access tokens.
        breaks: Whether the stream ends with an error after its first rows.
    """
    if headers.get("authorization", "").removeprefix("Bearer ") not in state.valid:
        return _error(
            401,
            "UNAUTHENTICATED",
            "Request had invalid authentication credentials. Expected OAuth 2 access token.",
            {"authenticationError": "OAUTH_TOKEN_EXPIRED"},
        )
    if headers.get("developer-token") != DEVELOPER_TOKEN:
        return _error(
            401,
            "UNAUTHENTICATED",
            "The developer token is not valid.",
            {"authenticationError": "DEVELOPER_TOKEN_INVALID"},
        )
    if method != "POST" or not _PATH.match(path):
        return _error(
            404, "NOT_FOUND", f"Method not found: {method} {path}", {"requestError": "UNKNOWN"}
        )
    try:
        return _stream(body, clock, seed, breaks=breaks)
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
    """Too many requests in too short a time; how long to wait is told in the body only."""
    quota = {
        "rateScope": "DEVELOPER",
        "rateName": "Number of operations",
        "retryDelay": f"{retry_after}s",
    }
    return _error(
        429,
        "RESOURCE_EXHAUSTED",
        "Resource has been exhausted (e.g. check quota).",
        {"quotaError": "RESOURCE_EXHAUSTED"},
        {"quotaErrorDetails": quota},
    )


def server_error() -> Answer:
    """Something went wrong on the platform's side."""
    return _error(
        500, "INTERNAL", "Internal error encountered.", {"internalError": "INTERNAL_ERROR"}
    )


def _failure(
    status: int,
    name: str,
    message: str,
    code: dict[str, str],
    details: dict[str, Any] | None = None,
) -> dict[str, Any]:
    error = {"errorCode": code, "message": message} | ({"details": details} if details else {})
    failure = {"@type": _DETAIL, "errors": [error], "requestId": _REQUEST}
    return {"error": {"code": status, "message": message, "status": name, "details": [failure]}}


def _error(
    status: int,
    name: str,
    message: str,
    code: dict[str, str],
    details: dict[str, Any] | None = None,
) -> Answer:
    """An error; the stream's answers are lists, and so are its errors."""
    return Answer(status, [_failure(status, name, message, code, details)])


def _stream(body: Mapping[str, Any], clock: datetime, seed: int, *, breaks: bool) -> Answer:
    query = _QUERY.match(str(body.get("query", "")))
    if query is None or query["resource"].lower() not in _RESOURCES:
        raise ValueError(f"query must be SELECT ... FROM one of {', '.join(_RESOURCES)}")
    if set(body) - {"query"}:
        raise ValueError(f"unknown members: {', '.join(sorted(set(body) - {'query'}))}")
    fields = [name.strip() for name in query["fields"].split(",")]
    rows = [_chosen(row, fields) for row in _rows(query, fields, clock, seed)]
    mask = {"fieldMask": ",".join(map(_camel, fields)), "requestId": _REQUEST}
    chunks = [
        {"results": rows[begin : begin + CHUNK_ROWS], **mask}
        for begin in range(0, len(rows), CHUNK_ROWS)
    ]
    if breaks:
        gone = _failure(
            500, "INTERNAL", "The stream was aborted.", {"internalError": "TRANSIENT_ERROR"}
        )
        return Answer(200, [*chunks[:1], gone])
    return Answer(200, chunks)


def _rows(
    query: re.Match[str], fields: list[str], clock: datetime, seed: int
) -> list[dict[str, dict[str, Any]]]:
    if query["resource"].lower() == "customer":
        return [{"customer": _CUSTOMER}]
    if not any(name.startswith(("segments.", "metrics.")) for name in fields):
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
        "adGroup": {
            "resourceName": f"customers/{CUSTOMER}/adGroups/{campaign.campaign_id}1",
            "id": f"{campaign.campaign_id}1",
            "name": f"{campaign.name} | all",
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
    for asked in fields:
        resource, _, name = _camel(asked).partition(".")
        if resource not in row or name not in row[resource]:
            raise ValueError(f"Unrecognized field in the query: '{asked}'.")
        part = result.setdefault(resource, {})
        if "resourceName" in row[resource]:
            part["resourceName"] = row[resource]["resourceName"]
        part[name] = row[resource][name]
    return result


def _camel(field: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), field)
