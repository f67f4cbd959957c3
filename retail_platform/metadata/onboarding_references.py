"""Adds references and order to proposals: from foreign keys to tables that the platform knows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from retail_platform.metadata.onboarding_proposal import Proposal
from retail_platform.metadata.onboarding_tables import ForeignKey


@dataclass(frozen=True, kw_only=True)
class Parent:
    """A table that others may refer to.

    Attributes:
        table: Its name in the metadata.
        entity: Its Silver entity.
        key: Columns of its key, as the source calls them.
        parents: Entities that go before it.
    """

    table: str
    entity: str
    key: tuple[str, ...]
    parents: tuple[str, ...] = ()


def with_references(proposals: Sequence[Proposal], known: Mapping[str, Parent]) -> list[Proposal]:
    """The proposals with ``references`` and ``depends_on``.

    Args:
        proposals: New tables of one source.
        known: Tables of the same source that are onboarded, by their name in the source.
    """
    parents = dict(known)
    for proposal in proposals:
        spelled = {column.name: column.source for column in proposal.columns}
        parents[proposal.table.name] = Parent(
            table=str(proposal.row["table"]),
            entity=proposal.entity,
            key=tuple(spelled[name] for name in proposal.key),
        )
    before = {parent.entity: set(parent.parents) for parent in parents.values()}
    return [_with_references(proposal, parents, before) for proposal in proposals]


def _with_references(
    proposal: Proposal, parents: Mapping[str, Parent], before: dict[str, set[str]]
) -> Proposal:
    names = {column.source: column.name for column in proposal.columns}
    references: list[dict[str, str]] = []
    depends_on: list[str] = []
    notes = list(proposal.notes)
    for foreign in proposal.table.foreign_keys:
        parent = parents.get(foreign.table)
        told = f"{', '.join(foreign.columns)} refers to {foreign.table}"
        if parent is None:
            notes.append(f"{told}, which is not onboarded")
        elif parent.entity == proposal.entity:
            notes.append(f"{told}, this table itself: no reference")
        elif _reaches(parent.entity, proposal.entity, before):
            notes.append(f"{told}, which comes after this table: no reference")
        else:
            if _is_key(foreign, parent):
                column = names[foreign.columns[0]]
                references.append({"column": column, "entity": parent.entity})
            else:
                notes.append(f"{told} by other columns than its key: order only, no reference")
            if parent.table not in depends_on:
                depends_on.append(parent.table)
            before[proposal.entity].add(parent.entity)
    row = dict(proposal.row)
    if references:
        row["references"] = references
    if depends_on:
        row["depends_on"] = depends_on
    return replace(proposal, row=row, notes=tuple(notes))


def _is_key(foreign: ForeignKey, parent: Parent) -> bool:
    own = [name.lower() for name in parent.key]
    return len(own) == 1 and [name.lower() for name in foreign.referred] == own


def _reaches(entity: str, goal: str, before: Mapping[str, set[str]]) -> bool:
    waiting, seen = [entity], set[str]()
    while waiting:
        here = waiting.pop()
        if here == goal:
            return True
        if here not in seen:
            seen.add(here)
            waiting += before.get(here, ())
    return False
