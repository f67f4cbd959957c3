"""Edges that order but do not block: a soft child runs after its parent, whatever became of it."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from retail_platform.operations.executor import ALL_EDGES, SOFT_EDGES, platform_executor, soft_edges
from retail_platform.operations.running import run_hour
from retail_platform.partitions import hourly_partitions

HOUR = datetime(2026, 1, 5, 12, tzinfo=UTC)
PARTITIONS = hourly_partitions(HOUR)


def step(
    name: str,
    ran: list[str],
    *,
    hard: tuple[str, ...] = (),
    soft: tuple[str, ...] = (),
    tags: dict[str, str] | None = None,
    failures: int = 0,
    pause: float = 0.05,
) -> dg.AssetsDefinition:
    """An asset whose first ``failures`` attempts fail; each of its attempts is noted in ``ran``."""

    @dg.asset(
        name=name,
        partitions_def=PARTITIONS,
        deps=[*hard, *soft],
        op_tags=tags or soft_edges([dg.AssetKey(parent) for parent in soft]),
        retry_policy=dg.RetryPolicy(max_retries=2, delay=pause or None),
    )
    def _asset() -> None:
        ran.append(name)
        if ran.count(name) <= failures:
            raise dg.Failure(f"{name} fails")

    return _asset


def run(*assets: dg.AssetsDefinition) -> dg.ExecuteInProcessResult:
    definitions = dg.Definitions(
        assets=list(assets), jobs=[dg.define_asset_job("all")], executor=platform_executor
    )
    with dg.DagsterInstance.ephemeral() as instance:
        return run_hour(definitions.resolve_job_def("all"), instance=instance, hour=HOUR)


def materialised(result: dg.ExecuteInProcessResult) -> set[str]:
    events = result.get_asset_materialization_events()
    return {event.asset_key.to_user_string() for event in events if event.asset_key}


def test_a_failed_soft_parent_lets_its_child_run_and_a_failed_hard_one_does_not() -> None:
    """The run is a failure all the same, and what hangs on the hard edge goes down with it."""
    ran: list[str] = []
    result = run(
        step("parent", ran, failures=9),
        step("soft_child", ran, soft=("parent",)),
        step("hard_child", ran, hard=("parent",)),
        step("below_soft", ran, hard=("soft_child",)),
        step("below_hard", ran, hard=("hard_child",)),
        step("softly_below_hard", ran, soft=("hard_child",)),
    )
    assert not result.success
    assert materialised(result) == {"soft_child", "below_soft", "softly_below_hard"}
    assert set(ran) == {"parent", "soft_child", "below_soft", "softly_below_hard"}


def test_a_soft_child_waits_for_the_retries_of_its_parent() -> None:
    """The parent's third attempt succeeds, and only then the child begins."""
    ran: list[str] = []
    result = run(step("parent", ran, failures=2), step("child", ran, soft=("parent",)))
    assert result.success
    assert ran == ["parent", "parent", "parent", "child"]


def test_one_hard_edge_among_soft_ones_blocks() -> None:
    """Softness belongs to an edge, not to the step."""
    ran: list[str] = []
    run(
        step("a", ran, failures=9),
        step("b", ran, failures=9),
        step("child", ran, soft=("a",), hard=("b",)),
    )
    assert "child" not in ran


def test_all_edges_of_a_step_may_be_soft() -> None:
    """As those into the build of Gold are."""
    ran: list[str] = []
    parents = [step(name, ran, failures=9) for name in ("a", "b")]
    result = run(*parents, step("gold", ran, hard=("a", "b"), tags={SOFT_EDGES: ALL_EDGES}))
    assert materialised(result) == {"gold"}


def test_the_edge_stays_part_of_the_lineage() -> None:
    """What the UI draws, and what automation conditions look at, is the whole graph."""
    child = step("child", [], soft=("parent",))
    (spec,) = child.specs
    assert {dep.asset_key.to_user_string() for dep in spec.deps} == {"parent"}


def test_chosen_assets_are_run_alone_and_an_hour_that_is_not_over_is_refused() -> None:
    """A run of some assets of a job, as the repairing commands make it."""
    ran: list[str] = []
    definitions = dg.Definitions(
        assets=[step("a", ran), step("b", ran, hard=("a",)), step("c", ran)],
        jobs=[dg.define_asset_job("all")],
        executor=platform_executor,
    )
    job = definitions.resolve_job_def("all")
    with dg.DagsterInstance.ephemeral() as instance:
        result = run_hour(
            job, instance=instance, hour=HOUR, assets=[dg.AssetKey("b")], tags={"why": "repair"}
        )
        run_record = instance.get_run_by_id(result.run_id)
        assert run_record is not None
        assert run_record.tags["why"] == "repair"
        assert run_record.tags["dagster/partition"] == "2026-01-05-12:00"
        assert materialised(result) == {"b"}
        future = datetime.now(UTC) + timedelta(days=1)
        with pytest.raises(dg.DagsterUnknownPartitionError):
            run_hour(job, instance=instance, hour=future.replace(minute=0, second=0))
    assert ran == ["b"]


def test_a_step_is_tried_again_without_a_pause() -> None:
    """Its next attempt begins after the thread of the last one is over."""
    for _ in range(10):
        ran: list[str] = []
        assert run(step("alone", ran, failures=2, pause=0)).success
        assert ran == ["alone"] * 3
