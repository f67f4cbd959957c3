"""How much of a table a contract lets into quarantine: when a load warns, and when it is held.

Written as quality rules of the table, with the standard's operators, units and severities:

    - name: quarantined share
      type: custom
      engine: retail_platform
      implementation: {measure: quarantinedRows}
      unit: percent
      mustBeLessOrEqualTo: 5
      severity: error

``quarantinedRows`` measures an hour, in ``percent`` of the rows read or in ``rows``: severity
``error`` holds the hour, ``warning`` warns. ``openQuarantinedRows`` measures what nobody has
replayed or discarded of the whole table, in ``rows``; it can only warn.

Not here: counting them (`quality.verdicts`), and rules that send a row there (`contract_quality`).
"""

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict

from retail_platform.metadata.contract_quality import QUARANTINED, Limits, Quality


class Threshold(BaseModel):
    """A range in which a number of rows must lie, as it is or in percent of all."""

    model_config = ConfigDict(frozen=True)

    limits: Limits
    unit: Literal["rows", "percent"]

    def holds(self, rows: int, of: int) -> bool:
        """Whether ``rows`` of ``of`` rows lie in the range; none of none always do."""
        return self.limits.hold(self.measure(rows, of))

    def measure(self, rows: int, of: int) -> float:
        """The number that is compared with the range."""
        if self.unit == "rows":
            return rows
        return 100 * rows / of if of else 0.0

    @property
    def text(self) -> str:
        """The range for people, such as ``at most 5 %``."""
        return self.limits.text(self.unit)


class QuarantineLimits(BaseModel):
    """The thresholds of a table's quarantine, each with what holds where a contract says nothing.

    Attributes:
        hold: Quarantined rows of an hour beyond which it is held.
        warn: Quarantined rows of an hour beyond which ``row_rules`` warns.
        open: Open quarantined rows of the table beyond which ``open_quarantined`` warns.
    """

    model_config = ConfigDict(frozen=True)

    hold: Threshold = Threshold(limits=Limits(maximum=50), unit="percent")
    warn: Threshold = Threshold(limits=Limits(maximum=0), unit="percent")
    open: Threshold = Threshold(limits=Limits(maximum=0), unit="rows")


def quarantine_limits(rules: Iterable[Quality]) -> QuarantineLimits:
    """The thresholds that the quality rules of a contract's table set.

    Raises:
        ValueError: two rules set the same threshold.
    """
    found: dict[str, Threshold] = {}
    for rule in rules:
        if rule.measure is None:
            continue
        place = "open"
        if rule.measure == QUARANTINED:
            place = "hold" if rule.severity == "error" else "warn"
        if place in found:
            raise ValueError(
                f"two rules of measure {rule.measure} with severity {rule.severity}: keep one"
            )
        assert rule.limits is not None, "validated"
        found[place] = Threshold(limits=rule.limits, unit=rule.unit)
    return QuarantineLimits(**found)
