"""Data contracts in the Open Data Contract Standard (ODCS) v3.1, as far as the platform acts on it.

A contract is the gate of a load: its properties fix names and types, its quality rules decide
which rows pass. Source of the format: https://bitol-io.github.io/open-data-contract-standard/.
Keys of the standard that the platform does not act on are kept as they are and may be present.
"""

from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from retail_platform.metadata.types import arrow_type


class Standard(BaseModel):
    """Base of the standard's objects: immutable, and open, as the standard is."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Quality(Standard):
    """A quality rule.

    Two forms are executed on every row: ``type: library`` with ``metric: invalidValues`` and
    ``arguments: {validValues: [...]}``, and ``type: custom`` with ``engine: retail_platform`` and
    ``implementation``, a Spark SQL predicate over the contract's columns that a good row fulfils
    (NULL counts as fulfilled; ``required`` says what may be NULL).
    """

    type: Literal["library", "custom", "sql", "text"]
    name: str | None = None
    description: str | None = None
    metric: str | None = None
    arguments: dict[str, Any] = Field(default_factory=dict)
    engine: str | None = None
    implementation: str | None = None

    @model_validator(mode="after")
    def _is_executable(self) -> "Quality":
        if self.type == "custom" and self.engine == "retail_platform" and not self.implementation:
            raise ValueError("a custom rule of engine retail_platform needs implementation")
        if self.metric == "invalidValues" and not self.arguments.get("validValues"):
            raise ValueError("metric invalidValues needs arguments: {validValues: [...]}")
        return self


class Property(Standard):
    """A column."""

    name: str
    logicalType: str
    physicalType: str
    description: str = ""
    required: bool = False
    primaryKey: bool = False
    primaryKeyPosition: int = -1
    classification: str | None = None
    quality: tuple[Quality, ...] = ()

    @field_validator("physicalType")
    @classmethod
    def _known_type(cls, value: str) -> str:
        arrow_type(value)
        return value

    @property
    def arrow(self) -> pa.DataType:
        """The column's Arrow type."""
        return arrow_type(self.physicalType)


class SchemaObject(Standard):
    """A table of the contract."""

    name: str
    description: str = ""
    properties: tuple[Property, ...] = Field(min_length=1)
    quality: tuple[Quality, ...] = ()


class RowRule(BaseModel):
    """A predicate that every row of the standardised batch must fulfil.

    Attributes:
        name: Short name, the reason that a quarantined row carries.
        predicate: Spark SQL; a row fails where it is false.
        description: What the rule protects, for people.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    predicate: str
    description: str


class Contract(Standard):
    """One data contract with exactly one table."""

    apiVersion: Literal["v3.1.0"]
    kind: Literal["DataContract"]
    id: str
    name: str
    version: str
    status: Literal["proposed", "draft", "active", "deprecated", "retired"]
    domain: str = ""
    schema_: tuple[SchemaObject, ...] = Field(alias="schema", min_length=1, max_length=1)

    @property
    def table(self) -> SchemaObject:
        """The contract's table."""
        return self.schema_[0]

    @property
    def columns(self) -> tuple[Property, ...]:
        """The table's columns in order."""
        return self.table.properties

    @property
    def key(self) -> tuple[str, ...]:
        """The primary key in its own order."""
        parts = [column for column in self.columns if column.primaryKey]
        return tuple(part.name for part in sorted(parts, key=lambda p: p.primaryKeyPosition))

    def column(self, name: str) -> Property | None:
        """The column of that name, or None."""
        return next((column for column in self.columns if column.name == name), None)

    @property
    def row_rules(self) -> tuple[RowRule, ...]:
        """Every rule that is executed on each row: required, valid values, custom predicates."""
        rules = [
            RowRule(
                name=f"{column.name} is missing",
                predicate=f"{column.name} is not null",
                description=f"{column.name} is required",
            )
            for column in self.columns
            if column.required
        ]
        for column in self.columns:
            rules += [_row_rule(rule, column.name) for rule in column.quality]
        rules += [_row_rule(rule, None) for rule in self.table.quality]
        return tuple(rules)


def _row_rule(rule: Quality, column: str | None) -> RowRule:
    if rule.metric == "invalidValues" and column:
        values = [str(value).replace("'", "''") for value in rule.arguments["validValues"]]
        allowed = ", ".join(f"'{value}'" for value in values)
        return RowRule(
            name=rule.name or f"{column} is not one of {', '.join(values)}",
            predicate=f"cast({column} as string) in ({allowed})",
            description=rule.description or f"{column} takes known values only",
        )
    if rule.type == "custom" and rule.engine == "retail_platform" and rule.implementation:
        return RowRule(
            name=rule.name or f"not {rule.implementation}",
            predicate=rule.implementation,
            description=rule.description or rule.implementation,
        )
    raise ValueError(
        f"quality rule {rule.name or rule.metric!r} cannot be executed on rows: use metric "
        "invalidValues on a column, or type custom with engine retail_platform"
    )
