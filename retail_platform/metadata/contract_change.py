"""One difference between two versions of a contract, and how far the version number must rise.

Shared by those who find differences (`contract_changes`, `contract_columns`) and those who act on
them. No comparing here.
"""

from dataclasses import dataclass
from enum import IntEnum

from retail_platform.metadata.contract_quality import Quality


class Level(IntEnum):
    """How far the version number must rise."""

    PATCH = 1
    MINOR = 2
    MAJOR = 3


@dataclass(frozen=True, kw_only=True)
class Change:
    """One difference.

    Attributes:
        column: The column, as the released version names it; None for the contract as a whole.
        field: What of it changed, in the standard's words.
        level: What it asks of the version number; MAJOR is breaking.
        text: What changed, for people.
        counter_offer: How to get there without breaking anybody; empty where nothing breaks.
    """

    column: str | None
    field: str
    level: Level
    text: str
    counter_offer: str = ""

    @property
    def is_breaking(self) -> bool:
        """Whether consumers have to be asked first."""
        return self.level is Level.MAJOR


def rule_changes(
    column: str | None, before: tuple[Quality, ...], after: tuple[Quality, ...]
) -> list[Change]:
    """Rules that came, went or changed, without lists of valid values: those have own levels."""
    old = {_rule_name(rule): rule for rule in before if not lists_values(rule)}
    new = {_rule_name(rule): rule for rule in after if not lists_values(rule)}
    changes = []
    for name in sorted({*old, *new}):
        if old.get(name) == new.get(name):
            continue
        verb = "added" if name not in old else "removed" if name not in new else "changed"
        changes.append(
            Change(
                column=column,
                field="quality",
                level=Level.MINOR,
                text=f"{f'{column}: ' if column else ''}rule {name!r} {verb}",
            )
        )
    return changes


def lists_values(rule: Quality) -> bool:
    """Whether it lists the valid values of a column."""
    return rule.metric == "invalidValues" and bool(rule.arguments.get("validValues"))


def _rule_name(rule: Quality) -> str:
    return rule.name or rule.metric or str(rule.implementation or rule.description)
