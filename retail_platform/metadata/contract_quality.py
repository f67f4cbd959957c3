"""Quality rules of a contract, and what the platform makes of them: row rules and batch rules.

A row rule is a predicate that decides about one row; a batch rule is a measure of the whole batch
and a range in which it must lie. Names and operators are the standard's (ODCS v3.1, Data Quality).
Not here: executing them (`retail_platform.silver`, `retail_platform.quality`).
"""

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from retail_platform.metadata.contract_terms import WithCustomProperties

ENGINE = "retail_platform"
HISTORY = 24
Dimension = Literal["completeness", "uniqueness", "validity", "volume"]
Metric = Literal["nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount"]
QUARANTINED = "quarantinedRows"
OPEN = "openQuarantinedRows"
MEASURES = (QUARANTINED, OPEN)
"""What custom rules of the platform's engine may measure instead of naming a predicate."""


class Limits(BaseModel):
    """The range in which a measure must lie; every bound that is given holds."""

    model_config = ConfigDict(frozen=True)

    minimum: float | None = None
    minimum_included: bool = True
    maximum: float | None = None
    maximum_included: bool = True

    def hold(self, measure: float) -> bool:
        """Whether the measure lies in the range."""
        if self.minimum is not None and (
            measure < self.minimum or (measure == self.minimum and not self.minimum_included)
        ):
            return False
        return self.maximum is None or not (
            measure > self.maximum or (measure == self.maximum and not self.maximum_included)
        )

    def text(self, unit: str) -> str:
        """The range for people, such as ``at most 5 %``."""
        sign = " %" if unit == "percent" else ""
        if self.minimum is not None and self.minimum == self.maximum:
            return f"exactly {self.minimum:g}{sign}"
        parts = []
        if self.minimum is not None:
            word = "at least" if self.minimum_included else "more than"
            parts.append(f"{word} {self.minimum:g}{sign}")
        if self.maximum is not None:
            word = "at most" if self.maximum_included else "less than"
            parts.append(f"{word} {self.maximum:g}{sign}")
        return " and ".join(parts)


