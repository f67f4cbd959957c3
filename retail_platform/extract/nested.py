"""Nested records as rows of text columns: members by path, a row for each element of a list.

Belongs here: what becomes of one parsed record, wherever it came from. Not here: where records come
from (`rest`, `json_lines`), types and names of Silver (the contract).
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from retail_platform.extract.json_text import column_text, json_text
from retail_platform.metadata.file_formats import RESERVED_COLUMNS
from retail_platform.metadata.loader import Table

EXTRA = "_extra"
"""Column with the members that no other column takes, as JSON; NULL where there are none."""
POSITION = "_position"
ELEMENT = "_element"
EMPTY = "_empty"
"""Column of tables that are swept by record: TRUE in the one row of a record whose list is empty.

Such a row says that all rows of its record are gone, and is none itself. A list that is not there
says nothing: an API may leave it out of some answers.
"""
RECORD = "_record."
PARENT = "_parent."
SCALAR = "value"
"""Path of an element that is no object."""
_MANY = 100
_HASH_BYTES = 16

Row = dict[str, str | None]
_Tree = dict[str, "_Tree"]


class Flattener:
    """Turns the records of one table into rows.

    Attributes:
        columns: Received columns in order, `EXTRA` last.
    """

    def __init__(
        self,
        columns: Sequence[str],
        *,
        elements: str | None = None,
        lists: Sequence[str] = (),
        tells_empty: bool = False,
    ) -> None:
        """Say where the columns are.

        Args:
            columns: Paths of members, ``_record.`` or ``_parent.`` before a path, `POSITION`,
                `ELEMENT`.
            elements: Path of the list whose elements are the rows; None: the record is the row.
            lists: Paths that other tables take.
            tells_empty: Whether a record whose list is empty has a row that says so, see `EMPTY`.
        """
        own = [name for name in dict.fromkeys(columns) if name not in RESERVED_COLUMNS]
        self.columns = [*own, EXTRA, *([EMPTY] if tells_empty else [])]
        self._elements = elements.split(".") if elements else []
        self._record = _below(RECORD, own)
        self._parent = _below(PARENT, own)
        elsewhere = {POSITION, ELEMENT, *self._record, *self._parent}
        self._paths = {name: name.split(".") for name in own if name not in elsewhere}
        self._taken: _Tree = {}
        for path in (*self._paths, *lists):
            _plant(self._taken, path.split("."))
        self._unknown: dict[str, None] = {}

    @classmethod
    def of(
        cls, table: Table, *, also: Sequence[str] = (), without: Collection[str] = ()
    ) -> "Flattener":
        """The flattener of a table: its contract's columns, by their paths.

        Args:
            table: The table's metadata.
            also: Further columns.
            without: Columns that come from elsewhere than the record.
        """
        named = {target: path for path, target in table.row.columns.items()}
        columns = [named.get(column.name, column.name) for column in table.contract.columns]
        return cls(
            [*(name for name in columns if name not in without), *also],
            elements=table.row.elements,
            lists=table.row.lists,
            tells_empty=table.row.is_swept_by_record,
        )

    @property
    def schema(self) -> pa.Schema:
        """The columns, all text."""
        return pa.schema([(name, pa.string()) for name in self.columns])

    @property
    def unknown(self) -> list[str]:
        """Paths of members that were in records and are in `EXTRA`; a hundred at most."""
        return sorted(self._unknown)

    def rows(self, record: object) -> Iterator[Row]:
        """The rows of one record, in order."""
        if not self._elements:
            yield self._row(record, record, record, 0, None)
            return
        twins: Counter[str] = Counter()
        found = False
        for element, parent, position in _elements(record, self._elements):
            found = True
            name = None
            if ELEMENT in self.columns:
                name = element_hash(element)
                twins[name] += 1
                # Equal elements are different rows: the second has a key of its own.
                name = name if twins[name] == 1 else f"{name}-{twins[name]}"
            yield self._row(element, parent, record, position, name)
        if not found and EMPTY in self.columns and _is_empty(record, self._elements):
            records = {column: column_text(_at(record, p)) for column, p in self._record.items()}
            yield {**dict.fromkeys(self.columns), **records, EMPTY: "true"}

    def _row(
        self, element: object, parent: object, record: object, position: int, name: str | None
    ) -> Row:
        members = element if isinstance(element, dict) else {SCALAR: element}
        row: Row = {column: column_text(_at(members, path)) for column, path in self._paths.items()}
        row |= {column: column_text(_at(record, path)) for column, path in self._record.items()}
        row |= {column: column_text(_at(parent, path)) for column, path in self._parent.items()}
        if name is not None:
            row[ELEMENT] = name
        if POSITION in self.columns:
            row[POSITION] = str(position)
        extra = self._rest(members, self._taken, "")
        row[EXTRA] = column_text(extra) if extra else None
        if EMPTY in self.columns:
            row[EMPTY] = None
        return row

    def _rest(self, members: Mapping[str, Any], taken: _Tree, prefix: str) -> dict[str, Any]:
        """The members that no column takes, as they lie."""
        rest: dict[str, Any] = {}
        for name, member in members.items():
            below = taken.get(name)
            if below is None:
                rest[name] = member
            elif below and isinstance(member, dict):
                if left := self._rest(member, below, f"{prefix}{name}."):
                    rest[name] = left
                continue
            elif below and member is not None:
                # Expected to hold members, and holds something else.
                rest[name] = member
            if name in rest and len(self._unknown) < _MANY:
                self._unknown.setdefault(f"{prefix}{name}")
        return rest


def element_hash(element: object) -> str:
    """Identity of an element without id: BLAKE2b-128 of its JSON, as hexadecimal digits."""
    text = json_text(element).encode("utf-8", "replace")
    return hashlib.blake2b(text, digest_size=_HASH_BYTES).hexdigest()


def _elements(holder: object, steps: Sequence[str]) -> Iterator[tuple[object, object, int]]:
    """Elements of the lists at the end of a path, each with what holds its list and its place."""
    found = holder.get(steps[0]) if isinstance(holder, dict) else None
    if found is None:
        return
    # An object in the place of a list is a list of one.
    for place, item in enumerate(found if isinstance(found, list) else [found]):
        if len(steps) == 1:
            yield item, holder, place
        else:
            yield from _elements(item, steps[1:])


def _is_empty(holder: object, steps: Sequence[str]) -> bool:
    """Whether there is a list at the end of a path, or on the way to it, and nothing in it."""
    if not isinstance(holder, dict) or steps[0] not in holder:
        return False
    found = holder[steps[0]]
    if found is None or found == []:
        return True
    inner = found if isinstance(found, list) else [found]
    return len(steps) > 1 and all(_is_empty(item, steps[1:]) for item in inner)


def _at(members: object, path: Sequence[str]) -> object:
    for step in path:
        if not isinstance(members, dict):
            return None
        members = members.get(step)
    return members


def _below(prefix: str, columns: Sequence[str]) -> dict[str, list[str]]:
    return {
        name: name.removeprefix(prefix).split(".") for name in columns if name.startswith(prefix)
    }


def _plant(tree: _Tree, steps: Sequence[str]) -> None:
    """Marks a path as taken; a member that is taken whole has nothing below it."""
    step, *rest = steps
    if not rest:
        tree[step] = {}
    elif step not in tree or tree[step]:
        _plant(tree.setdefault(step, {}), rest)
