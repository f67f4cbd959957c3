"""Steps side by side: they overlap, keep their order, end at a failure and at a termination."""

import os
import signal
import threading
import time
from collections.abc import Callable

import dagster as dg
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.execute_in_process import core_execute_in_process

from retail_platform.operations.executor import platform_executor
from retail_platform.operations.running import run_interrupted

TOGETHER_SECONDS = 10


def step(
    name: str, work: Callable[[], None], *, after: tuple[str, ...] = ()
) -> dg.AssetsDefinition:
    """An asset that does some work."""

    @dg.asset(name=name, deps=list(after))
    def _asset() -> None:
        work()

    return _asset


def run(
    *assets: dg.AssetsDefinition, threads: int = 4, raise_on_error: bool = False
) -> dg.ExecuteInProcessResult:
    definitions = dg.Definitions(
        assets=list(assets), jobs=[dg.define_asset_job("all")], executor=platform_executor
    )
    with dg.DagsterInstance.ephemeral() as instance:
        return core_execute_in_process(
            job=InMemoryJob(definitions.resolve_job_def("all")),
            run_config={"execution": {"config": {"threads": threads}}},
            instance=instance,
            output_capturing_enabled=False,
            raise_on_error=raise_on_error,
            run_tags={},
        )


def test_steps_that_do_not_depend_on_each_other_run_at_the_same_time() -> None:
    """Each waits until all three have begun: one after the other they would wait for ever."""
    barrier = threading.Barrier(3)

    def meet() -> None:
        barrier.wait(timeout=TOGETHER_SECONDS)

    assert run(*[step(name, meet) for name in "abc"], threads=3).success


def test_no_more_steps_run_than_there_are_threads() -> None:
    """The most that were ever under way is counted."""
    under_way: list[str] = []
    most: list[int] = []

    def work() -> None:
        under_way.append("x")
        most.append(len(under_way))
        time.sleep(0.02)
        under_way.pop()

    assert run(*[step(f"a{number}", work) for number in range(12)], threads=2).success
    assert max(most) == 2


def test_a_step_begins_after_all_that_it_depends_on() -> None:
    """Also where those take their time."""
    order: list[str] = []

    def slowly(name: str) -> Callable[[], None]:
        def work() -> None:
            time.sleep(0.05)
            order.append(name)

        return work

    result = run(
        step("a", slowly("a")),
        step("b", slowly("b")),
        step("child", lambda: order.append("child"), after=("a", "b")),
    )
    assert result.success
    assert sorted(order[:2]) == ["a", "b"]
    assert order[2] == "child"


def test_a_failed_step_lets_its_neighbour_end_and_its_error_is_the_runs() -> None:
    """As asked for by tests and notebooks that want the error itself."""
    begun, ended = threading.Event(), threading.Event()

    def fail() -> None:
        begun.wait(timeout=TOGETHER_SECONDS)
        raise LookupError("no such thing")

    def go_on() -> None:
        begun.set()
        time.sleep(0.3)
        ended.set()

    with pytest.raises(LookupError, match="no such thing"):
        run(step("fails", fail), step("goes_on", go_on), raise_on_error=True)
    assert ended.is_set()


def test_a_terminated_run_stops_every_running_step_and_starts_no_other() -> None:
    """By the signal that the UI's "Terminate" sends."""
    both = threading.Barrier(2, action=lambda: os.kill(os.getpid(), signal.SIGTERM))
    stopped: list[str] = []

    def endless(name: str) -> Callable[[], None]:
        def work() -> None:
            until = time.monotonic() + TOGETHER_SECONDS
            try:
                both.wait(timeout=TOGETHER_SECONDS)
                while time.monotonic() < until:
                    time.sleep(0.01)
            except BaseException:
                stopped.append(name)
                raise

        return work

    later: list[str] = []
    result = run(
        step("a", endless("a")),
        step("b", endless("b")),
        step("later", lambda: later.append("later"), after=("a",)),
    )
    assert run_interrupted(result)
    assert sorted(stopped) == ["a", "b"]
    assert later == []
