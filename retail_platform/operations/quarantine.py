"""Replaying and discarding quarantined rows: one function each for the command and for the UI.

Rules and merging are in ``silver/replay``; what a row looks like is in ``quality/quarantined``.
"""

import os
from datetime import datetime

import dagster as dg

from retail_platform.control.decisions import QuarantineDecisions
from retail_platform.control.resource import ControlResource
from retail_platform.failures import PermanentFailure
from retail_platform.lakehouse.resource import LakehouseResource
from retail_platform.metadata.loader import Catalog, Table
from retail_platform.partitions import key_of
from retail_platform.quality.quarantined import (
    RowStatus,
    counts_by_rule,
    discard,
    quarantined_rows,
)
from retail_platform.silver.assets import silver_key
from retail_platform.silver.replay import QuarantineReplay, Replay
from retail_platform.steps import dagster_failures

REPLAY = "quarantine_replay"
DISCARD = "quarantine_discard"


def quarantine_named(catalog: Catalog, name: str) -> str:
    """The name of a table that may refuse rows, given as ``orders`` or ``silver/orders``.

    Raises:
        PermanentFailure: there is no such table.
    """
    plain = name.removeprefix("silver/")
    if plain not in catalog.quarantines:
        raise PermanentFailure(
            f"quarantine of {name}: no such Silver table. Tables: {', '.join(catalog.quarantines)}."
        )
    return plain


def table_named(catalog: Catalog, name: str) -> Table:
    """The table of a Silver entity, named ``orders`` or ``silver/orders``.

    Raises:
        PermanentFailure: there is no such table, or it is a live one, which cannot be replayed.
    """
    plain = quarantine_named(catalog, name)
    if plain not in catalog.by_entity:
        raise PermanentFailure(
            f"quarantine of {name}: a live table keeps no Bronze to read its rows from again. Let "
            "their producer send them once more, and discard them here."
        )
    return catalog.by_entity[plain]


def replay_rows(
    catalog: Catalog,
    lakehouse: LakehouseResource,
    control: ControlResource,
    *,
    entity: str,
    pii_key: str | None,
    run_id: str,
    person: str,
    because: str,
    reason: str | None = None,
    since: datetime | None = None,
    limit: int | None = None,
) -> Replay:
    """Replays open rows of one table; the arguments are those of ``QuarantineReplay.replay``.

    Raises:
        TransientFailure: the table is being loaded.
        PermanentFailure: there is no such table, nobody asks, or the load fails for good.
    """
    table = table_named(catalog, entity)
    _refuse_anonymous("replay", table.entity, person, because)
    return QuarantineReplay(
        catalog=catalog,
        table=table,
        lakehouse=lakehouse.lake,
        ledger=control.ledger,
        pii_key=pii_key,
        run_id=run_id,
        engine=lakehouse.engine,
    ).replay(
        control.decisions,
        person=person,
        because=because,
        reason=reason,
        since=since,
        limit=limit,
    )


def discard_rows(
    catalog: Catalog,
    lake_url: str,
    decisions: QuarantineDecisions,
    *,
    entity: str,
    person: str,
    because: str,
    reason: str | None = None,
    since: datetime | None = None,
    limit: int | None = None,
) -> int:
    """Closes open rows of one table for good, those read last first.

    Returns:
        Number of rows closed.

    Raises:
        PermanentFailure: there is no such table, or reason or person is empty.
    """
    name = quarantine_named(catalog, entity)
    _refuse_anonymous("discard", name, person, because)
    rows = quarantined_rows(
        lake_url, name, decisions, reason=reason, since=since, status=RowStatus.OPEN
    )
    return discard(name, rows[:limit], decisions, person=person, reason=because)


def materialisations(entity: str, replay: Replay) -> list[dg.AssetMaterialization]:
    """Events of the hours that a replay changed: what depends on Silver follows them."""
    return [
        dg.AssetMaterialization(
            asset_key=silver_key(entity),
            partition=key_of(hour.hour),
            description="quarantined rows replayed",
            metadata={"read": hour.counts.read, **hour.counts.parts},
        )
        for hour in replay.hours
        if hour.counts.applied
    ]


