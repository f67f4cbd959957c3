"""One Dagster asset per Silver table. Glue only: what a load does is in ``load``."""

from collections.abc import Iterator, Mapping

import dagster as dg

from retail_platform.automation import LATE_WINDOW, late_data_condition
from retail_platform.bronze.assets import bronze_key
from retail_platform.control.resource import ControlResource
from retail_platform.lakehouse.places import Layer
from retail_platform.lakehouse.resource import LakehouseResource
from retail_platform.lakehouse.tables import fetched
from retail_platform.metadata.contract import Property
from retail_platform.metadata.loader import Catalog, Table
from retail_platform.operations.blocked import DependenciesResource
from retail_platform.operations.executor import soft_edges
from retail_platform.partitions import hour_of
from retail_platform.quality.batch_rules import asset_checks
from retail_platform.quality.quarantined import open_by_rule
from retail_platform.quality.verdicts import OPEN_QUARANTINED, HeldBack, Verdict, open_quarantined
from retail_platform.silver.load import SilverLoad, SilverLoader
from retail_platform.silver.upsert import purge_tombstones
from retail_platform.steps import (
    ONE_HOUR_A_RUN,
    PREVIEW_ROWS,
    RETRIES,
    compacted_after_load,
    dagster_failures,
    preview,
)

SOFT_PARENTS = "soft_parents"

LOADED_LAYERS: tuple[Layer, ...] = ("silver", "quarantine")


def silver_key(entity: str) -> dg.AssetKey:
    """Asset key of a Silver table."""
    return dg.AssetKey(["silver", entity])


