"""The one automation condition of Silver and Gold, and the schedule at the root."""

import dagster as dg

from retail_platform.extract.window import LATE_WINDOW

MINUTE_OF_HOUR = 5
"""Sources close an hour a little after it ends; a source that is later is waited for by retries."""


def late_data_condition() -> dg.AutomationCondition:
    """Materialise a partition when its parents did, also hours that land late.

    Plain ``eager()`` looks at the newest hour only: an hour that lands after the next one has
    opened would be lost. This one looks ``LATE_WINDOW`` back.
    """
    return dg.AutomationCondition.eager().replace(
        dg.AutomationCondition.in_latest_time_window(),
        dg.AutomationCondition.in_latest_time_window(LATE_WINDOW),
    )
