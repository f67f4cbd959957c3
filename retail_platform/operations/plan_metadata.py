"""The resolved row of a table: every setting with its value and the place that it comes from."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from pydantic import BaseModel

from retail_platform.metadata.loader import Table

Origin = Literal["row", "source", "contract", "platform"]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One resolved setting.

    Attributes:
        name: Its place, such as ``watermark.buffer``.
        value: Its value as text, durations as ``5m``.
        origin: Where it is said: the table's ``row``, its ``source``, its ``contract``, or nowhere,
            and the ``platform``'s default holds.
    """

    name: str
    value: str
    origin: Origin


def resolved(table: Table) -> tuple[Setting, ...]:
    """All settings of a table; secrets are named by their variable, never shown."""
    contract = Setting(
        name="contract",
        value=f"{table.contract.name} {table.contract.version}",
        origin="contract",
    )
    owners = Setting(name="owners", value=_text(table.owners), origin="source")
    return (
        *_settings("", table.row, "row"),
        *_settings("connection.", table.connection, "source"),
        owners,
        contract,
    )


def _settings(prefix: str, model: BaseModel, origin: Origin) -> list[Setting]:
    found: list[Setting] = []
    for name in type(model).model_fields:
        value = getattr(model, name)
        said: Origin = origin if name in model.model_fields_set else "platform"
        if isinstance(value, BaseModel) and said != "platform" and name != "url":
            found += _settings(f"{prefix}{name}.", value, origin)
        else:
            found.append(Setting(name=f"{prefix}{name}", value=_text(value), origin=said))
    return found


def _text(value: object) -> str:
    if isinstance(value, timedelta):
        return duration_text(value)
    if isinstance(value, BaseModel):
        given = {name: getattr(value, name) for name in type(value).model_fields}
        return ", ".join(f"{name}: {_text(item)}" for name, item in given.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(f"({_text(v)})" if isinstance(v, BaseModel) else _text(v) for v in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_text(item)}" for name, item in value.items())
    return "" if value is None else str(value)


def duration_text(duration: timedelta) -> str:
    """A duration as the metadata writes it: the largest unit that divides it."""
    seconds = int(duration.total_seconds())
    units = (("d", 86_400), ("h", 3_600), ("m", 60))
    for unit, length in units:
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
