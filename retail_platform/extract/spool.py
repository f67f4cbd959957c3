"""Batches whose columns differ, kept until all columns are known: beyond the first one on disk."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa


class Spool:
    """Takes batches, then gives them back with the columns of all; close it after use.

    Memory holds the first batch, and otherwise one at a time.
    """

    def __init__(self) -> None:
        self._first: pa.RecordBatch | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files: list[Path] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Keeps a batch."""
        if self._first is None:
            self._first = batch
            return
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="retail_platform-")
        path = Path(self._folder.name) / f"{len(self._files)}.arrow"
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with (
            pa.OSFile(str(path), "wb") as file,
            pa.ipc.new_stream(file, batch.schema, options=options) as writer,
        ):
            writer.write_batch(batch)
        self._files.append(path)

    def reader(self, schema: pa.Schema) -> pa.RecordBatchReader:
        """The batches in their order; columns of ``schema`` that one lacks are NULL in it."""
        return pa.RecordBatchReader.from_batches(schema, self._batches(schema))

    def close(self) -> None:
        """Deletes what is on disk."""
        self._first = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _batches(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        if self._first is not None:
            yield _filled(self._first, schema)
        for path in self._files:
            with pa.OSFile(str(path), "rb") as file, pa.ipc.open_stream(file) as stream:
                for batch in stream:
                    yield _filled(batch, schema)


def _filled(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    there = set(batch.schema.names)
    return pa.RecordBatch.from_arrays(
        [
            batch.column(field.name)
            if field.name in there
            else pa.nulls(batch.num_rows, field.type)
            for field in schema
        ],
        schema=schema,
    )
