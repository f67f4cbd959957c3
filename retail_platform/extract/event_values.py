"""Texts of events as values of a contract's types, in Python: for rows that meet no engine.

The same texts are understood as in Silver (``silver/casting``), which reads them on the engine.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Context, Decimal, InvalidOperation
from functools import partial
from zoneinfo import ZoneInfo

from retail_platform.metadata.types import DECIMAL

Reader = Callable[[str], object]

_WHOLE = re.compile(r"[+-]?[0-9]+(\.0+)?")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_TRUE, _FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
_BITS = {"int": 32, "bigint": 64}
_EXACT = Context(prec=76)


def reader_of(physical: str, zone: str) -> Reader:
    """Gives the function that reads a text as a type; it raises ValueError where it cannot.

    Args:
        physical: Type of the contract.
        zone: IANA zone of naive timestamps.

    Raises:
        ValueError: no text is read as that type.
    """
    if physical in _BITS:
        return partial(_whole, bits=_BITS[physical])
    if match := DECIMAL.fullmatch(physical):
        return partial(_decimal, precision=int(match[1]), scale=int(match[2]))
    plain: dict[str, Reader] = {
        "string": str,
        "double": _double,
        "boolean": _boolean,
        "date": _date,
        "timestamp": partial(_timestamp, zone=ZoneInfo(zone)),
    }
    if physical not in plain:
        raise ValueError(f"no reading of text as {physical}")
    return plain[physical]


def _whole(text: str, *, bits: int) -> int:
    _expect(_WHOLE, text)
    value = int(text.partition(".")[0])
    if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        raise ValueError(text)
    return value


def _decimal(text: str, *, precision: int, scale: int) -> Decimal:
    _expect(_NUMBER, text)
    try:
        value = Decimal(text).quantize(Decimal(1).scaleb(-scale), "ROUND_HALF_UP", _EXACT)
    except InvalidOperation as error:
        raise ValueError(text) from error
    if len(value.as_tuple().digits) > precision:
        raise ValueError(text)
    return value


def _double(text: str) -> float:
    _expect(_NUMBER, text)
    return float(text)


def _boolean(text: str) -> bool:
    if text.lower() not in _TRUE + _FALSE:
        raise ValueError(text)
    return text.lower() in _TRUE


def _date(text: str) -> date:
    _expect(_MOMENT, text)
    return date.fromisoformat(text[:10])


def _timestamp(text: str, *, zone: ZoneInfo) -> datetime:
    _expect(_MOMENT, text)
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def _expect(form: re.Pattern[str], text: str) -> None:
    if not form.fullmatch(text):
        raise ValueError(text)
