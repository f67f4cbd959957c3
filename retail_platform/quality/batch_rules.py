"""Judges a batch by its contract's batch rules: completeness, uniqueness, validity, volume.

Belongs here: the aggregates that a contract asks of a batch, and the verdicts on what they gave.
Not here: the rules as they are written (`metadata.contract_quality`), and the checks that every
table has whatever its contract says (`verdicts`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from retail_platform.control.ledger import Counts
from retail_platform.metadata.contract import Contract
from retail_platform.metadata.contract_quality import BatchRule, Dimension
from retail_platform.metadata.loader import Table
from retail_platform.quality.verdicts import Verdict, check_names

GOES_ON = "_class not in ('quarantined', 'rejected')"
TEXTS: dict[Dimension, str] = {
    "completeness": "Share of missing values",
    "uniqueness": "Values that different keys share",
    "validity": "Rows that break a rule that does not quarantine",
    "volume": "Rows of the hour",
}
History = Callable[[int], Sequence[int]]
"""Rows read in each of the last so many successful hours."""


def asset_checks(table: Table) -> dict[str, str]:
    """Every check of a Silver table, for its asset's declaration."""
    return {**check_names(table), **batch_checks(table.contract)}


def batch_checks(contract: Contract) -> dict[str, str]:
    """The checks that a contract's batch rules add, and what each says."""
    found: dict[str, list[str]] = {}
    for rule in contract.batch_rules:
        text = f"{rule.name} {rule.limits.text(rule.unit)}"
        if rule.history is not None:
            text += f" of the median of {rule.history} hours"
        found.setdefault(rule.dimension, []).append(text + ("" if rule.blocking else " (warns)"))
    return {
        dimension: f"{TEXTS[dimension]}: {'; '.join(found[dimension])}."
        for dimension in TEXTS
        if dimension in found
    }


def measures(contract: Contract) -> dict[str, str]:
    """Aggregates over a classified batch, as Spark SQL by name; few contracts ask for any."""
    asked = {name: rule.aggregate(GOES_ON) for name, rule in _named(contract).items()}
    return {name: sql for name, sql in asked.items() if sql is not None}


def batch_verdicts(
    contract: Contract, counts: Counts, measured: Mapping[str, int], history: History
) -> list[Verdict]:
    """One verdict for each dimension that the contract has rules on.

    Args:
        contract: The contract.
        counts: Where the rows of the batch went.
        measured: What the aggregates of `measures` gave, by name.
        history: Asked for the usual number of rows.
    """
    by_dimension: dict[Dimension, list[_Finding]] = {}
    for name, rule in _named(contract).items():
        finding = (
            _volume(rule, counts.read, history)
            if rule.dimension == "volume"
            else _measured(rule, counts, measured[name])
        )
        by_dimension.setdefault(rule.dimension, []).append(finding)
    return [
        _verdict(dimension, by_dimension[dimension])
        for dimension in TEXTS
        if dimension in by_dimension
    ]


@dataclass(frozen=True, kw_only=True)
class _Finding:
    """What one rule found."""

    rule: BatchRule
    passed: bool
    blocking: bool
    measure: float
    text: str


def _named(contract: Contract) -> dict[str, BatchRule]:
    return {f"_measure_{n}": rule for n, rule in enumerate(contract.batch_rules)}


def _measured(rule: BatchRule, counts: Counts, number: int) -> _Finding:
    rows = counts.read - counts.quarantined - counts.rejected
    percent = rule.unit == "percent"
    measure = (100 * number / rows if rows else 0.0) if percent else number
    found = f"{measure:.4g} % of {rows} rows" if percent else f"{number} of {rows} rows"
    return _Finding(
        rule=rule,
        passed=rule.limits.hold(measure) or not rows,
        blocking=rule.blocking,
        measure=measure,
        text=f"{rule.name}: {found}, expected {rule.limits.text(rule.unit)}",
    )


def _volume(rule: BatchRule, read: int, history: History) -> _Finding:
    if rule.history is None:
        return _Finding(
            rule=rule,
            passed=rule.limits.hold(read),
            blocking=rule.blocking,
            measure=read,
            text=f"{rule.name}: {read} rows, expected {rule.limits.text('rows')}",
        )
    known = history(rule.history)
    usual = median(known) if known else 0
    if not usual:
        why = "no hour before" if not known else "the median of the hours before is 0"
        return _Finding(
            rule=rule,
            passed=True,
            blocking=False,
            measure=100,
            text=f"{rule.name}: {read} rows, nothing to compare with: {why}",
        )
    measure = 100 * read / usual
    young = len(known) < rule.history
    return _Finding(
        rule=rule,
        passed=rule.limits.hold(measure),
        # A median of few hours is a guess: it may warn, and hold nothing back.
        blocking=rule.blocking and not young,
        measure=measure,
        text=f"{rule.name}: {read} rows, {measure:.0f} % of the median {usual:g} of {len(known)} "
        f"hours, expected {rule.limits.text('percent')}"
        + (f" (holds after {rule.history} hours)" if young and rule.blocking else ""),
    )


def _verdict(dimension: Dimension, findings: Sequence[_Finding]) -> Verdict:
    failed = [finding for finding in findings if not finding.passed]
    return Verdict(
        check=dimension,
        passed=not failed,
        blocking=any(finding.blocking for finding in failed or findings),
        text="; ".join(finding.text for finding in failed or findings),
        figures={finding.rule.name: round(finding.measure, 4) for finding in findings},
    )
