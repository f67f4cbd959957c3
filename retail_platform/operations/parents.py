"""What a load needs before it starts: its parents of the same hour, loaded and well.

Within a run the step graph gives the order. Here is what it cannot know: that a parent is still
loading in another run (waited for), that it failed or was never loaded (the load is BLOCKED, with
the chain of causes), that only a soft parent did (a warning). The ledger's last attempt counts, and
an hour that was `missed` counts as loaded.

Not here: what is recorded of loads that never began (`blocked`).
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg

from retail_platform.control.ledger import Ledger
from retail_platform.control.loads import LoadRow
from retail_platform.control.models import Status
from retail_platform.failures import BlockedFailure, TransientFailure
from retail_platform.metadata.loader import Table
from retail_platform.metadata.models import PARENT_WAIT
from retail_platform.operations.causes import Cause, failed, never_loaded, read_causes, written
from retail_platform.partitions import key_of

PARTITION_TAG = "dagster/partition"
PLANNED = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
ENDED = {dg.DagsterEventType.STEP_SUCCESS, dg.DagsterEventType.STEP_FAILURE}
ENDED_WITHOUT_A_WORD = "its process ended without a word"


@dataclass(frozen=True, kw_only=True)
class Parent:
    """An asset that goes first.

    Attributes:
        asset: Its name in the ledger, such as ``silver/customers``.
        hard: Whether its failure blocks.
        wait: How long it is waited for while another run loads it.
        covers_past: Whether its first load holds all that was before, so that hours before it,
            which nobody has loaded, count as loaded.
    """

    asset: str
    hard: bool = True
    wait: timedelta = PARENT_WAIT
    covers_past: bool = False


def silver_parents(table: Table) -> list[Parent]:
    """What a Silver load needs: its Bronze hour and the parents of its metadata."""
    return [
        Parent(asset=f"bronze/{table.bronze}"),
        *(
            Parent(
                asset=f"silver/{entity}",
                hard=entity in table.hard_parents,
                wait=table.waits.get(entity, PARENT_WAIT),
                covers_past=True,
            )
            for entity in table.parents
        ),
    ]


class ParentJudge:
    """Judges the parents of one run's loads.

    Args:
        ledger: The load ledger.
        instance: Where the runs are known.
        run_id: The run that asks; it is not waited for.
        poll_seconds: How often a running parent is looked at.
    """

    def __init__(
        self, ledger: Ledger, instance: dg.DagsterInstance, run_id: str, poll_seconds: float
    ) -> None:
        self._ledger = ledger
        self._instance = instance
        self._run_id = run_id
        self._poll_seconds = poll_seconds

    def troubles(self, parents: Iterable[Parent], hour: datetime) -> dict[Parent, list[Cause]]:
        """What is wrong with each parent; parents that are well are left out.

        Waits for parents that another run is loading.

        Raises:
            StillRunning: a parent did not end in the time that it was given.
        """
        found = {parent: self._trouble(parent, hour) for parent in parents}
        return {parent: causes for parent, causes in found.items() if causes}

    def _trouble(self, parent: Parent, hour: datetime) -> list[Cause]:
        deadline = time.monotonic() + parent.wait.total_seconds()
        while True:
            row = self._ledger.latest(parent.asset, hour)
            if row is not None and row.status is Status.SUCCESS:
                return []
            run_id = self._loading_run(parent.asset, hour, row)
            if run_id is None:
                covered = row is None and parent.covers_past and self._began_after(parent, hour)
                return [] if covered else _causes(parent.asset, row)
            if time.monotonic() >= deadline:
                if not parent.hard:
                    return [Cause(root=f"{parent.asset} is still loaded by run {run_id}")]
                raise StillRunning(parent, hour, run_id)
            time.sleep(self._poll_seconds)

    def _began_after(self, parent: Parent, hour: datetime) -> bool:
        return min(self._ledger.succeeded_hours(parent.asset), default=hour) > hour

    def _loading_run(self, asset: str, hour: datetime, row: LoadRow | None) -> str | None:
        """The run that is loading the parent's hour, or is about to; None if there is none."""
        if row is not None and row.status is Status.RUNNING and row.run_id != self._run_id:
            run = self._instance.get_run_by_id(row.run_id)
            if run is None or not run.is_finished:
                return row.run_id
        # A queued run is not waited for: it may itself wait for the pool of the load that asks.
        going = dg.RunsFilter(
            statuses=[dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED],
            tags={PARTITION_TAG: key_of(hour)},
        )
        for run in self._instance.get_runs(filters=going):
            if run.run_id != self._run_id and self._will_load(run.run_id, asset):
                return run.run_id
        return None

    def _will_load(self, run_id: str, asset: str) -> bool:
        key = dg.AssetKey(asset.split("/"))
        events = [
            entry.dagster_event
            for entry in self._instance.all_logs(run_id, of_type={PLANNED, *ENDED})
            if entry.dagster_event
        ]
        planned = {e.step_key for e in events if e.event_type is PLANNED and e.asset_key == key}
        ended = {e.step_key for e in events if e.event_type in ENDED}
        return bool(planned - ended)


class StillRunning(TransientFailure):
    """A parent that another run loads did not end in the time that it was given."""

    def __init__(self, parent: Parent, hour: datetime, run_id: str) -> None:
        super().__init__(
            f"parent {parent.asset}, hour {key_of(hour)}, is still loaded by run {run_id} after "
            f"{parent.wait}; expected it to have ended. It is tried again; if that run hangs, end "
            "it in the UI, and if the parent takes that long, set wait in depends_on of the table"
        )


def _causes(asset: str, row: LoadRow | None) -> list[Cause]:
    if row is None:
        return [never_loaded(asset)]
    if row.status is Status.BLOCKED:
        return read_causes(row.causes)
    return [failed(asset, row.error or f"{ENDED_WITHOUT_A_WORD} (run {row.run_id})")]


def blocked_failure(asset: str, hour: datetime, causes: str) -> BlockedFailure:
    """The failure of a load that was not attempted."""
    return BlockedFailure(
        f"{asset}, hour {key_of(hour)}: BLOCKED, nothing was attempted. {causes}. Repair what "
        f"failed or load what is missing, then run: retail-platform reprocess-blocked --since "
        f"{hour:%Y-%m-%dT%H:%M} --with-causes"
    )


def admit(
    judge: ParentJudge,
    ledger: Ledger,
    *,
    asset: str,
    hour: datetime,
    run_id: str,
    engine: str,
    parents: Iterable[Parent],
) -> dict[str, str]:
    """Lets a load begin, or says in the ledger why it may not.

    Returns:
        Each soft parent that is not well, with what is wrong with it.

    Raises:
        BlockedFailure: a hard parent failed, is blocked or was never loaded; the ledger has a
            BLOCKED row with the causes.
        StillRunning: a hard parent is still loading; the ledger has a FAILURE row.
    """
    layer = asset.split("/", maxsplit=1)[0]
    try:
        troubles = judge.troubles(parents, hour)
    except StillRunning as failure:
        load = ledger.start(
            asset=asset, layer=layer, hour=hour, run_id=run_id, engine=engine, window=None
        )
        ledger.fail(load, f"{type(failure).__name__}: {failure}")
        raise
    hard = [cause for parent, causes in troubles.items() if parent.hard for cause in causes]
    if hard:
        text = written(cause.then(asset) for cause in hard)
        ledger.block(asset=asset, layer=layer, hour=hour, run_id=run_id, engine=engine, causes=text)
        raise blocked_failure(asset, hour, text)
    return {
        parent.asset: "; ".join(cause.root for cause in causes)
        for parent, causes in troubles.items()
    }
