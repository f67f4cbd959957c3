"""How commands show requests and their hours. No command of its own."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from retail_platform.control.loads import LoadRow
from retail_platform.control.requests import Request
from retail_platform.operations.requests import HourResult
from retail_platform.partitions import key_of

# Bound to the stream of the start: what steps print is redirected while hours run.
CONSOLE = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120)
COUNTS = ("read", "quarantined", "duplicates", "stale", "unchanged", "applied", "swept")


def print_hour(result: HourResult) -> None:
    """One line for an hour that has ended, and one for each failure."""
    CONSOLE.print(
        f"{result.hour:%Y-%m-%d %H:%M} UTC  {'done' if result.succeeded else '[red]failed[/]'}",
        highlight=False,
    )
    for step, message in result.failures.items():
        CONSOLE.print(f"  {step}: {message}", markup=False, highlight=False)


def print_request(request: Request, loads: Sequence[LoadRow]) -> None:
    """A request and its loads."""
    table = Table(title=f"Request {request.id}: {_title(request)}", title_justify="left")
    for name in ("asset", "hour (UTC)", "status"):
        table.add_column(name)
    for name in COUNTS:
        table.add_column(name, justify="right")
    for load in loads:
        table.add_row(
            load.asset,
            f"{load.hour:%Y-%m-%d %H:%M}",
            f"{load.status}",
            *(f"{getattr(load, name):,}" for name in COUNTS),
        )
    CONSOLE.print(table)
    CONSOLE.print(
        f"{request.status}: {request.hours_done} of {request.hours} hours done, "
        f"{request.hours_failed} failed",
        highlight=False,
    )


def request_json(request: Request, results: Sequence[HourResult], loads: Sequence[LoadRow]) -> str:
    """A request, its hours and their loads as JSON, timestamps in ISO 8601."""
    hours = [
        {
            "hour": key_of(result.hour),
            "succeeded": result.succeeded,
            "run_id": result.run_id,
            "failures": result.failures,
            "loads": [asdict(load) for load in loads if load.hour == result.hour],
        }
        for result in results
    ]
    return json.dumps({**asdict(request), "results": hours}, indent=2, default=str)


def _title(request: Request) -> str:
    return f"{request.kind} of {request.table}, asked by {request.requester}: {request.reason}"
