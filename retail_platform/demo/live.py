"""The demo goes on live: the simulator follows the clock, Dagster's UI and daemon run beside it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from retail_platform.demo.environment import PROJECT, demo_environment
from retail_platform.demo.summary import CONSOLE
from retail_platform.failures import PermanentFailure
from retail_platform.serving.assets import OVERVIEW
from retail_platform.simulator.http_serving import Quiet, running
from retail_platform.simulator.simulator import Simulator

START_SECONDS = 90
STOP_SECONDS = 20


def run_live(home: Path, port: int) -> None:
    """Serves until Ctrl-C or SIGTERM, then stops every process that it started.

    Args:
        home: State folder of the demo.
        port: Port of the Dagster UI.

    Raises:
        PermanentFailure: a process did not start; the message carries its last lines.
    """
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    start = Simulator.open(home).start
    with _simulator(home) as sources, _reports(home / "reports") as reports:
        environment = {**os.environ, **demo_environment(home, sources, start)}
        command = ["dagster", "dev", "-w", str(PROJECT / "workspace.yaml"), "-p", str(port)]
        with _process("dagster", command, home, environment) as dagster:
            ui = f"http://127.0.0.1:{port}"
            _wait_for(ui, dagster, home)
            CONSOLE.print(f"\nDagster UI  {ui}\nReports     {reports}\nCtrl-C stops everything.")
            while not stop.wait(1):
                if dagster.poll() is not None:
                    raise _ended("dagster", home)
    CONSOLE.print("Stopped.")


@contextmanager
def _simulator(home: Path) -> Generator[dict[str, str], None, None]:
    ports = home / "simulator" / "sources.json"
    ports.unlink(missing_ok=True)
    command = ["-m", "retail_platform.simulator", "--home", str(home), "--port-file", str(ports)]
    with _process("simulator", command, home, dict(os.environ)) as process:
        deadline = time.monotonic() + START_SECONDS
        while not ports.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise _ended("simulator", home)
            time.sleep(0.1)
        yield json.loads(ports.read_text())


@contextmanager
def _process(
    name: str, command: list[str], home: Path, environment: dict[str, str]
) -> Generator[subprocess.Popen[bytes], None, None]:
    """A process group of its own, ended by its own id: children of children included."""
    executable = [sys.executable] if command[0].startswith("-") else []
    if not executable:
        command = [str(Path(sys.executable).parent / command[0]), *command[1:]]
    with (home / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [*executable, *command],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    for order in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, order)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        break
    try:
        # What the leader left behind in its group.
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _wait_for(url: str, process: subprocess.Popen[bytes], home: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise _ended("dagster", home)
        try:
            with urlopen(f"{url}/server_info", timeout=2):  # noqa: S310
                return
        except (URLError, TimeoutError, ConnectionError):
            time.sleep(0.3)
    raise _ended("dagster", home)


def _ended(name: str, home: Path) -> PermanentFailure:
    lines = (home / f"{name}.log").read_text(errors="replace").splitlines()[-15:]
    return PermanentFailure(
        f"{name} did not stay up. Its last lines ({home.name}/{name}.log):\n" + "\n".join(lines)
    )


@contextmanager
def _reports(folder: Path) -> Generator[str, None, None]:
    folder.mkdir(parents=True, exist_ok=True)
    handler = partial(_FileHandler, directory=str(folder))
    with running(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as address:
        yield f"http://{address}/{OVERVIEW}"


class _FileHandler(Quiet, SimpleHTTPRequestHandler):
    """Files of a folder."""
