"""The ads server's Facebook Marketing API: insights, campaigns and account of one account.

Here belongs the API's shape: numbers as text, hours as ``07:00:00 - 07:59:59``, budgets in cents,
paging by cursors, report runs, usage headers, errors of type OAuthException. Figures come from
:mod:`ads_model`, tokens and report runs from :mod:`ads_facebook_state`.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from retail_platform.simulator.ads_answer import Answer, Cursor
from retail_platform.simulator.ads_facebook_state import ACCOUNT, TOKEN, FacebookState, Run
from retail_platform.simulator.ads_model import FACEBOOK, Campaign, Figures

__all__ = ["ACCOUNT", "TOKEN", "VERSION", "FacebookState", "answer"]

VERSION = "v25.0"
HOURLY = "hourly_stats_aggregated_by_advertiser_time_zone"
DEFAULT_LIMIT = 25
LARGEST_LIMIT = 500
LARGEST_SYNC_DAYS = 35
"""Days that an answer at once may span; more is for report runs."""
ATTRIBUTION = "7d_click_1d_view"
_PATH = re.compile(r"^/v\d+\.\d+(?P<object>/.*)$")
_RUN = re.compile(r"^/(?P<run>\d+)(?P<insights>/insights)?$")


def answer(
    method: str,
    path: str,
    *,
    parameters: Mapping[str, str],
    headers: Mapping[str, str],
    base_url: str,
    clock: datetime,
    seed: int,
    state: FacebookState,
    repeats: bool = False,
) -> Answer:
    """The answer to one request.

    Args:
        method: HTTP method.
        path: Path without query.
        parameters: Parameters of query and form.
        headers: Request headers, names in lower case.
        base_url: Where this server listens, for ``paging.next``.
        clock: The simulator's present.
        seed: Seed of the figures.
        state: Tokens and report runs.
        repeats: Whether a page is the one before, again.
    """
    version = _PATH.match(path)
    if version is None:
        return _error(400, 100, f"Unsupported {method.lower()} request: no object at {path}")
    place = version["object"]
    if place == "/oauth/access_token":
        return _exchanged(state, parameters)
    token = headers.get("authorization", "").removeprefix("Bearer ") or parameters.get(
        "access_token", ""
    )
    refusal = _token_refusal(state, token)
    if refusal is not None:
        return refusal
    run = _RUN.match(place)

    def page(listing: Callable[[datetime], list[dict[str, Any]]], as_of: datetime) -> Answer:
        return _page(path, parameters, base_url, as_of, listing, repeats=repeats)

    try:
        if run is not None:
            return _of_run(state, run, method, clock, seed, page)
        edges: dict[tuple[str, str], Callable[[], Answer]] = {
            ("GET", f"/{ACCOUNT}"): lambda: _account(parameters),
            ("GET", f"/{ACCOUNT}/campaigns"): lambda: page(
                lambda as_of: _campaigns(parameters, as_of, seed), clock
            ),
            ("GET", f"/{ACCOUNT}/insights"): lambda: _at_once(parameters, clock, seed, page),
            ("POST", f"/{ACCOUNT}/insights"): lambda: _submitted(state, parameters, clock, seed),
        }
        if (method, place) not in edges:
            return _error(400, 100, f"Unsupported {method.lower()} request: no object at {path}")
        return edges[method, place]()
    except (ValueError, KeyError, TypeError) as invalid_parameter:
        return _error(400, 100, f"(#100) Invalid parameter: {invalid_parameter}")


def usage(percent: float, regain_minutes: int) -> dict[str, str]:
    """The headers that tell how much of its limit the account has used."""
    tier = {"ads_api_access_tier": "standard_access"}
    insights = {"app_id_util_pct": percent / 2, "acc_id_util_pct": percent, **tier}
    case = {
        "type": "ads_insights",
        "call_count": round(percent),
        "total_cputime": round(percent / 3),
        "total_time": round(percent / 3),
        "estimated_time_to_regain_access": regain_minutes,
        **tier,
    }
    return {
        "X-FB-Ads-Insights-Throttle": json.dumps(insights),
        "X-Business-Use-Case-Usage": json.dumps({FACEBOOK.account_id: [case]}),
    }


def rate_limited(retry_after: int) -> Answer:
    """The user request limit is reached."""
    limited = _error(429, 17, "(#17) User request limit reached", subcode=2446079)
    return Answer(limited.status, limited.body, {"Retry-After": str(retry_after)})


def account_limited() -> Answer:
    """The account's insights limit is reached; sent as 400, as the platform does."""
    return _error(
        400, 80000, "(#80000) There have been too many calls from this ad-account", subcode=2446079
    )


