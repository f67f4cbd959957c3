"""``merge: replace``: the table is the newest whole read, whatever it was before."""

from pathlib import Path

import pytest

from retail_platform.metadata.loader import Catalog, load_catalog
from retail_platform_tests.platform.box import Box, Row, hour_at
from retail_platform_tests.platform.catalogs import contract, write_catalog
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.platform.sources import ArrowReader
from retail_platform_tests.silver.modes import PLAIN, modes_catalog

NEW, OLD = "2026-01-05 11:00:00", "2026-01-01 00:00:00"


@pytest.fixture
def box(new_box: Opener, tmp_path: Path) -> Box:
    catalog = modes_catalog(tmp_path / "catalog")
    return new_box(Catalog(tables=(catalog.by_entity["rates"],)))


def bronze(box: Box, number: int, *rows: tuple[str, str, str]) -> None:
    read = [dict(zip(PLAIN, row, strict=True)) for row in rows]
    box.bronze_from("rates", number, ArrowReader.at(number, read, list(PLAIN)))


def amounts(box: Box) -> Row:
    return {row["id"]: row["amount"] for row in box.live("rates")}


def test_the_newest_read_is_the_table(box: Box) -> None:
    """An older watermark wins with it, a missing key goes, a refused row leaves nothing behind."""
    bronze(box, 0, ("1", "1", NEW), ("2", "2", NEW), ("3", "3", NEW), ("4", "4", NEW))
    box.silver("rates", 0)
    bronze(box, 1, ("1", "9", OLD), ("2", "2", NEW), ("3", "-3", NEW), ("1", "8", OLD))
    counts = box.silver("rates", 1).counts
    assert amounts(box) in ({1: 9, 2: 2}, {1: 8, 2: 2})
    assert counts.balanced
    assert (counts.read, counts.quarantined, counts.duplicates) == (4, 1, 1)
    assert (counts.applied, counts.unchanged, counts.swept) == (1, 1, 2)
    tombstones = {row["id"]: row["_hour"] for row in box.stored_silver("rates") if row["_deleted"]}
    assert tombstones == {3: hour_at(1), 4: hour_at(1)}, "Gold finds them by their hour"


def test_an_older_hour_changes_nothing_and_a_repeat_neither(box: Box) -> None:
    """Hour 0 comes after hour 1: all of its rows are stale; hour 1 once more is unchanged."""
    bronze(box, 0, ("1", "1", NEW), ("2", "2", NEW))
    bronze(box, 1, ("1", "5", OLD))
    box.silver("rates", 1)
    before = box.stored_silver("rates")
    late = box.silver("rates", 0)
    assert (late.counts.stale, late.counts.swept) == (2, 0)
    repeat = box.silver("rates", 1)
    assert (repeat.counts.unchanged, repeat.counts.swept) == (1, 0)
    assert box.stored_silver("rates") == before
    assert late.version == repeat.version, "nothing is rewritten"


def test_a_key_that_returns_lives_again(box: Box) -> None:
    """With the very content that it had before it went."""
    for number, keys in enumerate(("12", "1", "12")):
        bronze(box, number, *((key, "1", OLD) for key in keys))
        box.silver("rates", number)
    assert amounts(box) == {1: 1, 2: 1}


def test_an_hour_read_again_is_its_newest_read(box: Box) -> None:
    """A key that left the source between two reads of one hour is gone."""
    bronze(box, 0, ("1", "1", OLD), ("2", "2", OLD))
    box.silver("rates", 0)
    bronze(box, 0, ("1", "1", OLD))
    box.silver("rates", 0)
    assert amounts(box) == {1: 1}


def test_a_file_takes_the_place_of_the_one_before(new_box: Opener, tmp_path: Path) -> None:
    """Also one that equals an earlier file; an hour without a file leaves the table as it is."""
    row = {
        "table": "codes",
        "load": "files",
        "path": "codes_%Y%m%dT%H",
        "key": ["code"],
        "columns": {"code": "code"},
        "silver": {"entity": "codes", "merge": "replace", "max_shrink": 1.0},
    }
    source = {
        "source": "drop",
        "connection": {"kind": "files", "root": {"env": "LANDING"}, "timezone": "UTC"},
        "tables": [row],
    }
    tree = contract("codes", {"code": "string"}, ["code"])
    box = new_box(load_catalog(write_catalog(tmp_path / "catalog", [source], [tree])))
    landing = tmp_path / "landing"
    landing.mkdir()
    found = []
    for number, content in enumerate(["code\na\nb\n", "code\nc\n", None, "code\na\nb\n"]):
        name = f"codes_{hour_at(number):%Y%m%dT%H}"
        if content:
            (landing / f"{name}.csv").write_text(content)
        (landing / f"{name}.done").touch()
        box.both("codes", number, {"LANDING": str(landing)})
        found.append("".join(sorted(row["code"] for row in box.live("codes"))))
    assert found == ["ab", "c", "c", "ab"]
