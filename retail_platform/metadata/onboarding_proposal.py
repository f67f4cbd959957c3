"""Proposes a row and a contract for a table that a source describes: pure, from values to values.

Every guess is told in a note, which becomes a comment above the row: the reader decides. References
between tables belong to ``onboarding_references``, since they need all proposals at once.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations, count

from retail_platform.failures import PermanentFailure
from retail_platform.metadata.onboarding_row import Row, metadata_row
from retail_platform.metadata.onboarding_rules import check_rule
from retail_platform.metadata.onboarding_tables import (
    SourceColumn,
    SourceTable,
    column_names,
    platform_name,
)
from retail_platform.metadata.onboarding_values import (
    buffer_of,
    decimal_type,
    few_values,
    fits,
    is_unique,
    looks_like_mail,
    null_share,
    null_tokens,
    present,
    sortable_moments,
    steps_back,
    text_type,
    whole_numbers,
)
from retail_platform.metadata.sql_reads import CHANGE_OPERATION

FILE_COLUMNS = {"_file": "file_path", "_line": "line_number"}
IsUnique = Callable[[Sequence[str]], bool]

_CHANGED = re.compile(r"modif|updat|chang|mtime|last_(edit|write)")
_CREATED = re.compile(r"creat|insert|added|record|logged|occurr|received|registered|posted")
_PERSONAL = re.compile(
    r"(^|_)(e_?mail|phone|mobile|telephone|fax|(first|last|middle|full|given|family|maiden)_?name|"
    r"surname|forename|address(_?line)?(_?\d)?|street|iban|ssn|passport(_n\w+)?|tax_id|"
    r"national_id|ip_address|birth(_?date|day)?|date_of_birth|dob)(_address|_number|_no)?($|_)"
)
_PEOPLE = re.compile(r"customer|person|people|employee|contact|user|member|patient|subscriber")
_DELETED = re.compile(r"(^|_)(is_)?delet(ed|ion)(_|$)|tombstone|archived_at")
_RARE_FALLS = 0.05
_ENOUGH_ROWS = 20
_MOSTLY_MISSING = 0.5


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a proposed contract.

    Attributes:
        source: Its name in the source.
        name: Its name on the platform.
        physical: Its type.
        required: Whether it may not be NULL.
        personal: Whether it is masked.
        description: What it holds.
        values: The only values it may take; none for any.
    """

    source: str
    name: str
    physical: str
    required: bool
    personal: bool
    description: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What would be written for one table.

    Attributes:
        table: The table as its source describes it.
        row: The row of metadata, in the order in which it is written.
        entity: Silver entity.
        key: Columns of the key.
        columns: Columns of the contract, the key's included.
        rules: Predicates over a row, from CHECK constraints.
        notes: What was guessed and why.
    """

    table: SourceTable
    row: Row
    entity: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    rules: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def propose(
    table: SourceTable,
    *,
    source: str,
    taken: Collection[str],
    tables: Collection[str],
    key: Sequence[str] = (),
    is_unique_in_source: IsUnique,
) -> Proposal:
    """The proposal of one table, without its references.

    Args:
        table: The table.
        source: Its source.
        taken: Entities that are there already.
        tables: Names that the source's rows have already.
        key: Source columns of the key, where a person names them.
        is_unique_in_source: Asks the source whether columns tell all of its rows apart.

    Raises:
        PermanentFailure: nothing tells the table's rows apart.
    """
    notes: list[str] = []
    name = _free_name(table.name, tables)
    marks = [CHANGE_OPERATION] if table.tracked else []
    names = column_names([*(column.name for column in table.columns), *marks], name)
    file_names = FILE_COLUMNS if table.path else {}
    key_columns = list(file_names) or _key(table, key, is_unique_in_source, source, notes)
    names |= file_names
    types = {column.name: _type(table, column, notes) for column in table.columns}
    # The positions of tracked changes order them: a deleted row has no time.
    timeless = table.path is not None or table.tracked
    watermark = None if timeless else _watermark(table, types, names, notes)
    personal = _personal(table, types, names, key_columns, notes)
    checks, predicates = _rules(table, names, notes)
    columns = tuple(
        Column(
            source=column.name,
            name=names[column.name],
            physical=types[column.name],
            required=column.required or column.name in key_columns,
            personal=names[column.name] in personal,
            description=column.comment,
            values=column.values or checks.get(names[column.name], ()),
        )
        for column in table.columns
    )
    _tell_few_values(table, columns, notes)
    notes += [
        f"{column.name} may mark deleted rows: deleted: {{column: {column.name}}} makes them "
        "tombstones"
        for column in columns
        if _DELETED.search(column.name)
    ]
    entity = name if name not in taken else f"{source}_{name}"
    if entity != name:
        notes.append(f"entity {name} is filled by another table")
    if entity in taken:
        raise PermanentFailure(
            f"source {source}, table {table.name}: entities {name} and {entity} are both filled "
            "already; write its row by hand, with an entity of its own"
        )
    target_key = tuple(names[column] for column in key_columns)
    row = metadata_row(table, name, names, target_key, watermark, entity, personal, notes)
    return Proposal(
        table=table,
        row=row,
        entity=entity,
        key=target_key,
        columns=(*columns, *_read_columns({mark: names[mark] for mark in (*marks, *file_names)})),
        rules=tuple(predicates),
        notes=tuple(notes),
    )


def _free_name(name: str, taken: Collection[str]) -> str:
    """The table's name; with its schema or a number where two are written alike otherwise."""
    bare, whole = platform_name(name.rpartition(".")[2]), platform_name(name)
    numbered = (f"{whole}_{number}" for number in count(2))
    return next(free for free in chain((bare, whole), numbered) if free not in taken)


