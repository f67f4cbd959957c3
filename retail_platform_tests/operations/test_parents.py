"""Parents of the same hour: waited for, blocking, covering, or never loaded."""

import threading
import time
from datetime import timedelta
from types import SimpleNamespace

import dagster as dg
import pytest

from retail_platform.control.ledger import Counts
from retail_platform.control.models import Status
from retail_platform.failures import BlockedFailure, PermanentFailure, TransientFailure
from retail_platform.operations.parents import Parent, ParentJudge, StillRunning, admit
from retail_platform.steps import RETRIES, dagster_failures
from retail_platform_tests.operations.layered import SMALL
from retail_platform_tests.platform.box import hour_at
from retail_platform_tests.platform.dagster_runs import Location, failures, materialised

CHILD = ["bronze/shop__t10", "silver/t10"]
PARENTS = [name for name in SMALL if name not in CHILD]


def begin(tables: Location, asset: str, run_id: str) -> int:
    """Opens a load as another run does."""
    return tables.ledger.start(
        asset=asset,
        layer=asset.split("/", maxsplit=1)[0],
        hour=hour_at(0),
        run_id=run_id,
        engine="embedded",
        window=None,
    )


def end(tables: Location, load: int, error: str | None) -> None:
    if error:
        tables.ledger.fail(load, error)
    else:
        tables.ledger.succeed(load, Counts())


@pytest.mark.parametrize("error", [None, "the disk was full"])
def test_a_parent_that_another_run_loads_is_waited_for(tables: Location, error: str | None) -> None:
    """The child goes on when the parent has ended, and as it has ended."""
    tables.run(0, *PARENTS)
    load = begin(tables, "silver/t00", "another-run")
    judge = ParentJudge(tables.ledger, tables.instance, "own-run", poll_seconds=0.01)
    asked = threading.Event()

    def finish() -> None:
        asked.wait()
        time.sleep(0.1)
        end(tables, load, error)

    other = threading.Thread(target=finish)
    other.start()
    parent = Parent(asset="silver/t00", wait=timedelta(minutes=1))
    asked.set()
    troubles = judge.troubles([parent], hour_at(0))
    other.join()
    if error is None:
        assert troubles == {}
    else:
        assert [cause.root for cause in troubles[parent]] == [
            "silver/t00 failed: the disk was full"
        ]


def test_a_parent_that_does_not_end_in_time_fails_the_child_for_now(tables: Location) -> None:
    """A transient failure that names parent, run and cure; the ledger has it as a failure."""
    tables.run(0, *PARENTS)
    begin(tables, "silver/t00", "another-run")
    result = tables.run(0, *CHILD)
    assert "silver/t10" not in materialised(result)
    (message,) = failures(result).values()
    assert "parent silver/t00, hour 2026-01-05-12:00, is still loaded by run another-run" in message
    assert "end it in the UI" in message
    row = tables.ledger.latest("silver/t10", hour_at(0))
    assert row is not None
    assert row.status is Status.FAILURE


def test_only_hard_parents_are_worth_failing_for(tables: Location) -> None:
    """A soft parent that takes too long is a warning."""
    begin(tables, "silver/t00", "another-run")
    judge = ParentJudge(tables.ledger, tables.instance, "own-run", poll_seconds=0.01)
    soft = Parent(asset="silver/t00", hard=False, wait=timedelta(seconds=0))
    warned = admit(
        judge,
        tables.ledger,
        asset="silver/t10",
        hour=hour_at(0),
        run_id="own-run",
        engine="embedded",
        parents=[soft],
    )
    assert warned == {"silver/t00": "silver/t00 is still loaded by run another-run"}
    hard = Parent(asset="silver/t00", wait=timedelta(seconds=0))
    with pytest.raises(StillRunning):
        judge.troubles([hard], hour_at(0))


