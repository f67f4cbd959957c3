"""The values that metadata is written in: names, durations, zones, and the frozen base model."""

import re
from datetime import timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

NAME = re.compile(r"[a-z][a-z0-9_]*")
DURATION = re.compile(r"(\d+)([smhd])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ValueError(f"{text!r} is not a name: lower-case letters, digits and underscores")
    return text


def duration_of(text: str) -> timedelta:
    """The duration that a text such as ``30s``, ``5m``, ``3h`` or ``2d`` says.

    Raises:
        ValueError: it is no such text.
    """
    match = DURATION.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a duration such as 30s, 5m, 3h or 2d")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


def _duration(value: object) -> object:
    return value if isinstance(value, timedelta) else duration_of(str(value))


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"{text!r} is not an IANA time zone such as Europe/London") from error
    return text


Name = Annotated[str, AfterValidator(_name)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Zone = Annotated[str, AfterValidator(_zone)]


class Frozen(BaseModel):
    """Base of every metadata model: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
