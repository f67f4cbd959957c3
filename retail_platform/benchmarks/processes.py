"""Measured programs, each in a process of its own: ours, and dlt in the peers' environment.

A program prints its figures as JSON in the last line of its output.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from retail_platform.failures import PermanentFailure
from retail_platform.settings import PACKAGE


def our_command(module: str) -> list[str]:
    """The command that runs a module of this package in this environment."""
    return [sys.executable, "-m", module]


def peer_command(module: str) -> list[str]:
    """The command that runs a module of this package where dlt is installed.

    Raises:
        PermanentFailure: uv, which builds that environment, is not on the PATH.
    """
    uv = shutil.which("uv")
    if uv is None:
        raise PermanentFailure(
            "bench: dlt runs in an environment that uv builds, and there is no uv on the PATH. "
            "Install uv, or leave dlt out with --no-peer."
        )
    return [uv, "run", "--isolated", "--no-dev", "--group", "peers", "python", "-m", module]


def figures(
    name: str, command: Sequence[str], arguments: Sequence[str], *, told: str | None = None
) -> dict[str, Any]:
    """Runs a program to its end and reads its figures.

    Args:
        name: Who is measured, for messages.
        command: How the program is started, see `our_command` and `peer_command`.
        arguments: What stands on its command line, which every user of the machine can read.
        told: What it gets on its standard input, which nobody can.

    Raises:
        PermanentFailure: it ended with an error.
    """
    ended = subprocess.run(
        [*command, *arguments],
        input=told,
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise PermanentFailure(
            f"bench: {name} ended with code {ended.returncode}: {ended.stderr[-2000:]} "
            "Where it is dlt that fails, leave it out with --no-peer."
        )
    return dict(json.loads(ended.stdout.splitlines()[-1]))
