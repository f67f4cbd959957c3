"""The verdicts on one batch: what each check of a Silver asset found. No Dagster here."""

from dataclasses import dataclass, field

from retail_platform.control.ledger import Counts
from retail_platform.failures import PermanentFailure
from retail_platform.metadata.loader import Table


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a check found.

    Attributes:
        check: Name of the check.
        passed: Whether the batch fulfils it.
        blocking: Whether a failure holds the hour back, uncommitted.
        text: What was found and expected, for people.
        figures: Numbers behind the text.
    """

    check: str
    passed: bool
    blocking: bool
    text: str
    figures: dict[str, float | int | str] = field(default_factory=dict)


class HeldBack(PermanentFailure):
    """A batch rule failed: the hour is not committed, and Bronze keeps what came."""

    def __init__(self, message: str, verdicts: list[Verdict]) -> None:
        super().__init__(message)
        self.verdicts = verdicts


ROW_RULES = "row_rules"
QUARANTINED_SHARE = "quarantined_share"
ROW_COUNT = "row_count"
REFERENCES = "references"


def check_names(table: Table) -> dict[str, str]:
    """The checks of a Silver table and what each says, for its asset's declaration."""
    checks = {
        ROW_RULES: "Rows that break a rule of the contract are quarantined; warns when there are.",
        QUARANTINED_SHARE: (
            f"Holds the hour when more than {table.row.silver.max_quarantined:.0%} of its rows "
            "are quarantined."
        ),
    }
    if table.row.swept_by == ():
        checks[ROW_COUNT] = (
            "Holds the hour when a whole read is empty or more than "
            f"{table.row.silver.max_shrink:.0%} smaller than the table."
        )
    if table.row.references:
        checks[REFERENCES] = "Warns when rows refer to members that are not there yet."
    return checks


def judge(
    table: Table, counts: Counts, reasons: dict[str, int], *, live_before: int, live_read: int
) -> list[Verdict]:
    """Judges a classified batch before it is committed.

    Args:
        table: The table's metadata.
        counts: Where the rows went.
        reasons: Quarantined rows by reason; a row counts under each of its reasons.
        live_before: Live keys of the stored table; only looked at for whole reads.
        live_read: Keys in the batch.
    """
    share = counts.quarantined / counts.read if counts.read else 0.0
    limit = table.row.silver.max_quarantined
    listed = ", ".join(f"{reason} ({n})" for reason, n in list(reasons.items())[:5])
    verdicts = [
        Verdict(
            check=ROW_RULES,
            passed=counts.quarantined == 0,
            blocking=False,
            text=f"{counts.quarantined} of {counts.read} rows quarantined"
            + (f": {listed}" if listed else ""),
            figures={"quarantined": counts.quarantined, **reasons},
        ),
        Verdict(
            check=QUARANTINED_SHARE,
            passed=share <= limit,
            blocking=True,
            text=f"{share:.1%} of {counts.read} rows quarantined, limit {limit:.0%}"
            + (f": {listed}" if listed else ""),
            figures={"share": share, "limit": limit},
        ),
    ]
    if table.row.swept_by == ():
        verdicts.append(_row_count(table, live_before, live_read))
    return verdicts


def _row_count(table: Table, live_before: int, live_read: int) -> Verdict:
    fall = 1 - live_read / live_before if live_before else 0.0
    limit = table.row.silver.max_shrink
    emptied = live_read == 0 and live_before > 0
    return Verdict(
        check=ROW_COUNT,
        passed=not emptied and fall <= limit,
        blocking=True,
        text=f"{live_read} keys read, {live_before} stored"
        + (f": {fall:.0%} fewer, limit {limit:.0%}" if fall > 0 else ""),
        figures={"read": live_read, "stored": live_before},
    )


def held_back(table: Table, hour: str, verdicts: list[Verdict]) -> HeldBack:
    """The failure of an hour whose blocking verdicts did not pass."""
    found = "; ".join(f"{v.check}: {v.text}" for v in verdicts if v.blocking and not v.passed)
    return HeldBack(
        f"silver.{table.entity}, hour {hour}: held back, nothing was committed: {found}. Bronze "
        f"keeps the rows (bronze.{table.bronze}). Correct the source or the contract, then "
        "materialise this hour again.",
        verdicts,
    )
