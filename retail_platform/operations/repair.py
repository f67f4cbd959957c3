"""Runs blocked loads again, hour by hour, parents first: one function for the command and the job.

What succeeds is no longer BLOCKED, because the ledger's last attempt counts. Not here: how loads
become BLOCKED (`blocked`, `parents`), and loading hours on request (`requests`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from retail_platform.control.ledger import Ledger
from retail_platform.control.loads import LoadRow
from retail_platform.control.models import Status
from retail_platform.control.resource import ControlResource
from retail_platform.failures import BlockedFailure
from retail_platform.operations.causes import read_causes
from retail_platform.operations.request_jobs import moment_of
from retail_platform.operations.running import run_hour, run_interrupted
from retail_platform.partitions import key_of
from retail_platform.steps import dagster_failures

REPROCESS_BLOCKED = "reprocess_blocked"


@dataclass(frozen=True, kw_only=True)
class BlockedHour:
    """What is to be run of one hour.

    Attributes:
        hour: Aware UTC hour.
        assets: Blocked assets, and the causes that are run with them.
    """

    hour: datetime
    assets: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class RepairedHour:
    """How the run of one hour went.

    Attributes:
        hour: Aware UTC hour.
        run_id: Its run in Dagster.
        done: Assets that are loaded now.
        left: Rows of the ledger of those that are not.
    """

    hour: datetime
    run_id: str
    done: tuple[str, ...]
    left: tuple[LoadRow, ...]


def blocked_hours(
    ledger: Ledger,
    job: dg.JobDefinition,
    *,
    since: datetime | None = None,
    table: str | None = None,
    with_causes: bool = False,
) -> list[BlockedHour]:
    """What stands BLOCKED, by hour, oldest first.

    Args:
        ledger: The load ledger.
        job: The hourly job over all assets; what it lacks is left out.
        since: Only hours from this one on (aware).
        table: Only this asset, such as ``gold/fct_sales`` or ``fct_sales``, and what is blocked on
            the way to it.
        with_causes: Also what failed, or was never loaded, in the first place.
    """
    graph = job.asset_layer.asset_graph
    known = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
    hours: dict[datetime, set[str]] = {}
    for row in ledger.standing(Status.BLOCKED, since=since):
        if table is not None and table not in (row.asset, row.asset.rpartition("/")[2]):
            continue
        wanted = {row.asset}
        for cause in read_causes(row.causes):
            wanted |= set(cause.through)
            root = cause.root.split(" ", maxsplit=1)[0]
            if with_causes and root in known:
                wanted.add(root)
                # A table that was never loaded may lack its Bronze hour as well.
                key = dg.AssetKey(root.split("/"))
                above = {parent.to_user_string() for parent in graph.get(key).parent_keys}
                wanted |= {
                    name
                    for name in above
                    if name.startswith("bronze/") and ledger.latest(name, row.hour) is None
                }
        hours.setdefault(row.hour, set()).update(wanted & known)
    return [
        BlockedHour(hour=hour, assets=frozenset(hours[hour]))
        for hour in sorted(hours)
        if hours[hour]
    ]


def run_blocked(
    hours: list[BlockedHour],
    *,
    ledger: Ledger,
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    on_hour: Callable[[RepairedHour], None] = lambda _: None,
) -> list[RepairedHour]:
    """Runs the hours, each as a run of its own; one that fails does not stop the others.

    Raises:
        KeyboardInterrupt: a run was interrupted.
    """
    results = []
    for blocked in hours:
        result = run_hour(
            job,
            instance=instance,
            hour=blocked.hour,
            assets=[dg.AssetKey(asset.split("/")) for asset in sorted(blocked.assets)],
            tags={"retail/repair": REPROCESS_BLOCKED},
        )
        if run_interrupted(result):
            raise KeyboardInterrupt
        rows = {asset: ledger.latest(asset, blocked.hour) for asset in sorted(blocked.assets)}
        done = [asset for asset, row in rows.items() if row and row.status is Status.SUCCESS]
        repaired = RepairedHour(
            hour=blocked.hour,
            run_id=result.run_id,
            done=tuple(done),
            left=tuple(row for asset, row in rows.items() if row and asset not in done),
        )
        results.append(repaired)
        on_hour(repaired)
    return results


def line_of(result: RepairedHour) -> str:
    """One hour in words."""
    left = "; ".join(
        f"{row.asset} {row.status}: {(row.causes or row.error or '').replace(chr(10), ' and ')}"
        for row in result.left
    )
    done = ", ".join(result.done) or "nothing"
    return f"{key_of(result.hour)}: done {done}" + (f"; left {left}" if left else "")


class ReprocessBlockedConfig(dg.Config):
    """What the job asks for.

    Attributes:
        since: Only hours from this one on (ISO 8601, UTC); empty: all.
        table: Only this asset and what is blocked on the way to it; empty: all.
        with_causes: Also run what failed in the first place.
    """

    since: str = ""
    table: str = ""
    with_causes: bool = False


def build_reprocess_blocked_job(hourly: Callable[[], dg.JobDefinition]) -> dg.JobDefinition:
    """The job.

    Args:
        hourly: Gives the hourly job over all assets.
    """

    @dg.op(name="reprocess_blocked_hours", description="Runs blocked loads, each hour as a run.")
    def _reprocess_blocked_hours(
        context: dg.OpExecutionContext, config: ReprocessBlockedConfig, control: ControlResource
    ) -> None:
        with dagster_failures():
            since = moment_of("since", config.since) if config.since else None
        job = hourly()
        results = run_blocked(
            blocked_hours(
                control.ledger,
                job,
                since=since,
                table=config.table or None,
                with_causes=config.with_causes,
            ),
            ledger=control.ledger,
            job=job,
            instance=context.instance,
            on_hour=lambda result: context.log.info(line_of(result)),
        )
        context.add_output_metadata(
            {
                "hours": len(results),
                "done": sum(len(result.done) for result in results),
                "left": sum(len(result.left) for result in results),
            }
        )
        with dagster_failures():
            if any(result.left for result in results):
                left = ". ".join(line_of(result) for result in results if result.left)
                raise BlockedFailure(f"{left}. Repair the causes, then run the job again")

    @dg.job(
        name=REPROCESS_BLOCKED,
        description="Loads again what could not be attempted because something before it failed.",
    )
    def _job() -> None:
        _reprocess_blocked_hours()

    return _job
