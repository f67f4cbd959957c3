"""Columns that vanish, appear or change: kept, dropped, defaulted, held back; never silently."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from retail_platform.metadata.loader import load_catalog
from retail_platform.quality.verdicts import HeldBack
from retail_platform.silver.load import SilverLoad
from retail_platform_tests.platform.box import Box, Row
from retail_platform_tests.platform.catalogs import contract, sql_source, write_catalog
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.platform.sources import ArrowReader

COLUMNS = {"id": "bigint", "city": "string", "amount": "int", "modified_at": "timestamp"}
MOMENTS = ["2026-01-05 12:10:00", "2026-01-05 13:10:00", "2026-01-05 14:10:00"]
Open = Callable[..., Box]


@pytest.fixture
def open_with(new_box: Opener, tmp_path: Path) -> Open:
    def opener(*, merge: str = "upsert", required: tuple[str, ...] = (), **row: Any) -> Box:
        table = {
            "table": "things",
            "load": "incremental",
            "key": ["id"],
            "watermark": {"column": "modified_at"},
            "silver": {"entity": "things", "merge": merge},
            **row,
        }
        tree = contract("things", COLUMNS, ["id"], required=required, max_quarantined=100)
        return new_box(load_catalog(write_catalog(tmp_path, [sql_source("b", [table])], [tree])))

    return opener


def load(box: Box, number: int, *rows: Row) -> SilverLoad:
    read = [{**row, "modified_at": MOMENTS[number]} for row in rows]
    box.bronze_from("things", number, ArrowReader.at(number, read, list(read[0])))
    return box.silver("things", number)


def cities(box: Box) -> Row:
    rows = [row for row in box.live("things") if row.get("is_current", True)]
    return {row["id"]: row["city"] for row in rows}


def verdict(loaded: SilverLoad, check: str) -> tuple[bool, str]:
    return next((v.passed, v.text) for v in loaded.verdicts if v.check == check)


@pytest.mark.parametrize("merge", ["upsert", "scd2"])
@pytest.mark.parametrize(
    ("removed", "expected", "said"),
    [
        ("keep", {1: "Bath", 2: None}, "keeps its last value"),
        ("drop", {1: None, 2: None}, "is NULL"),
        ({"columns": {"city": {"default": "n/a"}}}, {1: "n/a", 2: "n/a"}, "is 'n/a'"),
        ({"policy": "drop", "columns": {"city": "keep"}}, {1: "Bath", 2: None}, "keeps"),
    ],
)
def test_a_column_that_vanished(
    open_with: Open, merge: str, removed: Any, expected: Row, said: str
) -> None:
    """What stands in for it is metadata; a warning says so, and it comes back by itself."""
    box = open_with(merge=merge, removed=removed)
    first = load(box, 0, {"id": "1", "city": "Bath", "amount": "1"})
    assert verdict(first, "columns")[0]
    second = load(box, 1, {"id": "1", "amount": "2"}, {"id": "2", "amount": "2"})
    assert cities(box) == expected
    passed, text = verdict(second, "columns")
    assert not passed
    assert said in text
    third = load(box, 2, {"id": "1", "city": "York", "amount": "3"})
    assert verdict(third, "columns")[0]
    assert "York" in cities(box).values()


def test_a_required_column_that_vanished_holds_the_hour(open_with: Open) -> None:
    """Nothing is committed, and the message says what to write; a default lets it through."""
    box = open_with(required=("city",))
    load(box, 0, {"id": "1", "city": "Bath", "amount": "1"})
    with pytest.raises(HeldBack, match=r"no city any more.*removed: \{columns: \{city: \{default"):
        load(box, 1, {"id": "1", "amount": "2"})
    assert cities(box) == {1: "Bath"}
    other = open_with(required=("city",), removed={"columns": {"city": {"default": "n/a"}}})
    load(other, 1, {"id": "1", "amount": "2"})
    assert cities(other) == {1: "n/a"}


@pytest.mark.parametrize("mode", ["evolve", "freeze", "discard_value"])
def test_a_new_column(open_with: Open, mode: str) -> None:
    """Bronze keeps it in any case; where columns are frozen, the hour waits for a decision."""
    box = open_with(schema={"columns": mode})
    load(box, 0, {"id": "1", "city": "Bath", "amount": "1"})
    row = {"id": "1", "city": "York", "amount": "2", "till": "7"}
    if mode == "freeze":
        with pytest.raises(HeldBack, match=r"new at the source: till.*schema: \{columns: evolve"):
            load(box, 1, row)
        assert cities(box) == {1: "Bath"}
    else:
        load(box, 1, row)
        assert cities(box) == {1: "York"}
    assert {row["till"] for row in box.stored_bronze("things")} == {None, "7"}


@pytest.mark.parametrize("mode", ["freeze", "discard_row", "discard_value"])
def test_a_value_of_another_type(open_with: Open, mode: str) -> None:
    """Its row is quarantined, or the value alone is left out and counted; a key never is."""
    box = open_with(schema={"types": mode})
    rows = [{"id": "1", "city": "x", "amount": "many"}, {"id": "x", "city": "x", "amount": "1"}]
    loaded = load(box, 0, *rows)
    refused = sorted(row["reasons"] for row in box.quarantined("things"))
    key = "id: cannot read x as bigint; id is missing"
    if mode == "discard_value":
        assert refused == [key]
        assert [row["amount"] for row in box.live("things")] == [None]
        assert verdict(loaded, "types") == (
            False,
            "1 values left out that cannot be read as the contract's type",
        )
    else:
        assert refused == ["amount: cannot read many as int", key]


def test_schemas_have_numbers_in_the_ledger(open_with: Open) -> None:
    """Bronze counts what came, Silver what the contract says; a shape that returns keeps its."""
    box = open_with()
    whole = {"id": "1", "city": "Bath", "amount": "1"}
    load(box, 0, whole)
    load(box, 1, {"id": "1", "amount": "2"})
    load(box, 2, whole)
    bronze = box.ledger.loads(asset="bronze/b__things")
    assert [row.schema_version for row in bronze] == [1, 2, 1]
    assert [row.schema_version for row in box.loads("things")] == [1, 1, 1]
    assert '"city"' not in box.ledger.schemas.schema("bronze/b__things", 2)


def test_case_and_trim(open_with: Open) -> None:
    """Text that differs in case or white space only is one value."""
    box = open_with(case={"city": "upper"})
    load(box, 0, {"id": "1", "city": "  Bath ", "amount": "1"})
    assert cities(box) == {1: "BATH"}
