"""Appends to one partition of a table: a file that is written as the rows come, and its commit.

Without an engine, as `storing`. delta-rs's own append looks for the partition of each row and takes
every batch apart for it: measured on fourteen columns, 0.34 us of processor time a row in place of
0.24 us, and 20 ms an append of a thousand rows in place of 12 ms. Here the caller knows the
partition.

Sources: the Delta protocol's sections on adding files, on partition values and on statistics.
"""

import json
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler
from deltalake.transaction import AddAction, CommitProperties
from pyarrow import fs

from retail_platform.lakehouse.parquet import CODEC, row_groups, write_batches


def append_rows(
    table: DeltaTable,
    location: str,
    batches: pa.RecordBatchReader,
    partition: Mapping[str, datetime],
) -> None:
    """Appends rows in one commit; nothing is visible before its end, no rows are no commit.

    What is left of an append that failed is a file of which the table knows nothing: vacuum
    removes it.

    The file's least and greatest values are in its footer, not in the log: a table whose rows come
    with their hour is read by it.

    Args:
        table: The table, none of whose columns refuses NULL.
        location: Where it lives.
        batches: Its rows, in its columns; the partition's may be left out.
        partition: The value of each partition column that all of the rows have, aware.

    Raises:
        ValueError: other columns partition the table.
    """
    parted = table.metadata().partition_columns
    if parted != list(partition):
        raise ValueError(f"{location} is partitioned by {parted}, not by {list(partition)}")
    groups = row_groups(
        batch.drop_columns([name for name in partition if name in batch.schema.names])
        for batch in batches
    )
    first = next(groups, None)
    if first is None:
        return
    values = {name: _serialised(value) for name, value in partition.items()}
    folders = [f"{name}={quote(value)}" for name, value in values.items()]
    path = "/".join([*folders, f"part-00000-{uuid.uuid4()}-c000.{CODEC.lower()}.parquet"])
    files = fs.PyFileSystem(DeltaStorageHandler(location))
    with files.open_output_stream(path) as sink:
        rows = write_batches(sink, first, groups)
        size = sink.tell()
    add = AddAction(
        path=path,
        size=size,
        partition_values=values,
        modification_time=time.time_ns() // 10**6,
        data_change=True,
        stats=json.dumps({"numRecords": rows}),
    )
    metrics = {"num_added_rows": rows, "numOutputBytes": size}
    table.create_write_transaction(
        [add],
        "append",
        table.schema(),
        list(partition),
        commit_properties=CommitProperties(custom_metadata={"operationMetrics": metrics}),
    )


def _serialised(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
