"""One Dagster asset per Bronze table. Glue only: what a load does is in ``load``."""

from collections.abc import Sequence

import dagster as dg

from retail_platform.bronze.load import BronzeLoad, BronzeLoader
from retail_platform.bronze.streams import StreamState
from retail_platform.bronze.watermarks import WatermarkState
from retail_platform.control.resource import ControlResource
from retail_platform.extract.offsets import CONSUMER_LAG, OFFSETS_COMPLETE
from retail_platform.extract.opening import open_reader
from retail_platform.lakehouse.resource import LakehouseResource
from retail_platform.lakehouse.tables import fetched, timestamp_literal
from retail_platform.metadata.loader import Table
from retail_platform.partitions import hour_of
from retail_platform.steps import (
    ONE_HOUR_A_RUN,
    PREVIEW_ROWS,
    RETRIES,
    compacted_after_load,
    dagster_failures,
    preview,
)

COLUMNS_KNOWN = "columns_known"
WATERMARKS = "watermarks"


def bronze_key(table: Table) -> dg.AssetKey:
    """Asset key of the Bronze table."""
    return dg.AssetKey(["bronze", table.bronze])


def build_bronze_asset(
    *, table: Table, partitions_def: dg.HourlyPartitionsDefinition
) -> dg.Definitions:
    """The asset of one Bronze table with its check."""
    key = bronze_key(table)

    @dg.asset(
        key=key,
        partitions_def=partitions_def,
        group_name=f"bronze_{table.source}",
        kinds={"delta", table.connection.kind.split("_")[0]},
        owners=list(table.owners),
        description=f"{table.row.description}, as received from {table.source} each hour.",
        metadata={"load": table.row.load, "source": table.source},
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=table.row.freshness),
        retry_policy=RETRIES,
        backfill_policy=ONE_HOUR_A_RUN,
        pool=f"source_{table.source}",
        check_specs=[
            dg.AssetCheckSpec(
                COLUMNS_KNOWN,
                asset=key,
                partitions_def=partitions_def,
                description="Warns when the source has columns that the contract does not know.",
            ),
            *_watermark_specs(table, key, partitions_def),
            *_stream_specs(table, key, partitions_def),
        ],
    )
    def _asset(
        context: dg.AssetExecutionContext, lakehouse: LakehouseResource, control: ControlResource
    ) -> dg.MaterializeResult:
        hour = hour_of(context.partition_key)
        with dagster_failures(), open_reader(table, control.files, calls=control.calls) as reader:
            load = BronzeLoader(
                table=table,
                reader=reader,
                lakehouse=lakehouse.lake,
                ledger=control.ledger,
                run_id=context.run.run_id,
                engine=lakehouse.engine,
                request=control.requests.of_run(context.run.tags),
            ).load(hour)
        context.log.info(f"{table.bronze}: {_summary(load)}")
        metadata: dict[str, dg.MetadataValue] = {
            "dagster/row_count": dg.MetadataValue.int(load.counts.read),
            "new_rows": dg.MetadataValue.int(load.counts.applied),
            "summary": dg.MetadataValue.text(_summary(load)),
        }
        if load.stream is not None:
            metadata |= {
                "offsets": dg.MetadataValue.text(load.stream.offsets),
                "lost_offsets": dg.MetadataValue.int(load.stream.lost),
                "consumer_lag": dg.MetadataValue.int(load.stream.waiting),
                "seconds_behind": dg.MetadataValue.float(load.stream.behind.total_seconds()),
            }
        if load.version is not None:
            rows = fetched(
                lakehouse.lake.read("bronze", table.bronze)
                .where(f"_hour = {timestamp_literal(hour)}")
                .limit(PREVIEW_ROWS)
            )
            metadata["preview"] = preview(rows, _hidden_columns(table, rows.column_names))
            metadata["delta_version"] = dg.MetadataValue.int(load.version)
            metadata["files_compacted"] = dg.MetadataValue.int(
                compacted_after_load(
                    context, lakehouse.lake, "bronze", table.bronze, table.row.maintenance
                )
            )
        return dg.MaterializeResult(
            metadata=metadata,
            check_results=[
                _columns_known(load),
                *_watermark_results(table, load),
                *_stream_results(table, load),
            ],
        )

    return dg.Definitions(assets=[_asset])


def _watermark_specs(
    table: Table, key: dg.AssetKey, partitions_def: dg.HourlyPartitionsDefinition
) -> list[dg.AssetCheckSpec]:
    if table.row.load != "incremental":
        return []
    return [
        dg.AssetCheckSpec(
            WATERMARKS,
            asset=key,
            partitions_def=partitions_def,
            description="Warns of lag beyond max_lag, of missing hours, and of clocks set back.",
        )
    ]


