"""What Bronze adds to a received batch: the hour, when it was read, and a hash of the row.

Pure Arrow: no engine, no Dagster, no files. The meta columns are fixed here and nowhere else.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from xxhash import xxh3_128_hexdigest

TIMESTAMP = pa.timestamp("us", "UTC")
FILE_FIELDS = (pa.field("_file", pa.string()), pa.field("_line", pa.int64()))
META_FIELDS = (
    pa.field("_hour", TIMESTAMP),
    pa.field("_extracted_at", TIMESTAMP),
    pa.field("_row_hash", pa.string()),
    pa.field("_source_clock", TIMESTAMP),
)
FRAME_WORDS = 2
"""Words of 64 bits by which a row is framed."""
TABLED_LENGTHS = 4096
"""Texts shorter than this find their mark in a table; longer ones are rare, and worth a search."""


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


def row_hashes(batch: pa.RecordBatch) -> pa.Array:
    """XXH3-128 of each row, as 32 hexadecimal digits.

    What is hashed is the row's texts behind a frame that says how long each column's text is, so
    that neither moving text between columns nor a separator inside a text makes two rows equal;
    NULL differs from the empty text. Columns enter sorted by name: their order in the source does
    not matter, and an added column that is NULL leaves the hash of old rows as it was.

    It tells rows apart and defends against nobody: who could make two rows of one hash could as
    well write the row that is wanted. Measured on ten columns: 0.6 us a row, where a cryptographic
    hash over name, length and text of each column took 1.5 us, more than reading the row.
    """
    if batch.num_rows == 0:
        return pa.array([], pa.string())
    names = [
        name
        for name in sorted(batch.schema.names)
        if batch.column(name).null_count < batch.num_rows
    ]
    texts = [batch.column(name).cast(pa.string()).cast(pa.binary()) for name in names]
    frames = np.zeros((batch.num_rows, FRAME_WORDS), np.uint64)
    for name, text in zip(names, texts, strict=True):
        frames += _marks(name, pc.binary_length(text))
    framed = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(frames.itemsize * FRAME_WORDS), len(frames), [None, pa.py_buffer(frames)]
    ).cast(pa.binary())
    rows = pc.binary_join_element_wise(
        framed, *texts, b"", null_handling="replace", null_replacement=b""
    )
    return pa.array(list(map(xxh3_128_hexdigest, rows.to_pylist())), pa.string())


def _marks(name: str, lengths: pa.Array) -> "np.ndarray[tuple[int, int], np.dtype[np.uint64]]":
    """What a column adds to the frame of each row: nothing for NULL, else by name and length."""
    places = lengths.fill_null(-1).to_numpy(zero_copy_only=False) + 1
    longest = int(places.max())
    if longest < TABLED_LENGTHS:
        return _table_of_marks(name, 1 << longest.bit_length())[places]
    different, of_row = np.unique(places, return_inverse=True)
    return np.stack([_mark(name, int(place)) for place in different])[of_row]


@lru_cache(maxsize=1024)
def _table_of_marks(name: str, size: int) -> "np.ndarray[tuple[int, int], np.dtype[np.uint64]]":
    return np.stack([_mark(name, place) for place in range(size)])


def _mark(name: str, place: int) -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    if place == 0:
        return np.zeros(FRAME_WORDS, np.uint64)
    digest = hashlib.blake2b(f"{place} {name}".encode(), digest_size=8 * FRAME_WORDS).digest()
    return np.frombuffer(digest, np.uint64)


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
