"""What Bronze adds to a received batch: the hour, when it was read, and a hash of the row.

Pure Arrow: no engine, no Dagster, no files. The meta columns are fixed here and nowhere else; what
the hash is made of stands in `row_hash`.
"""

from collections.abc import Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from retail_platform.bronze.row_hash import row_hashes

TIMESTAMP = pa.timestamp("us", "UTC")
FILE_FIELDS = (pa.field("_file", pa.string()), pa.field("_line", pa.int64()))
META_FIELDS = (
    pa.field("_hour", TIMESTAMP),
    pa.field("_extracted_at", TIMESTAMP),
    pa.field("_row_hash", pa.string()),
    pa.field("_source_clock", TIMESTAMP),
)


def bronze_schema(received: pa.Schema) -> pa.Schema:
    """Schema of the Bronze table of a source that delivers ``received``."""
    fields = [field.with_nullable(True) for field in received]
    return pa.schema([*fields, *META_FIELDS])


def with_meta(
    batch: pa.RecordBatch, *, hour: datetime, extracted_at: datetime, source_clock: datetime
) -> pa.RecordBatch:
    """Adds the meta columns.

    Args:
        batch: Rows as received.
        hour: Partition hour, aware UTC.
        extracted_at: When this load began to read, aware UTC: equal for all of its rows.
        source_clock: What the source's clock said then, aware UTC. Kept with the rows, so that
            replays judge a row's future as the first load did.

    Returns:
        The batch's columns followed by ``_hour``, ``_extracted_at``, ``_row_hash`` and
        ``_source_clock``.
    """
    rows = batch.num_rows
    return pa.RecordBatch.from_arrays(
        [
            *batch.columns,
            pa.repeat(pa.scalar(hour, TIMESTAMP), rows),
            pa.repeat(pa.scalar(extracted_at, TIMESTAMP), rows),
            row_hashes(batch),
            pa.repeat(pa.scalar(source_clock, TIMESTAMP), rows),
        ],
        schema=bronze_schema(batch.schema),
    )


def without_stored(batch: pa.RecordBatch, stored: pa.Array) -> pa.RecordBatch:
    """The rows of a batch whose ``_row_hash`` is not among ``stored``."""
    if len(stored) == 0:
        return batch
    known = pc.is_in(batch.column("_row_hash"), value_set=stored)
    return batch.filter(pc.invert(known))


def aligned(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch in the stored table's column order, missing columns as NULL."""
    columns = [
        batch.column(field.name)
        if field.name in batch.schema.names
        else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def stored_names(received: Sequence[str], stored: Sequence[str]) -> list[str]:
    """Received names, each as the stored table spells it: a change of case is no new column."""
    spelled = {name.lower(): name for name in stored}
    return [spelled.get(name.lower(), name) for name in received]


def unknown_columns(received: Sequence[str], expected: Sequence[str]) -> list[str]:
    """Received columns that no contract column takes, technical ones left out, sorted."""
    wanted = {name.lower() for name in expected}
    return sorted(
        name for name in received if not name.startswith("_") and name.lower() not in wanted
    )
