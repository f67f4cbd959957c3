"""A stream's own failure reaches the caller through a consumer that is not Python."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError

from retail_platform.extract.batches import original_failure
from retail_platform.failures import TransientFailure

SCHEMA = pa.schema([("a", pa.int64())])


def stream(*, broken: bool) -> pa.RecordBatchReader:
    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch([[1]], schema=SCHEMA)
        if broken:
            raise TransientFailure("the source went away")

    return pa.RecordBatchReader.from_batches(SCHEMA, batches())


def test_the_failure_keeps_its_type_and_nothing_is_committed(tmp_path: Path) -> None:
    with (
        pytest.raises(TransientFailure, match="the source went away"),
        original_failure(stream(broken=True)) as reader,
    ):
        write_deltalake(tmp_path / "table", reader)
    assert not DeltaTable.is_deltatable(str(tmp_path / "table"))


def test_a_whole_stream_passes_unchanged(tmp_path: Path) -> None:
    with original_failure(stream(broken=False)) as reader:
        write_deltalake(tmp_path / "table", reader)
    assert DeltaTable(tmp_path / "table").to_pyarrow_table().num_rows == 1


def test_the_consumer_s_own_error_stays(tmp_path: Path) -> None:
    with original_failure(stream(broken=False)) as reader:
        write_deltalake(tmp_path / "table", reader)
    with pytest.raises(DeltaError), original_failure(stream(broken=False)) as reader:
        write_deltalake(tmp_path / "table", reader, mode="error")
