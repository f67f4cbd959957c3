"""The dbt process of a test session, shared by its lakes. Its inside is `dbt_loop`."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from retail_platform.gold.by_hand import PROJECT
from retail_platform.gold.project import GoldProject


class DbtProcess:
    """Runs dbt commands one after the other.

    Args:
        process: A running `dbt_loop`.
        target: Folder of what dbt writes: the SQL of its last command, for one.
    """

    def __init__(self, process: "subprocess.Popen[str]", target: Path) -> None:
        self._process = process
        self.target = target

    def run(self, arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[bool, str]:
        """Whether the command succeeded, and what it printed.

        Args:
            arguments: dbt's arguments, without `dbt`.
            environment: The session, the lake and the hours; kept until they are named again.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"arguments": list(arguments), "environment": dict(environment)}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return answer["success"], answer["output"]


@contextmanager
def dbt_process(folder: Path) -> Iterator[DbtProcess]:
    """Starts the process; it ends with the context.

    Args:
        folder: For dbt's artefacts and logs.
    """
    project = GoldProject(project_dir=PROJECT, target_path=folder)
    target = folder / "target"
    # -P: the script's folder stays off the import path; its neighbours have common names.
    with subprocess.Popen(
        [sys.executable, "-P", str(Path(__file__).with_name("dbt_loop.py"))],
        env=project.environment(target),
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield DbtProcess(process, target)
        finally:
            # Also where a test was interrupted: dbt would go on for minutes without its engine.
            process.kill()
