"""The life of the demo's Kafka."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from retail_platform.simulator.kafka_jars import kafka_folder
from retail_platform_tests.services import require_service

PARENT = """
import signal, sys, time
from pathlib import Path
from retail_platform.simulator.kafka_server import KafkaServer
for ignored in (signal.SIGINT, signal.SIGTERM):
    signal.signal(ignored, signal.SIG_IGN)
server = KafkaServer(Path(sys.argv[1])).start().wait()
print(server._process.pid, flush=True)
time.sleep(600)
"""
SECONDS = 30


@pytest.mark.kafka
@pytest.mark.skipif(not shutil.which("setpriv"), reason="the system cannot see to it")
def test_a_killed_parent_leaves_no_server_even_where_it_ignored_signals(tmp_path: Path) -> None:
    """As under a shell's background job: the next start finds the data folder free."""
    require_service("Kafka (retail-platform add-kafka)", found=kafka_folder() is not None)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert parent.stdout is not None
        server = int(parent.stdout.readline())
        assert _runs(server)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.communicate()
    deadline = time.monotonic() + SECONDS
    while _runs(server):
        assert time.monotonic() < deadline, f"Kafka {server} outlived the process that started it"
        time.sleep(0.05)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # One that its new parent has not yet asked after has ended as well.
    return "State:\tZ" not in Path(f"/proc/{process}/status").read_text("utf-8")
