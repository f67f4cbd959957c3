"""A commit that contradicts its plan, and a table that changes type, fail with both sides."""

from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql.connect import functions as f

from retail_platform.failures import PermanentFailure
from retail_platform.silver.upsert import apply_rows
from retail_platform_tests.platform.box import Box, hour_at
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.platform.sources import ArrowReader
from retail_platform_tests.silver.modes import PLAIN, modes_catalog


@pytest.fixture
def box(new_box: Opener, tmp_path: Path) -> Box:
    return new_box(modes_catalog(tmp_path / "catalog"))


def test_two_source_rows_of_one_key_contradict_the_plan(box: Box) -> None:
    """The ledger's claim is checked against the commit: planned 1, inserted 2, and the cure."""
    rows = [{"id": "1", "amount": n, "modified_at": "2026-01-05 12:00:00"} for n in ("1", "2")]
    box.bronze_from("contacts", 0, ArrowReader.at(0, rows, list(PLAIN)))
    loader = box.silver_loader("contacts")
    received = box.lake.schema("bronze", "box__contacts")
    twice = loader.hours.standardised(received, [hour_at(0)]).withColumn("_class", f.lit("applied"))
    with (
        box.lake.staged(twice) as batch,
        pytest.raises(PermanentFailure, match=r"planned 1 rows applied.*inserted 2.*restore"),
    ):
        apply_rows(box.lake, box.catalog.by_entity["contacts"], batch, 1)


def test_a_retyped_column_is_refused_and_nothing_changes(box: Box) -> None:
    """Types are frozen: the message has the column and both types."""
    text = pa.schema([("id", pa.int64()), ("amount", pa.string())])
    before = box.lake.version("silver", "contacts")
    with pytest.raises(PermanentFailure, match="amount: stored int, now string"):
        box.lake.ensure("silver", "contacts", text)
    assert box.lake.version("silver", "contacts") == before


def test_an_added_column_is_null_in_old_rows(box: Box) -> None:
    """Adding goes without a rewrite; the new column can be NULL."""
    schema = pa.schema([pa.field("id", pa.int64(), nullable=False)])
    box.lake.ensure("bronze", "plain", schema)
    box.lake.append("bronze", "plain", pa.table({"id": [1]}, schema=schema).to_reader())
    box.lake.ensure("bronze", "plain", schema.append(pa.field("new", pa.string(), nullable=False)))
    assert box.lake.read("bronze", "plain").toArrow().to_pylist() == [{"id": 1, "new": None}]


def test_staged_tables_leave_nothing_behind(box: Box) -> None:
    """Also when the body fails."""
    with pytest.raises(ZeroDivisionError), box.lake.staged(box.lake.read("silver", "contacts")):
        raise ZeroDivisionError
    assert list((Path(box.lake.root) / "_staging").iterdir()) == []
