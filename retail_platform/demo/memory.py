"""Memory of this process and its children while a block runs: the peak of their summed PSS.

PSS (proportional set size) counts shared pages once over all processes, so that a sum over
processes is the memory that they really take. Linux only; elsewhere RSS is summed.
"""

import threading
from types import TracebackType
from typing import Self

import psutil

INTERVAL_SECONDS = 0.5


class PeakMemory:
    """Samples in a thread; ``peak`` is in bytes."""

    def __init__(self) -> None:
        self.peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        own = psutil.Process()
        while True:
            processes = [own, *own.children(recursive=True)]
            # No PSS is above its RSS, and for PSS the kernel walks every page: 20 ms a GB.
            if sum(_resident(process) for process in processes) > self.peak:
                self.peak = max(self.peak, sum(_size(process) for process in processes))
            if self._stop.wait(INTERVAL_SECONDS):
                return


def _resident(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0


def _size(process: psutil.Process) -> int:
    try:
        info = process.memory_full_info()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        # The process ended between being listed and being read.
        return 0
    return getattr(info, "pss", info.rss)
