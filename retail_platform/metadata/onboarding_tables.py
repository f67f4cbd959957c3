"""What a source says of one of its tables, whatever kind of source: the input of a proposal.

Shapes and names only. Asking a database is in ``onboarding_sql``, reading files in
``onboarding_files``; what is proposed from it is in ``onboarding_proposal``.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

SAMPLE_ROWS = 500
"""Rows of a table that a proposal looks at: the last ones by its key."""
MOST_DIGITS = 38
EXACT = "decimal(38,18)"
"""For numbers of no declared precision: twenty digits before the point and eighteen after it."""


@dataclass(frozen=True, kw_only=True)
class SourceColumn:
    """A column as the source declares it.

    Attributes:
        name: Its name in the source.
        declared: Its type in the source's words.
        physical: The contract's type that the declaration fixes; None where only values can tell.
        required: Whether the source refuses NULL.
        comment: The source's comment.
        values: The values that an enumerated type allows.
    """

    name: str
    declared: str
    physical: str | None
    required: bool = False
    comment: str = ""
    values: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ForeignKey:
    """Columns that refer to those of another table (named as `SourceTable.name` names it)."""

    columns: tuple[str, ...]
    table: str
    referred: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SourceTable:
    """A table as its source describes it.

    Attributes:
        name: Name in the source, ``schema.name`` outside of the default schema.
        columns: Its columns in order.
        primary_key: Columns of the primary key; none where there is none.
        unique: Columns of each unique constraint or index.
        foreign_keys: Its references to other tables.
        checks: SQL of its CHECK constraints.
        indexed: Columns with which an index begins.
        comment: The source's comment.
        rows: About how many rows it holds; None where nobody knows.
        sample: Some rows, the last ones by primary key first; values as text, NULL as None.
        ordered: Whether the sample is in the order of the key.
        dialect: SQL dialect of the checks, as sqlglot calls it.
        promised: Whether its values are of the declared types, and unique where that is declared:
            not in SQLite, and not wherever an ODBC driver says so.
        rowversion: Column that every change of a row sets anew; None where there is none.
        tracked: Whether the source keeps a list of its changes (SQL Server's Change Tracking).
        path: For files: the pattern of an hour's path.
        files: For files: how they are written, as the row's ``files:`` says it; empty for CSV.
        archive: For files: how they are packed, as the row's ``archive:`` says it.
    """

    name: str
    columns: tuple[SourceColumn, ...]
    primary_key: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[str, ...] = ()
    indexed: frozenset[str] = frozenset()
    comment: str = ""
    rows: int | None = None
    sample: tuple[dict[str, str | None], ...] = field(default=(), repr=False)
    ordered: bool = False
    dialect: str = ""
    promised: bool = True
    rowversion: str | None = None
    tracked: bool = False
    path: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    archive: str | None = None

    def values(self, column: str) -> list[str | None]:
        """The sample's values of a column, NULL as None."""
        return self._by_column.get(column, [])

    @cached_property
    def _by_column(self) -> dict[str, list[str | None]]:
        names = [column.name for column in self.columns]
        return {name: [row.get(name) for row in self.sample] for name in names}


# Words that an unquoted predicate cannot use as a column, and columns that Silver adds itself.
_WORDS = """
all alter and anti any array as asc at between both by case cast check collate column commit
constraint create cross cube current current_date current_time current_timestamp current_user
database delete desc describe distinct drop else end escape except exists explain external false
fetch filter following for foreign from full function global grant group grouping having if in
index inner insert intersect interval into is join key lateral leading left like limit local map
merge minus natural no not null nulls of offset on only or order outer overlaps partition
percent position primary range references rename revoke right rollback rollup row rows schema
select semi session_user set sets some start struct table tablesample then time timestamp to
trailing transaction true truncate unbounded union unique unknown unpivot update user using
values view when where window with within valid_from valid_to is_current
"""
_RESERVED = frozenset(_WORDS.split())


def platform_name(name: str) -> str:
    """A name that the platform takes: lower case, digits and underscores, a letter first.

    ``OrderDetails``, ``Order Details`` and ``ORDER_DETAILS`` all become ``order_details``.
    """
    spaced = re.sub(r"([a-z0-9])([A-Z])|([A-Z])(?=[A-Z][a-z])", r"\1\3_\2", name)
    plain = re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")
    return plain if plain[:1].isalpha() else f"c_{plain}".rstrip("_")


def column_names(columns: Sequence[str], table: str) -> dict[str, str]:
    """The platform's name of each column of a table, all different and none a reserved word."""
    names: dict[str, str] = {}
    for column in columns:
        name = platform_name(column)
        if name in _RESERVED:
            name = f"{table}_{name}"
        taken = set(names.values())
        number = 2
        free = name
        while free in taken:
            free = f"{name}_{number}"
            number += 1
        names[column] = free
    return names
