"""The verdicts on one batch: what each check of a Silver asset found. No Dagster here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from retail_platform.control.approvals import Approval
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
OPEN_QUARANTINED = "open_quarantined"
FILES_WHOLE = "files_whole"
COLUMNS = "columns"
TYPES = "types"

HISTORY = timedelta(hours=24)
"""How long a table must have been loaded before the fall of its row count is judged."""


def check_names(table: Table) -> dict[str, str]:
    """The checks of a Silver table and what each says, for its asset's declaration."""
    limits = table.contract.quarantine
    checks = {
        ROW_RULES: (
            "Rows that break a rule of the contract are quarantined; warns unless those of the "
            f"hour are {limits.warn.text}."
        ),
        QUARANTINED_SHARE: (f"Holds the hour unless its quarantined rows are {limits.hold.text}."),
    }
    checks[COLUMNS] = (
        "Warns when the source lacks columns of the contract; holds the hour when a required one "
        "is gone, or a new one has come where columns are frozen."
    )
    if table.row.drift.types == "discard_value":
        checks[TYPES] = "Warns when values are left out that cannot be read as their type."
    if table.row.drift.types == "evolve":
        checks[TYPES] = "Holds the hour while the contract has wider types than the stored table."
    if table.row.swept_by == () or table.row.ends_what_a_reload_lacks:
        checks[ROW_COUNT] = (
            "Holds the hour when a whole read is empty or more than "
            f"{table.row.silver.max_shrink:.0%} smaller than the table."
        )
    if table.row.file_format.incomplete == "hold":
        checks[FILES_WHOLE] = "Holds the hour while one of its files breaks off before its end."
    if table.row.references:
        checks[REFERENCES] = "Warns while members that rows refer to have not arrived."
    return checks


def judge(
    table: Table,
    counts: Counts,
    reasons: dict[str, int],
    *,
    live_before: int,
    live_read: int,
    history: timedelta,
) -> list[Verdict]:
    """Judges a classified batch before it is committed.

    Args:
        table: The table's metadata.
        counts: Where the rows went.
        reasons: Quarantined rows by reason; a row counts under each of its reasons.
        live_before: Live keys of the stored table; only looked at for whole reads.
        live_read: Keys in the batch.
        history: Time since the first loaded hour of the table; only looked at for whole reads.
    """
    limits = table.contract.quarantine
    found = counts.quarantined, counts.read
    share = counts.quarantined / counts.read if counts.read else 0.0
    listed = ", ".join(f"{reason} ({n})" for reason, n in list(reasons.items())[:5])
    verdicts = [
        Verdict(
            check=ROW_RULES,
            passed=limits.warn.holds(*found),
            blocking=False,
            text=f"{counts.quarantined} of {counts.read} rows quarantined"
            + (f": {listed}" if listed else ""),
            figures={"quarantined": counts.quarantined, **reasons},
        ),
        Verdict(
            check=QUARANTINED_SHARE,
            passed=limits.hold.holds(*found),
            blocking=True,
            text=f"{share:.1%} of {counts.read} rows quarantined, expected {limits.hold.text}"
            + (f": {listed}" if listed else ""),
            figures={"share": share, "expected": limits.hold.text},
        ),
    ]
    if table.row.swept_by == () or table.row.ends_what_a_reload_lacks:
        verdicts.append(_row_count(table, live_before, live_read, history))
    return verdicts


def open_quarantined(table: Table, by_rule: Mapping[str, int], rows: int) -> Verdict:
    """The verdict on what people have left open in the table's quarantine.

    Args:
        table: The table's metadata.
        by_rule: Open rows by rule; a row counts under each of its rules.
        rows: Open rows.
    """
    limit = table.contract.quarantine.open
    listed = ", ".join(f"{rule} ({n})" for rule, n in list(by_rule.items())[:5])
    return Verdict(
        check=OPEN_QUARANTINED,
        passed=limit.holds(rows, rows),
        blocking=False,
        text=f"{rows} quarantined rows are open, expected {limit.text}"
        + (
            f": {listed}; retail-platform quarantine list --table {table.entity} --status OPEN"
            if listed
            else ""
        ),
        figures={"open": rows, "expected": limit.text, **by_rule},
    )


def files_whole(incomplete: Sequence[str]) -> Verdict:
    """The verdict on an hour's files.

    Args:
        incomplete: What says of a file that it breaks off; none when all are whole.
    """
    return Verdict(
        check=FILES_WHOLE,
        passed=not incomplete,
        blocking=True,
        text="; ".join(incomplete) or "every file has its end",
        figures={"incomplete": len(incomplete)},
    )


def _row_count(table: Table, live_before: int, live_read: int, history: timedelta) -> Verdict:
    fall = 1 - live_read / live_before if live_before else 0.0
    limit = table.row.silver.max_shrink
    emptied = live_read == 0 and live_before > 0
    young = history < HISTORY
    return Verdict(
        check=ROW_COUNT,
        passed=not emptied and (young or fall <= limit),
        blocking=True,
        text=f"{live_read} keys read, {live_before} stored"
        + (f": {fall:.0%} fewer, limit {limit:.0%}" if fall > 0 else "")
        + (" (judged after 24 hours of history)" if fall > limit and young else ""),
        figures={"read": live_read, "stored": live_before},
    )


def with_approvals(verdicts: Sequence[Verdict], approvals: Mapping[str, Approval]) -> list[Verdict]:
    """The verdicts after people have spoken: an approved failure warns and holds nothing back.

    Args:
        verdicts: What the checks found.
        approvals: Approvals by name of the check.
    """
    return [
        replace(
            verdict,
            blocking=False,
            text=f"{verdict.text}; approved by {given.person}: {given.reason}",
            figures={**verdict.figures, "approval": given.id},
        )
        if (given := approvals.get(verdict.check)) and not verdict.passed
        else verdict
        for verdict in verdicts
    ]


def holding(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts that hold the hour back."""
    return [verdict for verdict in verdicts if verdict.blocking and not verdict.passed]


def held_back(table: Table, hour: str, verdicts: list[Verdict]) -> HeldBack:
    """The failure of an hour whose blocking verdicts did not pass."""
    failed = holding(verdicts)
    found = "; ".join(f"{verdict.check}: {verdict.text}" for verdict in failed)
    commands = "; ".join(
        f"retail-platform approve silver/{table.entity} --hour {hour} --rule {verdict.check} "
        "--reason WHY --person WHO"
        for verdict in failed
    )
    return HeldBack(
        f"silver.{table.entity}, hour {hour}: held back, nothing was committed: {found}. Bronze "
        f"keeps the rows (bronze.{table.bronze}). Correct the source or the contract, then "
        f"materialise this hour again; or, if the batch is right, approve it first: {commands}",
        verdicts,
    )
