"""JSON whose numbers keep every digit, and its text again.

Belongs here: parsing and writing. Not here: what the members mean, nor lines of files.
"""

import json
import re

_HALF = re.compile("[\ud800-\udfff]")


class JsonNumber(str):
    """A number as it stands in a JSON text, such as ``12.50`` or ``1e3``."""

    __slots__ = ()


def parsed_json(text: bytes | str) -> object:
    """The value of a JSON text; numbers are `JsonNumber`.

    Raises:
        ValueError: It is no JSON in UTF-8, or nested too deeply to be read.
    """
    try:
        return json.loads(
            text, parse_float=JsonNumber, parse_int=JsonNumber, parse_constant=_refused
        )
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def json_text(value: object) -> str:
    """A parsed value as JSON: members sorted by name, numbers as they stood.

    Sorted, because a source that writes the same members in another order has changed nothing.
    """
    if isinstance(value, dict):
        members = (f"{_quoted(name)}: {json_text(value[name])}" for name in sorted(value))
        return f"{{{', '.join(members)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(json_text, value))}]"
    return str(value) if isinstance(value, JsonNumber) else _quoted(value)


def column_text(value: object) -> str | None:
    """A parsed value as a text column has it: texts as they are, all else as its JSON."""
    if value is None:
        return None
    text = str(value) if isinstance(value, str) else json_text(value)
    # Half of a character cannot be written anywhere; JSON lets it pass.
    return _HALF.sub("\ufffd", text)


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
