"""Data contracts in the Open Data Contract Standard (ODCS) v3.1, as far as the platform acts on it.

A contract is the gate of a load: its properties fix names and types, its quality rules decide
which rows pass. Source of the format: https://bitol-io.github.io/open-data-contract-standard/.
Keys of the standard that the platform does not act on are kept as they are and may be present.
"""

from datetime import timedelta
from functools import cached_property
from typing import Literal, Self

import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from retail_platform.metadata.contract_quality import (
    BatchRule,
    Quality,
    RowRule,
    batch_rule,
    row_rule,
)
from retail_platform.metadata.contract_quarantine import QuarantineLimits, quarantine_limits
from retail_platform.metadata.contract_terms import (
    Description,
    LogicalTypeOptions,
    Relationship,
    SlaProperty,
    Team,
    WithCustomProperties,
)
from retail_platform.metadata.types import arrow_type

TIME_ZONE = "UTC"
"""The time zone of every timestamp in Silver."""


class Property(WithCustomProperties):
    """A column. Its unit of measure is the custom property ``unit``."""

    name: str
    logicalType: str
    physicalType: str
    description: str = ""
    required: bool = False
    unique: bool = False
    primaryKey: bool = False
    primaryKeyPosition: int = -1
    classification: str | None = None
    logicalTypeOptions: LogicalTypeOptions = LogicalTypeOptions()
    relationships: tuple[Relationship, ...] = ()
    quality: tuple[Quality, ...] = ()

    @field_validator("physicalType")
    @classmethod
    def _known_type(cls, value: str) -> str:
        arrow_type(value)
        return value

    @model_validator(mode="after")
    def _has_rules_of_columns(self) -> Self:
        for measure in (rule.measure for rule in self.quality if rule.measure is not None):
            raise ValueError(
                f"measure {measure} counts rows: write the rule at the table's quality, not at "
                f"column {self.name}"
            )
        return self

    @property
    def unit(self) -> str | None:
        """Unit of measure, such as ``USD`` or ``pieces``; None where none is stated."""
        unit = self.custom("unit")
        return None if unit is None else str(unit)

    @property
    def time_zone(self) -> str | None:
        """Time zone of a timestamp, UTC unless it says otherwise; None for other types."""
        if self.logicalType != "timestamp":
            return None
        return self.logicalTypeOptions.defaultTimezone or TIME_ZONE

    @property
    def arrow(self) -> pa.DataType:
        """The column's Arrow type."""
        return arrow_type(self.physicalType)


class SchemaObject(WithCustomProperties):
    """A table of the contract."""

    name: str
    description: str = ""
    properties: tuple[Property, ...] = Field(min_length=1)
    quality: tuple[Quality, ...] = ()

    @cached_property
    def quarantine(self) -> QuarantineLimits:
        """How many rows may be quarantined before a load warns or is held."""
        return quarantine_limits(self.quality)

    @model_validator(mode="after")
    def _sets_a_threshold_once(self) -> Self:
        _ = self.quarantine
        return self


class Contract(WithCustomProperties):
    """One data contract with exactly one table."""

    apiVersion: Literal["v3.1.0"]
    kind: Literal["DataContract"]
    id: str
    name: str
    version: str
    status: Literal["proposed", "draft", "active", "deprecated", "retired"]
    domain: str = ""
    description: Description = Description()
    team: Team = Team()
    slaProperties: tuple[SlaProperty, ...] = ()
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

    @model_validator(mode="after")
    def _can_be_executed(self) -> Self:
        # Raises where a rule stands in a place in which its metric means nothing.
        _ = (self.row_rules, self.batch_rules)
        return self

    @property
    def latency(self) -> timedelta | None:
        """How late an hour may arrive, as the service level promises; None without a promise."""
        return self.promise("latency")

    def promise(self, kind: str) -> timedelta | None:
        """The span that the service level promises for ``latency`` or ``frequency``."""
        return next((one.span for one in self.slaProperties if one.kind == kind), None)

    def agreed(self, kind: str) -> str | float | int | bool | None:
        """The value of a property of the service level, such as ``availability`` or ``tier``."""
        return next((one.value for one in self.slaProperties if one.kind == kind), None)

    @cached_property
    def rules(self) -> tuple[tuple[str | None, Quality], ...]:
        """Every quality entry with the column that it was written at, None for the table."""
        of_columns = [(column.name, rule) for column in self.columns for rule in column.quality]
        return (*of_columns, *((None, rule) for rule in self.table.quality))

    @property
    def quarantine(self) -> QuarantineLimits:
        """How many rows may be quarantined before a load warns or is held."""
        return self.table.quarantine

    @cached_property
    def row_rules(self) -> tuple[RowRule, ...]:
        """Every rule whose breach sends a row to quarantine: required, values, predicates."""
        required = [
            RowRule(
                name=f"{column.name} is missing",
                predicate=f"{column.name} is not null",
                description=f"{column.name} is required",
                column=column.name,
            )
            for column in self.columns
            if column.required
        ]
        written = [
            row_rule(rule, column)
            for column, rule in self.rules
            if rule.is_on_rows and rule.severity == "error"
        ]
        return (*required, *written)

    @cached_property
    def batch_rules(self) -> tuple[BatchRule, ...]:
        """Every rule that judges the batch: thresholds, uniqueness, volume, warnings on rows."""
        unique = [
            batch_rule(Quality(metric="duplicateValues", mustBe=0), column.name, self.key)
            for column in self.columns
            if column.unique and (column.name,) != self.key
        ]
        written = [
            batch_rule(rule, column, self.key)
            for column, rule in self.rules
            if rule.is_on_batch or (rule.is_on_rows and rule.severity == "warning")
        ]
        return (*unique, *written)
