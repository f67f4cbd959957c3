"""From a Bronze hour to a standardised batch: names, types, UTC, and every reason to refuse a row.

Pure DataFrame code. Which rows replace which is decided in ``classify`` and ``history``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.connect import functions as f

from retail_platform.failures import PermanentFailure
from retail_platform.metadata.column_policies import RemovedDefault
from retail_platform.metadata.contract import Property
from retail_platform.metadata.loader import Table
from retail_platform.silver.casting import masked, read_as, sql_text, text_of
from retail_platform.silver.clock_changes import LocalTime, clock_changes, local_time
from retail_platform.silver.masking import normalised
from retail_platform.silver.slices import with_last_words

META = ("_watermark", "_extracted_at", "_row_hash", "_hour", "_deleted", "_inferred")
META_FIELDS = (
    pa.field("_watermark", pa.timestamp("us", "UTC")),
    pa.field("_extracted_at", pa.timestamp("us", "UTC")),
    pa.field("_row_hash", pa.string()),
    pa.field("_hour", pa.timestamp("us", "UTC")),
    pa.field("_deleted", pa.bool_()),
    pa.field("_inferred", pa.bool_()),
)
REASONS = "_reasons"
PAYLOAD = "_payload"
RECEIVED = "_in_"
"""Prefix of received values on their way to typed ones."""
SOURCE_META = (
    "_source_clock",
    "_parse_error",
    "_file",
    "_line",
    "_topic",
    "_partition",
    "_offset",
    "_position",
    "_raw",
    "_empty",
)
"""What only some Bronze tables have beside their own columns."""
PLACE = "_place"
CLEAR = "_clear_"
"""What the names of columns with clear personal values begin with."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How one contract column is read from Bronze.

    Attributes:
        column: The column.
        received: SQL of the received value, over Bronze's columns; becomes the column ``name``.
        raw: SQL of its text for messages, over ``name``.
        value: SQL of the typed value, over ``name``.
        local: Its naive local times, where it may have some.
    """

    column: Property
    received: str
    raw: str
    value: str
    local: LocalTime | None = None

    @property
    def name(self) -> str:
        """Name of the received value until it is judged."""
        return f"{RECEIVED}{self.column.name}"


@dataclass(frozen=True, kw_only=True)
class Moment:
    """SQL of a row's place in time, over its typed columns and ``_clock``.

    Attributes:
        watermark: The watermark that orders the row.
        future: Whether its own watermark lies beyond the source's clock and the buffer.
        excluded: Whether the metadata leaves the row out because it has no place.
        dated: Whether the clock stands in for its own watermark.
    """

    watermark: str = "cast(null as timestamp)"
    future: str = "false"
    excluded: str = "false"
    dated: str = "false"

    @classmethod
    def of(cls, table: Table) -> "Moment":
        """The expressions of a table's rows."""
        watermark = table.row.watermark
        if watermark is None:
            return cls()
        own = f"`{watermark.column}`"
        seconds = int(watermark.buffer.total_seconds())
        missing = f"{own} is null"
        future = f"coalesce({own} > _clock + interval {seconds} seconds, false)"
        misplaced = {missing: watermark.null, future: watermark.future}

        def any_of(policy: str) -> str:
            cases = [case for case, chosen in misplaced.items() if chosen == policy]
            return f"({' or '.join(cases)})" if cases else "false"

        dated = any_of("default")
        return cls(
            watermark=f"case when {dated} then _clock else {own} end",
            future=future,
            excluded=any_of("exclude"),
            dated=dated,
        )


def silver_schema(table: Table) -> pa.Schema:
    """Arrow schema of the table's Silver table, meta columns included."""
    fields = [pa.field(column.name, column.arrow) for column in table.contract.columns]
    if table.row.silver.merge == "scd2":
        fields += [
            pa.field("valid_from", pa.timestamp("us", "UTC")),
            pa.field("valid_to", pa.timestamp("us", "UTC")),
            pa.field("is_current", pa.bool_()),
            pa.field("_closed_at", pa.timestamp("us", "UTC")),
        ]
    return pa.schema([*fields, *META_FIELDS])