def _watermark_results(table: Table, load: BronzeLoad) -> list[dg.AssetCheckResult]:
    watermark, state = table.row.watermark, load.watermarks or WatermarkState()
    if table.row.load != "incremental" or watermark is None:
        return []
    found: list[str] = []
    if watermark.max_lag is not None and state.lag > watermark.max_lag:
        cure = (
            "the whole table was read again"
            if watermark.on_lag == "full"
            else f"run `retail-platform audit --compare --table {table.entity}`"
        )
        found.append(
            f"rows up to {state.lag} beyond the stored watermark came after their hours were "
            f"read, max_lag is {watermark.max_lag}: {cure}"
        )
    if state.missing:
        cure = (
            "their rows were read into this hour"
            if watermark.gap.mode == "full"
            else f"the job fill_gaps loads up to {watermark.gap.hours} of them a run"
        )
        found.append(f"{state.missing} hours before this one were not loaded: {cure}")
    if state.set_back:
        found.append(
            f"the source's greatest watermark lies {state.set_back} before the stored one: rows "
            "that it stamps anew lose against stored ones; if it was restored from a copy, run "
            f"`retail-platform reprocess {table.entity} --full --reason ...`"
        )
    return [
        dg.AssetCheckResult(
            check_name=WATERMARKS,
            passed=not found,
            severity=dg.AssetCheckSeverity.WARN,
            description="; ".join(found) or "The source's watermarks are as expected.",
            metadata={
                "lag_seconds": state.lag.total_seconds(),
                "missing_hours": state.missing,
                "set_back_seconds": state.set_back.total_seconds(),
            },
        )
    ]


def _stream_specs(
    table: Table, key: dg.AssetKey, partitions_def: dg.HourlyPartitionsDefinition
) -> list[dg.AssetCheckSpec]:
    if table.row.positions is None:
        return []
    complete = dg.AssetCheckSpec(
        OFFSETS_COMPLETE,
        asset=key,
        partitions_def=partitions_def,
        description="Fails where positions of the hour had expired before they were read.",
    )
    if table.row.stream is None:
        return [complete]
    return [
        complete,
        dg.AssetCheckSpec(
            CONSUMER_LAG,
            asset=key,
            partitions_def=partitions_def,
            description="Warns where messages wait for longer than max_lag.",
        ),
    ]


def _stream_results(table: Table, load: BronzeLoad) -> list[dg.AssetCheckResult]:
    state, stream = load.stream, table.row.stream
    if state is None:
        return []
    if stream is None:
        return [_changes_complete(table, state)]
    late = state.waiting > 0 and state.behind > stream.max_lag
    return [
        dg.AssetCheckResult(
            check_name=OFFSETS_COMPLETE,
            passed=not state.lost,
            severity=dg.AssetCheckSeverity.ERROR,
            description=(
                f"topic {stream.topic}: {state.told_losses} had expired before they were read. "
                "Their events are not in the lake: ask their producer for them, and lengthen the "
                "topic's retention or load its hours sooner."
                if state.lost
                else f"topic {stream.topic}: nothing of {state.offsets} was lost."
            ),
            metadata={"lost_offsets": state.lost},
        ),
        dg.AssetCheckResult(
            check_name=CONSUMER_LAG,
            passed=not late,
            severity=dg.AssetCheckSeverity.WARN,
            description=(
                f"topic {stream.topic}: {state.waiting} offsets wait, the latest read hour ended "
                f"{state.behind} ago, max_lag is {stream.max_lag}: load the hours since, the job "
                "fill_gaps does."
                if late
                else f"topic {stream.topic}: {state.waiting} offsets wait for their hour."
            ),
            metadata={
                "consumer_lag": state.waiting,
                "seconds_behind": state.behind.total_seconds(),
            },
        ),
    ]


def _changes_complete(table: Table, state: StreamState) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=OFFSETS_COMPLETE,
        passed=not state.lost,
        severity=dg.AssetCheckSeverity.ERROR,
        description=(
            f"{table.row.positions}: {state.lost} positions had expired before they were read, so "
            "the whole table was read in their place. Rows that were deleted at them are not known "
            "as deleted: read the table once with load: full, and lengthen the database's "
            "CHANGE_RETENTION or load its hours sooner."
            if state.lost
            else f"{table.row.positions}: nothing of {state.offsets} was lost."
        ),
        metadata={"lost_offsets": state.lost},
    )


def _hidden_columns(table: Table, received: Sequence[str]) -> frozenset[str]:
    """Columns that a preview must not show: personal ones, and beside them any unknown one."""
    if not table.row.pii:
        return frozenset()
    shown = {
        table.row.in_source(column.name).lower()
        for column in table.contract.columns
        if column.name not in table.row.pii
    }
    return frozenset(name for name in received if name.lower() not in shown)


def _summary(load: BronzeLoad) -> str:
    if load.missed:
        return "missed: the source was not read while this was its latest hour"
    kind = "initial load, " if load.initial else ""
    return f"{kind}{load.counts.read} rows read, {load.counts.applied} new"


def _columns_known(load: BronzeLoad) -> dg.AssetCheckResult:
    names = ", ".join(load.unknown_columns)
    return dg.AssetCheckResult(
        check_name=COLUMNS_KNOWN,
        passed=not load.unknown_columns,
        severity=dg.AssetCheckSeverity.WARN,
        description=(
            f"Columns {names} are kept in Bronze; add them to the contract to see them in Silver."
            if names
            else "The contract knows every column of the source."
        ),
    )