def build_silver_asset(
    *,
    table: Table,
    catalog: Catalog,
    partitions_def: dg.HourlyPartitionsDefinition,
    pii_key: str | None,
) -> dg.Definitions:
    """The asset of one Silver table with the checks that its own step returns."""
    key = silver_key(table.entity)

    @dg.asset(
        key=key,
        partitions_def=partitions_def,
        deps=[bronze_key(table), *(silver_key(parent) for parent in table.parents)],
        op_tags=soft_edges([silver_key(parent) for parent in table.soft_parents]),
        group_name=f"silver_{table.source}",
        kinds={"delta", "pyspark"},
        owners=list(table.owners),
        description=table.contract.table.description,
        metadata={
            "dagster/column_schema": _column_schema(table),
            "contract_version": table.contract.version,
            "merge": table.row.silver.merge,
            "key": ", ".join(table.row.key),
        },
        freshness_policy=dg.FreshnessPolicy.time_window(
            fail_window=table.contract.latency or table.row.freshness
        ),
        automation_condition=late_data_condition(),
        retry_policy=RETRIES,
        backfill_policy=ONE_HOUR_A_RUN,
        pool=f"silver_{table.entity}",
        check_specs=[
            dg.AssetCheckSpec(
                name, asset=key, partitions_def=partitions_def, description=description
            )
            for name, description in _checks(table).items()
        ],
    )
    def _asset(
        context: dg.AssetExecutionContext,
        lakehouse: LakehouseResource,
        control: ControlResource,
        dependencies: DependenciesResource,
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
        loader = SilverLoader(
            catalog=catalog,
            table=table,
            lakehouse=lakehouse.lake,
            ledger=control.ledger,
            pii_key=pii_key,
            run_id=context.run.run_id,
            engine=lakehouse.engine,
            request=control.requests.of_run(context.run.tags),
        )
        with dagster_failures():
            troubles = dependencies.admit_silver(context, table)
            try:
                load = loader.load(hour_of(context.partition_key))
            except HeldBack as held:
                for verdict in held.verdicts:
                    yield _check_result(verdict, key)
                raise
        context.log.info(f"silver.{table.entity}: {_summary(load)}")
        if table.row.silver.deletes == "hard":
            before = hour_of(context.partition_key) - LATE_WINDOW
            with lakehouse.lake.alone("silver", table.entity):
                purged = purge_tombstones(lakehouse.lake, table, before=before).deleted
            context.log.info(f"silver.{table.entity}: {purged} tombstones purged")
        for verdict in load.verdicts or _nothing_read(table):
            yield _check_result(verdict, key)
        if table.soft_parents:
            yield _soft_parents_result(table, key, troubles)
        compacted = sum(
            compacted_after_load(
                context, lakehouse.lake, layer, table.entity, table.row.maintenance
            )
            for layer in LOADED_LAYERS
        )
        open_rows, by_rule = open_by_rule(lakehouse.lake_url, table.entity, control.decisions)
        yield _check_result(open_quarantined(table, by_rule, open_rows), key)
        rows = fetched(lakehouse.lake.read("silver", table.entity).limit(PREVIEW_ROWS))
        yield dg.MaterializeResult(
            asset_key=key,
            metadata={
                "dagster/row_count": lakehouse.lake.row_count("silver", table.entity),
                "summary": _summary(load),
                "read": load.counts.read,
                **load.counts.parts,
                "swept": load.counts.swept,
                "inferred": load.counts.inferred,
                "doubled_local_times": load.clock_changes.doubled,
                "skipped_local_times": load.clock_changes.skipped,
                "open_quarantined": open_rows,
                "quarantined_by_reason": _reasons_table(load, by_rule),
                "delta_version": load.version,
                "files_compacted": compacted,
                "preview": preview(rows),
            },
        )

    return dg.Definitions(assets=[_asset])


def _checks(table: Table) -> dict[str, str]:
    """Every check of the table with its description."""
    checks = asset_checks(table) | {
        OPEN_QUARANTINED: (
            "Warns unless the table's quarantined rows that are neither replayed nor discarded "
            f"are {table.contract.quarantine.open.text}."
        )
    }
    if not table.soft_parents:
        return checks
    parents = ", ".join(table.soft_parents)
    text = f"Warns when a table that only goes first was not loaded: {parents}."
    return {**checks, SOFT_PARENTS: text}


def _reasons_table(load: SilverLoad, open_rows: Mapping[str, int]) -> dg.TableMetadataValue:
    """Quarantined rows by reason: those of this load, and those of the table that are open."""
    reasons = {**dict.fromkeys(load.reasons, 0), **open_rows}
    return dg.MetadataValue.table(
        records=[
            dg.TableRecord(
                {"reason": reason, "this_load": load.reasons.get(reason, 0), "open": rows}
            )
            for reason, rows in reasons.items()
        ],
        schema=dg.TableSchema(
            columns=[
                dg.TableColumn("reason", "string"),
                dg.TableColumn("this_load", "int"),
                dg.TableColumn("open", "int"),
            ]
        ),
    )


def _soft_parents_result(
    table: Table, key: dg.AssetKey, troubles: Mapping[str, str]
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=SOFT_PARENTS,
        passed=not troubles,
        severity=dg.AssetCheckSeverity.WARN,
        description=(
            "Loaded without the present state of a parent: " + "; ".join(troubles.values())
            if troubles
            else "Every parent was loaded first."
        ),
        metadata={"parents": ", ".join(table.soft_parents), "not_loaded": ", ".join(troubles)},
    )


def _column_schema(table: Table) -> dg.TableSchema:
    return dg.TableSchema(columns=[_column(column) for column in table.contract.columns])


def _column(column: Property) -> dg.TableColumn:
    return dg.TableColumn(
        name=column.name,
        type=column.physicalType,
        description=column.description,
        constraints=dg.TableColumnConstraints(
            nullable=not column.required, unique=column.primaryKey
        ),
        tags={"classification": column.classification} if column.classification else {},
    )


def _check_result(verdict: Verdict, key: dg.AssetKey) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=verdict.check,
        passed=verdict.passed,
        severity=(dg.AssetCheckSeverity.ERROR if verdict.blocking else dg.AssetCheckSeverity.WARN),
        description=verdict.text,
        metadata=verdict.figures,
    )


def _nothing_read(table: Table) -> list[Verdict]:
    text = "nothing to judge: the source was not read while this was its latest hour"
    return [
        Verdict(check=name, passed=True, blocking=False, text=text) for name in asset_checks(table)
    ]


def _summary(load: SilverLoad) -> str:
    if load.missed:
        return "missed: its Bronze hour was not read in time"
    parts = ", ".join(f"{n} {name}" for name, n in load.counts.parts.items() if n)
    return f"{load.counts.read} rows read: {parts or 'nothing to do'}"
