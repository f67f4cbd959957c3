"""The embedded engine is a child process: what it keeps, how it ends, and what it says."""

import os
import signal
import subprocess
import sys

import psutil
import pytest
from pyspark.sql.connect.session import SparkSession

from retail_platform.failures import PermanentFailure
from retail_platform.lakehouse.engine import open_engine
from retail_platform.settings import Engine

STATEMENTS = 150
KEPT_MB = 25
"""Twice what the engine keeps of that many statements is more, wherever it keeps it."""
ENDS_SECONDS = 30
STARTS = 200
"""Beside a session, one start in twenty failed while gRPC took part in it."""

OPENED = """
import sys
from retail_platform.lakehouse.engine import open_engine
from retail_platform.settings import Engine
with open_engine(Engine.EMBEDDED) as session:
    session.spark.sql("select 1").collect()
    print(session.server.pid, flush=True)
    sys.stdin.read()
"""


def statements(spark: SparkSession, count: int = STATEMENTS) -> None:
    """Runs small statements, as an hour of the platform runs some thousand."""
    for _ in range(count):
        spark.sql("select 1").collect()


def resident_mb(process: psutil.Process) -> float:
    """Memory of one process."""
    return process.memory_info().rss / 2**20


def test_a_process_of_many_engines_keeps_nothing_of_their_statements() -> None:
    """As the demo opens one for each hour; the engine itself does keep some, or why the child."""
    own = psutil.Process()
    with open_engine(Engine.EMBEDDED) as session:
        statements(session.spark)
    before = resident_mb(own)
    kept = 0.0
    for _ in range(3):
        with open_engine(Engine.EMBEDDED) as session:
            assert session.server is not None
            engine = psutil.Process(session.server.pid)
            statements(session.spark, 20)
            fresh = resident_mb(engine)
            statements(session.spark)
            kept += resident_mb(engine) - fresh
        assert not engine.is_running()
    assert resident_mb(own) - before < KEPT_MB
    assert kept > KEPT_MB, "Sail keeps nothing any more: it may be a part of this process again"


def test_the_engine_ends_with_a_killed_process() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OPENED], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as opener:
        assert opener.stdout is not None
        engine = psutil.Process(int(opener.stdout.readline()))
        opener.kill()
    engine.wait(timeout=ENDS_SECONDS)


def test_an_engine_that_is_killed_fails_the_statement_and_those_after_it() -> None:
    with open_engine(Engine.EMBEDDED) as session:
        assert session.server is not None
        session.server.kill()
        for _ in range(2):
            with pytest.raises(PermanentFailure, match="ended with -9 in the middle"):
                session.spark.sql("select 1").collect()


def test_what_the_engine_logs_is_on_standard_error() -> None:
    opened = subprocess.run(
        [sys.executable, "-c", OPENED],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "RUST_LOG": "info"},
        check=True,
    )
    assert "creating session" in opened.stderr


def test_an_engine_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAIL_MODE", "nowhere")
    with (
        pytest.raises(PermanentFailure, match=r"(?s)did not start.*nowhere"),
        open_engine(Engine.EMBEDDED),
    ):
        pass


def test_programs_can_be_started_beside_a_session() -> None:
    """As pyspark starts Spark's JVM: a function runs in the child before its program does."""

    def ignore_interrupts() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    with open_engine(Engine.EMBEDDED) as session:
        for _ in range(STARTS):
            statements(session.spark, 1)
            subprocess.run(["/bin/true"], input=b"", check=True, preexec_fn=ignore_interrupts)