_READ_COLUMNS = {
    "_file": ("string", "File that the line came in"),
    "_line": ("bigint", "Line of the file"),
    CHANGE_OPERATION: ("string", "What became of the row: I, U or D"),
}


def _read_columns(names: Mapping[str, str]) -> list[Column]:
    """Columns that the read adds to those of the source."""
    return [
        Column(
            source=source,
            name=name,
            physical=_READ_COLUMNS[source][0],
            required=source in FILE_COLUMNS,
            personal=False,
            description=_READ_COLUMNS[source][1],
        )
        for source, name in names.items()
    ]


def _key(
    table: SourceTable,
    given: Sequence[str],
    is_unique_in_source: IsUnique,
    source: str,
    notes: list[str],
) -> list[str]:
    known = {column.name.lower(): column.name for column in table.columns}
    unknown = [name for name in given if name.lower() not in known]
    if unknown:
        raise PermanentFailure(
            f"source {source}, table {table.name}: --key names {', '.join(unknown)}; its columns: "
            f"{', '.join(known.values())}"
        )
    if given:
        return [known[name.lower()] for name in given]
    if table.primary_key:
        return list(table.primary_key)
    required = {column.name for column in table.columns if column.required}
    for constraint in sorted(table.unique, key=len):
        if set(constraint) <= required:
            notes.append("no primary key: the key is that of a unique constraint")
            return list(constraint)
    for candidate in _key_candidates(table):
        if is_unique(table.sample, candidate) and is_unique_in_source(candidate):
            notes.append(
                "no primary key and no unique constraint: the key is a guess that holds for all "
                "rows of today"
            )
            return list(candidate)
    raise PermanentFailure(
        f"source {source}, table {table.name}: it has no primary key, no unique constraint over "
        "required columns, and no one or two columns tell its rows apart; name the key with --key "
        "COLUMN,COLUMN or read a view that has one"
    )


def _key_candidates(table: SourceTable) -> list[tuple[str, ...]]:
    """Columns, then pairs, that could be a key by their kind: those called an id come first."""
    kinds = ("timestamp", "double", "boolean")
    names = [column.name for column in table.columns if column.physical not in kinds]
    identifying = re.compile(r"(^|_)(id|key|code|number|no|uuid|guid|sku)$")
    likely = [name for name in names if identifying.search(platform_name(name))]
    return [(name,) for name in likely] + list(combinations(likely, 2))


def _type(table: SourceTable, column: SourceColumn, notes: list[str]) -> str:
    values = table.values(column.name)
    if column.physical is None:
        whole = table.path is not None
        if not whole and whole_numbers(values):
            notes.append(f"{column.name} is text, but holds whole numbers only: codes or amounts?")
        if whole:
            values = _plain_numbers(table, values)
        return text_type(values, whole_numbers=whole)
    if table.promised or not present(values) or fits(column.physical, values):
        return column.physical
    found = text_type(values, whole_numbers=False)
    if column.physical.startswith("decimal") and fits("double", values):
        plain = all("e" not in value.lower() for value in present(values))
        found = decimal_type(present(values)) if plain else "double"
    notes.append(f"{column.name} is declared {column.declared}, but holds what is {found}")
    return found