def tell_dagster(entity: str, replay: Replay) -> bool:
    """Reports the hours that a replay outside of Dagster changed to this environment's instance.

    Returns:
        Whether there is one.
    """
    if not os.environ.get("DAGSTER_HOME"):
        return False
    with dg.DagsterInstance.get() as instance:
        for event in materialisations(entity, replay):
            instance.report_runless_asset_event(event)
    return True


def _refuse_anonymous(verb: str, entity: str, person: str, because: str) -> None:
    if not person.strip() or not because.strip():
        raise PermanentFailure(
            f"quarantine {verb} silver.{entity}: say who decides and why (person, because); "
            "both are kept with the rows."
        )


class _Choice(dg.Config):
    """Which rows, who, and why.

    Attributes:
        person: Who asks for it.
        because: Why.
        reason: Only rows with a reason that contains this text; empty: all open rows.
    """

    person: str
    because: str
    reason: str = ""


class _DiscardChoice(_Choice):
    """The same with the table.

    Attributes:
        table: Silver table, such as ``orders``.
    """

    table: str


def build_quarantine_defs(*, catalog: Catalog, pii_key: str | None) -> dg.Definitions:
    """The jobs that replay and discard.

    The replay has one op a table, in the pool of the table's loads: select the table's op in the
    launchpad, and the run waits for loads of that table only, and they for it.
    """
    ops = [_replay_op(table, catalog, pii_key) for table in catalog.tables]

    @dg.job(
        name=REPLAY,
        description=(
            "Replays open quarantined rows under today's rules: select the op of the table and "
            "say who asks and why."
        ),
    )
    def _replay_job() -> None:
        for op in ops:
            op()

    @dg.op(name="discard_rows", description="Closes open quarantined rows of one table for good.")
    def _discard_rows(
        context: dg.OpExecutionContext,
        config: _DiscardChoice,
        lakehouse: LakehouseResource,
        control: ControlResource,
    ) -> None:
        with dagster_failures():
            closed = discard_rows(
                catalog,
                lakehouse.lake_url,
                control.decisions,
                entity=config.table,
                person=config.person,
                because=config.because,
                reason=config.reason or None,
            )
            entity = quarantine_named(catalog, config.table)
        context.log.info(f"quarantine.{entity}: {closed} rows discarded")
        context.add_output_metadata(
            {"discarded": closed, **_open_by_rule(lakehouse, control, entity)}
        )

    @dg.job(name=DISCARD, description="Closes open quarantined rows of one table for good.")
    def _discard_job() -> None:
        _discard_rows()

    return dg.Definitions(jobs=[_replay_job, _discard_job])


def _replay_op(table: Table, catalog: Catalog, pii_key: str | None) -> dg.OpDefinition:
    @dg.op(
        name=f"replay_{table.entity}",
        description=f"Replays open quarantined rows of silver.{table.entity}.",
        pool=f"silver_{table.entity}",
    )
    def _replay(
        context: dg.OpExecutionContext,
        config: _Choice,
        lakehouse: LakehouseResource,
        control: ControlResource,
    ) -> None:
        with dagster_failures():
            replay = replay_rows(
                catalog,
                lakehouse,
                control,
                entity=table.entity,
                pii_key=pii_key,
                run_id=context.run.run_id,
                person=config.person,
                because=config.because,
                reason=config.reason or None,
            )
        for event in materialisations(table.entity, replay):
            context.log_event(event)
        context.add_output_metadata(
            {
                "chosen": replay.chosen,
                "replayed": replay.replayed,
                "refused": replay.refused,
                "absent": replay.absent,
                "hours": ", ".join(key_of(hour.hour) for hour in replay.hours),
                **_open_by_rule(lakehouse, control, table.entity),
            }
        )

    return _replay


def _open_by_rule(
    lakehouse: LakehouseResource, control: ControlResource, entity: str
) -> dict[str, int]:
    rows = quarantined_rows(lakehouse.lake_url, entity, control.decisions, status=RowStatus.OPEN)
    return {f"open: {count.rule}": count.rows for count in counts_by_rule(rows)}
