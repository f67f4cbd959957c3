"""Arrow helpers that every extractor shares: declared types, and failures inside a stream."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from retail_platform.extract.sql_types import in_calendar
from retail_platform.failures import PermanentFailure, PlatformFailure


def cast_batch(batch: pa.RecordBatch, schema: pa.Schema, *, place: str) -> pa.RecordBatch:
    """The batch with the declared types, by position; nothing is rounded or cut.

    Args:
        batch: Columns in the order of `schema`.
        schema: Declared names and types.
        place: Source and table, for the message.

    Raises:
        PermanentFailure: A value does not fit the declared type.
    """
    arrays = []
    for field, array in zip(schema, batch.columns, strict=True):
        try:
            calendar = in_calendar(array)
            arrays.append(calendar if array.type == field.type else calendar.cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise PermanentFailure(
                f"{place}, column {field.name}: a value of type {array.type} does not fit the "
                f"declared type {field.type} ({error}); declare the column as string, so that the "
                "row reaches Bronze as received and the contract judges it"
            ) from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


@contextmanager
def original_failure(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatchReader]:
    """The same stream, whose own failure survives a consumer written in another language.

    A consumer such as ``deltalake.write_deltalake`` reports a failure inside of the stream as its
    own error, with the cause as text only; whether to retry could no longer be told. Usage::

        with original_failure(reader) as stream:
            write_deltalake(path, stream)

    Raises:
        PlatformFailure: What the stream raised, in place of the consumer's error.
    """
    failures: list[PlatformFailure] = []

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            yield from reader
        except PlatformFailure as failure:
            failures.append(failure)
            raise

    try:
        yield pa.RecordBatchReader.from_batches(reader.schema, batches())
    except BaseException as error:
        if failures and error is not failures[0]:
            raise failures[0] from error
        raise
