"""Starts Sail's Spark Connect server as a child of this process.

Why a process: Sail 0.7.2 keeps 0.1 to 0.5 MB of every statement until its process ends, whether
its sessions are closed, its server is stopped or its caches are off (measured: 400 times
``select 1`` 50 MB; lakehq/sail issue 1916), which is 200 to 300 MB an hour of the demo. The memory
goes with the child, and a statement takes the same CPU time there.

Not here: sessions (`engine`), and the process's inside (`sail_server`).
"""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from retail_platform.failures import PermanentFailure

SCRIPT = Path(__file__).with_name("sail_server.py")
STANDARD_ERROR = 2


@contextmanager
def local_sail() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Runs a server while the block runs; any number at a time.

    What it logs is passed on to standard error.

    Yields:
        Its ``sc://127.0.0.1:<port>`` address and its process.

    Raises:
        PermanentFailure: it did not start.
    """
    server = subprocess.Popen(
        # -P: the script's folder stays off the import path; its neighbours have common names.
        [sys.executable, "-P", str(SCRIPT)],
        env={
            # Sail logs each session at INFO unless told otherwise.
            "RUST_LOG": "error",
            # Sail's allocator would keep what a statement has freed.
            "MIMALLOC_PURGE_DELAY": "0",
            **os.environ,
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert server.stdin is not None, "asked for above"
    assert server.stdout is not None, "asked for above"
    log = threading.Thread(target=_pass_on, args=(server.stdout,), daemon=True)
    try:
        address = _address(server)
        log.start()
        yield address, server
    finally:
        # What still runs was given up with its session: nothing is waited for.
        server.terminate()
        server.wait()
        server.stdin.close()
        if log.is_alive():
            log.join()
        server.stdout.close()


def _address(server: subprocess.Popen[bytes]) -> str:
    assert server.stdout is not None, "asked for above"
    logged = b""
    for line in server.stdout:
        if line.startswith(b"sc://"):
            os.write(STANDARD_ERROR, logged)
            return line.decode().strip()
        logged += line
    raise PermanentFailure(
        f"The embedded engine did not start, its process ended with {server.wait()}: "
        f"{logged.decode(errors='replace')[-1000:]}"
    )


def _pass_on(lines: IO[bytes]) -> None:
    # Not to where standard error led at the start: a run keeps it beside its steps later on.
    for line in lines:
        os.write(STANDARD_ERROR, line)
