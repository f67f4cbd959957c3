"""What changed between two versions of a contract, and what that means for those who read it.

The measure is the consumer's view: would a query, a join or a sum that was right before be wrong
or fail afterwards? The table:

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
end of support set, put off or taken back   minor      readers have the time, or the whole of it
end of support moved nearer                 breaking   readers plan by it
status to ``retired``                       breaking   nobody keeps it any more
other status, column added                  minor
texts, team, order of columns               patch      nothing that a query sees
==========================================  =========  ==========================================

Columns are compared in `contract_columns`. Not here: versions on disk (`contract_releases`) and who
is hit (`contract_impact`).
"""

from collections.abc import Iterator

from retail_platform.metadata.contract import Contract, Property
from retail_platform.metadata.contract_change import Change, Level, rule_changes
from retail_platform.metadata.contract_columns import column_changes
from retail_platform.metadata.contract_terms import SlaProperty

END_OF_SUPPORT = "endofsupport"
SHORTER_IS_BETTER = ("latency", "frequency", "tier")


def compare(released: Contract, working: Contract) -> list[Change]:
    """Every difference between the released and the working version, breaking ones first."""
    changes = [
        *column_changes(released, working),
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
    yield from rule_changes(None, released.table.quality, working.table.quality)


def _service(released: Contract, working: Contract) -> Iterator[Change]:
    before = {one.kind: one for one in released.slaProperties}
    after = {one.kind: one for one in working.slaProperties}
    for kind in sorted({*before, *after}):
        old, new = before.get(kind), after.get(kind)
        if old == new:
            continue
        weaker = old is not None and _is_weaker(kind, old, new)
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


def _is_weaker(kind: str, old: SlaProperty, new: SlaProperty | None) -> bool:
    if new is None:
        return kind != END_OF_SUPPORT
    if kind == END_OF_SUPPORT:
        # ISO dates: their order is that of their text.
        return str(new.value) < str(old.value)
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