def server_error() -> Answer:
    """Something went wrong on the platform's side."""
    return _error(500, 1, "An unknown error occurred")


def cursor_expired() -> Answer:
    """A cursor lives for some time only."""
    return _error(400, 100, "(#100) Invalid parameter: after: the cursor has expired")


def _error(status: int, code: int, message: str, *, subcode: int | None = None) -> Answer:
    error: dict[str, Any] = {"message": message, "type": "OAuthException", "code": code}
    if subcode is not None:
        error["error_subcode"] = subcode
    return Answer(status, {"error": error | {"fbtrace_id": "simulated"}})


def _token_refusal(state: FacebookState, token: str) -> Answer | None:
    if state.is_valid(token):
        return None
    if state.has_ended(token):
        message = "Error validating access token: Session has expired"
        return _error(401, 190, message, subcode=463)
    return _error(401, 190, "Invalid OAuth access token - Cannot parse access token")


def _exchanged(state: FacebookState, parameters: Mapping[str, str]) -> Answer:
    if not state.is_app(parameters.get("client_id", ""), parameters.get("client_secret", "")):
        return _error(400, 1, "Error validating client secret.")
    token = parameters.get("fb_exchange_token", "")
    if parameters.get("grant_type") != "fb_exchange_token":
        return _error(400, 100, "(#100) Invalid parameter: grant_type")
    refusal = _token_refusal(state, token)
    if refusal is not None:
        return refusal
    return Answer(
        200,
        {"access_token": state.exchange(), "token_type": "bearer", "expires_in": 60 * 86_400},
    )


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


Paging = Callable[[Callable[[datetime], list[dict[str, Any]]], datetime], Answer]


def _at_once(parameters: Mapping[str, str], clock: datetime, seed: int, page: Paging) -> Answer:
    since, until = _span(parameters)
    if (until - since).days + 1 > LARGEST_SYNC_DAYS:
        message = "Please reduce the amount of data you're asking for, then retry your request"
        return _error(400, 100, message, subcode=1487534)
    return page(lambda as_of: _insights(parameters, as_of, seed), clock)


def _submitted(
    state: FacebookState, parameters: Mapping[str, str], clock: datetime, seed: int
) -> Answer:
    # Asked for once now, so that a wrong question is refused as it is submitted.
    _insights(parameters, clock, seed)
    return Answer(200, {"report_run_id": state.submit(parameters, clock)})


def _of_run(
    state: FacebookState,
    match: re.Match[str],
    method: str,
    clock: datetime,
    seed: int,
    page: Paging,
) -> Answer:
    run = state.run(match["run"])
    if run is None or method != "GET":
        return _error(400, 100, f"(#100) Invalid parameter: no report run {match['run']}")
    if match["insights"]:
        if not run.has_completed:
            return _error(400, 2601, "(#2601) Loading async results: the job has not completed")
        return page(lambda as_of: _insights(run.parameters, as_of, seed), run.clock)
    run.poll()
    return Answer(200, _report_run(run, clock))


