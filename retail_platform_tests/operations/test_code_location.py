"""The code location as Dagster loads it: assets, jobs, checks, schedule, automation."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from retail_platform.automation import late_data_condition
from retail_platform.definitions import build_defs
from retail_platform.failures import PermanentFailure
from retail_platform.live.definitions import build_defs as build_live_defs
from retail_platform.partitions import hourly_partitions, key_of
from retail_platform.settings import Settings

TABLES = {
    "crm": {"contacts": "contacts", "contact_consents": "contact_consents"},
    "customer_service": {"tickets": "tickets", "ticket_comments": "ticket_comments"},
    "exchange_rates": {"daily_rates": "exchange_rates"},
    "facebook_ads": {"insights": "facebook_insights"},
    "feedback": {"product_reviews": "product_reviews"},
    "google_ads": {"campaign_performance": "google_campaign_performance"},
    "inventory": {name: name for name in ("locations", "stock_levels")},
    "pos": {"transactions": "pos_transactions"},
    "sales": {
        name: name
        for name in (
            "categories",
            "customers",
            "order_lines",
            "orders",
            "products",
            "stores",
            "territories",
        )
    },
    "social": {"mentions": "social_mentions"},
    "suppliers": {
        name: name
        for name in ("purchase_order_lines", "purchase_orders", "supplier_products", "suppliers")
    },
    "surveys": {"responses": "survey_responses"},
    "warehouse": {"stock_counts": "stock_counts"},
    "web_analytics": {"sessions": "web_sessions"},
    "web": {"events": "web_events", "order_lines": "web_order_lines", "orders": "web_orders"},
}
JOBS = {
    "all_hourly",
    "approve",
    "fill_gaps",
    "late_window",
    "quarantine_discard",
    "quarantine_replay",
    "reconcile",
    "reprocess",
    "reprocess_blocked",
}
GOLD = {
    "dim_campaign",
    "dim_customer",
    "dim_date",
    "dim_hour",
    "dim_product",
    "dim_store",
    "dim_supplier",
    "fct_customer_interaction",
    "fct_marketing_spend",
    "fct_order_click",
    "fct_purchase_line",
    "fct_sales",
    "fct_stock_level",
    "fct_stock_movement",
    "fct_web_session",
    "mart_attributed_sales",
    "mart_customer_segment",
    "mart_platform_kpi",
    "mart_platform_table",
    "mart_replenishment",
    "mart_sales_by_region_category",
    "mart_sales_kpi",
    "mart_sales_vs_spend",
    "mart_stock_turnover",
    "mart_supplier_performance",
    "snap_campaign",
    "snap_customer_segment",
}

REPORTS = {
    f"report/{name}"
    for name in ("overview", "sales", "stock", "customers", "marketing", "platform")
}


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    """The code location of a fresh home with the simulator switched on."""
    home = tmp_path_factory.mktemp("home")
    settings = Settings.from_environment(
        {"RETAIL_HOME": str(home), "RETAIL_SIMULATOR": "1", "RETAIL_PII_KEY": "key"}
    )
    return build_defs(settings)


def test_the_asset_keys_are_these(definitions: dg.Definitions) -> None:
    """A table that is renamed or lost is seen here: other systems know the keys."""
    expected = {f"gold/{name}" for name in GOLD} | REPORTS | {"bronze/platform__loads"}
    for source, tables in TABLES.items():
        expected |= {f"bronze/{source}__{table}" for table in tables}
        expected |= {f"silver/{entity}" for entity in tables.values()}
    job = definitions.resolve_job_def("all_hourly")
    keys = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
    assert keys == expected


def test_every_asset_has_description_owner_group_kinds_and_hourly_partitions(
    definitions: dg.Definitions,
) -> None:
    """What the UI shows of every asset comes from the metadata."""
    for spec in definitions.resolve_all_asset_specs():
        name = spec.key.to_user_string()
        if name.split("/")[0] not in ("bronze", "silver", "gold", "report"):
            continue
        assert spec.description, name
        assert spec.owners, name
        assert spec.group_name, name
        assert spec.kinds, name
        assert isinstance(spec.partitions_def, dg.HourlyPartitionsDefinition), name
        if name.startswith(("bronze", "silver")):
            assert spec.freshness_policy is not None, name


def test_one_job_per_source_one_for_all_and_the_schedule_is_on(
    definitions: dg.Definitions,
) -> None:
    """The demo's schedule runs without a switch; the reconciliation has a job of its own."""
    repository = definitions.get_repository_def()
    names = {job.name for job in repository.get_all_jobs() if not job.name.startswith("__")}
    maintained = {f"{source}_maintenance" for source in [*TABLES, "gold"]}
    assert names == {f"{source}_hourly" for source in TABLES} | maintained | JOBS
    schedules = {schedule.name: schedule for schedule in repository.schedule_defs}
    assert {name: schedule.cron_schedule for name, schedule in schedules.items()} == {
        "fill_gaps": "25 * * * *",
        "hourly": "5 * * * *",
        "late_window": "40 2 * * *",
        **{f"nightly_{name}": "30 1 * * *" for name in maintained},
    }
    for schedule in schedules.values():
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


