"""Runs the steps of a plan in threads of the run's process: while one waits, others work.

A step waits for its source's network, for the engine (which works outside of Python) and for the
disk. Dagster has executors with one step at a time and with a process a step; a process would need
an engine and a session of its own, which cost more than most loads. 60 tables of 1,000 rows, Bronze
and Silver, on two cores: 21 s one at a time, 13 s with two threads or four.

Which steps may run, in which order, and what a failed one means is Dagster's bookkeeping
(`ActiveExecution`), which only the thread that executes the plan touches.
"""

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from queue import Empty, SimpleQueue

from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.events import DagsterEvent, EngineEventData
from dagster._core.execution.compute_logs import create_compute_log_file_key
from dagster._core.execution.context.system import PlanExecutionContext, StepExecutionContext
from dagster._core.execution.plan.active import ActiveExecution
from dagster._core.execution.plan.execute_plan import (
    _handle_compute_log_setup_error,
    dagster_event_sequence_for_step,
)
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.plan.step import ExecutionStep

LOOK_AROUND_SECONDS = 0.5
"""How often a termination, or a step that may be tried again, is looked for."""

_Outcome = DagsterEvent | BaseException | None
"""An event of a step; what it raised; None: it is over."""


def execute_in_threads(
    job_context: PlanExecutionContext, execution_plan: ExecutionPlan, *, threads: int
) -> Iterator[DagsterEvent]:
    """Runs the plan's steps, at most ``threads`` at a time, and yields their events.

    A termination is raised inside each running step, as Dagster does with its one step.

    Raises:
        DagsterExecutionInterruptedError: the run was terminated.
    """
    with ExitStack() as stack:
        concurrency = stack.enter_context(
            InstanceConcurrencyContext(job_context.instance, job_context.dagster_run)
        )
        active = stack.enter_context(
            execution_plan.start(
                retry_mode=job_context.retry_mode,
                max_concurrent=threads,
                instance_concurrency_context=concurrency,
                step_dependency_config=job_context.step_dependency_config,
            )
        )
        yield from _captured_output(stack, job_context, execution_plan)
        yield from _Steps(job_context, active, threads).events()


def _captured_output(
    stack: ExitStack, job_context: PlanExecutionContext, plan: ExecutionPlan
) -> Iterator[DagsterEvent]:
    """Has standard output and error of the whole process kept beside the run."""
    manager = job_context.instance.compute_log_manager
    key = manager.build_log_key_for_run(job_context.run_id, create_compute_log_file_key())
    steps = [step.key for step in plan.get_steps_to_execute_in_topo_order()]
    try:
        captured = stack.enter_context(manager.capture_logs(key))
    except Exception:  # noqa: BLE001 a log store that is away is reported in the run, and the data go on
        yield from _handle_compute_log_setup_error(job_context, sys.exc_info())
    else:
        yield DagsterEvent.capture_logs(job_context, steps, key, captured)


class _Steps:
    """The running steps of one plan."""

    def __init__(
        self, job_context: PlanExecutionContext, active: ActiveExecution, threads: int
    ) -> None:
        self.job_context = job_context
        self.active = active
        self.threads = threads
        self.running: dict[str, threading.Thread] = {}
        self.outcomes: SimpleQueue[tuple[str, _Outcome]] = SimpleQueue()
        self.retries: dict[str, DagsterEvent] = {}
        self.stopped_by: BaseException | None = None
        self.interrupted = False

    def events(self) -> Iterator[DagsterEvent]:
        """Starts and follows steps until none is left."""
        while self.running or self._goes_on():
            if self.active.check_for_interrupts():
                yield self._interrupt()
            if self._goes_on():
                for step in self.active.get_steps_to_execute(
                    limit=self.threads - len(self.running)
                ):
                    self._start(step)
                yield from self.active.concurrency_event_iterator(self.job_context)
            yield from self._next_outcome()
        if self.interrupted:
            raise DagsterExecutionInterruptedError("the run was terminated; its steps have stopped")
        if self.stopped_by is not None:
            raise self.stopped_by

    def _goes_on(self) -> bool:
        stopping = self.interrupted or self.stopped_by is not None
        return not stopping and not self.active.is_complete

    def _start(self, step: ExecutionStep) -> None:
        context = self.job_context.for_step(step, self.active.get_known_state())
        # A daemon: a step that ignores its termination does not keep the process.
        thread = threading.Thread(
            target=self._run, args=(context, step.key), name=step.key, daemon=True
        )
        self.running[step.key] = thread
        thread.start()

    def _run(self, context: StepExecutionContext, key: str) -> None:
        try:
            for event in dagster_event_sequence_for_step(context):
                self.outcomes.put((key, event))
        except BaseException as error:  # noqa: BLE001 raised again where the plan is executed
            self.outcomes.put((key, error))
        finally:
            self.outcomes.put((key, None))

    def _next_outcome(self) -> Iterator[DagsterEvent]:
        try:
            key, outcome = self.outcomes.get(timeout=LOOK_AROUND_SECONDS)
        except Empty:
            return
        if isinstance(outcome, DagsterEvent):
            yield outcome
            if outcome.is_step_up_for_retry:
                # Told when its thread is over: the step would start again beside it.
                self.retries[key] = outcome
            else:
                self.active.handle_event(outcome)
        elif outcome is not None:
            self.stopped_by = self.stopped_by or outcome
        else:
            self.running.pop(key).join()
            if key in self.retries:
                self.active.handle_event(self.retries.pop(key))
            self.active.verify_complete(self.job_context, key)
            yield from self.active.plan_events_iterator(self.job_context)

    def _interrupt(self) -> DagsterEvent:
        self.interrupted = True
        self.active.mark_interrupted()
        for thread in self.running.values():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(thread.ident or 0),
                ctypes.py_object(DagsterExecutionInterruptedError),
            )
        return DagsterEvent.engine_event(
            self.job_context,
            f"Terminated: {len(self.running)} running steps are asked to stop",
            EngineEventData.interrupted(list(self.running)),
        )