def _report_run(run: Run, clock: datetime) -> dict[str, Any]:
    since, until = _span(run.parameters)
    failure = {"error_code": -2, "error_message": "Report Failed"} if run.has_failed else {}
    return {
        "id": run.id,
        "account_id": FACEBOOK.account_id,
        "time_ref": int(run.clock.timestamp()),
        "time_completed": int(clock.timestamp()),
        "async_status": run.status,
        "async_percent_completion": run.percent,
        "date_start": since.isoformat(),
        "date_stop": until.isoformat(),
        **failure,
    }


def _span(parameters: Mapping[str, str]) -> tuple[date, date]:
    span = json.loads(parameters["time_range"])
    since, until = date.fromisoformat(span["since"]), date.fromisoformat(span["until"])
    if since > until:
        raise ValueError(f"time_range: since {since} is after until {until}")
    return since, until


def _insights(parameters: Mapping[str, str], clock: datetime, seed: int) -> list[dict[str, Any]]:
    if parameters.get("level") != "campaign" or parameters.get("time_increment") != "1":
        raise ValueError("this account serves level=campaign and time_increment=1 only")
    if parameters.get("breakdowns") != HOURLY:
        raise ValueError(f"breakdowns must be {HOURLY}")
    since, until = _span(parameters)
    windows = json.loads(parameters.get("action_attribution_windows", "[]"))
    wanted = [*_fields(parameters), "date_start", "date_stop", HOURLY]
    return [
        _chosen(_insight(figures, windows), wanted)
        for figures in FACEBOOK.figures(since, until, clock=clock, seed=seed)
    ]


def _insight(figures: Figures, windows: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "account_id": FACEBOOK.account_id,
        "account_name": FACEBOOK.name,
        "account_currency": FACEBOOK.currency,
        "campaign_id": figures.campaign.campaign_id,
        "campaign_name": figures.campaign.name,
        "objective": figures.campaign.kind,
        "attribution_setting": ATTRIBUTION,
        "impressions": str(figures.impressions),
        "clicks": str(figures.clicks),
        "spend": _cents(figures.spend_cents),
        "date_start": figures.day.isoformat(),
        "date_stop": figures.day.isoformat(),
        HOURLY: f"{figures.hour:02d}:00:00 - {figures.hour:02d}:59:59",
        "actions": [{"action_type": "link_click", "value": str(figures.clicks)}],
    }
    if figures.conversions:
        count, value = str(figures.conversions), _cents(figures.conversion_value_cents)
        # A narrower window sees fewer; half of them, here.
        narrow = {window: str(figures.conversions // 2) for window in windows}
        worth = {window: _cents(figures.conversion_value_cents // 2) for window in windows}
        row["actions"].append({"action_type": "purchase", "value": count, **narrow})
        row["action_values"] = [{"action_type": "purchase", "value": value, **worth}]
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
    *,
    repeats: bool,
) -> Answer:
    """One page of a listing; all pages are as of the hour of the first one."""
    first = Cursor(0, clock)
    after = parameters.get("after")
    start = Cursor.decode(after) if after else first
    limit = min(int(parameters.get("limit", DEFAULT_LIMIT)), LARGEST_LIMIT)
    if limit < 1:
        raise ValueError(f"limit must be positive, not {limit}")
    rows = listing(start.clock)
    begin = max(start.offset - limit, 0) if repeats else start.offset
    page = rows[begin : begin + limit]
    if not page:
        return Answer(200, {"data": []})
    end = Cursor(start.offset + len(page), start.clock)
    paging: dict[str, Any] = {"cursors": {"before": start.encode(), "after": end.encode()}}
    if end.offset < len(rows):
        # As the real API does: the link is complete, the token is left to the header.
        passed = {k: v for k, v in parameters.items() if k not in ("after", "access_token")}
        paging["next"] = f"{base_url}{path}?{urlencode({**passed, 'after': end.encode()})}"
    return Answer(200, {"data": page, "paging": paging})
