"""The watermark of a table: the column that says when a row last changed, and its policies."""

from datetime import timedelta
from typing import Literal

from pydantic import Field, model_validator

from retail_platform.metadata.values import Duration, Frozen, Name

OutOfOrder = Literal["flag", "exclude", "default"]
"""What becomes of a row whose watermark cannot order it."""


class Gap(Frozen):
    """What becomes of hours that no run has loaded.

    Attributes:
        mode: ``chunk`` loads them one by one, the newest first, some with each run of the job
            ``fill_gaps``, while current hours go on; ``full`` reads all of their rows into the
            hour that is loaded next.
        hours: How many a run of the job loads of the table.
    """

    mode: Literal["chunk", "full"] = "chunk"
    hours: int = Field(default=24, ge=1)


class Watermark(Frozen):
    """The column that says when a row last changed.

    Attributes:
        column: Silver name of the column.
        buffer: How far before the hour a window reaches back, for rows committed out of order.
        null: What becomes of rows without a watermark: ``flag`` quarantines, ``exclude`` leaves
            them in Bronze only, ``default`` dates them by the source's clock when their content
            was first read.
        future: The same for rows whose watermark lies beyond the source's clock and buffer.
        max_lag: How far the source's greatest watermark of the loaded hours may lie beyond the
            greatest that is stored: more means that rows came after their hour was read. None
            allows any lag; the nightly re-read of the late window finds such rows.
        on_lag: Whether more ``warn``s by a check or asks for a ``full`` reload by itself.
        gap: What becomes of hours that no run has loaded.
    """

    column: Name
    buffer: Duration = timedelta(minutes=1)
    null: OutOfOrder = "flag"
    future: OutOfOrder = "flag"
    max_lag: Duration | None = None
    on_lag: Literal["warn", "full"] = "warn"
    gap: Gap = Gap()

    @model_validator(mode="after")
    def _full_needs_a_limit(self) -> "Watermark":
        if self.on_lag == "full" and self.max_lag is None:
            raise ValueError("on_lag: full needs max_lag, such as 3h: beyond which lag?")
        return self

    @property
    def dates_rows(self) -> bool:
        """Whether some rows are dated by the clock in place of their watermark."""
        return "default" in (self.null, self.future)