def test_live_tables_are_a_location_of_their_own_that_waits_for_a_switch(tmp_path: Path) -> None:
    """Its processes of every minute load neither an engine nor dbt nor what Silver needs."""
    home = {"RETAIL_HOME": str(tmp_path), "RETAIL_SIMULATOR": "1"}
    for switch, status in (
        ({}, dg.DefaultScheduleStatus.STOPPED),
        ({"RETAIL_LIVE": "1"}, dg.DefaultScheduleStatus.RUNNING),
    ):
        live = build_live_defs(Settings.from_environment(home | switch))
        keys = {spec.key.to_user_string() for spec in live.resolve_all_asset_specs()}
        assert keys == {"silver/inventory_live"}
        (schedule,) = live.get_repository_def().schedule_defs
        assert (schedule.name, schedule.default_status) == ("inventory_live_micro_batch", status)
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, retail_platform.live.definitions; print(*sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {
        "pyspark",
        "pysail",
        "dbt",
        "dagster_dbt",
        "pandas",
        "sqlalchemy",
        "great_expectations",
    }
    assert heavy.isdisjoint(told.stdout.split())


def test_an_hour_that_lands_late_is_carried_on() -> None:
    """Tick by tick: plain eager loses an hour that lands after the next one has opened."""
    now = datetime(2026, 11, 20, 12, 10, tzinfo=UTC)
    late = key_of(datetime(2026, 11, 20, 9, tzinfo=UTC))
    partitions = hourly_partitions(datetime(2026, 11, 19, tzinfo=UTC))

    def requested(condition: dg.AutomationCondition) -> set[str | None]:
        @dg.asset(partitions_def=partitions)
        def bronze() -> None: ...

        @dg.asset(partitions_def=partitions, deps=[bronze], automation_condition=condition)
        def silver() -> None: ...

        with dg.DagsterInstance.ephemeral() as instance:
            first = dg.evaluate_automation_conditions(
                defs=[bronze, silver], instance=instance, evaluation_time=now
            )
            instance.report_runless_asset_event(dg.AssetMaterialization("bronze", partition=late))
            second = dg.evaluate_automation_conditions(
                defs=[bronze, silver],
                instance=instance,
                cursor=first.cursor,
                evaluation_time=now + timedelta(minutes=1),
            )
            return set(second.get_requested_partitions(dg.AssetKey("silver")))

    assert requested(late_data_condition()) == {late}
    assert requested(dg.AutomationCondition.eager()) == set()


def test_settings_refuse_what_they_do_not_know(tmp_path: Path) -> None:
    """A mistyped variable or engine is an error that lists what is known."""
    with pytest.raises(PermanentFailure, match=r"Unknown settings.*LAKE_ULR.*RETAIL_LAKE_URL"):
        Settings.from_environment({"RETAIL_LAKE_ULR": "x"})
    with pytest.raises(PermanentFailure, match="RETAIL_ENGINE is 'duckdb'; expected one of"):
        Settings.from_environment({"RETAIL_ENGINE": "duckdb", "RETAIL_HOME": str(tmp_path)})
