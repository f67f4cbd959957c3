"""The environment in which the demo's processes run: state folder, Dagster instance, sources."""

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from retail_platform.failures import PermanentFailure
from retail_platform.settings import DEMO_ENVIRONMENT, PACKAGE, Settings

PROJECT = PACKAGE.parent


def prepare_home(home: Path, *, fresh: bool) -> None:
    """Creates the state folder; ``fresh`` deletes what an earlier demo left there.

    Raises:
        PermanentFailure: the folder holds something else than a demo's state.
    """
    marker = home / DEMO_ENVIRONMENT
    if home.exists() and any(home.iterdir()) and not marker.exists():
        raise PermanentFailure(
            f"{home} is not the state folder of a demo; set RETAIL_HOME to another folder."
        )
    if fresh and home.exists():
        shutil.rmtree(home)
    (home / "dagster").mkdir(parents=True, exist_ok=True)
    marker.touch()
    shutil.copyfile(PROJECT / "dagster.yaml", home / "dagster" / "dagster.yaml")


def demo_environment(home: Path, sources: Mapping[str, str], start: datetime) -> dict[str, str]:
    """Variables of the demo, to be added to the process's own; kept for other commands.

    Args:
        home: State folder.
        sources: Where the simulator's sources are.
        start: First clock of the simulator; partitions begin with its UTC day.
    """
    key = home / "pii_key"
    if not key.exists():
        key.write_text(secrets.token_hex(32))
        key.chmod(0o600)
    environment = {
        **sources,
        "RETAIL_HOME": str(home),
        "RETAIL_SIMULATOR": "1",
        "RETAIL_PARTITIONS_START": f"{start:%Y-%m-%d}T00:00+00:00",
        "RETAIL_PII_KEY": key.read_text(),
        "DAGSTER_HOME": str(home / "dagster"),
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }
    marker = home / DEMO_ENVIRONMENT
    marker.write_text(json.dumps(environment, indent=2), "utf-8")
    marker.chmod(0o600)
    return environment


def enter_demo_environment(home: Path, sources: Mapping[str, str], start: datetime) -> Settings:
    """Sets the demo's variables in this process and reads the settings from them."""
    os.environ.update(demo_environment(home, sources, start))
    return Settings.from_environment()
