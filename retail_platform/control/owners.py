"""Which process works on something, told so that another one can find out whether it still lives.

A process is told by host, number and start, for numbers are given out again. Of another host
nothing can be said: its processes count as alive.
"""

import os
import platform

import psutil

_SAME_START = 2.0
"""Seconds by which two readings of one process's start may differ."""


def this_process() -> str:
    """The name of this process."""
    pid = os.getpid()
    return f"{platform.node()} {pid} {psutil.Process(pid).create_time():.2f}"


def is_gone(owner: str) -> bool:
    """Whether the process of that name has ended, as far as this host can tell."""
    host, pid, started = owner.rsplit(" ", 2)
    if host != platform.node():
        return False
    try:
        process = psutil.Process(int(pid))
        return (
            abs(process.create_time() - float(started)) > _SAME_START
            or process.status() == psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return True
