"""The code location of the live tables, beside that of the hours: light enough for every minute.

No logic of its own. Everything that loads by the hour is in `retail_platform.definitions`.
"""

import dagster as dg

from retail_platform.live.assets import build_live_defs
from retail_platform.metadata.loader import load_catalog
from retail_platform.settings import Settings


def build_defs(settings: Settings) -> dg.Definitions:
    """Everything that Dagster loads of the live tables.

    Args:
        settings: Settings of the deployment.
    """
    catalog = load_catalog(settings.catalog, without=settings.without_sources)
    return build_live_defs(
        tables=catalog.live,
        lake_url=settings.lake_url,
        control_url=settings.control_url,
        schedule_on=settings.live,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The code location of this environment."""
    return build_defs(Settings.from_environment())
