"""The ads server's Facebook Marketing API: insights, campaigns and account of one account.

Here belongs the API's shape: numbers as text, hours as ``07:00:00 - 07:59:59``, budgets in cents,
paging by cursors, errors of type OAuthException. Figures come from :mod:`ads_model`.
"""

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from retail_platform.simulator.ads_answer import Answer, Cursor
from retail_platform.simulator.ads_model import FACEBOOK, Campaign, Figures

TOKEN = "simulated-facebook-token"  # noqa: S105 - opens nothing but this simulator
ACCOUNT = f"act_{FACEBOOK.account_id}"
VERSION = "v21.0"
HOURLY = "hourly_stats_aggregated_by_advertiser_time_zone"
DEFAULT_LIMIT = 25
LARGEST_LIMIT = 500


def answer(
    method: str,
    path: str,
    *,
    parameters: Mapping[str, str],
    headers: Mapping[str, str],
    base_url: str,
    clock: datetime,
    seed: int,
) -> Answer:
    """The answer to one request.

    Args:
        method: HTTP method.
        path: Path without query.
        parameters: Query parameters.
        headers: Request headers, names in lower case.
        base_url: Where this server listens, for ``paging.next``.
        clock: The simulator's present.
        seed: Seed of the figures.
    """
    token = headers.get("authorization", "").removeprefix("Bearer ") or parameters.get(
        "access_token"
    )
    if token != TOKEN:
        return _error(401, 190, "Invalid OAuth access token - Cannot parse access token")
    edges = {
        f"/{VERSION}/{ACCOUNT}": lambda: _account(parameters),
        f"/{VERSION}/{ACCOUNT}/campaigns": lambda: _page(
            path, parameters, base_url, clock, lambda as_of: _campaigns(parameters, as_of, seed)
        ),
        f"/{VERSION}/{ACCOUNT}/insights": lambda: _page(
            path, parameters, base_url, clock, lambda as_of: _insights(parameters, as_of, seed)
        ),
    }
    if method != "GET" or path not in edges:
        return _error(400, 100, f"Unsupported {method.lower()} request: no object at {path}")
    try:
        return edges[path]()
    except (ValueError, KeyError, TypeError) as invalid_parameter:
        return _error(400, 100, f"(#100) Invalid parameter: {invalid_parameter}")


def rate_limited(retry_after: int) -> Answer:
    """The user request limit is reached."""
    limited = _error(429, 17, "(#17) User request limit reached")
    return Answer(limited.status, limited.body, {"Retry-After": str(retry_after)})


def server_error() -> Answer:
    """Something went wrong on the platform's side."""
    return _error(500, 1, "An unknown error occurred")


def _error(status: int, code: int, message: str) -> Answer:
    error = {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "simulated"}
    return Answer(status, {"error": error})


def _fields(parameters: Mapping[str, str]) -> list[str]:
    return [name for name in parameters.get("fields", "").split(",") if name]


def _account(parameters: Mapping[str, str]) -> Answer:
    known = {
        "id": ACCOUNT,
        "account_id": FACEBOOK.account_id,
        "name": FACEBOOK.name,
        "currency": FACEBOOK.currency,
        "timezone_name": FACEBOOK.zone.key,
    }
    return Answer(200, {**{name: known[name] for name in _fields(parameters)}, "id": ACCOUNT})


def _campaigns(parameters: Mapping[str, str], clock: datetime, seed: int) -> list[dict[str, Any]]:
    return [
        _chosen(_campaign(campaign), [*_fields(parameters), "id"])
        for campaign in FACEBOOK.campaigns_at(clock, seed=seed)
    ]


def _campaign(campaign: Campaign) -> dict[str, Any]:
    return {
        "id": campaign.campaign_id,
        "account_id": FACEBOOK.account_id,
        "name": campaign.name,
        "objective": campaign.kind,
        "status": campaign.status,
        "effective_status": campaign.status,
        "daily_budget": str(campaign.daily_budget_cents),
    }


def _insights(parameters: Mapping[str, str], clock: datetime, seed: int) -> list[dict[str, Any]]:
    if parameters.get("level") != "campaign" or parameters.get("time_increment") != "1":
        raise ValueError("this account serves level=campaign and time_increment=1 only")
    if parameters.get("breakdowns") != HOURLY:
        raise ValueError(f"breakdowns must be {HOURLY}")
    span = json.loads(parameters["time_range"])
    since, until = date.fromisoformat(span["since"]), date.fromisoformat(span["until"])
    if since > until:
        raise ValueError(f"time_range: since {since} is after until {until}")
    wanted = [*_fields(parameters), "date_start", "date_stop", HOURLY]
    return [
        _chosen(_insight(figures), wanted)
        for figures in FACEBOOK.figures(since, until, clock=clock, seed=seed)
    ]


def _insight(figures: Figures) -> dict[str, Any]:
    row: dict[str, Any] = {
        "account_id": FACEBOOK.account_id,
        "account_name": FACEBOOK.name,
        "account_currency": FACEBOOK.currency,
        "campaign_id": figures.campaign.campaign_id,
        "campaign_name": figures.campaign.name,
        "objective": figures.campaign.kind,
        "attribution_setting": "7d_click_1d_view",
        "impressions": str(figures.impressions),
        "clicks": str(figures.clicks),
        "spend": _cents(figures.spend_cents),
        "date_start": figures.day.isoformat(),
        "date_stop": figures.day.isoformat(),
        HOURLY: f"{figures.hour:02d}:00:00 - {figures.hour:02d}:59:59",
        "actions": [{"action_type": "link_click", "value": str(figures.clicks)}],
    }
    if figures.conversions:
        row["actions"].append({"action_type": "purchase", "value": str(figures.conversions)})
        value = _cents(figures.conversion_value_cents)
        row["action_values"] = [{"action_type": "purchase", "value": value}]
    return row


def _cents(amount: int) -> str:
    sign = "-" if amount < 0 else ""
    return f"{sign}{abs(amount) // 100}.{abs(amount) % 100:02d}"


def _chosen(row: dict[str, Any], wanted: list[str]) -> dict[str, Any]:
    """The wanted fields that the row has: the real API leaves out what is empty."""
    return {name: row[name] for name in dict.fromkeys(wanted) if name in row}


def _page(
    path: str,
    parameters: Mapping[str, str],
    base_url: str,
    clock: datetime,
    listing: Callable[[datetime], list[dict[str, Any]]],
) -> Answer:
    """One page of a listing; all pages are as of the hour of the first one."""
    first = Cursor(0, clock)
    after = parameters.get("after")
    start = Cursor.decode(after) if after else first
    limit = min(int(parameters.get("limit", DEFAULT_LIMIT)), LARGEST_LIMIT)
    if limit < 1:
        raise ValueError(f"limit must be positive, not {limit}")
    rows = listing(start.clock)
    page = rows[start.offset : start.offset + limit]
    if not page:
        return Answer(200, {"data": []})
    end = Cursor(start.offset + len(page), start.clock)
    paging: dict[str, Any] = {"cursors": {"before": start.encode(), "after": end.encode()}}
    if end.offset < len(rows):
        # As the real API does: the link is complete, the token is left to the header.
        passed = {k: v for k, v in parameters.items() if k not in ("after", "access_token")}
        paging["next"] = f"{base_url}{path}?{urlencode({**passed, 'after': end.encode()})}"
    return Answer(200, {"data": page, "paging": paging})
