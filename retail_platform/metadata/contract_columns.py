"""What changed in the columns of a contract, by the consumer's view.

The table of what breaks is in `contract_changes`, which puts this together with the rest.
"""

from collections.abc import Iterator
from difflib import SequenceMatcher

from retail_platform.metadata.contract import Contract, Property
from retail_platform.metadata.contract_change import Change, Level, rule_changes
from retail_platform.metadata.types import is_wider

CLASSIFICATIONS = ("public", "internal", "confidential", "restricted")
"""From open to guarded; a word that is not among them counts as changed, not as lowered."""
ALIKE = 0.6


def column_changes(released: Contract, working: Contract) -> Iterator[Change]:
    """Columns that came, went, were renamed or changed; texts and order are not looked at."""
    before = {column.name: column for column in released.columns}
    after = {column.name: column for column in working.columns}
    gone = [column for name, column in before.items() if name not in after]
    new = [column for name, column in after.items() if name not in before]
    for column in gone:
        successor = _successor(column, new)
        if successor is not None:
            new.remove(successor)
            yield _renamed(column, successor)
            yield from _column(column, successor)
        else:
            yield _removed(column)
    for column in new:
        yield Change(
            column=column.name,
            field="name",
            level=Level.MINOR,
            text=f"column {column.name} ({column.physicalType}) added",
        )
    for name, column in before.items():
        if name in after:
            yield from _column(column, after[name])


def _successor(gone: Property, new: list[Property]) -> Property | None:
    """The new column that is most like the one that is gone: same type, like name or text."""

    def likeness(column: Property) -> float:
        text = SequenceMatcher(None, gone.description, column.description).ratio()
        return max(SequenceMatcher(None, gone.name, column.name).ratio(), text)

    alike = [column for column in new if column.physicalType == gone.physicalType]
    best = max(alike, key=likeness, default=None)
    return best if best is not None and likeness(best) >= ALIKE else None


def _renamed(old: Property, new: Property) -> Change:
    return Change(
        column=old.name,
        field="name",
        level=Level.MAJOR,
        text=f"column {old.name} renamed to {new.name}",
        counter_offer=(
            f"keep both columns: add {new.name}, let {old.name} be its alias with the custom "
            f"properties replacedBy: {new.name} and removeOn: <date>, and release that as a minor "
            f"version; drop {old.name} after that date"
        ),
    )


def _removed(column: Property) -> Change:
    return Change(
        column=column.name,
        field="name",
        level=Level.MAJOR,
        text=f"column {column.name} removed",
        counter_offer=(
            f"keep {column.name} with the custom property removeOn: <date>, filled as long as the "
            "source has it and NULL afterwards (no longer required); release that first, and drop "
            "it after that date"
        ),
    )


def _column(old: Property, new: Property) -> Iterator[Change]:
    yield from _type(old, new)
    yield from _meaning(old, new)
    yield from _guarantees(old, new)
    yield from _valid_values(old, new)
    yield from rule_changes(old.name, old.quality, new.quality)
    yield from _classification(old, new)


def _type(old: Property, new: Property) -> Iterator[Change]:
    name = old.name
    if old.physicalType != new.physicalType:
        wider = is_wider(old.physicalType, new.physicalType)
        yield Change(
            column=name,
            field="physicalType",
            level=Level.MINOR if wider else Level.MAJOR,
            text=f"{name}: type {old.physicalType} {'widened' if wider else 'changed'} to "
            f"{new.physicalType}",
            counter_offer="" if wider else _beside(name, f"of type {new.physicalType}"),
        )
    elif old.logicalType != new.logicalType:
        yield Change(
            column=name,
            field="logicalType",
            level=Level.MAJOR,
            text=f"{name}: logical type {old.logicalType} changed to {new.logicalType}",
            counter_offer=_beside(name, f"of logical type {new.logicalType}"),
        )