class Quality(WithCustomProperties):
    """A quality rule.

    On every row are executed: ``metric: invalidValues`` of a column with ``arguments:
    {validValues: [...]}`` or ``{pattern: ...}`` and no operator (or ``mustBe: 0``); and ``type:
    custom`` with ``engine: retail_platform`` and ``implementation``, a Spark SQL predicate over the
    contract's columns that a good row fulfils (NULL counts as fulfilled; ``required`` says what may
    be NULL). A row that breaks one goes to quarantine; with ``severity: warning`` it goes on and is
    counted.

    On the batch are executed, with an operator: ``nullValues``, ``missingValues``,
    ``invalidValues`` and ``duplicateValues`` (in ``rows`` or ``percent`` of the rows that go on),
    and ``rowCount`` (in ``rows``, or in ``percent`` of the median of the last
    ``arguments: {medianOfHours: 24}`` hours). Outside of the operator's range the hour is held, or
    with ``severity: warning`` reported.

    How many rows a load may quarantine is said by ``implementation: {measure: ...}`` of a custom
    rule of the table, see ``contract_quarantine``.

    ``text`` and custom rules of other engines are kept and not executed; ``sql`` is refused: a
    predicate says the same and is executed on the rows that it concerns.
    """

    type: Literal["library", "custom", "sql", "text"] = "library"
    name: str | None = None
    description: str | None = None
    metric: Metric | None = None
    arguments: dict[str, Any] = Field(default_factory=dict)
    unit: Literal["rows", "percent"] = "rows"
    dimension: str | None = None
    severity: Literal["error", "warning"] = "error"
    engine: str | None = None
    implementation: str | dict[str, Any] | None = None
    query: str | None = None
    mustBe: float | None = None
    mustBeGreaterThan: float | None = None
    mustBeGreaterOrEqualTo: float | None = None
    mustBeLessThan: float | None = None
    mustBeLessOrEqualTo: float | None = None
    mustBeBetween: tuple[float, float] | None = None

    @property
    def limits(self) -> Limits | None:
        """The range of the rule's operators; None without any."""
        if self.mustBe is not None:
            return Limits(minimum=self.mustBe, maximum=self.mustBe)
        if self.mustBeBetween is not None:
            return Limits(minimum=self.mustBeBetween[0], maximum=self.mustBeBetween[1])
        lower = (self.mustBeGreaterOrEqualTo, self.mustBeGreaterThan)
        upper = (self.mustBeLessOrEqualTo, self.mustBeLessThan)
        if lower == (None, None) and upper == (None, None):
            return None
        return Limits(
            minimum=next((bound for bound in lower if bound is not None), None),
            minimum_included=lower[0] is not None,
            maximum=next((bound for bound in upper if bound is not None), None),
            maximum_included=upper[0] is not None,
        )

    @property
    def is_custom(self) -> bool:
        """Whether it is a predicate of the platform's own engine."""
        return self._is_own and self.measure is None

    @property
    def measure(self) -> str | None:
        """What it measures of the quarantine; None where it does not."""
        if not self._is_own or not isinstance(self.implementation, dict):
            return None
        return str(self.implementation.get("measure"))

    @property
    def _is_own(self) -> bool:
        return self.type == "custom" and self.engine == ENGINE

    @property
    def is_on_rows(self) -> bool:
        """Whether it decides about single rows."""
        valid = self.metric == "invalidValues" and self.limits in (None, NONE_AT_ALL)
        return self.is_custom or valid

    @property
    def is_on_batch(self) -> bool:
        """Whether it measures the batch."""
        return self.metric is not None and not self.is_on_rows

    @model_validator(mode="after")
    def _is_executable(self) -> "Quality":
        if (self.is_custom and not isinstance(self.implementation, str)) or (
            self.measure is not None and self.measure not in MEASURES
        ):
            raise ValueError(
                "a custom rule of engine retail_platform needs implementation: a Spark SQL "
                f"predicate that a good row fulfils, or {{measure: {' | '.join(MEASURES)}}}"
            )
        if self.measure is not None and self.limits is None:
            raise ValueError(
                f"measure {self.measure} needs an operator, such as mustBeLessOrEqualTo: 5 with "
                "unit: percent"
            )
        if self.measure == OPEN and (self.severity, self.unit) != ("warning", "rows"):
            raise ValueError(
                f"measure {OPEN} is of the whole table and holds no hour back: write severity: "
                "warning and unit: rows"
            )
        if self.type == "library" and self.metric is None:
            raise ValueError("a library rule needs metric, such as invalidValues or nullValues")
        if self.type == "sql":
            raise ValueError(
                "rules of type sql are not executed: write type custom, engine retail_platform "
                "and the predicate that a good row fulfils as implementation"
            )
        if self.metric == "invalidValues" and not (
            self.arguments.get("validValues") or self.arguments.get("pattern")
        ):
            raise ValueError(
                "metric invalidValues needs arguments: {validValues: [...]} or {pattern: ...}"
            )
        if self.metric == "missingValues" and not self.arguments.get("missingValues"):
            raise ValueError("metric missingValues needs arguments: {missingValues: [...]}")
        if self.is_on_batch and self.limits is None:
            raise ValueError(
                f"metric {self.metric} needs an operator, such as mustBe, mustBeLessThan or "
                "mustBeBetween"
            )
        return self


NONE_AT_ALL = Limits(minimum=0, maximum=0)


class RowRule(BaseModel):
    """A predicate that every row of the standardised batch must fulfil.

    Attributes:
        name: Short name, the reason that a quarantined row carries.
        predicate: Spark SQL; a row fails where it is false.
        description: What the rule protects, for people.
        column: The column that it was written at, if any.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    predicate: str
    description: str
    column: str | None = None


class BatchRule(BaseModel):
    """A measure of a batch and the range in which it must lie.

    Attributes:
        name: Short name for verdicts.
        dimension: ``completeness``, ``uniqueness``, ``validity`` or ``volume``: its check.
        condition: Spark SQL that is true for the rows to count; None where none is counted so.
        duplicates_of: Columns whose values may not be shared by different keys.
        key: The table's key.
        limits: The range.
        unit: ``rows``, or ``percent`` of the rows that go on (of the usual number, for volume).
        blocking: Whether a measure outside of the range holds the hour.
        history: Hours whose median is the usual number of rows; None where rows count as they are.
        column: The column that it was written at, if any.
        reads_values: Whether it looks at values, and not only at whether there are any or equal.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    dimension: Dimension
    condition: str | None = None
    duplicates_of: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    limits: Limits
    unit: Literal["rows", "percent"]
    blocking: bool
    history: int | None = None
    column: str | None = None
    reads_values: bool = False

    def aggregate(self, rows: str) -> str | None:
        """The measure as a Spark SQL aggregate; None where the number of rows is the measure.

        Args:
            rows: Spark SQL that is true for the rows to be measured.
        """
        if self.condition is not None:
            return f"count_if(({rows}) and ({self.condition}))"
        if not self.duplicates_of:
            return None
        # A value with a NULL in it is no duplicate; versions of one key share their values.
        some = " and ".join(f"`{name}` is not null" for name in self.duplicates_of)
        owners, values = _as_text((*self.duplicates_of, *self.key)), _as_text(self.duplicates_of)
        return (
            f"count(distinct case when ({rows}) and {some} then {owners} end) - "
            f"count(distinct case when ({rows}) and {some} then {values} end)"
        )


