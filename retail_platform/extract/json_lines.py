"""JSON lines as records: one object a line, its members as the columns.

Strings arrive as their text, everything else as the JSON text that stands in the file: numbers
keep every digit, nested values stay JSON. Not here: the end of a file (`records`), types (Silver).
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from retail_platform.extract.json_text import parsed_json
from retail_platform.extract.nested import Flattener
from retail_platform.extract.records import Record, read_records
from retail_platform.extract.text_lines import Lines
from retail_platform.metadata.file_formats import JsonLinesFormat

_SPACE = re.compile(r"[ \t\r\n]*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_DECODER = json.JSONDecoder()


def member_names(path: Path, form: JsonLinesFormat) -> list[str]:
    """Every member name that a file has, in the order of their first use; reads the whole file."""
    names: dict[str, None] = {}

    def parse(lines: Lines) -> Record:
        text = next(lines)
        if lines.taken[0].fault is None:
            names.update(dict.fromkeys(object_members(text.rstrip("\r\n"))[0]))
        return Record(lines.line, [], text, None, ended=True)

    for _ in read_records(path, form, parse, header=False):
        pass
    return list(names)


def read_json_lines(path: Path, form: JsonLinesFormat, names: Sequence[str]) -> Iterator[Record]:
    """The records of a file in order, with the values of ``names``; a missing member is NULL."""

    def parse(lines: Lines) -> Record:
        raw = next(lines)
        members, error = object_members(raw.rstrip("\r\n"))
        error = lines.taken[0].fault or error
        values = [members.get(name) for name in names]
        return Record(lines.line, values, raw, error, raw.endswith("\n"))

    return read_records(path, form, parse, header=False)


def read_nested_lines(path: Path, form: JsonLinesFormat, flattener: Flattener) -> Iterator[Record]:
    """The rows of a file in order, with the values of the flattener's columns.

    A line that is no object is one record, with what is wrong with it and without values.
    """

    def parse(lines: Lines) -> Record:
        raw = next(lines)
        # Its text is its only value until it is known to be a record.
        return Record(lines.line, [raw], raw, lines.taken[0].fault, raw.endswith("\n"))

    for record in read_records(path, form, parse, header=False):
        error, members = record.error, None
        if error is None:
            members, error = record_of(record.raw)
        if error is not None:
            yield Record(record.line, [], record.raw, error, record.ended)
            continue
        for row in flattener.rows(members):
            values = [row[name] for name in flattener.columns]
            yield Record(record.line, values, record.raw, None, record.ended)


def record_of(text: str) -> tuple[object, str | None]:
    """The object that a text is, or what is wrong with the text."""
    try:
        members = parsed_json(text)
    except ValueError as error:
        return None, f"no JSON object: {error}"
    return members, None if isinstance(members, dict) else "no JSON object: it has no members"


class _Pairs(list[tuple[str, object]]):
    """An object's members as they stand, so that a name that stands twice is seen."""


_QUICK = json.JSONDecoder(
    object_pairs_hook=_Pairs, parse_float=str, parse_int=str, parse_constant=str
)


def object_members(text: str) -> tuple[dict[str, str | None], str | None]:
    """The members of an object as text, and what is wrong; those before a fault are kept."""
    return _flat_members(text) or _walked_members(text)


def _flat_members(text: str) -> tuple[dict[str, str | None], None] | None:
    """The members of a flawless object without nested values; None for any other text."""
    try:
        pairs = _QUICK.decode(text)
    except (json.JSONDecodeError, RecursionError):
        return None
    if not isinstance(pairs, _Pairs) or "\\ud" in text.lower():
        return None
    members: dict[str, str | None] = {}
    for name, value in pairs:
        if value is None or isinstance(value, str):
            members[name] = value
        elif isinstance(value, bool):
            members[name] = "true" if value else "false"
        else:
            return None
    return (members, None) if len(members) == len(pairs) else None


def _walked_members(text: str) -> tuple[dict[str, str | None], str | None]:
    """The same, member by member."""
    members: dict[str, str | None] = {}
    try:
        place = _after(text, 0, "{")
        closed = text[place : place + 1] == "}"
        while not closed:
            if text[place : place + 1] != '"':
                raise json.JSONDecodeError("Expecting a member name", text, place)
            name, place = _DECODER.raw_decode(text, place)
            begin = _after(text, place, ":")
            value, end = _DECODER.raw_decode(text, begin)
            if name in members:
                return members, f"member {name} twice"
            members[name] = _text(value, text[begin:end])
            if _SURROGATE.search(name) or _SURROGATE.search(members[name] or ""):
                del members[name]
                return members, f"half a character in member {place}"
            place = _SPACE.match(text, end).end()  # pyright: ignore[reportOptionalMemberAccess]
            closed = text[place : place + 1] == "}"
            place = place if closed else _after(text, place, ",")
        if text[place + 1 :].strip():
            raise json.JSONDecodeError("Text after the object", text, place + 1)
    except json.JSONDecodeError as error:
        return members, f"no JSON object: {error.msg} at character {error.pos + 1}"
    except RecursionError:
        return members, "no JSON object that can be read: its values are nested too deeply"
    return members, None


def _after(text: str, place: int, mark: str) -> int:
    """The place after a mark and the white space around it."""
    place = _SPACE.match(text, place).end()  # pyright: ignore[reportOptionalMemberAccess]
    if text[place : place + 1] != mark:
        raise json.JSONDecodeError(f"Expecting {mark!r}", text, place)
    return _SPACE.match(text, place + 1).end()  # pyright: ignore[reportOptionalMemberAccess]


def _text(value: object, raw: str) -> str | None:
    if value is None:
        return None
    return value if isinstance(value, str) else raw
