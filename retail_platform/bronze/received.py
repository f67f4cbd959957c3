"""Received batches on their way into the stored Bronze table: its names, its types, counted.

Pure Arrow streams: what is read, and whether, is decided in `load`; the meta columns are fixed in
`transforms`.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

import pyarrow as pa

from retail_platform.bronze.transforms import aligned, stored_names, with_meta, without_stored
from retail_platform.bronze.watermarks import greatest_watermark, later
from retail_platform.extract.fitting import fit_batch
from retail_platform.failures import PermanentFailure
from retail_platform.metadata.loader import Table


def in_stored_case(
    received: pa.RecordBatchReader, stored: pa.Schema, table: Table
) -> pa.RecordBatchReader:
    """The stream under the stored names of its columns, from which only case may differ.

    Args:
        received: What the source delivers.
        stored: Schema of the stored table; empty where there is none yet.
        table: The table's metadata.

    Raises:
        PermanentFailure: two columns differ in case only.
    """
    names = stored_names(received.schema.names, stored.names)
    if len({name.lower() for name in names}) < len(names):
        raise _ambiguous_columns(table, received.schema.names)
    if names == received.schema.names:
        return received
    schema = pa.schema(
        [field.with_name(name) for field, name in zip(received.schema, names, strict=True)]
    )
    return pa.RecordBatchReader.from_batches(
        schema, (batch.rename_columns(names) for batch in received)
    )


def in_stored_types(received: pa.RecordBatchReader, stored: pa.Schema) -> pa.RecordBatchReader:
    """The rows in the stored types: a value that does not fit is refused with its row.

    A file's types may differ from delivery to delivery, a database's after somebody changed the
    table. A refused row says which value is at fault in ``_parse_error`` and keeps all of them in
    ``_raw``; a table of a database gets these two columns with its first change of type.
    """
    of_files = "_parse_error" in received.schema.names
    fields = [
        field.with_type(stored.field(field.name).type if field.name in stored.names else field.type)
        for field in received.schema
    ]
    changed = [
        now for now, came in zip(fields, received.schema, strict=True) if now.type != came.type
    ]
    if not changed:
        return received
    if not of_files and not all(pa.types.is_string(field.type) for field in changed):
        fields += [pa.field("_parse_error", pa.string()), pa.field("_raw", pa.string())]
    schema = pa.schema(fields)
    return pa.RecordBatchReader.from_batches(
        schema, (fit_batch(batch, schema, read_texts=not of_files) for batch in received)
    )


class CountedStream:
    """A pass over received batches that counts them while they flow into the commit.

    Args:
        received: The batches, in the stored names and types.
        schema: Schema of the stored table.
        stored: Hashes of the rows that the hour holds already; they are left out.
        hour: Partition hour, aware UTC.
        extracted_at: When this load began to read, aware UTC.
        source_clock: What the source's clock said then, aware UTC.
        watermark: Received column of the watermark, where there is one.
        zone: IANA zone of its naive timestamps.

    Attributes:
        read: Rows that have passed.
        appended: Those of them that are new to the hour.
        watermark: The greatest watermark that has passed.
    """

    def __init__(
        self,
        received: pa.RecordBatchReader,
        *,
        schema: pa.Schema,
        stored: pa.Array,
        hour: datetime,
        extracted_at: datetime,
        source_clock: datetime,
        watermark: str | None,
        zone: str,
    ) -> None:
        self._watermark_column = watermark
        self._zone = zone
        self._received = received
        self._schema = schema
        self._stored = stored
        self._hour = hour
        self._extracted_at = extracted_at
        self._source_clock = source_clock
        self.watermark: datetime | None = None
        self.read = 0
        self.appended = 0

    def reader(self) -> pa.RecordBatchReader:
        """The rows that are new, with the meta columns; to be read once."""
        return pa.RecordBatchReader.from_batches(self._schema, self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for batch in self._received:
            self.read += batch.num_rows
            if self._watermark_column is not None:
                seen = greatest_watermark(
                    batch.column(self._watermark_column), self._zone, self._source_clock
                )
                self.watermark = later([self.watermark, seen])
            marked = with_meta(
                batch,
                hour=self._hour,
                extracted_at=self._extracted_at,
                source_clock=self._source_clock,
            )
            new = without_stored(marked, self._stored)
            self.appended += new.num_rows
            yield aligned(new, self._schema)


def watermark_column(table: Table, received: Sequence[str]) -> str | None:
    """The received column that orders an incremental table's rows, as it is spelled there."""
    if table.row.watermark is None or table.row.load != "incremental":
        return None
    wanted = table.row.in_source(table.row.watermark.column).lower()
    return next((name for name in received if name.lower() == wanted), None)


def _ambiguous_columns(table: Table, names: list[str]) -> PermanentFailure:
    return PermanentFailure(
        f"bronze.{table.bronze}: columns that differ in case only: {', '.join(sorted(names))}. A "
        "table of the lake cannot tell them apart; have the source rename one of them."
    )
