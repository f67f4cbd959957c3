"""Every load type with every merge that goes with it, over the smallest history that tells."""

from pathlib import Path

import pytest

from retail_platform.metadata.loader import load_catalog
from retail_platform_tests.platform.box import Row
from retail_platform_tests.platform.catalogs import contract, sql_source, write_catalog
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.platform.sources import ArrowReader
from retail_platform_tests.silver.modes import PLAIN

CHANGED = {1: 5, 2: 2}
WITHOUT_MISSING = {1: 5}
PAIRS = {
    ("full", "upsert"): WITHOUT_MISSING,
    ("full", "scd2"): WITHOUT_MISSING,
    ("full", "append"): CHANGED,
    ("full", "replace"): WITHOUT_MISSING,
    ("snapshot", "upsert"): WITHOUT_MISSING,
    ("snapshot", "scd2"): WITHOUT_MISSING,
    ("snapshot", "append"): CHANGED,
    ("snapshot", "replace"): WITHOUT_MISSING,
    ("incremental", "upsert"): CHANGED,
    ("incremental", "scd2"): CHANGED,
    ("incremental", "append"): CHANGED,
    ("files", "upsert"): CHANGED,
    ("files", "scd2"): CHANGED,
    ("files", "append"): CHANGED,
    ("files", "replace"): WITHOUT_MISSING,
    ("restated", "upsert"): WITHOUT_MISSING,
    ("restated", "append"): WITHOUT_MISSING,
}


@pytest.mark.parametrize(("load", "merge"), list(PAIRS))
def test_a_changed_and_a_missing_key(
    new_box: Opener, tmp_path: Path, load: str, merge: str
) -> None:
    """Key 1 changes, key 2 is not read any more; replays of both hours change nothing."""
    silver: Row = {"entity": "things", "merge": merge, "max_shrink": 1.0}
    row = {
        "table": "things",
        "load": load,
        "key": ["id"],
        "watermark": {"column": "modified_at"},
        "silver": silver | ({"sweep": ["shop"]} if load == "restated" else {}),
    }
    source = sql_source("box", [row | ({"path": "things_%Y%m%dT%H"} if load == "files" else {})])
    if load == "files":
        connection = {"kind": "files", "root": {"env": "LANDING"}, "timezone": "UTC"}
        source["connection"] = connection
    columns = {**PLAIN, "shop": "string"}
    catalog = load_catalog(write_catalog(tmp_path, [source], [contract("things", columns, ["id"])]))
    box = new_box(catalog)
    reads = [
        [("1", "1", "2026-01-05 12:10:00", "x"), ("2", "2", "2026-01-05 12:10:00", "x")],
        [("1", "5", "2026-01-05 13:10:00", "x")],
    ]
    for number, rows in enumerate(reads):
        read = [dict(zip(columns, values, strict=True)) for values in rows]
        box.bronze_from("things", number, ArrowReader.at(number, read, list(columns)))
        box.silver("things", number)
    for number in (0, 1, 1):
        current = [row for row in box.live("things") if row.get("is_current", True)]
        assert {row["id"]: row["amount"] for row in current} == PAIRS[load, merge]
        box.silver("things", number)