def standardise(
    bronze: DataFrame,
    received: pa.Schema,
    table: Table,
    *,
    pii_key: str | None,
    clear: bool = False,
    covered: DataFrame | None = None,
) -> DataFrame:
    """Names, types and judges every row.

    Args:
        bronze: Rows of Bronze, with its meta columns.
        received: Arrow schema of the Bronze table.
        table: The table's metadata.
        pii_key: Key that masks personal columns.
        clear: Whether to add ``_clear_<column>``, the normal form of personal columns that the
            restricted table keeps.
        covered: Reads of these hours that brought ranges whole, as `covered_frame` gives them.

    Returns:
        The contract's columns, the meta columns of Silver, ``_reasons`` (array of strings, empty
        for a good row), ``_payload`` (a refused row as received, as JSON without personal columns),
        ``_place`` (file and line, where there is one), ``_excluded`` (its watermark is missing or
        in the future and the metadata leaves such rows out; or it only says that the list of its
        record is empty), ``_dated`` (its ``_watermark`` is
        the source's clock for the same reason), ``_unreadable_values`` (how many values outside of
        key and watermark cannot be read as their type), ``_doubled_times`` and ``_skipped_times``
        (how many of its values are local times that happened twice or never), ``_good`` (may enter
        Silver), and what `with_last_words` adds.

    Raises:
        PermanentFailure: the contract masks columns and there is no key.
    """
    if table.row.pii and not pii_key:
        raise PermanentFailure(
            f"silver.{table.entity} masks {sorted(table.row.pii)}, and there is no key to mask "
            "with: set RETAIL_PII_KEY."
        )
    readings = [_reading(column, received, table) for column in table.contract.columns]
    named = _placing_columns(table)
    place = [reading for reading in readings if reading.column.name in named]
    content = [reading for reading in readings if reading.column.name not in named]
    technical = [
        "_hour",
        "_extracted_at",
        "_row_hash",
        *[name for name in SOURCE_META if name in received.names],
    ]
    # Step by step and by name: an expression that is written out at each of its uses is parsed,
    # planned and run as often, and that was most of a small load.
    typed = bronze.selectExpr(
        *[f"{reading.received} as `{reading.name}`" for reading in readings], *technical
    ).selectExpr(
        *[f"{reading.value} as `{reading.column.name}`" for reading in readings],
        *[f"`{reading.name}`" for reading in readings],
        *technical,
    )
    local_times = [reading.local for reading in readings if reading.local is not None]
    changes = clock_changes(local_times, table.connection.timezone)
    as_received = [f"`{reading.name}`" for reading in readings]
    if "_raw" in received.names:
        as_received.append("_raw")
    explained = typed.selectExpr(
        *[f"`{reading.column.name}`" for reading in readings],
        "_hour",
        "_extracted_at",
        "_row_hash",
        f"{_tells_empty(received)} as _empty",
        f"{_clock(received)} as _clock",
        f"{_parse_error(received, _unreadable(place))} as _unreadable",
        f"{_unreadable(content)} as _unreadable_content",
        f"{_place(received)} as {PLACE}",
        *[f"{values} as {name}" for name, values in changes.items()],
        *as_received,
    )
    moment = Moment.of(table)
    gone = deleted(table)
    judged = explained.selectExpr(
        *[f"`{column.name}`" for column in table.contract.columns],
        f"{moment.watermark} as _watermark",
        "_extracted_at",
        "_row_hash",
        "_hour",
        f"{gone} as _deleted",
        "false as _inferred",
        f"case when _empty then array_compact(array(cast(null as string))) else "
        f"array_compact({_reasons(table, moment, gone)}) end as {REASONS}",
        PLACE,
        *changes,
        *as_received,
        f"({moment.excluded} or _empty) as _excluded",
        f"{moment.dated} as _dated",
        "size(array_compact(_unreadable_content)) as _unreadable_values",
    )
    # Of refused rows only: nobody asks for it elsewhere, and it is as large as the row.
    payload = f"case when size({REASONS}) > 0 then {_payload(readings, received, table)} end"
    judged = judged.withColumn(PAYLOAD, f.expr(payload)).drop(
        "_raw", *[reading.name for reading in readings]
    )
    for name, pii in table.row.pii.items():
        comparable = normalised(f"`{name}`", pii.kind)
        if clear and pii.keep_clear:
            judged = judged.withColumn(f"{CLEAR}{name}", f.expr(comparable))
        judged = judged.withColumn(name, f.expr(masked(comparable, pii_key or "")))
    judged = judged.withColumn("_good", f.expr(f"size({REASONS}) = 0 and not _excluded"))
    return with_last_words(judged, table, covered)


def _reading(column: Property, received: pa.Schema, table: Table) -> Reading:
    source_name = table.row.in_source(column.name)
    stored = {name.lower(): name for name in received.names}
    if source_name.lower() not in stored:
        policy = table.row.removed.of(column.name)
        text = sql_text(str(policy.default)) if isinstance(policy, RemovedDefault) else "null"
        value = f"cast({text} as {column.physicalType})"
        missing = "cast(null as string)"
        return Reading(column=column, received=missing, raw=missing, value=value)
    name = stored[source_name.lower()]
    arrow = received.field(name).type
    quoted = f"`{name}`"
    text = pa.types.is_string(arrow) or pa.types.is_large_string(arrow)
    if text:
        quoted = text_of(quoted, trim=table.row.trim, null_tokens=table.row.null_tokens)
    own = f"`{RECEIVED}{column.name}`"
    cased = own
    if column.name in table.row.case:
        cased = f"{table.row.case[column.name]}(cast({own} as string))"
    moment = column.physicalType == "timestamp"
    return Reading(
        column=column,
        local=local_time(own, arrow, f"`{column.name}`") if moment else None,
        received=quoted,
        raw=own if text else f"cast({own} as string)",
        value=read_as(
            cased,
            arrow,
            column.physicalType,
            table.connection.timezone,
            table.row.file_format.numbers,
        ),
    )


