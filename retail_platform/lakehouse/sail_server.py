"""Sail's Spark Connect server as a process of its own: run as a script by `local_sail`.

It prints its address and serves until it is terminated, or until its standard input ends: its
parent is gone, also a killed one. Nothing of the platform is imported: it takes 36 MB and 0.05 s
to start.

Not here: who starts it, and why it is a process (`local_sail`).
"""

import os
import signal
import sys

from pysail.spark import SparkConnectServer


def main() -> None:
    """Serve until the parent is gone."""
    # Ctrl-C reaches the whole process group; the parent still needs the engine to end its work.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server = SparkConnectServer(ip="127.0.0.1", port=0)
    server.start(background=True)
    address = server.listening_address
    assert address is not None, "a server that has started listens"
    sys.stdout.write(f"sc://{address[0]}:{address[1]}\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()
    # Nobody reads what statements still run for.
    os._exit(0)


if __name__ == "__main__":
    main()
