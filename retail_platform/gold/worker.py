"""dbt processes that are started before they are needed.

A Dagster run opens its resources when it starts, so the worker imports dbt while Bronze and Silver
load; when Gold's turn comes, the imports (4 s of a build of 8 s) are done and the project is read.

Why a process of its own and not `dbtRunner` in Dagster's: dbt-spark's session method takes the
process's default Spark session, whatever the URL, which in Dagster's process may be another run's.
Not here: what dbt is asked to do (`runner`), and the process's inside (`dbt_worker`).
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import dagster as dg
from pydantic import PrivateAttr

SCRIPT = Path(__file__).with_name("dbt_worker.py")


class DbtWorker:
    """One process that will run one dbt command.

    Args:
        project_dir: Its working directory.
        parsed: The project as dbt has parsed it (`project.PARTIAL_PARSE`).
    """

    def __init__(self, project_dir: Path, parsed: Path) -> None:
        # -P: the script's folder stays off the import path; its neighbours have common names.
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(SCRIPT), str(parsed)],
            cwd=project_dir,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def submit(
        self, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        """Give the worker its command; its output is the command's.

        Args:
            arguments: dbt's arguments, without `dbt`.
            environment: Variables on top of those with which the worker was started.

        Returns:
            The process. It ends when its standard input is closed, also before it is done.
        """
        assert self._process.stdin is not None
        request = {"arguments": list(arguments), "environment": dict(environment)}
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        self._process.args = ["dbt", *arguments]
        return self._process

    def discard(self) -> None:
        """End a worker that was not needed."""
        assert self._process.stdin is not None
        self._process.kill()
        self._process.stdin.close()
        self._process.wait()


class DbtWorkerResource(dg.ConfigurableResource["DbtWorkerResource"]):
    """Keeps one worker ready from the start of a run.

    Attributes:
        project_dir: Folder of the dbt project.
        parsed: File of the project as dbt has parsed it.
    """

    project_dir: str
    parsed: str
    _ready: DbtWorker | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Start the worker; it imports while the run goes on."""
        del context
        self._ready = self._started()

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """End the worker if no step took it."""
        del context
        if self._ready is not None:
            self._ready.discard()
            self._ready = None

    def take(self) -> DbtWorker:
        """The ready worker, or a new one if it is taken."""
        worker, self._ready = self._ready or self._started(), None
        return worker

    def _started(self) -> DbtWorker:
        return DbtWorker(Path(self.project_dir), Path(self.parsed))
