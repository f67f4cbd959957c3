"""dbt as people use it: any dbt command in the project's folder, on an engine over the lake.

What belongs here: the environment of such a process. Not here: the builds of the Dagster step
(`runner`), and the command (`cli.dbt`).
"""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from retail_platform.gold.project import GoldProject
from retail_platform.lakehouse.resource import LakehouseResource
from retail_platform.settings import PACKAGE

PROJECT = PACKAGE / "gold" / "dbt"
TARGET = "target"


def hand_project(home: Path) -> GoldProject:
    """The platform's dbt project with its artefacts below the state folder ``home``."""
    return GoldProject(project_dir=PROJECT, target_path=home / "dbt")


def hand_environment(
    project: GoldProject, lakehouse: LakehouseResource, *, staging: str, hours: str
) -> dict[str, str]:
    """Variables with which ``dbt`` finds project, session, lake and hours, wherever it is called.

    Args:
        project: The dbt project.
        lakehouse: The open lake; its session is dbt's as long as it is open.
        staging: Where the command may put tables of its own.
        hours: ``YYYY-MM-DD HH:00:00`` (UTC), several with commas; empty for none.
    """
    return {
        # A test that also reads tables which were not asked for, and may not be there, is not run.
        "DBT_INDIRECT_SELECTION": "buildable",
        **project.environment(project.target_path / TARGET),
        "SPARK_REMOTE": lakehouse.remote_url,
        "RETAIL_GOLD_ROOT": lakehouse.gold_root,
        "RETAIL_STAGING": staging,
        "RETAIL_HOUR": hours,
    }


def run_by_hand(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> int:
    """Runs a program in ``folder`` with the terminal's own input and output; its exit code."""
    return subprocess.run(command, env=environment, cwd=folder, check=False).returncode
