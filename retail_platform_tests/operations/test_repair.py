"""Blocked loads run again: as the command does it, and as the job in the UI."""

import dagster as dg
import pytest

from retail_platform.control.models import Status
from retail_platform.control.resource import ControlResource
from retail_platform.operations.repair import (
    blocked_hours,
    build_reprocess_blocked_job,
    run_blocked,
)
from retail_platform_tests.operations.layered import SMALL
from retail_platform_tests.platform.box import hour_at
from retail_platform_tests.platform.dagster_runs import Location, failures
from retail_platform_tests.platform.sources import Database

BLOCKED = {"silver/t00", "silver/t10"}


@pytest.fixture
def broken(tables: Location, shop: Database) -> Location:
    """The source has lost a table; two loads are blocked by it."""
    shop.execute("ALTER TABLE t00 RENAME TO elsewhere")
    tables.run(0, *SMALL)
    assert {row.asset for row in tables.ledger.standing(Status.BLOCKED)} == BLOCKED
    return tables


def test_blocked_loads_stay_blocked_until_their_cause_is_run(
    broken: Location, shop: Database
) -> None:
    """Without its causes a load stays BLOCKED, for the same cause; with them all is loaded."""
    ledger, job = broken.ledger, broken.job
    (alone,) = blocked_hours(ledger, job)
    assert (alone.hour, alone.assets) == (hour_at(0), BLOCKED)
    shop.execute("ALTER TABLE elsewhere RENAME TO t00")
    (still,) = run_blocked([alone], ledger=ledger, job=job, instance=broken.instance)
    assert still.done == ()
    assert {row.asset for row in still.left} == BLOCKED
    assert all("bronze/shop__t00 failed" in (row.causes or "") for row in still.left)

    (whole,) = blocked_hours(ledger, job, with_causes=True)
    assert whole.assets == BLOCKED | {"bronze/shop__t00"}
    (repaired,) = run_blocked([whole], ledger=ledger, job=job, instance=broken.instance)
    assert set(repaired.done) == whole.assets
    assert repaired.left == ()
    assert ledger.standing(Status.BLOCKED, Status.FAILURE) == []
    assert blocked_hours(ledger, job, with_causes=True) == []
    run = broken.instance.get_run_by_id(repaired.run_id)
    assert run is not None
    assert run.asset_selection == {dg.AssetKey(name.split("/")) for name in whole.assets}


def test_hours_and_tables_can_be_chosen(broken: Location) -> None:
    """A table brings along what is blocked on the way to it."""
    ledger, job = broken.ledger, broken.job
    (first,) = blocked_hours(ledger, job, table="t00")
    assert first.assets == {"silver/t00"}
    (second,) = blocked_hours(ledger, job, table="silver/t10")
    assert second.assets == BLOCKED
    assert blocked_hours(ledger, job, since=hour_at(1)) == []


def test_the_job_does_the_same_and_fails_while_something_is_left(
    broken: Location, shop: Database, control_url: str
) -> None:
    """From the UI: red with the causes, and green once all is loaded."""
    job = dg.Definitions(
        jobs=[build_reprocess_blocked_job(lambda: broken.job)],
        resources={"control": ControlResource(url=control_url)},
    ).resolve_job_def("reprocess_blocked")
    config = {"ops": {"reprocess_blocked_hours": {"config": {"with_causes": True}}}}

    def run() -> dg.ExecuteInProcessResult:
        return job.execute_in_process(
            run_config=config, instance=broken.instance, raise_on_error=False
        )

    (message,) = failures(run()).values()
    assert "silver/t10 BLOCKED: bronze/shop__t00 failed" in message
    shop.execute("ALTER TABLE elsewhere RENAME TO t00")
    assert run().success
    assert broken.ledger.standing(Status.BLOCKED) == []
