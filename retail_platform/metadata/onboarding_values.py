"""What a sample of values tells: types of text columns, watermarks, few distinct values.

Pure functions over texts (NULL is None). Names of columns and what is proposed belong elsewhere.
"""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

Values = Sequence[str | None]

_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}(:?\d{2})?)?")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
# Spreadsheets write ids as 17850.0.
_WHOLE = re.compile(r"[+-]?(0|[1-9]\d*)(\.0+)?")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_SCIENTIFIC = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")
_TRUTH = re.compile(r"true|false", re.IGNORECASE)
_TRUTH_OR_BIT = re.compile(r"true|false|0|1", re.IGNORECASE)
_SORTABLE = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}.*")
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_MONEY_SCALE = 4
_MOST_DIGITS = 38
_FEW = 12
_OFTEN = 20
_NULLS = ("", "nan", "null", "none", "n/a", "na", "\\n")


def present(values: Values) -> list[str]:
    """The values that are not NULL."""
    return [value for value in values if value is not None]


def null_share(values: Values) -> float:
    """Share of NULL among the values (0 to 1); 0 of none."""
    return values.count(None) / len(values) if values else 0.0


def text_type(values: Values, *, whole_numbers: bool) -> str:
    """The contract's type of a text column, ``string`` where the values are of no other.

    Args:
        values: The sample.
        whole_numbers: Whether digits alone make a number: yes where everything is text (files),
            no where a database could have declared one, for they are codes then.
    """
    found = present(values)
    if not found:
        return "string"
    if _all(_MOMENT, found) and not _all(_DATE, found):
        return "timestamp"
    if _all(_DATE, found):
        return "date"
    if _all(_TRUTH, found):
        return "boolean"
    if whole_numbers and _all(_WHOLE, found):
        return "bigint"
    if any("." in value for value in found) and _all(_NUMBER, found):
        return decimal_type(found)
    if whole_numbers and _all(_SCIENTIFIC, found):
        return "double"
    return "string"


def whole_numbers(values: Values) -> bool:
    """Whether all values are whole numbers without leading zeros."""
    return _all(_WHOLE, present(values))


def decimal_type(found: Sequence[str]) -> str:
    """A decimal that holds every value with room to grow: four digits after the point or more."""
    scale = max(_MONEY_SCALE, *(len(value.partition(".")[2]) for value in found))
    whole = max(len(value.partition(".")[0].lstrip("+-")) for value in found)
    precision = 19 if whole + scale <= 15 else _MOST_DIGITS
    return f"decimal({max(precision, min(whole + scale, _MOST_DIGITS))},{scale})"


def fits(physical: str, values: Values) -> bool:
    """Whether all values can be read as a type (databases that do not enforce types)."""
    patterns = {
        "timestamp": _MOMENT,
        "date": _DATE,
        "boolean": _TRUTH_OR_BIT,
        "int": _WHOLE,
        "bigint": _WHOLE,
        "double": _SCIENTIFIC,
    }
    if physical == "string":
        return True
    if physical.startswith("decimal"):
        scale = int(physical.rstrip(")").partition(",")[2])
        found = present(values)
        return _all(_NUMBER, found) and all(len(v.partition(".")[2]) <= scale for v in found)
    found = present(values)
    return _all(patterns[physical], found) or (physical == "timestamp" and _all(_DATE, found))


def sortable_moments(values: Values) -> bool:
    """Whether text timestamps order as text: the form in which a SQLite window can ask for them."""
    return _all(_SORTABLE, present(values))


def looks_like_mail(values: Values) -> bool:
    """Whether nearly all values are e-mail addresses."""
    found = [value for value in present(values) if value]
    hits = sum(bool(_MAIL.fullmatch(value)) for value in found)
    return bool(found) and hits >= 0.8 * len(found)


def is_unique(rows: Sequence[dict[str, str | None]], columns: Sequence[str]) -> bool:
    """Whether the columns tell all rows of a sample apart and are never NULL."""
    keys = {tuple(row[column] for column in columns) for row in rows}
    return bool(rows) and len(keys) == len(rows) and not any(None in key for key in keys)


def few_values(values: Values) -> list[str]:
    """The distinct values, sorted, where they are few and come back often; else none."""
    found = present(values)
    distinct = sorted(set(found))
    return distinct if distinct and len(distinct) <= min(_FEW, len(found) / _OFTEN) else []


def null_tokens(values: Values) -> list[str]:
    """Texts among the values that mean NULL in files, as they are written there."""
    return sorted({value for value in present(values) if value.strip().lower() in _NULLS})


def steps_back(values_newest_first: Values) -> tuple[float, timedelta]:
    """How far a timestamp is from rising along the key.

    Args:
        values_newest_first: Timestamps in descending order of the key.

    Returns:
        Share of neighbours (0 to 1) where it falls, and the largest fall.
    """
    moments = [_moment(value) for value in reversed(present(values_newest_first))]
    pairs = list(pairwise(moments))
    falls = [earlier - later for earlier, later in pairs if later < earlier]
    return (len(falls) / len(pairs) if pairs else 0.0, max(falls, default=timedelta(0)))


def buffer_of(fall: timedelta) -> str:
    """A buffer that covers a fall, in whole minutes; one at least."""
    return f"{max(1, math.ceil(fall / timedelta(minutes=1)))}m"


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _all(pattern: re.Pattern[str], values: Sequence[str]) -> bool:
    return bool(values) and all(pattern.fullmatch(value) for value in values)
