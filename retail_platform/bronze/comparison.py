"""Bronze against its source: per hour of the watermark, which rows are late and which are gone.

An incremental load reads each hour once. A row that is committed later under an older watermark is
never read, and neither is a delete: only a comparison finds them. First counts and greatest
watermarks are compared, one figure an hour; only where they differ are keys read. No Dagster here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.connect import functions as f

from retail_platform.extract.fitting import fitted
from retail_platform.extract.reader import WatermarkReader
from retail_platform.extract.window import HOUR
from retail_platform.failures import PermanentFailure
from retail_platform.lakehouse.tables import Lakehouse, timestamp_literal
from retail_platform.metadata.loader import Table
from retail_platform.metadata.types import sql_type
from retail_platform.silver.casting import read_as, text_of

WATERMARK = "_compared_watermark"


@dataclass(frozen=True, kw_only=True)
class HourDifference:
    """An hour whose rows differ between source and Bronze.

    Attributes:
        table: Silver entity of the table.
        hour: Hour of the watermark, aware UTC.
        source_rows: Rows of the hour at the source.
        bronze_rows: Keys whose newest version in Bronze lies in the hour.
        late: Rows at the source, by key and watermark, that Bronze has never received: reading the
            hour again brings them.
        gone: Keys of Bronze that the source no longer has: deleted there.
    """

    table: str
    hour: datetime
    source_rows: int
    bronze_rows: int
    late: int
    gone: int


def compare_hours(
    table: Table, reader: WatermarkReader, lakehouse: Lakehouse, hours: Sequence[datetime]
) -> list[HourDifference]:
    """The hours that differ, ascending.

    A row that has moved on to a later hour, loaded or not, is no difference. An hour in which as
    many rows are late as are gone, none of them its newest, is not seen.

    Args:
        table: An incremental table.
        reader: Its source.
        lakehouse: The lake.
        hours: Hours of the watermark to compare, aware UTC.

    Raises:
        TransientFailure: the source cannot be reached.
        PermanentFailure: the table is not incremental, or not what the metadata says.
    """
    if table.row.load != "incremental":
        raise PermanentFailure(
            f"{table.entity}: only incremental tables can be compared by their watermark; this "
            f"one is loaded {table.row.load}, which sees deletes and late rows by itself."
        )
    if not hours or not lakehouse.exists("bronze", table.bronze):
        return []
    first, end = min(hours), max(hours) + HOUR
    received = lakehouse.schema("bronze", table.bronze)
    stored = _placed(lakehouse.read("bronze", table.bronze), received, table).where(
        f"_hour >= {timestamp_literal(first)} and {WATERMARK} is not null"
    )
    newest = stored.groupBy(*table.row.key).agg(f.max(WATERMARK).alias(WATERMARK))
    held = {
        row["hour"]: (row["rows"], row["latest"])
        for row in _by_hour(newest, first, end).toArrow().to_pylist()
    }
    found = reader.hourly(table, hours)
    differing = [hour for hour in sorted(hours) if found[hour] != held.get(hour, (0, None))]
    if not differing:
        return []
    present = _frame(lakehouse, reader.keys_since(table, differing[0]), received, table)
    identity = [*table.row.key, WATERMARK]
    late = _counts(present.join(stored.select(*identity).distinct(), identity, "left_anti"))
    gone = _counts(newest.join(present.select(*table.row.key), list(table.row.key), "left_anti"))
    return [
        HourDifference(
            table=table.entity,
            hour=hour,
            source_rows=found[hour][0],
            bronze_rows=held.get(hour, (0, None))[0],
            late=late.get(hour, 0),
            gone=gone.get(hour, 0),
        )
        for hour in differing
        if late.get(hour) or gone.get(hour)
    ]


def ranges_to_reread(differences: Sequence[HourDifference]) -> list[tuple[datetime, datetime]]:
    """Half-open ranges of the hours with late rows, neighbours joined."""
    ranges: list[tuple[datetime, datetime]] = []
    for hour in sorted(difference.hour for difference in differences if difference.late):
        if ranges and ranges[-1][1] == hour:
            ranges[-1] = (ranges[-1][0], hour + HOUR)
        else:
            ranges.append((hour, hour + HOUR))
    return ranges


def _placed(rows: DataFrame, received: pa.Schema, table: Table) -> DataFrame:
    """Typed key columns and watermark, as Silver reads them; ``_hour`` where there is one."""
    watermark = table.row.watermark
    assert watermark is not None, "an incremental table"
    spelled = {name.lower(): name for name in received.names}

    def value(column: str) -> str:
        name = spelled[table.row.in_source(column).lower()]
        declared = table.contract.column(column)
        assert declared is not None, "the loader checks these names against the contract"
        kind = received.field(name).type
        text = text_of(f"`{name}`", trim=table.row.trim, null_tokens=table.row.null_tokens)
        raw = text if pa.types.is_string(kind) or pa.types.is_large_string(kind) else f"`{name}`"
        return read_as(raw, kind, sql_type(declared.arrow), table.connection.timezone)

    columns = [f"{value(column)} as `{column}`" for column in table.row.key]
    kept = ["_hour"] if "_hour" in rows.columns else []
    return rows.selectExpr(*columns, f"{value(watermark.column)} as {WATERMARK}", *kept)


def _frame(lakehouse: Lakehouse, keys: pa.Table, received: pa.Schema, table: Table) -> DataFrame:
    keys = _in_stored_types(keys, received)
    if keys.num_rows:
        frame = lakehouse.spark.createDataFrame(keys)
    else:
        columns = ", ".join(f"`{field.name}` {sql_type(field.type)}" for field in keys.schema)
        frame = lakehouse.spark.createDataFrame([], columns)
    return _placed(frame, pa.unify_schemas([keys.schema, received]), table)


def _in_stored_types(keys: pa.Table, stored: pa.Schema) -> pa.Table:
    """The keys in Bronze's types, whatever the source has made of them since."""
    for place, field in enumerate(keys.schema):
        if field.name in stored.names and field.type != stored.field(field.name).type:
            kind = stored.field(field.name).type
            chunks = [fitted(chunk, kind) for chunk in keys.column(place).chunks]
            keys = keys.set_column(place, field.name, pa.chunked_array(chunks, kind))
    return keys


def _by_hour(rows: DataFrame, first: datetime, end: datetime) -> DataFrame:
    inside = f"{WATERMARK} >= {timestamp_literal(first)} and {WATERMARK} < {timestamp_literal(end)}"
    return (
        rows.where(inside)
        .groupBy(f.date_trunc("hour", f.col(WATERMARK)).alias("hour"))
        .agg(f.count(f.lit(1)).alias("rows"), f.max(WATERMARK).alias("latest"))
    )


def _counts(rows: DataFrame) -> dict[datetime, int]:
    counted = rows.groupBy(f.date_trunc("hour", f.col(WATERMARK)).alias("hour")).agg(
        f.count(f.lit(1)).alias("rows")
    )
    return {row["hour"]: row["rows"] for row in counted.toArrow().to_pylist()}
