"""Runs dbt for the hours of one Dagster step, on the step's own engine session.

Why not `DbtCliResource`: for every build it starts `dbt --version` (3 s, and it asks a package
registry for the latest release) and opens an adapter in Dagster's process. Its parts below,
`DbtCliInvocation` and the selection helper, do the same work without either. The process itself
comes from `worker`.
"""

import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import dagster as dg
from dagster_dbt import DagsterDbtTranslator
from dagster_dbt.asset_utils import get_updated_cli_invocation_params_for_context
from dagster_dbt.core.dbt_cli_invocation import DbtCliInvocation
from packaging.version import parse

from retail_platform.gold.project import GoldProject
from retail_platform.gold.stored_partitions import STORED_PARTITIONS, stored_partitions
from retail_platform.gold.worker import DbtWorkerResource

# Importing pyspark takes longer than the rest of the code location; only annotations need it here.
if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession

    from retail_platform.lakehouse.engine import EngineSession

ANSI_MODE = "spark.sql.ansi.enabled"
NOT_HOURLY = "tag:daily test_type:unit resource_type:exposure"
"""What dbt builds by hand only: tests of Silver and of the models' SQL."""


class LakehouseSession(Protocol):
    """What Gold needs of the resource `lakehouse`."""

    @property
    def remote_url(self) -> str:
        """`sc://` URL of the open session, its id included."""
        ...

    @property
    def gold_root(self) -> str:
        """Folder or URL below which the Gold tables lie."""
        ...

    @property
    def session(self) -> "EngineSession":
        """The open session."""
        ...

    def refresh_catalog(self) -> None:
        """Register every Silver and Gold table that exists with the open session."""
        ...


@contextmanager
def ansi_mode_kept(spark: "SparkSession") -> Iterator[None]:
    """Hand the session back with the ANSI mode that it had: dbt-spark turns it off, always."""
    before = spark.conf.get(ANSI_MODE, None)
    try:
        yield
    finally:
        if before is None:
            spark.conf.unset(ANSI_MODE)
        else:
            spark.conf.set(ANSI_MODE, before)


def hour_variable(hours: Sequence[datetime]) -> str:
    """The hours (aware UTC starts) as the project's macros read them."""
    return ",".join(f"{hour:%Y-%m-%d %H:00:00}" for hour in sorted(hours))


def start_build(
    context: dg.AssetExecutionContext,
    *,
    project: GoldProject,
    manifest: Mapping[str, Any],
    translator: DagsterDbtTranslator,
    lakehouse: LakehouseSession,
    worker: DbtWorkerResource,
    hours: Sequence[datetime],
    staging: str,
    full_refresh: bool = False,
    left_out: Sequence[str] = (),
) -> DbtCliInvocation:
    """Start `dbt build` for the selected assets and hours; stream it to completion.

    Args:
        context: The step; its selection of assets and checks becomes dbt's.
        project: The dbt project.
        manifest: Its parsed manifest.
        translator: Names the assets.
        lakehouse: The open session; dbt joins it.
        worker: Gives the process, imports done or under way.
        hours: Aware UTC starts of the partition hours.
        staging: Where the build may put tables of its own.
        full_refresh: Rebuild the selected tables whole instead.
        left_out: dbt's names of selected tables that are not built, with their tests.

    Returns:
        The running invocation. Its `target_path` is the step's own and may be removed afterwards.
    """
    target = (
        project.target_path
        / "builds"
        / f"{context.run.run_id}-{context.op_execution_context.op_handle.name}"
    )
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    selection = get_updated_cli_invocation_params_for_context(
        context=context, manifest=manifest, dagster_dbt_translator=translator
    )
    environment = {
        **project.environment(target),
        "DBT_LOG_FORMAT": "json",
        # Nobody reads the artifacts of a build; writing them takes 0.3 s.
        "DBT_WRITE_JSON": "false",
        "SPARK_REMOTE": lakehouse.remote_url,
        "RETAIL_GOLD_ROOT": lakehouse.gold_root,
        "RETAIL_STAGING": staging,
        STORED_PARTITIONS: stored_partitions(lakehouse.gold_root),
        "RETAIL_HOUR": hour_variable(hours),
    }
    if selection.indirect_selection:
        environment["DBT_INDIRECT_SELECTION"] = selection.indirect_selection
    arguments = [
        "build",
        *(["--full-refresh"] if full_refresh else []),
        *selection.selection_args,
        *(["--exclude", *left_out] if left_out else []),
    ]
    process = worker.take().submit(arguments, environment)
    if lakehouse.session.server is not None:
        threading.Thread(
            target=_end_with_engine, args=(process, lakehouse.session.server), daemon=True
        ).start()
    return DbtCliInvocation(
        process=process,
        manifest=manifest,
        dagster_dbt_translator=translator,
        project_dir=project.project_dir,
        target_path=target,
        raise_on_error=True,
        cli_version=parse(version("dbt-core")),
        context=context,
    )


def _end_with_engine(process: subprocess.Popen[bytes], engine: subprocess.Popen[bytes]) -> None:
    # dbt would go on for ten minutes, retrying against a closed port.
    engine.wait()
    assert process.stdin is not None, "a worker's is a pipe"
    process.stdin.close()


def end_build(invocation: DbtCliInvocation) -> None:
    """End the invocation's process; one that still works because its step was given up, too."""
    if invocation.process.stdin is not None:
        invocation.process.stdin.close()
    invocation.process.wait()


def remove_build(target: Path) -> None:
    """Remove the folder of a build that went well; a failed one keeps its log and compiled SQL."""
    shutil.rmtree(target, ignore_errors=True)
