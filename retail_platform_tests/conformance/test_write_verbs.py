"""Each write verb of the lake does the same, and counts the same, on every engine."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from retail_platform.failures import PermanentFailure
from retail_platform.lakehouse.commits import Commit
from retail_platform.lakehouse.engine import open_engine
from retail_platform.lakehouse.merges import Matched
from retail_platform.lakehouse.retyping import Retyped
from retail_platform.lakehouse.tables import Lakehouse, one_row, timestamp_literal
from retail_platform.settings import Engine

NOON = datetime(2026, 3, 8, 12, tzinfo=UTC)
SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64()),
        pa.field("at", pa.timestamp("us", "UTC")),
        pa.field("day", pa.date32()),
        pa.field("amount", pa.decimal128(19, 4)),
        pa.field("note", pa.string()),
        pa.field("open", pa.bool_()),
    ]
)
Row = dict[str, Any]


def row(number: int, note: str | None = "", amount: str | None = "1.2345") -> Row:
    return {
        "id": number,
        "at": NOON.replace(microsecond=number),
        "day": NOON.date(),
        "amount": None if amount is None else Decimal(amount),
        "note": note,
        "open": number % 2 == 0,
    }


def batches(rows: Sequence[Row], schema: pa.Schema = SCHEMA) -> pa.RecordBatchReader:
    return pa.Table.from_pylist(list(rows), schema=schema).to_reader()


def stored(lake: Lakehouse) -> list[Row]:
    rows = lake.read("silver", "things").toArrow().to_pylist()
    return sorted(rows, key=lambda row: row["id"])


@pytest.fixture
def things(lake: Lakehouse) -> Lakehouse:
    """A lake with the table ``silver.things`` of three rows."""
    lake.ensure("silver", "things", SCHEMA)
    lake.register("silver", "things")
    lake.append("silver", "things", batches([row(1, "a"), row(2, None, None), row(3, "it's ä|")]))
    return lake


def test_what_is_appended_is_read_unchanged(things: Lakehouse) -> None:
    """Microseconds, dates, decimals, NULLs and text come back as they were; a commit counts."""
    assert stored(things) == [row(1, "a"), row(2, None, None), row(3, "it's ä|")]
    commit = things.append("silver", "things", batches([row(4), row(5)]))
    assert (commit.version_before, commit.version, commit.inserted) == (1, 2, 2)
    assert things.row_count("silver", "things") == 5
    seen = one_row(
        things.spark.sql("SELECT max(at) AS latest, sum(amount) AS total FROM silver.things")
    )
    assert seen == {"latest": NOON.replace(microsecond=5), "total": Decimal("4.9380")}


def test_ensure_adds_columns_and_refuses_another_type(things: Lakehouse) -> None:
    """A new column is NULL in old rows and known to both readers; a retype changes nothing."""
    wider = SCHEMA.append(pa.field("colour", pa.string()))
    things.ensure("silver", "things", wider)
    things.append("silver", "things", batches([row(4) | {"colour": "red"}], wider))
    assert [row["colour"] for row in stored(things)] == [None, None, None, "red"]
    version = things.version("silver", "things")
    with pytest.raises(PermanentFailure, match="amount: stored decimal"):
        things.ensure("silver", "things", pa.schema([pa.field("amount", pa.string())]))
    assert things.version("silver", "things") == version


def test_an_hour_of_a_partitioned_table_is_found_by_its_literal(lake: Lakehouse) -> None:
    """Partition values are instants: an engine in another time zone would miss them."""
    schema = pa.schema([pa.field("id", pa.int64()), pa.field("_hour", pa.timestamp("us", "UTC"))])
    lake.ensure("bronze", "things", schema, partition_by=["_hour"])
    for n, times in ((9, 1), (10, 2)):
        hour = NOON.replace(hour=n)
        rows = [{"id": n, "_hour": hour}] * times
        commit = lake.append("bronze", "things", batches(rows, schema), {"_hour": hour})
        assert commit.inserted == times
    assert lake.partition_rows("things", NOON.replace(hour=10)) == 2
    nine = NOON.replace(hour=9)
    read = lake.read("bronze", "things").where(f"_hour = {timestamp_literal(nine)}")
    assert read.toArrow().to_pylist() == [{"id": 9, "_hour": nine}]


def merge(lake: Lakehouse, rows: Sequence[Row], **clauses: Any) -> Commit:
    schema = SCHEMA.append(pa.field("op", pa.string()))
    frame = lake.spark.createDataFrame(pa.Table.from_pylist(list(rows), schema=schema))
    with lake.staged(frame) as source:
        return lake.merge("silver", "things", source, on=["id"], rows=len(rows), **clauses)


def test_merge_runs_its_clauses_in_order_and_counts_each(things: Lakehouse) -> None:
    """Delete, guarded update and conditional insert in one commit; the rest stays."""
    commit = merge(
        things,
        [
            row(1) | {"op": "delete"},
            row(2, "new", "2.5") | {"op": "update"},
            row(3, "stale") | {"op": "keep"},
            row(4, "x") | {"op": "insert"},
            row(5, "y") | {"op": "update"},
        ],
        matched=[
            Matched(when="s.op = 'delete'", set=None),
            Matched.replaced(["note", "amount"], when="s.op = 'update'"),
        ],
        insert=SCHEMA.names,
        insert_when="s.op = 'insert'",
    )
    assert (commit.inserted, commit.updated, commit.deleted) == (1, 1, 1)
    assert commit.version == commit.version_before + 1
    assert stored(things) == [row(2, "new", "2.5"), row(3, "it's ä|"), row(4, "x")]


def test_a_merge_that_changes_nothing_counts_nothing(things: Lakehouse) -> None:
    """Whether an engine writes an empty commit or none: no row is counted as changed."""
    before = stored(things)
    commit = merge(
        things, [row(1) | {"op": "keep"}], matched=[Matched(when="s.op = 'x'", set=None)]
    )
    assert (commit.inserted, commit.updated, commit.deleted) == (0, 0, 0)
    assert stored(things) == before


def test_merge_skips_what_the_pruning_condition_excludes(things: Lakehouse) -> None:
    """A row outside of the condition is no match, and is inserted beside the stored one."""
    commit = merge(
        things,
        [row(1, "b") | {"op": ""}, row(3, "c") | {"op": ""}],
        matched=[Matched.replaced(["note"])],
        insert=SCHEMA.names,
        pruned_by="t.id < 3",
    )
    assert (commit.inserted, commit.updated, commit.deleted) == (1, 1, 0)
    assert sorted(row["note"] or "" for row in stored(things)) == ["", "b", "c", "it's ä|"]


def test_decimals_of_many_digits_stay_exact(lake: Lakehouse) -> None:
    """One value in all rows of a file: where an engine would take it from the file's statistics."""
    schema = pa.schema(
        [("id", pa.int64()), ("amount", pa.decimal128(19, 4)), ("name", pa.string())]
    )
    amount = Decimal("123456789012345.6789")
    rows = [{"id": number, "amount": amount, "name": "a"} for number in (1, 2)]
    lake.ensure("silver", "amounts", schema)
    lake.register("silver", "amounts")
    lake.append("silver", "amounts", batches(rows, schema))
    with lake.staged(lake.read("silver", "amounts")) as source:
        assert source.toArrow().column("amount").to_pylist() == [amount, amount]
    change = pa.Table.from_pylist([{**rows[0], "name": "b"}], schema=schema)
    with lake.staged(lake.spark.createDataFrame(change)) as source:
        lake.merge(
            "silver",
            "amounts",
            source,
            on=["id"],
            matched=[Matched(set={"name": "s.name"})],
        )
    stored = lake.delta("silver", "amounts").to_pyarrow_table()
    assert stored.column("amount").to_pylist() == [amount, amount]


