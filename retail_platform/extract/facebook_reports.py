"""Asynchronous report runs of the insights edge: submitted, polled until they end, asked anew.

Belongs here: the life of a run. Not here: its pages and rows (`facebook_ads`).

Shapes and states as in
https://developers.facebook.com/docs/marketing-api/insights/best-practices (asynchronous jobs) and
https://developers.facebook.com/docs/marketing-api/reference/ad-report-run.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from retail_platform.extract.http import JsonApi
from retail_platform.failures import PermanentFailure, TransientFailure

COMPLETED = "Job Completed"
ENDED = frozenset({"Job Failed", "Job Skipped"})
RUNNING = frozenset({"Job Not Started", "Job Started", "Job Running"})
_FIELDS = "id,async_status,async_percent_completion,error_code,error_message"
_GROWTH = 1.6


@dataclass(frozen=True, kw_only=True)
class Polling:
    """How a report run is waited for.

    Attributes:
        first: Seconds before it is asked for the first time; longer with every time.
        longest: Seconds between two questions at most.
        whole: Seconds after which it is given up; the documentation names an hour at most.
        runs: Runs that are submitted before it is left to a later run of the platform.
        sleep: How to wait.
    """

    first: float = 1.0
    longest: float = 30.0
    whole: float = 1800.0
    runs: int = 3
    sleep: Callable[[float], None] = time.sleep


def completed_run(
    api: JsonApi,
    *,
    edge: str,
    version: str,
    parameters: Mapping[str, str],
    polling: Polling,
) -> str:
    """Submits a report run and waits until it has completed.

    Args:
        api: The API.
        edge: Path of the insights edge.
        version: Version of the API.
        parameters: What is asked for.
        polling: How it is waited for.

    Returns:
        Path of the run's insights.

    Raises:
        TransientFailure: runs failed, were skipped or took too long, as often as there may be.
        PermanentFailure: the API refuses, or answers in another shape.
    """
    found = ""
    for _ in range(polling.runs):
        answer = api.call("POST", edge, form=parameters).body
        run = str(answer.get("report_run_id") or "")
        if not run.isdecimal():
            raise PermanentFailure(
                f"source {api.name}, POST {edge}: the answer has no report_run_id but "
                f"{api.members(answer)}; check whether version {version} of the "
                "API is still served"
            )
        found = _ended(api, f"/{version}/{run}", polling)
        if found == COMPLETED:
            return f"/{version}/{run}/insights"
    raise TransientFailure(
        f"source {api.name}, report run of {parameters.get('time_range')}: {polling.runs} runs, "
        f"the last one ended as {found}; it is tried again. If it stays, ask for less: "
        "restate_daily_days of the table"
    )


def _ended(api: JsonApi, path: str, polling: Polling) -> str:
    """How the run ended; in words where it did not complete."""
    pause, waited = polling.first, 0.0
    while True:
        polling.sleep(pause)
        waited += pause
        body = api.call("GET", path, parameters={"fields": _FIELDS}).body
        status = api.clean(str(body.get("async_status")))
        # The documentation asks to wait for both: some runs say completed before they are.
        whole = str(body.get("async_percent_completion", "100")) == "100"
        if status == COMPLETED and whole:
            return COMPLETED
        if status in ENDED:
            told = f"{body.get('error_code', '')} {body.get('error_message', '')}"
            told = api.clean(told).strip()
            return f"{status!r}{f' ({told})' if told else ''}"
        if status not in RUNNING and status != COMPLETED:
            raise PermanentFailure(
                f"source {api.name}, GET {path}: async_status is {status!r}, expected one of "
                f"{', '.join(sorted({*RUNNING, *ENDED, COMPLETED}))}"
            )
        if waited >= polling.whole:
            percent = body.get("async_percent_completion")
            return f"{status!r} at {percent} % after {waited:.0f} s"
        pause = min(pause * _GROWTH, polling.longest)
