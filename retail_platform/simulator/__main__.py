"""Live sources: ``python -m retail_platform.simulator --home DIR [--port-file FILE]``.

Here belongs the process: it moves the clock with the real one every few seconds, serves the ad
APIs, prints the sources' addresses and stops on SIGTERM, SIGINT or at the end of the data.
"""

import argparse
import json
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

from retail_platform.failures import PlatformFailure
from retail_platform.simulator.simulator import EndOfData, Simulator

TICK_SECONDS = 5.0


def main(arguments: list[str] | None = None) -> int:
    """Run until stopped; returns 0 when stopped, 3 at the end of the data, 1 on another failure."""
    parser = argparse.ArgumentParser(
        prog="python -m retail_platform.simulator", description=__doc__
    )
    parser.add_argument("--home", type=Path, required=True, help="the platform's home folder")
    parser.add_argument("--port-file", type=Path, help="file that gets the addresses as JSON")
    options = parser.parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        _run(options.home, options.port_file, stop)
    except EndOfData as end:
        sys.stderr.write(f"{end}\n")
        return 3
    except PlatformFailure as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    return 0


def _run(home: Path, port_file: Path | None, stop: threading.Event) -> None:
    simulator = Simulator.open(home)
    with simulator.serve() as environment:
        simulator.advance_to(datetime.now(UTC))
        if port_file is not None:
            part = port_file.with_suffix(".part")
            part.write_text(json.dumps(environment), "utf-8")
            part.replace(port_file)
        for name, value in environment.items():
            sys.stdout.write(f"{name}={value}\n")
        sys.stdout.write(f"data ends at {simulator.ends_at.isoformat()}\n")
        sys.stdout.flush()
        while not stop.wait(TICK_SECONDS):
            simulator.advance_to(datetime.now(UTC))


if __name__ == "__main__":
    sys.exit(main())
