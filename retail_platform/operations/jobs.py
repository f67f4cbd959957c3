"""Jobs and the hourly schedule: one job for everything and one per source."""

import dagster as dg

from retail_platform.metadata.loader import Catalog

ALL_HOURLY = "all_hourly"


def build_job_defs(
    *,
    catalog: Catalog,
    minute: int,
    schedule_on: bool,
    apart: dg.AssetSelection | None = None,
) -> dg.Definitions:
    """The jobs, the hourly schedule at the root, and the late-data sensor.

    Args:
        catalog: All tables.
        minute: Minute of the hour at which the hour before is loaded.
        schedule_on: Whether the schedule runs from the start, without a switch in the UI.
        apart: What the hourly job leaves out because it has a job of its own.
    """
    everything = dg.define_asset_job(
        ALL_HOURLY,
        selection=dg.AssetSelection.all() - apart if apart else dg.AssetSelection.all(),
        description="Every table of one hour, from the sources to the marts, with its checks.",
    )
    per_source = [
        dg.define_asset_job(
            f"{source}_hourly",
            selection=dg.AssetSelection.groups(f"bronze_{source}", f"silver_{source}"),
            description=f"Bronze and Silver of {source} for one hour.",
        )
        for source in catalog.sources
    ]
    schedule = dg.build_schedule_from_partitioned_job(
        everything,
        name="hourly",
        minute_of_hour=minute,
        description="Loads the hour before.",
        default_status=(
            dg.DefaultScheduleStatus.RUNNING if schedule_on else dg.DefaultScheduleStatus.STOPPED
        ),
    )
    late_data = dg.AutomationConditionSensorDefinition(
        "late_data",
        target=dg.AssetSelection.all(),
        description=(
            "Carries hours that land late, or were repaired, on to Silver and Gold. "
            "Switch it on where sources are loaded outside of the hourly schedule."
        ),
    )
    return dg.Definitions(jobs=[everything, *per_source], schedules=[schedule], sensors=[late_data])
