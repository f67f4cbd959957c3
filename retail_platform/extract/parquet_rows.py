"""A Parquet file as batches, row group by row group: what cannot be read is one refused row.

Not here: which columns a table expects (`files`), types of stored tables (`fitting`).
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from retail_platform.extract.fitting import LINE_META, landed_type


def parquet_schema(path: Path) -> pa.Schema | None:
    """Columns of a file in the types that Bronze keeps; None where it cannot be read."""
    try:
        with pq.ParquetFile(path) as file:
            return pa.schema([(f.name, landed_type(f.type)) for f in file.schema_arrow])
    except (pa.ArrowInvalid, OSError) as error:
        _raise_if_unreachable(error)
        return None


def parquet_batches(path: Path, rows: int) -> Iterator[pa.RecordBatch]:
    """The file's batches of at most ``rows`` rows; ``_line`` is the number of the row, from 1."""
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        _raise_if_unreachable(error)
        yield _refused(1, f"no Parquet file: {error}")
        return
    with file:
        first = 1
        for group in range(file.num_row_groups):
            length = file.metadata.row_group(group).num_rows
            line = first
            try:
                for batch in file.iter_batches(batch_size=rows, row_groups=[group]):
                    yield _with_lines(batch, line)
                    line += batch.num_rows
            except (pa.ArrowInvalid, OSError) as error:
                _raise_if_unreachable(error)
                lost = f"rows {line} to {first + length - 1} cannot be read: {error}"
                yield _refused(line, lost)
            first += length


def _with_lines(batch: pa.RecordBatch, first: int) -> pa.RecordBatch:
    lines = pa.array(range(first, first + batch.num_rows), pa.int64())
    empty = pa.nulls(batch.num_rows, pa.string())
    return pa.RecordBatch.from_arrays(
        [*batch.columns, lines, empty, empty],
        schema=pa.schema([*batch.schema.remove_metadata(), *LINE_META]),
    )


def _refused(line: int, error: str) -> pa.RecordBatch:
    row = {"_line": line, "_parse_error": error, "_raw": None}
    return pa.RecordBatch.from_pylist([row], schema=LINE_META)


def _raise_if_unreachable(error: Exception) -> None:
    """A fault of the disk is no fault of the content, which has no number of the system."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error