def row_rule(rule: Quality, column: str | None) -> RowRule:
    """The row rule of a quality entry; ``column`` is the one that it was written at."""
    name, predicate, description = _predicate(rule, column)
    return RowRule(
        name=rule.name or name,
        predicate=predicate,
        description=rule.description or description,
        column=column,
    )


def batch_rule(rule: Quality, column: str | None, key: tuple[str, ...]) -> BatchRule:
    """The batch rule of a quality entry.

    Args:
        rule: The entry.
        column: The column that it was written at, if any.
        key: The table's key: versions of one row are no duplicates of each other.

    Raises:
        ValueError: the entry stands where its metric has no meaning.
    """
    if rule.is_on_rows:
        name, predicate, _ = _predicate(rule, column)
        return BatchRule(
            name=rule.name or name,
            dimension="validity",
            condition=f"not ({predicate})",
            limits=NONE_AT_ALL,
            unit="rows",
            blocking=False,
            column=column,
            reads_values=True,
        )
    assert rule.limits is not None, "validated"
    dimension = _dimension(rule, column)
    counts = dimension in ("completeness", "validity")
    return BatchRule(
        name=rule.name or f"{column or 'rows'}: {rule.metric}",
        dimension=dimension,
        condition=_condition(rule, column) if counts else None,
        duplicates_of=_duplicates_of(rule, column) if dimension == "uniqueness" else (),
        key=key,
        limits=rule.limits,
        unit=rule.unit,
        blocking=rule.severity == "error",
        history=(
            int(rule.arguments.get("medianOfHours", HISTORY))
            if dimension == "volume" and rule.unit == "percent"
            else None
        ),
        column=column,
        reads_values=rule.metric in ("missingValues", "invalidValues"),
    )


def _dimension(rule: Quality, column: str | None) -> Dimension:
    if rule.metric == "duplicateValues":
        return "uniqueness"
    if (rule.metric == "rowCount") == (column is not None):
        place = "the table" if rule.metric == "rowCount" else "a column"
        raise ValueError(f"metric {rule.metric} belongs to {place}")
    if rule.metric == "rowCount":
        return "volume"
    return "validity" if rule.metric == "invalidValues" else "completeness"


def _condition(rule: Quality, column: str | None) -> str:
    if rule.metric == "nullValues":
        return f"`{column}` is null"
    if rule.metric == "missingValues":
        values = rule.arguments["missingValues"]
        missing = f"cast(`{column}` as string) in ({_texts(v for v in values if v is not None)})"
        return f"`{column}` is null or {missing}" if None in values else missing
    return f"not ({_predicate(rule, column)[1]})"


def _duplicates_of(rule: Quality, column: str | None) -> tuple[str, ...]:
    columns = (column,) if column else tuple(rule.arguments.get("properties", ()))
    if not columns:
        raise ValueError("metric duplicateValues of a table needs arguments: {properties: [...]}")
    return columns


def _as_text(columns: tuple[str, ...]) -> str:
    fields = ", ".join(f"'{position}', `{name}`" for position, name in enumerate(columns))
    return f"to_json(named_struct({fields}))"


def _predicate(rule: Quality, column: str | None) -> tuple[str, str, str]:
    """Name, predicate and description of a rule on rows."""
    if rule.is_custom:
        predicate = str(rule.implementation)
        return f"not {predicate}", predicate, predicate
    if column is None:
        raise ValueError(f"metric {rule.metric} belongs to a column")
    values = rule.arguments.get("validValues")
    if values:
        names = ", ".join(str(value) for value in values)
        return (
            f"{column} is not one of {names}",
            f"cast({column} as string) in ({_texts(values)})",
            f"{column} takes known values only",
        )
    pattern = str(rule.arguments["pattern"])
    return (
        f"{column} does not match {pattern}",
        f"cast({column} as string) rlike {_text(pattern)}",
        f"{column} matches {pattern}",
    )


def _texts(values: Iterable[Any]) -> str:
    return ", ".join(_text(str(value)) for value in values)


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