def test_a_parent_whose_process_was_killed_is_not_waited_for(tables: Location) -> None:
    """Its row still says RUNNING; its run is over."""
    over = tables.run(0, *PARENTS)
    begin(tables, "silver/t00", over.run_id)
    judge = ParentJudge(tables.ledger, tables.instance, "own-run", poll_seconds=0.01)
    parent = Parent(asset="silver/t00", wait=timedelta(hours=1))
    (cause,) = judge.troubles([parent], hour_at(0))[parent]
    assert "its process ended without a word" in cause.root


def test_a_parent_that_was_never_loaded_blocks_a_child_that_is_run_alone(
    tables: Location,
) -> None:
    """Nothing is joined with what happens to be there; the message has the cure."""
    result = tables.run(0, *CHILD)
    (message,) = failures(result).values()
    assert "silver/t00 was never loaded for this hour; so silver/t10" in message
    assert "retail-platform reprocess-blocked --since 2026-01-05T12:00 --with-causes" in message
    (row,) = tables.ledger.standing(Status.BLOCKED)
    assert row.asset == "silver/t10"
    assert tables.run(0, *PARENTS).success
    assert tables.run(0, "silver/t10").success, "and once it is loaded, the child goes on"


def test_hours_that_were_missed_or_lie_before_the_first_one_count_as_loaded(
    tables: Location,
) -> None:
    """A first load reads all that was before; of a missed hour there is nothing to wait for."""
    judge = ParentJudge(tables.ledger, tables.instance, "own-run", poll_seconds=0.01)
    first = Parent(asset="silver/t00", covers_past=True)
    tables.ledger.miss(begin(tables, "silver/t00", "a-run"))
    assert judge.troubles([first], hour_at(0)) == {}
    assert judge.troubles([first], hour_at(-1)) != {}, "a missed hour holds nothing of the past"
    end(tables, begin(tables, "silver/t00", "a-run"), None)
    assert judge.troubles([first], hour_at(-1)) == {}
    assert judge.troubles([first], hour_at(1)) != {}
    assert judge.troubles([Parent(asset="silver/t00")], hour_at(-1)) != {}


def test_a_blocked_parent_hands_its_causes_down(tables: Location) -> None:
    """The chain grows by the child."""
    tables.ledger.block(
        asset="silver/t00",
        layer="silver",
        hour=hour_at(0),
        run_id="a-run",
        engine="embedded",
        causes="bronze/shop__t00 failed: gone; so silver/t00",
    )
    judge = ParentJudge(tables.ledger, tables.instance, "own-run", poll_seconds=0.01)
    with pytest.raises(BlockedFailure, match="gone; so silver/t00, silver/t10"):
        admit(
            judge,
            tables.ledger,
            asset="silver/t10",
            hour=hour_at(0),
            run_id="own-run",
            engine="embedded",
            parents=[Parent(asset="silver/t00")],
        )


def test_a_transient_failure_is_tried_again_three_times_with_growing_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The policy of every asset, without its jitter; a permanent failure is not tried again."""
    waits: list[float] = []
    # The name in Dagster's module alone: other threads of the process go on with the real clock.
    clock = SimpleNamespace(sleep=waits.append, time=lambda: 1000.0 + sum(waits))
    monkeypatch.setattr("dagster._core.execution.plan.active.time", clock)
    monkeypatch.setattr("dagster._core.definitions.policy.random", lambda: 0.5)
    attempts: list[str] = []

    @dg.asset(retry_policy=RETRIES)
    def transient() -> None:
        attempts.append("transient")
        with dagster_failures():
            raise TransientFailure("busy")

    @dg.asset(retry_policy=RETRIES)
    def permanent() -> None:
        attempts.append("permanent")
        with dagster_failures():
            raise PermanentFailure("wrong")

    result = dg.materialize([transient, permanent], raise_on_error=False)
    assert not result.success
    assert attempts.count("transient") == 4
    assert attempts.count("permanent") == 1
    assert waits == pytest.approx([2, 6, 14])
