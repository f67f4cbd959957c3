"""A throw-away PostgreSQL server, where the machine has one installed."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from retail_platform_tests.services import require_service

_START_SECONDS = 30


@contextmanager
def postgres_server() -> Iterator[str]:
    """Serve from a folder of its own; yields the URL of an empty database.

    Skips the test where there is no PostgreSQL, or fails it (see `services`).
    """
    programs = _programs()
    require_service("postgresql", found=programs is not None)
    assert programs is not None
    # PostgreSQL refuses to run as root: a root hands the folder to the user postgres.
    user = "postgres" if sys.platform != "win32" and os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        if user:
            shutil.chown(folder, user)
        data = folder / "data"
        initdb = [programs / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync"]
        quiet = subprocess.DEVNULL
        subprocess.run(initdb, user=user, cwd=folder, check=True, stdout=quiet, stderr=quiet)
        port = _free_port()
        settings = ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        command = [programs / "postgres", "-D", data, "-p", str(port), "-k", folder, *settings]
        # A child rather than a daemon: it is stopped by its own id, whatever became of its folder.
        server = subprocess.Popen(command, user=user, cwd=folder, stdout=quiet, stderr=quiet)
        try:
            _wait_for(server, port)
            yield f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGQUIT)
            server.wait()
    finally:
        shutil.rmtree(folder)


def _programs() -> Path | None:
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    found = shutil.which("initdb")
    return places[-1] if places else Path(found).parent if found else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(server: subprocess.Popen[bytes], port: int) -> None:
    psycopg = pytest.importorskip("psycopg")
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg.connect(f"host=127.0.0.1 port={port} user=postgres dbname=postgres").close()
        except psycopg.OperationalError:
            assert server.poll() is None, "PostgreSQL ended while starting"
            assert time.monotonic() < deadline, "PostgreSQL did not start in time"
            time.sleep(0.05)
        else:
            return
