"""Batch rules judge before the commit: a bad hour is held alone, and nothing of it is lost."""

from pathlib import Path

import pytest

from retail_platform.control.models import Status
from retail_platform.metadata.loader import load_catalog
from retail_platform.quality.verdicts import HeldBack
from retail_platform_tests.platform.box import Box, Row, hour_at
from retail_platform_tests.platform.catalogs import contract, sql_source, write_catalog
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.platform.sources import ArrowReader
from retail_platform_tests.silver.modes import PLAIN, RULES

NAMES = list(PLAIN)


def rows(numbers: range, *, amount: str = "1", at: str = "2026-01-05 12:10:00") -> list[Row]:
    return [{"id": str(n), "amount": amount, "modified_at": at} for n in numbers]


@pytest.fixture
def box(new_box: Opener, tmp_path: Path) -> Box:
    """Tables with the default limits: half of the rows quarantined, a fall of a fifth."""
    tables = [
        {
            "table": name,
            "load": load,
            "key": ["id"],
            "watermark": {"column": "modified_at"},
            "silver": {"entity": name, "merge": merge},
        }
        for name, load, merge in (
            ("contacts", "incremental", "upsert"),
            ("shelf", "snapshot", "scd2"),
            ("regions", "full", "upsert"),
        )
    ]
    contracts = [contract(t["table"], PLAIN, ["id"], rules=RULES) for t in tables]
    folder = write_catalog(tmp_path / "catalog", [sql_source("box", tables)], contracts)
    return new_box(load_catalog(folder))


def bronze(box: Box, entity: str, number: int, read: list[Row]) -> None:
    box.bronze_from(entity, number, ArrowReader.at(number, read, NAMES))


def test_too_many_quarantined_rows_hold_the_hour_alone(box: Box) -> None:
    """Nothing of the hour reaches Silver or quarantine, Bronze has it all, other hours go on."""
    bronze(box, "contacts", 0, rows(range(4)))
    bronze(box, "contacts", 1, [*rows(range(4, 7), amount="-1"), *rows(range(8, 10))])
    bronze(box, "contacts", 2, rows(range(10, 12)))
    box.silver("contacts", 0)
    version = box.lake.version("silver", "contacts")
    with pytest.raises(HeldBack, match=r"2026-01-05-13:00.*60\.0% of 5 rows.*negative") as held:
        box.silver("contacts", 1)
    assert {v.check: v.passed for v in held.value.verdicts}["quarantined_share"] is False
    assert box.lake.version("silver", "contacts") == version
    assert box.quarantined("contacts") == []
    assert len([r for r in box.stored_bronze("contacts") if r["_hour"] == hour_at(1)]) == 5
    assert box.loads("contacts")[-1].status is Status.FAILURE
    box.silver("contacts", 2)
    assert sorted(row["id"] for row in box.live("contacts")) == [0, 1, 2, 3, 10, 11]
    bronze(box, "contacts", 1, rows(range(4, 10)))
    assert box.silver("contacts", 1).counts.quarantined == 3, "mended at the source: a third"
    assert sorted(row["id"] for row in box.live("contacts")) == list(range(12))


@pytest.mark.parametrize("entity", ["shelf", "regions"])
@pytest.mark.parametrize(("left", "found"), [(0, "0 keys read"), (7, "30% fewer, limit 20%")])
def test_an_empty_or_shrunk_whole_read_is_held_back(
    box: Box, entity: str, left: int, found: str
) -> None:
    """The previous version stays, and no key is swept; a fall of a fifth passes."""
    bronze(box, entity, 0, rows(range(10)))
    box.silver(entity, 0)
    before, version = box.live(entity), box.lake.version("silver", entity)
    bronze(box, entity, 1, rows(range(left)))
    with pytest.raises(HeldBack, match=found):
        box.silver(entity, 1)
    assert (box.live(entity), box.lake.version("silver", entity)) == (before, version)
    bronze(box, entity, 2, rows(range(8)))
    assert box.silver(entity, 2).counts.swept == 2
    with pytest.raises(HeldBack, match=found):
        box.silver(entity, 1)
    live = [row for row in box.live(entity) if row.get("is_current", True)]
    assert sorted(row["id"] for row in live) == list(range(8))


@pytest.mark.parametrize("entity", ["shelf", "regions"])
def test_a_first_empty_read_passes(box: Box, entity: str) -> None:
    """Nothing to fall from: an empty table is loaded as such."""
    bronze(box, entity, 0, [])
    assert box.silver(entity, 0).counts.read == 0
    bronze(box, entity, 1, rows(range(3)))
    assert box.silver(entity, 1).counts.applied == 3