def _meaning(old: Property, new: Property) -> Iterator[Change]:
    name = old.name
    if old.unit != new.unit:
        stated = old.unit is None
        yield Change(
            column=name,
            field="unit",
            level=Level.MINOR if stated else Level.MAJOR,
            text=f"{name}: unit {old.unit or 'not stated'} changed to {new.unit or 'not stated'}",
            counter_offer="" if stated else _beside(name, f"in {new.unit or 'the new unit'}"),
        )
    if old.time_zone != new.time_zone and old.logicalType == new.logicalType:
        yield Change(
            column=name,
            field="logicalTypeOptions.defaultTimezone",
            level=Level.MAJOR,
            text=f"{name}: time zone {old.time_zone} changed to {new.time_zone}",
            counter_offer=_beside(name, f"in {new.time_zone}"),
        )


def _guarantees(old: Property, new: Property) -> Iterator[Change]:
    name = old.name
    if old.required != new.required:
        taken_back = old.required
        yield Change(
            column=name,
            field="required",
            level=Level.MAJOR if taken_back else Level.MINOR,
            text=f"{name}: {'no longer' if taken_back else 'now'} required",
            counter_offer=(
                f"keep {name} required and filled with a value that says 'unknown'; offer the "
                "column with NULLs beside it"
                if taken_back
                else ""
            ),
        )
    if old.unique != new.unique:
        yield Change(
            column=name,
            field="unique",
            level=Level.MAJOR if old.unique else Level.MINOR,
            text=f"{name}: {'no longer' if old.unique else 'now'} unique",
            counter_offer=_beside(name, "that may repeat") if old.unique else "",
        )
    before = {str(one.to) for one in old.relationships}
    after = {str(one.to) for one in new.relationships}
    for target in sorted(before - after):
        yield Change(
            column=name,
            field="relationships",
            level=Level.MAJOR,
            text=f"{name}: no longer refers to {target}",
            counter_offer=_beside(name, "with the new reference"),
        )
    for target in sorted(after - before):
        yield Change(
            column=name,
            field="relationships",
            level=Level.MINOR,
            text=f"{name}: now refers to {target}",
        )


def _valid_values(old: Property, new: Property) -> Iterator[Change]:
    before, after = _values(old), _values(new)
    if before is None and after is None:
        return
    if after is None:
        yield Change(
            column=old.name,
            field="quality.validValues",
            level=Level.MAJOR,
            text=f"{old.name}: valid values are no longer checked",
            counter_offer=f"keep the rule with severity: warning until readers of {old.name} are "
            "ready for any value",
        )
        return
    if before is None:
        yield Change(
            column=old.name,
            field="quality.validValues",
            level=Level.MINOR,
            text=f"{old.name}: now takes known values only: {', '.join(sorted(after))}",
        )
        return
    lost, gained = sorted(before - after), sorted(after - before)
    if lost:
        yield Change(
            column=old.name,
            field="quality.validValues",
            level=Level.MAJOR,
            text=f"{old.name}: valid values {', '.join(lost)} removed",
            counter_offer=f"keep {', '.join(lost)} valid and let the source stop sending it; "
            "remove it when a version has passed without such a row",
        )
    if gained:
        yield Change(
            column=old.name,
            field="quality.validValues",
            level=Level.MINOR,
            text=f"{old.name}: valid values {', '.join(gained)} added",
        )


def _values(column: Property) -> set[str] | None:
    lists = [
        {str(value) for value in rule.arguments["validValues"]}
        for rule in column.quality
        if rule.metric == "invalidValues" and rule.arguments.get("validValues") and rule.is_on_rows
    ]
    return set.intersection(*lists) if lists else None


def _classification(old: Property, new: Property) -> Iterator[Change]:
    before, after = old.classification, new.classification
    if before == after:
        return
    lowered = before is not None and (
        after is None
        or before not in CLASSIFICATIONS
        or after not in CLASSIFICATIONS
        or CLASSIFICATIONS.index(after) < CLASSIFICATIONS.index(before)
    )
    yield Change(
        column=old.name,
        field="classification",
        level=Level.MAJOR if lowered else Level.MINOR,
        text=f"{old.name}: classification {before or 'not stated'} "
        f"{'lowered' if lowered else 'raised'} to {after or 'not stated'}",
        counter_offer=(
            f"keep {old.name} {before} and offer a masked or coarser column beside it as "
            f"{after or 'internal'}"
            if lowered
            else ""
        ),
    )


def _beside(column: str, how: str) -> str:
    return (
        f"add a column of its own {how}, keep {column} as it is with the custom property "
        "removeOn: <date>, and release both as a minor version"
    )