def _plain_numbers(table: SourceTable, values: Sequence[str | None]) -> list[str | None]:
    """The values of a file without its words for NULL, numbers as a point writes them."""
    tokens = null_tokens(values)
    found = [None if value in tokens else value for value in values]
    if table.files.get("decimal") != ",":
        return found
    plain = [
        v and v.replace(table.files.get("thousands", ","), "").replace(",", ".") for v in found
    ]
    return plain if all(v is None or re.fullmatch(r"-?[\d.]+", v) for v in plain) else found


def _watermark(
    table: SourceTable, types: Mapping[str, str], names: Mapping[str, str], notes: list[str]
) -> Row | None:
    moments = [column for column in table.columns if types[column.name] == "timestamp"]
    for words, appended in ((_CHANGED, False), (_CREATED, True)):
        for column in moments:
            if words.search(names[column.name]) and _can_be_asked(table, column, notes):
                found = _watermark_of(table, column, names, notes, appended=appended)
                if found is not None:
                    return found
    return None


def _can_be_asked(table: SourceTable, column: SourceColumn, notes: list[str]) -> bool:
    if table.dialect != "sqlite" or sortable_moments(table.values(column.name)):
        return True
    notes.append(
        f"{column.name} is no watermark: SQLite orders text, and its values are not all of the "
        "form YYYY-MM-DD HH:MM:SS"
    )
    return False


def _watermark_of(
    table: SourceTable,
    column: SourceColumn,
    names: Mapping[str, str],
    notes: list[str],
    *,
    appended: bool,
) -> Row | None:
    values = table.values(column.name)
    missing = null_share(values)
    if missing > _MOSTLY_MISSING:
        notes.append(f"{column.name} is no watermark: {missing:.0%} of its values are NULL")
        return None
    buffer = "1m"
    if appended:
        share, fall = steps_back(values)
        if not table.ordered or len(present(values)) < _ENOUGH_ROWS or share > _RARE_FALLS:
            notes.append(
                f"{column.name} is no watermark: nothing shows that rows are only ever added"
            )
            return None
        buffer = buffer_of(fall)
        notes.append(
            f"{column.name} rises with the key, so rows seem to be only added: changes of old rows "
            "and deletes are not seen"
        )
    if column.name not in table.indexed:
        notes.append(f"no index on {column.name}: every hour scans the whole table")
    watermark: Row = {"column": names[column.name], "buffer": buffer}
    if missing:
        notes.append(
            f"{missing:.1%} of {column.name} are NULL: those rows count as changed when they are "
            "read; flag would quarantine them, exclude leave them in Bronze"
        )
        watermark["null"] = "default"
    return watermark


def _personal(
    table: SourceTable,
    types: Mapping[str, str],
    names: Mapping[str, str],
    key: Sequence[str],
    notes: list[str],
) -> list[str]:
    people = bool(_PEOPLE.search(platform_name(table.name)))
    found = []
    for column in table.columns:
        name = names[column.name]
        likely = bool(_PERSONAL.search(name)) or (people and name in ("name", "names"))
        text = types[column.name] == "string"
        if not likely and not (text and looks_like_mail(table.values(column.name))):
            continue
        if not text:
            notes.append(f"{name} may be personal, but only text can be masked")
        elif column.name in key:
            notes.append(f"{name} may be personal, but is part of the key: it is not masked")
        else:
            found.append(name)
    return found


def _rules(
    table: SourceTable, names: Mapping[str, str], notes: list[str]
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    values: dict[str, tuple[str, ...]] = {}
    predicates: list[str] = []
    for sql in table.checks:
        rule = check_rule(sql, dialect=table.dialect, names=names)
        if rule is None:
            notes.append(f"not taken over, write the rule by hand: CHECK ({' '.join(sql.split())})")
        elif rule.column is not None:
            values[rule.column] = rule.values
        else:
            predicates.append(rule.predicate)
    return values, predicates


def _tell_few_values(table: SourceTable, columns: Sequence[Column], notes: list[str]) -> None:
    for column in columns:
        if column.values or column.personal or column.physical != "string":
            continue
        seen = few_values(table.values(column.source))
        if seen:
            notes.append(f"{column.name} holds few values, perhaps all: {', '.join(seen)}")
