"""What a contract promises beside its columns: service levels, owners, purpose, relationships.

The standard's own field names (ODCS v3.1: Service-Level Agreement, Team, Fundamentals, Schema).
Not here: columns and the contract itself (`contract`), and rules on data (`contract_quality`).
"""

from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

CADENCE = timedelta(hours=1)
"""How often every table is loaded: no promise can be kept more often than that."""
UNITS = {
    "minutes": ("m", "min", "minute", "minutes"),
    "hours": ("h", "hr", "hour", "hours"),
    "days": ("d", "day", "days"),
}
SYNONYMS = {"ly": "latency", "freshness": "latency", "fy": "frequency", "av": "availability"}
SPANS = ("latency", "frequency")


class Standard(BaseModel):
    """Base of the standard's objects: immutable, and open, as the standard is."""

    model_config = ConfigDict(frozen=True, extra="allow")


class CustomProperty(Standard):
    """A key of our own, the standard's way: ``unit`` of a column, for one."""

    property: str
    value: Any = None


class SlaProperty(Standard):
    """One promise of service.

    ``latency`` (the standard's word for freshness) and ``frequency`` are spans with a ``unit`` of
    minutes, hours or days; ``availability`` is a percentage; ``tier`` (1 is the most critical) and
    ``escalation`` (whom to call) are words of ours, which the standard leaves open.
    """

    name: str = Field(alias="property")
    value: str | float | int | bool | None
    unit: str | None = None
    element: str | None = None
    driver: str | None = None
    description: str | None = None

    @property
    def kind(self) -> str:
        """The property's full name in lower case, synonyms resolved."""
        name = self.name.lower()
        return SYNONYMS.get(name, name)

    @property
    def span(self) -> timedelta | None:
        """The promised span of ``latency`` and ``frequency``, else None."""
        if self.kind not in SPANS:
            return None
        unit = next((name for name, words in UNITS.items() if self.unit in words), None)
        if unit is None or isinstance(self.value, bool):
            return None
        return timedelta(**{unit: float(self.value or 0)})

    @model_validator(mode="after")
    def _can_be_kept(self) -> "SlaProperty":
        if self.kind in SPANS:
            try:
                span = self.span
            except ValueError:
                span = None
            if span is None:
                raise ValueError(
                    f"{self.name} needs a number as value and a unit of m, h or d; "
                    f"found value {self.value!r}, unit {self.unit!r}"
                )
            if span < CADENCE:
                raise ValueError(
                    f"{self.name} of {self.value} {self.unit} is shorter than the table's "
                    "cadence: it is loaded once an hour, so promise 1 h or more"
                )
        return self


class TeamMember(Standard):
    """A person or group of the team."""

    username: str
    role: str | None = None


class Team(Standard):
    """Who answers for the data; the member with role ``owner`` signs changes."""

    name: str | None = None
    description: str | None = None
    members: tuple[TeamMember, ...] = ()

    @property
    def owner(self) -> str | None:
        """The owner among the members, else the team's name."""
        owners = (m.username for m in self.members if (m.role or "").lower() == "owner")
        return next(owners, self.name)


class Description(Standard):
    """Why the data exists, and how it may be used."""

    purpose: str = ""
    limitations: str = ""
    usage: str = ""


class Relationship(Standard):
    """A foreign key of a column: ``to: customers.customer_id``."""

    type: str = "foreignKey"
    to: str | tuple[str, ...]


class LogicalTypeOptions(Standard):
    """Further words on a logical type; of ``timestamp``, whether and which time zone it has."""

    timezone: bool | None = None
    defaultTimezone: str | None = None


class WithCustomProperties(Standard):
    """An object of the standard that may carry keys of our own."""

    customProperties: tuple[CustomProperty, ...] = Field(default=())

    def custom(self, name: str) -> object:
        """The value of a custom property, or None."""
        found = (one.value for one in self.customProperties if one.property == name)
        return next(found, None)
