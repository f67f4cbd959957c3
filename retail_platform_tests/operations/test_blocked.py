"""A failing table blocks its descendants and nothing else, and the ledger says why."""

import dagster as dg
import sqlalchemy as sa
from dagster._core.definitions.run_status_sensor_definition import RunStatusSensorDefinition

from retail_platform.control.database import open_control
from retail_platform.control.loads import LoadRow
from retail_platform.control.models import Status, loads
from retail_platform.operations.blocked import (
    DependenciesResource,
    build_blocked_defs,
    record_blocked,
)
from retail_platform.operations.causes import Cause, read_causes, written
from retail_platform_tests.operations.layered import (
    ENTITIES,
    SMALL,
    SOFT,
    blocked_by,
)
from retail_platform_tests.platform.box import hour_at
from retail_platform_tests.platform.dagster_runs import (
    Location,
    checks,
    failures,
    materialised,
)
from retail_platform_tests.platform.sources import Database


def forget_blocked(url: str) -> None:
    """Undoes what a run has noted of its blocked loads, as if its process had been killed."""
    with open_control(url).begin() as connection:
        connection.execute(sa.delete(loads).where(loads.c.status == Status.BLOCKED))


def blocked_rows(tables: Location) -> dict[str, LoadRow]:
    return {row.asset: row for row in tables.ledger.standing(Status.BLOCKED)}


def test_failing_tables_block_their_descendants_and_nothing_else(
    tables: Location, shop: Database
) -> None:
    """One Bronze and one Silver table fail; every other table is loaded or BLOCKED, as it must."""
    shop.execute("DROP TABLE t03")
    shop.execute("UPDATE t21 SET amount = '-1'")
    result = tables.run(0)
    assert {"bronze__shop__t03", "silver__t21"} == set(failures(result))
    expected = {"silver/t03"} | {f"silver/{name}" for name in blocked_by({"t03", "t21"})}
    assert {"silver/t13", "silver/t31"} <= expected, "both kinds of trouble spread"
    assert not {"silver/t12", "silver/t20"} & expected, "a soft edge, and no edge at all"
    whole = {f"bronze/shop__{name}" for name in ENTITIES} | {f"silver/{name}" for name in ENTITIES}
    assert materialised(result) == whole - expected - {"bronze/shop__t03", "silver/t21"}
    rows = blocked_rows(tables)
    assert set(rows) == expected
    assert {row.run_id for row in rows.values()} == {result.run_id}
    assert {row.hour for row in rows.values()} == {hour_at(0)}
    (direct,) = read_causes(rows["silver/t03"].causes)
    assert direct.root.startswith("bronze/shop__t03 failed: ")
    assert "t03" in direct.root.removeprefix("bronze/shop__t03 failed: ")
    assert direct.through == ("silver/t03",)
    roots = {
        cause.root.split(" failed: ")[0]: cause for cause in read_causes(rows["silver/t40"].causes)
    }
    assert set(roots) <= {"bronze/shop__t03", "silver/t21"}
    for cause in roots.values():
        assert cause.through[-1] == "silver/t40"
        assert set(cause.through) <= expected


def test_a_failed_soft_parent_only_warns(tables: Location, shop: Database) -> None:
    """The child is loaded, and a check of its own names the parent that was not."""
    child = next(name for name in ENTITIES if SOFT[name] and not blocked_by(SOFT[name]) & {name})
    (parent,) = SOFT[child]
    other = next(name for name in ENTITIES if SOFT[name] and SOFT[name] != {parent})
    shop.execute(f"UPDATE {parent} SET amount = '-1'")
    result = tables.run(0)
    assert f"silver/{child}" in materialised(result)
    assert checks(result)[f"silver/{child}", "soft_parents"] is False
    (found,) = [
        check
        for check in result.get_asset_check_evaluations()
        if check.check_name == "soft_parents" and not check.passed
    ]
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert f"silver/{parent} failed: HeldBack" in (found.description or "")
    assert checks(result).get((f"silver/{other}", "soft_parents"), True)


def test_a_run_whose_process_was_killed_is_completed_by_the_sensor_once(
    tables: Location, shop: Database, control_url: str
) -> None:
    """Without the rows that the run itself would have added, the sensor adds the same, once."""
    shop.execute("DROP TABLE t00")
    result = tables.run(0, *SMALL)
    by_the_run = {asset: row.causes for asset, row in blocked_rows(tables).items()}
    assert set(by_the_run) == {"silver/t00", "silver/t10"}
    forget_blocked(control_url)
    (sensor,) = build_blocked_defs().sensors or []
    assert isinstance(sensor, RunStatusSensorDefinition)
    run = tables.instance.get_run_by_id(result.run_id)
    assert run is not None
    resource = DependenciesResource(control_url=control_url, engine="embedded")
    (event,) = [e for e in result.all_events if e.event_type is dg.DagsterEventType.RUN_FAILURE]
    for _ in range(2):
        with dg.build_run_status_sensor_context(
            sensor_name="blocked_loads",
            dagster_event=event,
            dagster_instance=tables.instance,
            dagster_run=run,
            resources={"dependencies": resource},
        ).for_run_failure() as context:
            sensor(context)
    assert {asset: row.causes for asset, row in blocked_rows(tables).items()} == by_the_run
    assert len(tables.ledger.loads(status=Status.BLOCKED)) == len(by_the_run)


def test_a_verdict_that_comes_late_does_not_hide_a_load_that_came_between(
    tables: Location, shop: Database, control_url: str
) -> None:
    """Between a killed run and its sensor someone has repaired the table: it is not BLOCKED."""
    shop.execute("ALTER TABLE t00 RENAME TO elsewhere")
    killed = tables.instance.get_run_by_id(tables.run(0, *SMALL).run_id)
    assert killed is not None
    forget_blocked(control_url)
    shop.execute("ALTER TABLE elsewhere RENAME TO t00")
    assert tables.run(0, *SMALL).success
    assert record_blocked(tables.instance, killed, tables.ledger, "embedded") == []
    assert blocked_rows(tables) == {}


def test_two_ways_from_one_cause_are_one_line() -> None:
    """A diamond: a failed, b and c needed it, d needs both."""
    a = Cause(root="silver/a failed: x")
    text = written(cause.then("silver/d") for cause in (a.then("silver/b"), a.then("silver/c")))
    assert text == "silver/a failed: x; so silver/b, silver/c, silver/d"
    assert read_causes(text) == [
        Cause(root="silver/a failed: x", through=("silver/b", "silver/c", "silver/d"))
    ]
