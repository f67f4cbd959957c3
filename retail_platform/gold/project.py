"""The dbt project as Dagster needs it: its files, their fingerprint, and the parsed manifest.

What belongs here: parsing, in a process of its own, so that loading the code location imports no
dbt run time and opens no engine. Not here: assets (`assets`) and builds (`runner`).
"""

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from retail_platform.failures import PermanentFailure

MANIFEST = "manifest.json"
PARTIAL_PARSE = "partial_parse.msgpack"
_LOG = logging.getLogger(__name__)
# Needs no `dbt` on the PATH.
DBT = "from dbt.cli.main import cli; cli(prog_name='dbt')"


@contextmanager
def staging_of(gold_root: str) -> Iterator[str]:
    """A place beside the Gold tables for the changes that one dbt process writes down.

    Its folder is removed at the end; what a killed process leaves in a local lake is removed with
    the rest of the lake's abandoned staging.

    Args:
        gold_root: Folder or URL below which the Gold tables lie.
    """
    location = f"{gold_root.rstrip('/').rpartition('/')[0]}/_staging/gold_{uuid.uuid4().hex}"
    try:
        yield location
    finally:
        if "://" not in location:
            shutil.rmtree(location, ignore_errors=True)


@dataclass(frozen=True, kw_only=True)
class GoldProject:
    """A dbt project and the ignored folder in which its artefacts are kept.

    Attributes:
        project_dir: Folder of `dbt_project.yml` and `profiles.yml`; never written to.
        target_path: Folder for parsed manifests (one per fingerprint) and for running builds.
    """

    project_dir: Path
    target_path: Path

    @cached_property
    def fingerprint(self) -> str:
        """A hash of every project file and of dbt's version: other input, other manifest."""
        digest = hashlib.sha256(version("dbt-core").encode())
        for path in sorted(path for path in self.project_dir.rglob("*") if path.is_file()):
            content = path.read_bytes()
            name = path.relative_to(self.project_dir).as_posix()
            digest.update(f"\n{len(name)}:{name}:{len(content)}:".encode() + content)
        return digest.hexdigest()[:16]

    @property
    def parsed_dir(self) -> Path:
        """Folder of the manifest that belongs to the files as they are."""
        return self.target_path / f"parsed-{self.fingerprint}"

    def manifest_path(self) -> Path:
        """The manifest of the files as they are, parsed now if it is not there yet.

        Raises:
            PermanentFailure: dbt cannot parse the project; the message carries dbt's own.
        """
        manifest = self.parsed_dir / MANIFEST
        if not manifest.exists():
            self._parse()
        return manifest

    def environment(self, target: Path) -> dict[str, str]:
        """The environment of a dbt process that writes nowhere but into `target`."""
        return {
            **os.environ,
            "DBT_PROJECT_DIR": str(self.project_dir),
            "DBT_PROFILES_DIR": str(self.project_dir),
            "DBT_TARGET_PATH": str(target),
            "DBT_LOG_PATH": str(target),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "PYTHONUNBUFFERED": "1",
        }

    def _parse(self) -> None:
        # Several processes may load the code location at once: each parses into a folder of its
        # own, and the first to finish gives its folder the final name.
        scratch = self.target_path / f"parsing-{uuid.uuid4().hex}"
        scratch.mkdir(parents=True)
        try:
            done = subprocess.run(
                [sys.executable, "-c", DBT, "parse", "--no-partial-parse", "--log-level", "warn"],
                env=self.environment(scratch),
                cwd=self.project_dir,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                raise PermanentFailure(
                    f"dbt cannot parse the project {self.project_dir.name} of Gold. Mend the file "
                    f"that it names:\n{done.stdout[-4000:]}{done.stderr[-1000:]}"
                )
            if done.stdout.strip():
                # Deprecated versions that are still read, for one.
                _LOG.warning("dbt on the project of Gold:\n%s", done.stdout.strip())
            if not self.parsed_dir.exists():
                scratch.rename(self.parsed_dir)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