def _unreadable(readings: Sequence[Reading]) -> str:
    reasons = [
        f"case when `{reading.name}` is not null and `{reading.column.name}` is null then "
        f"concat({sql_text(f'{reading.column.name}: cannot read ')}, substr({reading.raw}, 1, 60), "
        f"{sql_text(f' as {reading.column.physicalType}')}) end"
        for reading in readings
        if reading.column.physicalType != "string"
    ]
    return f"array({', '.join([*reasons, 'cast(null as string)'])})"


def _parse_error(received: pa.Schema, reasons: str) -> str:
    """The reasons with that of a reader that could not make sense of the row."""
    if "_parse_error" not in received.names:
        return reasons
    return f"concat({reasons}, array(_parse_error))"


def _placing_columns(table: Table) -> set[str]:
    """Columns that say which row it is, when it changed, and whether it was deleted."""
    marked = [column for column in (table.row.watermark, table.row.deleted) if column is not None]
    return {*table.row.key, *[column.column for column in marked]}


def deleted(table: Table) -> str:
    """SQL of whether the source marks a row as deleted, over its typed columns."""
    mark = table.row.deleted
    if mark is None:
        return "false"
    if not mark.values:
        return f"`{mark.column}` is not null"
    values = ", ".join(sql_text(value.lower()) for value in mark.values)
    return f"coalesce(lower(cast(`{mark.column}` as string)) in ({values}), false)"


def _reasons(table: Table, moment: "Moment", gone: str) -> str:
    """All reasons to refuse a row; a deleted one needs its key and its place in time only.

    A deletion that were refused for its content would leave the deleted row in force.
    """
    keys = {f"{column} is not null" for column in table.row.key}
    rules = [(rule.predicate, rule.name) for rule in table.contract.row_rules]
    content = [rule for rule in rules if rule[0] not in keys]
    place = [rule for rule in rules if rule[0] in keys]
    watermark = table.row.watermark
    if watermark is not None:
        there = f"{watermark.column} is not null"
        content = [rule for rule in content if rule[0] != there]
        if watermark.null == "flag":
            place.append((there, f"{watermark.column} is missing"))
        if watermark.future == "flag":
            place.append((f"not ({moment.future})", f"{watermark.column} is in the future"))
    placed = f"concat(_unreadable, {_broken(place)})"
    unreadable = "" if table.row.drift.types == "discard_value" else "_unreadable_content, "
    whole = f"concat({placed}, {unreadable}{_broken(content)})"
    return whole if gone == "false" else f"case when {gone} then {placed} else {whole} end"


def _broken(rules: Sequence[tuple[str, str]]) -> str:
    failures = [
        f"case when not ({predicate}) then {sql_text(name)} end" for predicate, name in rules
    ]
    return f"array({', '.join([*failures, 'cast(null as string)'])})"


def _payload(readings: list[Reading], received: pa.Schema, table: Table) -> str:
    fields = [
        f"{sql_text(reading.column.name)}, {reading.raw}"
        for reading in readings
        if reading.column.name not in table.row.pii
    ]
    if "_raw" in received.names and not table.row.pii:
        fields.append("'_raw', _raw")
    return f"to_json(named_struct({', '.join(fields)}))"


def _clock(received: pa.Schema) -> str:
    """The source's present when the row was read; rows of older lakes know only the reader's."""
    if "_source_clock" in received.names:
        return "coalesce(_source_clock, _extracted_at)"
    return "_extracted_at"


def _tells_empty(received: pa.Schema) -> str:
    """Whether a row only says that the list of its record is empty, see `extract.nested`."""
    return "_empty is not null" if "_empty" in received.names else "false"


def _place(received: pa.Schema) -> str:
    if "_topic" in received.names:
        element = "''"
        if "_position" in received.names:
            element = "coalesce(concat(', element ', _position), '')"
        return (
            "concat('topic ', _topic, ', partition ', cast(_partition as string), ', offset ', "
            f"cast(_offset as string), {element})"
        )
    if "_file" not in received.names:
        return "cast(null as string)"
    return "concat(_file, ' line ', cast(_line as string))"
