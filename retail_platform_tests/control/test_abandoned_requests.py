"""A request whose process was killed does not stay RUNNING: whoever looks next closes it."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from retail_platform.control.database import open_control
from retail_platform.control.models import RequestStatus
from retail_platform.control.owners import is_gone, this_process
from retail_platform.control.requests import Request, RequestKind, Requests
from retail_platform_tests.platform.box import hour_at

HOURS = 3
CHILD = """
import sys, time
from retail_platform_tests.control.test_abandoned_requests import opened
requests, request = opened(sys.argv[1])
for _ in range(int(sys.argv[2])):
    requests.hour_ended(request.id, succeeded=True)
print(request.id, flush=True)
time.sleep(600)
"""


def opened(url: str) -> tuple[Requests, Request]:
    requests = Requests(open_control(url))
    return requests, requests.open(
        table="orders",
        kind=RequestKind.REPROCESS,
        first_hour=hour_at(0),
        last_hour=hour_at(HOURS - 1),
        hours=HOURS,
        reason="wrong prices",
        requester="Ada",
    )


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'control.db'}"
    open_control(url).dispose()
    return url


@pytest.mark.parametrize(
    ("done", "status"), [(0, RequestStatus.FAILURE), (1, RequestStatus.PARTIAL_SUCCESS)]
)
def test_a_killed_process_leaves_no_running_request(
    url: str, done: int, status: RequestStatus
) -> None:
    """While it lives its request runs; after a SIGKILL it is closed with what is done, and why."""
    command = [sys.executable, "-c", CHILD, url, str(done)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        number = int(child.stdout.readline())
        requests = Requests(open_control(url))
        assert [r.status for r in requests.all()] == [RequestStatus.RUNNING]
        os.kill(child.pid, signal.SIGKILL)
    (request,) = requests.all()
    assert (request.id, request.status, request.hours_done) == (number, status, done)
    assert request.finished_at is not None
    assert "abandoned: its process ended" in (request.error or "")
    assert f"{done} of {HOURS} hours done; ask for the hours again" in (request.error or "")
    _, own = opened(url)
    assert [r.status for r in requests.all()] == [status, RequestStatus.RUNNING]
    requests.finish(own.id)


def test_the_next_request_closes_those_that_were_left(url: str) -> None:
    """Also where nobody lists requests, and while its killed process is not yet reaped."""
    command = [sys.executable, "-c", CHILD, url, "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        number = int(child.stdout.readline())
        os.kill(child.pid, signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        requests, _ = opened(url)
        assert requests.get(number).status is RequestStatus.FAILURE


def test_processes_are_told_apart() -> None:
    """A number that was given out again is another process; other hosts count as alive."""
    own = this_process()
    host, pid, started = own.rsplit(" ", 2)
    assert not is_gone(own)
    assert is_gone(f"{host} {pid} {float(started) - timedelta(hours=1).total_seconds()}")
    assert not is_gone(f"another-host {pid} 1.0")
