"""What a table of an ad platform asks for: an insights report, or a query of Google's language.

Only shapes and their own validity. How the platforms are asked is in `retail_platform.extract`.
"""

import re
from datetime import date, timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from retail_platform.metadata.values import Frozen, Name

_FIELD = re.compile(r"[a-z][a-z_]*(\.[a-z][a-z0-9_]*)+")
CUSTOMER, DAY = "customer.id", "segments.date"


def _field(text: str) -> str:
    if not _FIELD.fullmatch(text):
        raise ValueError(f"{text!r} is no field of the query language, such as metrics.clicks")
    return text


class InsightsReport(Frozen):
    """A report of the Marketing API's insights edge, by day and hour of the account.

    Attributes:
        level: One row for each of these in every hour.
        attribution: How conversions are counted: ``unified`` takes the setting of each ad set, as
            Ads Manager shows it; a window counts by that one. The row keeps it in
            ``attribution_setting``.
        action: Action type that counts as a purchase.
        report_days: Windows of so many days or more are asked for as an asynchronous report run.
    """

    level: Literal["account", "campaign", "adset", "ad"] = "campaign"
    attribution: Literal["unified", "1d_click", "7d_click", "28d_click", "1d_view", "1d_ev"] = (
        "unified"
    )
    action: str = "purchase"
    report_days: int = Field(default=7, ge=1)

    def is_large(self, since: date, until: date) -> bool:
        """Whether these days, both included, are asked for as a report run."""
        return (until - since) + timedelta(days=1) >= timedelta(days=self.report_days)


class GaqlReport(Frozen):
    """A report in the Google Ads Query Language, by day of the account.

    Attributes:
        resource: What the query is from, such as ``campaign`` or ``ad_group_ad``.
        fields: Field by Bronze column, such as ``cost_micros: metrics.cost_micros``; with
            ``segments.hour`` the rows are by hour.
        days_per_call: Days of one query at most: an answer is taken whole or not at all.
    """

    resource: Name
    fields: dict[Name, Annotated[str, AfterValidator(_field)]] = Field(min_length=1)
    days_per_call: int = Field(default=7, ge=1)

    @model_validator(mode="after")
    def _names_its_slices(self) -> Self:
        for wanted in (CUSTOMER, DAY):
            if wanted not in self.fields.values():
                raise ValueError(
                    f"gaql.fields lacks {wanted}: a fetch replaces days of one customer, so both "
                    "are needed, such as {account_id: customer.id, segments_date: segments.date}"
                )
        return self

    def column(self, field: str) -> str:
        """The column of a field."""
        return next(column for column, name in self.fields.items() if name == field)
