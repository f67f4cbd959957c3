"""Appends to a partition: one compressed file as the rows come, and one commit with its count."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from retail_platform.lakehouse.appending import append_rows
from retail_platform.lakehouse.parquet import ROW_GROUP_ROWS

HOUR = datetime(2026, 1, 5, 12, tzinfo=UTC)
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("status", pa.string()),
        ("amount", pa.decimal128(38, 4)),
        ("at", pa.timestamp("us")),
        ("tags", pa.list_(pa.string())),
        ("_row_hash", pa.string()),
        ("_hour", pa.timestamp("us", "UTC")),
    ]
)


def batch(rows: int, first: int = 0) -> pa.RecordBatch:
    written = [
        {
            "id": number,
            "status": "placed" if number % 2 else None,
            "amount": Decimal("-123456789012345678901234.5") + number,
            "at": HOUR.replace(tzinfo=None, microsecond=number % 1000),
            "tags": ["a"] if number % 3 else None,
            "_row_hash": f"hash {number}",
            "_hour": HOUR,
        }
        for number in range(first, first + rows)
    ]
    return pa.RecordBatch.from_pylist(written, schema=SCHEMA)


@pytest.fixture
def table(tmp_path: Path) -> DeltaTable:
    return DeltaTable.create(tmp_path / "table", SCHEMA, partition_by=["_hour"])


def appended(table: DeltaTable, *batches: pa.RecordBatch) -> pq.ParquetFile | None:
    """Appends, and opens the file that came."""
    before = set(table.file_uris())
    reader = pa.RecordBatchReader.from_batches(SCHEMA, batches)
    append_rows(table, table.table_uri, reader, {"_hour": HOUR})
    table.update_incremental()
    new = set(table.file_uris()) - before
    assert len(new) <= 1
    return pq.ParquetFile(new.pop()) if new else None


def test_what_is_appended_is_read_again_by_delta_rs(table: DeltaTable) -> None:
    """Every type, the partition too, beside what was there; the log has the count."""
    appended(table, batch(2))
    appended(table, batch(3, first=2))
    assert table.to_pyarrow_table().sort_by("id").to_batches()[0].to_pylist() == (
        batch(5).to_pylist()
    )
    records = pa.table(table.get_add_actions(flatten=True)).select(["num_records"])
    assert sorted(records.column(0).to_pylist()) == [2, 3]
    assert table.history(1)[0]["operationMetrics"]["num_added_rows"] == 3


def test_rows_without_their_partition_are_refused(table: DeltaTable) -> None:
    """They would belong to an hour that nobody reads."""
    rows = pa.RecordBatchReader.from_batches(SCHEMA, [batch(1)])
    with pytest.raises(ValueError, match=r"partitioned by \['_hour'\], not by \[\]"):
        append_rows(table, table.table_uri, rows, {})


def test_no_rows_are_no_commit(table: DeltaTable) -> None:
    """An hour without news leaves the table at its version."""
    assert appended(table, batch(0)) is None
    assert table.version() == 0


def test_a_stream_that_breaks_leaves_the_table_as_it_was(table: DeltaTable) -> None:
    """Even after row groups were written."""

    def broken() -> Iterator[pa.RecordBatch]:
        yield batch(ROW_GROUP_ROWS)
        raise ConnectionError("the line is gone")

    reader = pa.RecordBatchReader.from_batches(SCHEMA, broken())
    with pytest.raises(ConnectionError, match="the line is gone"):
        append_rows(table, table.table_uri, reader, {"_hour": HOUR})
    assert DeltaTable(table.table_uri).version() == 0


def test_the_file_is_compressed_and_has_dictionaries_where_values_repeat(
    table: DeltaTable,
) -> None:
    """Also over several row groups, which bound what is in memory."""
    third = ROW_GROUP_ROWS // 3 + 1
    file = appended(table, *[batch(third, first=part * third) for part in range(4)])
    assert file is not None
    groups = [file.metadata.row_group(n) for n in range(file.metadata.num_row_groups)]
    assert [group.num_rows for group in groups] == [3 * third, third]
    for group in groups:
        columns = {column.path_in_schema: column for column in map(group.column, range(6))}
        assert {column.compression for column in columns.values()} == {"SNAPPY"}
        with_dictionary = {name for name, column in columns.items() if column.has_dictionary_page}
        assert with_dictionary == {"status", "at"}
        assert not columns["_row_hash"].is_stats_set
        assert columns["id"].statistics.min == (0 if group is groups[0] else 3 * third)
