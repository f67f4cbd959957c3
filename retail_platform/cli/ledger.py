"""How ``audit`` chooses and shows requests and loads. No command of its own."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from retail_platform.cli.platform import Platform
from retail_platform.control.loads import LoadRow
from retail_platform.control.models import RequestStatus, Status
from retail_platform.control.requests import Request

WIDTH = 160
"""Columns of a table that goes to a file or a pipe."""
COUNTS = (
    "read",
    "rejected",
    "quarantined",
    "duplicates",
    "stale",
    "unchanged",
    "applied",
    "swept",
    "inferred",
)


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What an audit shows.

    Attributes:
        requests: Requests, oldest first.
        loads: Loads in the order in which they started, those of the requests among them.
    """

    requests: Sequence[Request]
    loads: Sequence[LoadRow]


def select(
    platform: Platform, *, table: str | None, status: str | None, since: datetime | None
) -> Chosen:
    """Requests and loads of a table, with a status, since a moment.

    Args:
        platform: The platform.
        table: An asset such as ``silver/orders``, or a table's name: then of all of its layers.
        status: Status of loads or requests.
        since: Only what started at or after it, aware.
    """
    ledger, requests = platform.control.ledger, platform.control.requests
    found = platform.catalog.by_entity.get(table) if table else None
    assets = [f"bronze/{found.bronze}", f"silver/{found.entity}"] if found else [table]
    if table in {live.entity for live in platform.catalog.live}:
        assets = [f"silver/{table}"]
    load_status = status if status is None or status in set(Status) else None
    loads = [
        load
        for asset in assets
        for load in ledger.loads(asset=asset, status=load_status, since=since)
        if status == load_status
    ]
    request_status = status if status is None or status in set(RequestStatus) else None
    entity = table.rpartition("/")[2] if table else None
    chosen = [
        request
        for request in requests.all(table=entity, since=since, status=request_status)
        if status == request_status
    ]
    return Chosen(requests=chosen, loads=sorted(loads, key=lambda load: (load.started_at, load.id)))


def seconds_per_million(load: LoadRow) -> float | None:
    """Seconds per million rows read; None where nothing was read or the load has not ended."""
    return load.seconds / load.read * 1e6 if load.seconds is not None and load.read else None


def print_ledger(chosen: Chosen) -> None:
    """Requests with how their hours went, then one row per load."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    if chosen.requests:
        _print_requests(console, chosen.requests)
    table = Table(title="Ledger", title_justify="left")
    for name in ("asset", "hour (UTC)"):
        table.add_column(name)
    table.add_column("try", justify="right")
    table.add_column("status")
    for name in ("schema", *COUNTS, "MB", "s", "s/M rows"):
        table.add_column(name, justify="right")
    for load in chosen.loads:
        pace = seconds_per_million(load)
        table.add_row(
            load.asset,
            f"{load.hour:%Y-%m-%d %H:%M}",
            str(load.attempt),
            f"{load.status}" + (f" ({load.reason})" if load.reason else ""),
            "" if load.schema_version is None else str(load.schema_version),
            *(f"{getattr(load, name):,}" for name in COUNTS),
            "" if load.bytes is None else f"{load.bytes / 2**20:,.1f}",
            "" if load.seconds is None else f"{load.seconds:.1f}",
            "" if pace is None else f"{pace:,.0f}",
        )
    console.print(table)
    for load in chosen.loads:
        for text in (load.error, load.causes):
            if text:
                console.print(
                    f"[red]{load.status}[/] {load.asset} {load.hour:%Y-%m-%d %H:%M}: {escape(text)}"
                )


def _print_requests(console: Console, requests: Sequence[Request]) -> None:
    table = Table(title="Requests", title_justify="left")
    for name in ("id", "kind", "table", "hours (UTC)", "done", "status", "requester", "reason"):
        table.add_column(name)
    for request in requests:
        table.add_row(
            str(request.id),
            f"{request.kind}",
            request.table,
            f"{request.first_hour:%Y-%m-%d %H:%M} to {request.last_hour:%Y-%m-%d %H:%M}",
            f"{request.hours_done} of {request.hours}",
            f"{request.status}",
            request.requester,
            request.reason,
        )
        if request.error:
            table.add_row("", "", "", "", "", f"[red]{request.error}[/]")
    console.print(table)


def ledger_json(chosen: Chosen) -> str:
    """Requests, each with its loads, and all loads as JSON, timestamps in ISO 8601."""
    loads = [_load(load) for load in chosen.loads]
    requests = [
        {
            **asdict(request),
            "loads": [load for load in loads if load["request_id"] == request.id],
        }
        for request in chosen.requests
    ]
    return json.dumps({"requests": requests, "loads": loads}, indent=2, default=str)


def _load(load: LoadRow) -> dict[str, Any]:
    return {**asdict(load), "seconds_per_million_rows": seconds_per_million(load)}