def test_staged_rows_are_computed_once_and_gone_afterwards(things: Lakehouse) -> None:
    """What is staged does not change with its source, and leaves no file behind."""
    with things.staged(things.read("silver", "things").select("id")) as rows:
        things.append("silver", "things", batches([row(9)]))
        assert rows.count() == 3
    assert not list(Path(things.root, "_staging").glob("*"))


def test_registering_again_is_harmless_and_another_lake_is_refused(
    things: Lakehouse, address: str, tmp_path: Path
) -> None:
    """A session of one lake never reads or writes the tables of another one under their names."""
    things.register("silver", "things")
    assert one_row(things.spark.sql("SELECT count(*) AS n FROM silver.things"))["n"] == 3
    other = Lakehouse(things.spark, str(tmp_path / "other"))
    other.ensure("silver", "things", SCHEMA)
    with pytest.raises(PermanentFailure, match="one engine can serve one lake at a time"):
        other.register("silver", "things")
    with open_engine(Engine.EMBEDDED, address) as session:
        joined = Lakehouse(session.spark, things.root)
        joined.register("silver", "things")
        assert one_row(session.spark.sql("SELECT count(*) AS n FROM silver.things"))["n"] == 3


def test_a_retype_rewrites_the_table_and_sql_sees_the_new_types(things: Lakehouse) -> None:
    """One commit with as many rows; merges and SQL go on with the wider types."""
    wider = pa.decimal128(25, 6)
    columns = [
        Retyped(name="amount", stored=pa.decimal128(19, 4), wanted=wider),
        Retyped(name="day", stored=pa.date32(), wanted=pa.timestamp("us", "UTC")),
    ]
    before = things.version("silver", "things")
    commit = things.retype("silver", "things", columns, zone="America/New_York")
    assert (commit.version_before, commit.version, commit.inserted) == (before, before + 1, 3)
    things.register_again("silver", "things")
    seen = things.spark.sql("select amount, day from silver.things where id = 1").toArrow()
    assert seen.schema.field("amount").type == wider
    # The day began at 05:00 UTC: on 8 March 2026 New York changed its clocks at 02:00.
    assert seen.to_pylist() == [
        {"amount": Decimal("1.234500"), "day": datetime(2026, 3, 8, 5, tzinfo=UTC)}
    ]
    schema = things.schema("silver", "things")
    new = {**row(1), "amount": Decimal("1234567890123456789.000001"), "day": NOON}
    source = things.spark.createDataFrame(pa.Table.from_pylist([new], schema))
    with things.staged(source, rows=1) as staged:
        merged = things.merge(
            "silver",
            "things",
            staged,
            on=["id"],
            matched=[Matched.replaced(schema.names)],
            rows=1,
        )
    assert merged.updated == 1
    assert stored(things)[0]["amount"] == new["amount"]
