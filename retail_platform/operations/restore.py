"""An older version of a Silver table, by an operator's decision only; nothing calls this by itself.

Bronze is not restored: it keeps what came. What the restored version lacks is processed again from
Bronze, by the commands that this returns.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from retail_platform.control.ledger import Counts, Ledger
from retail_platform.control.loads import RESTORE_LAYER, LoadRow
from retail_platform.control.models import Status
from retail_platform.control.requests import RequestKind
from retail_platform.extract.window import HOUR
from retail_platform.failures import PermanentFailure
from retail_platform.lakehouse.tables import Lakehouse
from retail_platform.metadata.loader import Table
from retail_platform.partitions import key_of


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What came of it.

    Attributes:
        table: Silver entity.
        version: Version whose content the table has again.
        new_version: Version that this is now.
        undone: Hours, ascending, whose loads the content no longer has.
        commands: Commands that process them again.
    """

    table: str
    version: int
    new_version: int
    undone: tuple[datetime, ...]
    commands: tuple[str, ...]


def version_before(ledger: Ledger, table: Table, load_id: int) -> int:
    """The version that a table had before a load.

    Raises:
        PermanentFailure: the load is not in the ledger, or is no successful load of this table.
    """
    asset = f"silver/{table.entity}"
    for load in _changes(ledger, asset):
        if load.id == load_id and load.target_version_before is not None:
            return load.target_version_before
    raise PermanentFailure(
        f"{asset}: load {load_id} is no successful load of this table; `retail-platform audit "
        f"--table {asset} --json` lists their ids."
    )


def restore(
    lakehouse: Lakehouse,
    ledger: Ledger,
    table: Table,
    *,
    version: int,
    reason: str,
    requester: str,
    engine: str,
) -> Restored:
    """Gives a Silver table the content of an older version, as a new version.

    Args:
        lakehouse: The lake.
        ledger: The load ledger.
        table: The table.
        version: Version to go back to.
        reason: Why.
        requester: Who asks.
        engine: Name of the engine, for the ledger.

    Raises:
        PermanentFailure: a load of the table is running, there is no such older version, or its
            files were removed; nothing has changed.
    """
    asset = f"silver/{table.entity}"
    running = ledger.loads(asset=asset, status=Status.RUNNING)
    if running:
        raise PermanentFailure(
            f"{asset}: load {running[0].id} of hour {key_of(running[0].hour)} is running; let it "
            "end, then restore."
        )
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    request = ledger.requests.open(
        table=table.entity,
        kind=RequestKind.RESTORE,
        first_hour=now,
        last_hour=now,
        hours=1,
        reason=reason,
        requester=requester,
    )
    undone = sorted(
        {
            load.hour
            for load in _changes(ledger, asset)
            if load.target_version_after is not None and load.target_version_after > version
        }
    )
    load_id = ledger.start(
        asset=asset,
        layer=RESTORE_LAYER,
        hour=now,
        run_id=f"restore-{request.id}",
        engine=engine,
        window=None,
        request=request,
    )
    rows_before = lakehouse.row_count("silver", table.entity)
    try:
        commit = lakehouse.restore("silver", table.entity, version)
    except BaseException as error:
        ledger.fail(load_id, f"{type(error).__name__}: {error}")
        ledger.requests.finish(request.id, str(error))
        raise
    ledger.succeed(
        load_id,
        Counts(),
        target_rows_before=rows_before,
        target_rows_after=lakehouse.row_count("silver", table.entity),
        target_version_before=commit.version_before,
        target_version_after=commit.version,
        reason=f"restored version {version}",
    )
    ledger.requests.hour_ended(request.id, succeeded=True)
    ledger.requests.finish(request.id)
    return Restored(
        table=table.entity,
        version=version,
        new_version=commit.version,
        undone=tuple(undone),
        commands=_commands(table, undone, version),
    )


def _changes(ledger: Ledger, asset: str) -> list[LoadRow]:
    loads = ledger.loads(asset=asset, status=Status.SUCCESS)
    return [load for load in loads if load.layer != RESTORE_LAYER]


def _commands(table: Table, hours: list[datetime], version: int) -> tuple[str, ...]:
    ranges: list[tuple[datetime, datetime]] = []
    for hour in hours:
        if ranges and ranges[-1][1] == hour:
            ranges[-1] = (ranges[-1][0], hour + HOUR)
        else:
            ranges.append((hour, hour + HOUR))
    return tuple(
        f"retail-platform reprocess {table.entity} --from {key_of(start)} --to {key_of(end)} "
        f"--stored --downstream --reason 'restored version {version}'"
        for start, end in ranges
    )
