"""A load rewrites only files that hold changed keys; an unchanged batch rewrites nothing."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import write_deltalake

from retail_platform.bronze.row_hash import row_hashes
from retail_platform.demo.memory import PeakMemory
from retail_platform.extract.window import HOUR, Window
from retail_platform.metadata.loader import Catalog, Table, load_catalog
from retail_platform.silver.standardise import silver_schema
from retail_platform_tests.platform.box import Box, hour_at
from retail_platform_tests.platform.catalogs import contract, sql_source, write_catalog
from retail_platform_tests.platform.fixtures import Opener

FILES = 20
COLUMNS = {"id": "bigint", "name": "string", "amount": "decimal(18,2)", "modified_at": "timestamp"}
LONG_AGO = "2025-12-01 00:00:00"
LATELY = "2026-01-05 12:30:00"
MEMORY = 1.5 * 2**30
CHUNK = 50_000


@dataclass(frozen=True)
class Size:
    """How much there is.

    Attributes:
        stored: Rows of the table, sorted by key over its files.
        batch: Rows that the load reads: the first ones of the table.
        changed: Rows of those that differ, all of them in the second file.
    """

    stored: int
    batch: int
    changed: int

    @property
    def per_file(self) -> int:
        """Rows of each file."""
        return self.stored // FILES


SMALL = Size(stored=4_000, batch=1_000, changed=1)
FULL = Size(stored=10_000_000, batch=1_000_000, changed=1_000)


class Reader:
    """A source of generated rows, streamed in chunks."""

    def __init__(self, rows: int, changed: range) -> None:
        self.rows = rows
        self.changed = changed

    def clock(self) -> Any:
        """The end of the hour that is read."""
        return hour_at(0) + HOUR

    def read(self, table: Table, window: Window) -> pa.RecordBatchReader:
        """All rows, whatever the window."""
        first = source_rows(range(1), self.changed)
        starts = range(0, self.rows, CHUNK)
        chunks = (range(at, min(at + CHUNK, self.rows)) for at in starts)
        return pa.RecordBatchReader.from_batches(
            first.schema, (source_rows(chunk, self.changed) for chunk in chunks)
        )

    def committed(self) -> None:
        """Nothing to remember."""


def source_rows(ids: range, changed: range) -> pa.RecordBatch:
    """Rows as the source has them, all text."""
    numbers = pa.array(ids, pa.int64())
    text = numbers.cast(pa.string())
    recent = pc.and_(pc.greater_equal(numbers, changed.start), pc.less(numbers, changed.stop))
    return pa.RecordBatch.from_pydict(
        {
            "id": text,
            "name": pc.binary_join_element_wise("member", text, " "),
            "amount": pc.if_else(recent, "2.50", "1.25"),
            "modified_at": pc.if_else(recent, LATELY, LONG_AGO),
        }
    )


def stored_rows(ids: range, schema: pa.Schema) -> pa.Table:
    """The same rows as Silver holds them."""
    rows = source_rows(ids, range(0))
    long_ago = pa.scalar(hour_at(-24), pa.timestamp("us", "UTC"))
    columns = {
        "id": rows.column("id").cast(pa.int64()),
        "name": rows.column("name"),
        "amount": pa.repeat(pa.scalar(Decimal("1.25"), pa.decimal128(18, 2)), rows.num_rows),
        "modified_at": pc.assume_timezone(
            rows.column("modified_at").cast(pa.timestamp("us")), "UTC"
        ),
        "_watermark": pc.assume_timezone(
            rows.column("modified_at").cast(pa.timestamp("us")), "UTC"
        ),
        "_extracted_at": pa.repeat(long_ago, rows.num_rows),
        "_row_hash": row_hashes(rows),
        "_hour": pa.repeat(long_ago, rows.num_rows),
        "_deleted": pa.repeat(pa.scalar(value=False), rows.num_rows),
        "_inferred": pa.repeat(pa.scalar(value=False), rows.num_rows),
    }
    arrays = [columns.get(f.name, pa.nulls(rows.num_rows, f.type)).cast(f.type) for f in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    row = {
        "table": "members",
        "load": "incremental",
        "key": ["id"],
        "watermark": {"column": "modified_at"},
        "silver": {"entity": "members", "merge": "upsert"},
    }
    tree = contract("members", COLUMNS, ["id"], required=["modified_at"])
    return load_catalog(write_catalog(tmp_path / "catalog", [sql_source("box", [row])], [tree]))


def fill(box: Box, size: Size) -> list[str]:
    """Writes the stored rows, file by file in the order of their keys; returns the files' paths."""
    schema = silver_schema(box.catalog.by_entity["members"])
    location = box.lake.location("silver", "members")
    for number in range(FILES):
        ids = range(number * size.per_file, (number + 1) * size.per_file)
        write_deltalake(location, stored_rows(ids, schema), mode="append")
    return [path for _, path in sorted(lowest_keys(box))]


def lowest_keys(box: Box) -> Iterator[tuple[int, str]]:
    """The least key and the path of each file."""
    files = pa.table(box.lake.delta("silver", "members").get_add_actions(flatten=True))
    for row in files.select(["min.id", "path"]).to_pylist():
        yield row["min.id"], row["path"]


def removed(box: Box, versions: Sequence[int]) -> set[str]:
    """Paths that the log's commits of these versions remove."""
    log = Path(box.lake.location("silver", "members")) / "_delta_log"
    actions = [
        json.loads(line)
        for version in versions
        for line in (log / f"{version:020}.json").read_text("utf-8").splitlines()
    ]
    return {action["remove"]["path"] for action in actions if "remove" in action}


@pytest.mark.parametrize(
    "size", [SMALL, pytest.param(FULL, marks=pytest.mark.slow)], ids=["small", "full"]
)
def test_a_load_rewrites_only_the_files_of_changed_keys(
    new_box: Opener, catalog: Catalog, size: Size
) -> None:
    """One of twenty files is rewritten, by the log's own words; memory stays bounded."""
    box = new_box(catalog)
    files = fill(box, size)
    before = box.lake.version("silver", "members")
    changed = range(size.per_file, size.per_file + size.changed)
    box.bronze_from("members", 0, Reader(size.batch, changed))
    with PeakMemory() as idle:
        pass
    with PeakMemory() as memory:
        load = box.silver("members", 0)
    assert load.counts.applied == size.changed
    assert load.counts.unchanged == size.batch - size.changed
    after = box.lake.version("silver", "members")
    assert removed(box, range(before + 1, after + 1)) == {files[1]}
    assert len(list(lowest_keys(box))) == FILES
    assert box.lake.row_count("silver", "members") == size.stored
    if size is FULL:
        # Over the idle process: a test process may have had other tests before this one.
        assert memory.peak - idle.peak < MEMORY


def test_an_unchanged_batch_rewrites_nothing(new_box: Opener, catalog: Catalog) -> None:
    """Rows that are stored already leave no trace in the table's log."""
    box = new_box(catalog)
    fill(box, SMALL)
    before = box.lake.version("silver", "members")
    box.bronze_from("members", 0, Reader(SMALL.batch, range(0)))
    load = box.silver("members", 0)
    assert load.counts.unchanged == SMALL.batch
    assert box.lake.version("silver", "members") == before
