"""The platform's executor: steps in threads of the run's process, and edges that do not block.

A step whose upstream step has failed is given up by Dagster's executors, whatever the edge means.
An edge that is *soft* makes a step wait until the upstream step has ended, one way or the other;
the step then runs and judges by itself. Soft parents of a Silver table are such edges, and all
edges into the build of Gold, which is one step of many tables and leaves out only those it must.

The edges stay ordinary asset dependencies: lineage, selection and automation see them all. Which of
them are soft is a tag of the step. Not here: what a step does when a parent failed.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from functools import partial

import dagster as dg
from dagster._core.events import DagsterEvent, EngineEventData
from dagster._core.execution.api import ExecuteRunWithPlanIterable
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.context_creation_job import PlanExecutionContextManager
from dagster._core.execution.plan.active import ActiveExecution
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.execution.step_dependency_config import StepDependencyConfig
from dagster._core.executor.base import Executor

from retail_platform.operations.step_threads import execute_in_threads

STEP_THREADS = min(8, max(2, os.cpu_count() or 2))
"""By default: more help where sources are slow, and cost memory."""
SOFT_EDGES = "retail/soft_edges"
"""Tag of a step: the upstream steps, by key and separated by blanks, whose failure it survives."""
ALL_EDGES = "*"


def soft_edges(upstream: Collection[dg.AssetKey]) -> dict[str, str]:
    """Op tags of an asset whose edges from ``upstream`` are soft; none where all are hard."""
    steps = " ".join(sorted("__".join(key.path) for key in upstream))
    return {SOFT_EDGES: steps} if steps else {}


def is_soft(tags: Mapping[str, str], upstream_step: str) -> bool:
    """Whether a step with these tags survives the failure of an upstream step."""
    named = tags.get(SOFT_EDGES, "")
    return named == ALL_EDGES or upstream_step in named.split()


class _Execution(ActiveExecution):
    """Dagster's bookkeeping of a run, which forgets soft edges once their upstream step is over."""

    def _update(self) -> None:
        over = self._failed | self._abandoned
        for key, upstream in self._pending.items():
            tags = self.get_step_by_key(key).tags
            self._pending[key] = {
                step for step in upstream if step not in over or not is_soft(tags, step)
            }
        super()._update()


class _Plan(ExecutionPlan):
    """An execution plan that is followed by `_Execution`."""

    def start(self, *args: object, **named: object) -> ActiveExecution:
        return _Execution(self, *args, **named)  # pyright: ignore[reportArgumentType]


class PlatformExecutor(Executor):
    """Executes all steps in the run's process.

    Args:
        threads: How many at the same time.
    """

    def __init__(self, *, threads: int) -> None:
        self.threads = threads

    @property
    def retries(self) -> RetryMode:
        """Steps are tried again in place."""
        return RetryMode.ENABLED

    @property
    def step_dependency_config(self) -> StepDependencyConfig:
        """A step waits for all of its upstream steps."""
        return StepDependencyConfig.default()

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[DagsterEvent]:
        """Runs the plan and yields its events."""
        process = EngineEventData.in_process(os.getpid(), execution_plan.step_keys_to_execute)
        yield DagsterEvent.engine_event(
            plan_context, f"Executing steps in process {os.getpid()}", event_specific_data=process
        )
        yield from iter(
            ExecuteRunWithPlanIterable(
                execution_plan=_Plan(*plan_context.execution_plan),
                iterator=partial(execute_in_threads, threads=self.threads),
                execution_context_manager=PlanExecutionContextManager(
                    job=plan_context.job,
                    retry_mode=plan_context.retry_mode,
                    execution_plan=plan_context.execution_plan,
                    run_config=plan_context.run_config,
                    dagster_run=plan_context.dagster_run,
                    instance=plan_context.instance,
                    raise_on_error=plan_context.raise_on_error,
                    output_capture=plan_context.output_capture,
                    step_dependency_config=self.step_dependency_config,
                ),
            )
        )
        yield DagsterEvent.engine_event(
            plan_context, f"Finished steps in process {os.getpid()}", event_specific_data=process
        )


@dg.executor(
    name="retail_threads",
    config_schema={
        "threads": dg.Field(
            int,
            default_value=STEP_THREADS,
            description="Steps that run at the same time; 1: one after the other.",
        )
    },
)
def platform_executor(context: dg.InitExecutorContext) -> PlatformExecutor:
    """The executor of every job."""
    threads = context.executor_config["threads"]
    assert isinstance(threads, int)
    return PlatformExecutor(threads=threads)
