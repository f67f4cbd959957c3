"""A private PostgreSQL server on 127.0.0.1, made for its context and gone after it.

Belongs here: finding, starting and stopping the server. What is in it belongs to its users.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from retail_platform.failures import PermanentFailure

KEEPER = Path(__file__).with_name("postgres_keeper.py")
START_SECONDS = 60
INSTALL = "install it (Debian and Ubuntu: apt-get install postgresql) or put initdb on the PATH"


def postgres_programs() -> Path | None:
    """The folder of PostgreSQL's server programs, the newest where there are several."""
    places = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: float(place.parent.name)
    )
    found = shutil.which("initdb")
    return places[-1] if places else Path(found).resolve().parent if found else None


@contextmanager
def postgres_server() -> Iterator[str]:
    """Serves an empty database; yields its SQLAlchemy URL, password included.

    The folder is a temporary one, since a root's server runs as the user ``postgres``, who may not
    enter most others. It goes with the server, even where this process is killed.

    Raises:
        PermanentFailure: PostgreSQL is not installed, or it did not start.
    """
    programs = postgres_programs()
    if programs is None:
        raise PermanentFailure(f"PostgreSQL is not installed; {INSTALL}.")
    # PostgreSQL refuses to run as root.
    user = "postgres" if sys.platform != "win32" and os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="retail-postgres-"))
    if user:
        shutil.chown(folder, user)
    port, password = str(_free_port()), secrets.token_urlsafe(16)
    arguments = [str(programs), str(folder), port, *([user] if user else [])]
    keeper = subprocess.Popen(
        [sys.executable, "-I", str(KEEPER), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert keeper.stdin is not None, "asked for above"
    assert keeper.stdout is not None, "asked for above"
    try:
        keeper.stdin.write(f"{password}\n")
        keeper.stdin.flush()
        if keeper.stdout.readline() != "ready\n":
            raise _did_not_start(keeper)
        _wait_for(keeper, port, password)
        yield f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
    finally:
        keeper.stdin.close()
        keeper.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(keeper: subprocess.Popen[str], port: str, password: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(
                host="127.0.0.1", port=port, user="postgres", password=password, dbname="postgres"
            ).close()
        except psycopg.OperationalError as error:
            if keeper.poll() is not None or time.monotonic() > deadline:
                raise _did_not_start(keeper) from error
            time.sleep(0.05)
        else:
            return


def _did_not_start(keeper: subprocess.Popen[str]) -> PermanentFailure:
    assert keeper.stdin is not None, "a pipe"
    assert keeper.stderr is not None, "a pipe"
    keeper.stdin.close()
    keeper.wait()
    return PermanentFailure(f"PostgreSQL did not start: {keeper.stderr.read()[-1000:]}")
