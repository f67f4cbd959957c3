"""Runs assets for one hour in this process: the demo, the commands that repair, and the tests.

A run made here is an ordinary run of the instance: the UI shows it like any other, and it goes
through the job's own executor, in whose place `JobDefinition.execute_in_process` puts Dagster's.
Not here: which assets and hours are run, and what is said about it.
"""

import os
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from datetime import datetime

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.events import RunFailureReason
from dagster._core.execution.execute_in_process import core_execute_in_process

from retail_platform.failures import PermanentFailure
from retail_platform.partitions import key_of

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run_hour(
    job: dg.JobDefinition,
    *,
    instance: dg.DagsterInstance,
    hour: datetime,
    assets: Collection[dg.AssetKey] | None = None,
    tags: Mapping[str, str] | None = None,
    run_id: str | None = None,
) -> dg.ExecuteInProcessResult:
    """Runs one hour and waits for its end.

    Args:
        job: A partitioned asset job, such as the hourly one.
        instance: Where runs and events are kept.
        hour: Aware UTC hour.
        assets: Only these assets of the job, with their checks; None: all of them.
        tags: Further tags of the run.
        run_id: The run's id (a UUID); None: a new one.

    Returns:
        What happened. A failed step fails the run and raises nothing.

    Raises:
        DagsterInvalidSubsetError: the job lacks one of ``assets``.
        DagsterUnknownPartitionError: ``hour`` lies before the first partition or is not over.
    """
    selected = frozenset(assets) if assets is not None else None
    if selected is not None:
        job = job.get_subset(asset_selection=selected)
    partition = key_of(hour)
    with partition_loading_context(dynamic_partitions_store=instance) as context:
        job.validate_partition_key(partition, selected_asset_keys=selected, context=context)
    return core_execute_in_process(
        job=InMemoryJob(job),
        run_config=QUIET,
        instance=instance,
        output_capturing_enabled=False,
        raise_on_error=False,
        run_tags={
            **job.get_tags_for_partition_key(partition, selected_asset_keys=selected),
            **(tags or {}),
        },
        run_id=run_id,
        asset_selection=selected,
    )


@contextmanager
def own_instance() -> Generator[dg.DagsterInstance, None, None]:
    """The instance of this environment, whose UI shows what a command runs.

    Raises:
        PermanentFailure: ``DAGSTER_HOME`` is not set.
    """
    if not os.environ.get("DAGSTER_HOME"):
        raise PermanentFailure(
            "DAGSTER_HOME is not set: runs would be kept where no UI looks. Set it to the folder "
            "that `dagster dev` uses; a demo's state folder sets it by itself (RETAIL_HOME)."
        )
    with dg.DagsterInstance.get() as instance:
        yield instance


def run_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Whether Ctrl-C or a termination ended the run, not one of its steps."""
    return any(
        event.event_type is dg.DagsterEventType.RUN_CANCELED
        or (
            event.event_type is dg.DagsterEventType.RUN_FAILURE
            and event.job_failure_data.failure_reason is RunFailureReason.UNEXPECTED_TERMINATION
        )
        for event in result.all_events
    )
