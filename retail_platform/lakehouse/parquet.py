"""How the Parquet files of the lake are written: codec, row groups, dictionaries, statistics."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import WriterProperties

CODEC = "SNAPPY"
"""The codec that every reader of the lake knows, Synapse serverless among them."""
ROW_GROUP_ROWS = 65_536
"""What is not yet a row group is in memory, whatever the number of rows."""
REPEATED = 2
"""A dictionary is worth its making where a value comes so many times on average."""
UNORDERED = "_row_hash"
"""Least and greatest hash of a file say nothing that a reader could skip by."""


def rewritten() -> WriterProperties:
    """How delta-rs writes files that take the place of others; by default it does not compress."""
    return WriterProperties(compression=CODEC)


def write_batches(sink: pa.NativeFile, first: pa.Table, further: Iterable[pa.Table]) -> int:
    """Writes one file, a row group for each table, and returns the number of its rows.

    Columns whose values hardly repeat in the first batch get no dictionary, nor do nested ones.
    Measured on fourteen columns of 3 M rows, six of the first kind: a third of the write is saved,
    for files 3 % larger.

    Args:
        sink: Where the file goes.
        first: The first rows.
        further: Those that follow, in the same columns.
    """
    sample, *_ = first.to_batches()
    written: list[pq.FileMetaData] = []
    columns = first.schema.names
    # Of these two, pyarrow's stubs know truth values only.
    repeated: Any = [name for name in columns if _repeats(sample.column(name))]
    ordered: Any = [name for name in columns if name != UNORDERED]
    with pq.ParquetWriter(
        sink,
        first.schema,
        compression=CODEC,
        use_dictionary=repeated,
        write_statistics=ordered,
        store_decimal_as_integer=True,
        store_schema=False,
        metadata_collector=written,
    ) as writer:
        for group in chain([first], further):
            writer.write_table(group, row_group_size=len(group))
    return written[0].num_rows


def row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches put together until they are a row group; none without rows."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        if batch.num_rows:
            waiting.append(batch)
            rows += batch.num_rows
        if rows >= ROW_GROUP_ROWS:
            yield pa.Table.from_batches(waiting)
            waiting, rows = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting)


def _repeats(column: pa.Array) -> bool:
    if pa.types.is_nested(column.type):
        return False
    values = len(column) - column.null_count
    return values == 0 or values >= REPEATED * pc.count_distinct(column).as_py()
