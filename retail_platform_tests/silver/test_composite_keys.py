"""Keys of several parts: what looks alike once joined stays apart, and no part may be NULL."""

from pathlib import Path

import pytest

from retail_platform.metadata.loader import load_catalog
from retail_platform_tests.platform.box import Box, Row
from retail_platform_tests.platform.catalogs import contract, sql_source, write_catalog
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.platform.sources import ArrowReader

COLUMNS = {"shop": "string", "article": "string", "amount": "int", "modified_at": "timestamp"}
ALIKE = [("a|", "bc"), ("a", "|bc"), ("a|b", "c"), ("ab", "c"), ("a", "bc"), ("", "abc")]
LOADS = {"kept": ("incremental", "upsert"), "versioned": ("incremental", "scd2")}
LOADS |= {"whole": ("full", "upsert"), "chained": ("snapshot", "scd2")}


@pytest.fixture
def box(new_box: Opener, tmp_path: Path) -> Box:
    tables = [
        {
            "table": name,
            "load": load,
            "key": ["shop", "article"],
            "watermark": {"column": "modified_at"},
            "silver": {"entity": name, "merge": merge, "max_shrink": 1},
        }
        for name, (load, merge) in LOADS.items()
    ]
    contracts = [contract(name, COLUMNS, ["shop", "article"]) for name in LOADS]
    folder = write_catalog(tmp_path / "catalog", [sql_source("box", tables)], contracts)
    return new_box(load_catalog(folder))


def bronze(box: Box, entity: str, number: int, *keys: tuple[str | None, str | None]) -> None:
    at = f"2026-01-05 {12 + number}:10:00"
    rows: list[Row] = [
        {"shop": shop, "article": article, "amount": str(number), "modified_at": at}
        for shop, article in keys
    ]
    box.bronze_from(entity, number, ArrowReader.at(number, rows, list(COLUMNS)))


def keys(box: Box, entity: str) -> dict[tuple[str, str], int]:
    rows = [row for row in box.live(entity) if row.get("is_current", True)]
    assert len({(row["shop"], row["article"]) for row in rows}) == len(rows)
    return {(row["shop"], row["article"]): row["amount"] for row in rows}


@pytest.mark.parametrize("entity", LOADS)
def test_keys_that_look_alike_once_joined_stay_apart(box: Box, entity: str) -> None:
    """Also out of order, where other hours are asked who came later."""
    bronze(box, entity, 0, *ALIKE)
    bronze(box, entity, 1, *ALIKE[:2])
    bronze(box, entity, 2, *ALIKE[:1], *ALIKE[2:])
    box.silver(entity, 0)
    assert keys(box, entity) == dict.fromkeys(ALIKE, 0)
    box.silver(entity, 2)
    box.silver(entity, 1)
    wanted = {key: 2 for key in ALIKE if key != ALIKE[1]}
    if LOADS[entity][0] == "incremental":
        wanted[ALIKE[1]] = 1
    assert keys(box, entity) == wanted


@pytest.mark.parametrize("entity", LOADS)
def test_a_key_with_a_part_missing_is_quarantined(box: Box, entity: str) -> None:
    """Neither of its parts makes up for the other."""
    bronze(box, entity, 0, ("a", "b"), ("a", "c"), ("b", "b"), (None, "b"), ("a", None))
    box.silver(entity, 0)
    assert set(keys(box, entity)) == {("a", "b"), ("a", "c"), ("b", "b")}
    assert sorted(row["reasons"] for row in box.quarantined(entity)) == [
        "article is missing",
        "shop is missing",
    ]
