"""What changed between two versions of a contract, and what that means for those who read it.

The measure is the consumer's view: would a query, a join or a sum that was right before be wrong
or fail afterwards? The table, which `LEVELS` names in code:

==========================================  =========  ==========================================
change                                      level      why
==========================================  =========  ==========================================
column or table removed, renamed            breaking   queries fail
type narrowed or changed                    breaking   values are cut, or compare differently
type widened (int to bigint, more digits)   minor      every old value still fits
unit or time zone changed                   breaking   numbers and hours silently mean another
unit stated for the first time              minor      nothing changes but the knowledge
key changed                                 breaking   joins double or lose rows
required taken back                         breaking   NULL where there was none
required added                              minor      a stronger promise; incomplete rows wait
                                                       in quarantine
valid values shrunk                         breaking   filters on the value find nothing any more
valid values grown                          minor      readers who list the values are shown
valid values no longer checked              breaking   any value may come
unique or relationship taken back           breaking   joins double or lose rows
classification lowered                      breaking   guarded data becomes readable
classification raised or stated             minor      access may have to be asked for
rule on rows added, changed or removed      minor      what counts as a good row shifts
promise of service weakened or removed      breaking   readers plan by it
promise of service added or strengthened    minor
status to ``retired``                       breaking   nobody keeps it any more
other status, column added                  minor
texts, team, order of columns               patch      nothing that a query sees
==========================================  =========  ==========================================

Not here: versions on disk (`contract_releases`) and who is hit (`contract_impact`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import IntEnum

from retail_platform.metadata.contract import Contract, Property
from retail_platform.metadata.contract_quality import Quality
from retail_platform.metadata.contract_terms import SlaProperty
from retail_platform.metadata.types import DECIMAL

CLASSIFICATIONS = ("public", "internal", "confidential", "restricted")
"""From open to guarded; a word that is not among them counts as changed, not as lowered."""
SHORTER_IS_BETTER = ("latency", "frequency", "tier")
WHOLE_DIGITS = {"int": 10, "bigint": 19}
ALIKE = 0.6


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


def compare(released: Contract, working: Contract) -> list[Change]:
    """Every difference between the released and the working version, breaking ones first."""
    changes = [
        *_columns(released, working),
        *_key(released, working),
        *_table_rules(released, working),
        *_service(released, working),
        *_status(released, working),
    ]
    changes += _texts(released, working)
    return sorted(changes, key=lambda change: -change.level)


def required_level(changes: list[Change]) -> Level | None:
    """How far the version must rise; None where nothing changed."""
    return max((change.level for change in changes), default=None)


def _columns(released: Contract, working: Contract) -> Iterator[Change]:
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
    yield from _rules(old.name, old.quality, new.quality)
    yield from _classification(old, new)


def _type(old: Property, new: Property) -> Iterator[Change]:
    name = old.name
    if old.physicalType != new.physicalType:
        wider = _is_wider(old.physicalType, new.physicalType)
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


def _rules(
    column: str | None, before: tuple[Quality, ...], after: tuple[Quality, ...]
) -> Iterator[Change]:
    """Rules other than valid values, which have levels of their own."""
    old = {_rule_name(rule): rule for rule in before if not _lists_values(rule)}
    new = {_rule_name(rule): rule for rule in after if not _lists_values(rule)}
    for name in sorted({*old, *new}):
        if old.get(name) == new.get(name):
            continue
        verb = "added" if name not in old else "removed" if name not in new else "changed"
        yield Change(
            column=column,
            field="quality",
            level=Level.MINOR,
            text=f"{f'{column}: ' if column else ''}rule {name!r} {verb}",
        )


def _rule_name(rule: Quality) -> str:
    return rule.name or rule.metric or str(rule.implementation or rule.description)


def _lists_values(rule: Quality) -> bool:
    return rule.metric == "invalidValues" and bool(rule.arguments.get("validValues"))


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


def _key(released: Contract, working: Contract) -> Iterator[Change]:
    if released.key != working.key:
        yield Change(
            column=None,
            field="primaryKey",
            level=Level.MAJOR,
            text=f"key {list(released.key)} changed to {list(working.key)}",
            counter_offer=(
                "offer a table of its own with the new key beside this one, and mark this "
                "contract deprecated with an endOfSupport date"
            ),
        )


def _table_rules(released: Contract, working: Contract) -> Iterator[Change]:
    if released.table.name != working.table.name:
        yield Change(
            column=None,
            field="schema.name",
            level=Level.MAJOR,
            text=f"table {released.table.name} renamed to {working.table.name}",
            counter_offer=f"keep {released.table.name} as a view of {working.table.name} until a "
            "date that its readers know",
        )
    yield from _rules(None, released.table.quality, working.table.quality)


def _service(released: Contract, working: Contract) -> Iterator[Change]:
    before = {one.kind: one for one in released.slaProperties}
    after = {one.kind: one for one in working.slaProperties}
    for kind in sorted({*before, *after}):
        old, new = before.get(kind), after.get(kind)
        if old == new:
            continue
        weaker = old is not None and (new is None or _is_weaker(kind, old, new))
        yield Change(
            column=None,
            field=f"slaProperties.{kind}",
            level=Level.MAJOR if weaker else Level.MINOR,
            text=f"promise of {kind}: {_promise(old)} "
            f"{'weakened' if weaker else 'changed'} to {_promise(new)}",
            counter_offer=(
                f"keep {_promise(old)} until the notice to its readers has passed" if weaker else ""
            ),
        )


def _is_weaker(kind: str, old: SlaProperty, new: SlaProperty) -> bool:
    if old.span is not None and new.span is not None:
        return new.span > old.span
    if kind in SHORTER_IS_BETTER:
        return _number(new) > _number(old)
    if kind == "availability":
        return _number(new) < _number(old)
    return False


def _number(promise: SlaProperty) -> float:
    try:
        return float(promise.value or 0)
    except ValueError:
        return 0.0


def _promise(promise: SlaProperty | None) -> str:
    return "none" if promise is None else f"{promise.value} {promise.unit or ''}".strip()


def _status(released: Contract, working: Contract) -> Iterator[Change]:
    if released.status != working.status:
        yield Change(
            column=None,
            field="status",
            level=Level.MAJOR if working.status == "retired" else Level.MINOR,
            text=f"status {released.status} changed to {working.status}",
        )


TEXTS = ("description", "team", "domain", "tags", "support", "customProperties", "id")
NO_TEXT = {
    "name",
    "logicalType",
    "physicalType",
    "required",
    "unique",
    "primaryKey",
    "primaryKeyPosition",
    "classification",
    "logicalTypeOptions",
    "relationships",
    "quality",
}


def _texts(released: Contract, working: Contract) -> Iterator[Change]:
    old, new = released.model_dump(), working.model_dump()
    handled = {"version", "status", "slaProperties", "schema_"}
    for field in sorted({*old, *new} - handled):
        if old.get(field) != new.get(field):
            yield Change(column=None, field=field, level=Level.PATCH, text=f"{field} changed")
    before = {column.name: column for column in released.columns}
    for column in working.columns:
        former = before.get(column.name)
        if former is not None and _words(former) != _words(column):
            yield Change(
                column=column.name,
                field="description",
                level=Level.PATCH,
                text=f"{column.name}: texts changed",
            )
    table_text = {"name", "properties", "quality"}
    if released.table.model_dump(exclude=table_text) != working.table.model_dump(
        exclude=table_text
    ):
        yield Change(
            column=None, field="schema", level=Level.PATCH, text="texts of the table changed"
        )
    kept = [column.name for column in working.columns if column.name in before]
    now = {column.name for column in working.columns}
    if kept != [name for name in before if name in now]:
        yield Change(
            column=None, field="schema.properties", level=Level.PATCH, text="order of columns"
        )


def _words(column: Property) -> dict[str, object]:
    words = column.model_dump(exclude=NO_TEXT)
    words["customProperties"] = [one for one in column.customProperties if one.property != "unit"]
    return words


def _beside(column: str, how: str) -> str:
    return (
        f"add a column of its own {how}, keep {column} as it is with the custom property "
        "removeOn: <date>, and release both as a minor version"
    )


def _is_wider(old: str, new: str) -> bool:
    """Whether every value of the old type is one of the new type, exactly."""
    target = DECIMAL.fullmatch(new)
    if old == "int" and new in ("bigint", "double"):
        return True
    if target is None:
        return False
    whole, scale = int(target[1]) - int(target[2]), int(target[2])
    if old in WHOLE_DIGITS:
        return whole >= WHOLE_DIGITS[old]
    source = DECIMAL.fullmatch(old)
    if source is None:
        return False
    return whole >= int(source[1]) - int(source[2]) and scale >= int(source[2])
