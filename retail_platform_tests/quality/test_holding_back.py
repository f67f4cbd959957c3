"""Batch rules judge before the commit: a bad hour is held alone, and nothing of it is lost."""

from pathlib import Path

import pytest

from retail_platform.control.models import Status
from retail_platform.failures import PermanentFailure
from retail_platform.metadata.loader import load_catalog
from retail_platform.operations.approvals import approve
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
    bronze(box, entity, 24, rows(range(left)))
    with pytest.raises(HeldBack, match=found):
        box.silver(entity, 24)
    assert (box.live(entity), box.lake.version("silver", entity)) == (before, version)
    bronze(box, entity, 25, rows(range(8)))
    assert box.silver(entity, 25).counts.swept == 2
    with pytest.raises(HeldBack, match=found):
        box.silver(entity, 24)
    live = [row for row in box.live(entity) if row.get("is_current", True)]
    assert sorted(row["id"] for row in live) == list(range(8))


@pytest.mark.parametrize("entity", ["shelf", "regions"])
def test_a_young_table_may_shrink_but_not_vanish(box: Box, entity: str) -> None:
    """No verdict on a fall before 24 hours of history; zero rows are held from the start."""
    bronze(box, entity, 0, rows(range(10)))
    box.silver(entity, 0)
    bronze(box, entity, 22, [])
    with pytest.raises(HeldBack, match="0 keys read, 10 stored"):
        box.silver(entity, 22)
    bronze(box, entity, 23, rows(range(4)))
    assert box.silver(entity, 23).counts.swept == 6


@pytest.mark.parametrize("entity", ["shelf", "regions"])
@pytest.mark.parametrize("left", [0, 3])
def test_an_approved_hour_is_loaded_once(box: Box, entity: str, left: int) -> None:
    """The message's own command lets the hour through; the approval is spent and recorded."""
    bronze(box, entity, 0, rows(range(10)))
    box.silver(entity, 0)
    bronze(box, entity, 30, rows(range(left)))
    with pytest.raises(HeldBack) as held:
        box.silver(entity, 30)
    command = f"retail-platform approve silver/{entity} --hour 2026-01-06-18:00 --rule row_count"
    assert command in str(held.value)
    given = approve(
        box.catalog,
        box.ledger.approvals,
        asset=f"silver/{entity}",
        hour=hour_at(30),
        rule="row_count",
        reason="assortment was cut",
        person="Ada",
    )
    load = box.silver(entity, 30)
    assert load.counts.swept == 10 - left
    (verdict,) = [v for v in load.verdicts if v.check == "row_count"]
    assert (verdict.passed, verdict.blocking) == (False, False)
    assert "approved by Ada: assortment was cut" in verdict.text
    live = [row for row in box.live(entity) if row.get("is_current", True)]
    assert sorted(row["id"] for row in live) == list(range(left))
    (used,) = box.ledger.approvals.of(f"silver/{entity}")
    assert (used.id, used.used_by_load) == (given.id, box.loads(entity)[-1].id)
    assert box.ledger.approvals.approved(used.asset, used.hour, used.rule) is None
    bronze(box, entity, 31, rows(range(left)))
    assert box.silver(entity, 31).counts.swept == 0


def test_an_approval_is_spent_only_by_a_load_that_succeeds(box: Box) -> None:
    """A load that took it and was killed leaves it to the next one."""
    approvals, asset = box.ledger.approvals, "silver/shelf"
    given = approvals.approve(
        asset=asset, hour=hour_at(0), rule="row_count", reason="why", person="Ada"
    )
    load_id = box.ledger.start(
        asset=asset, layer="silver", hour=hour_at(0), run_id="r", engine="e", window=None
    )
    approvals.use(given, load_id)
    box.ledger.fail(load_id, "killed")
    again = approvals.approved(asset, hour_at(0), "row_count")
    assert again is not None
    assert again.id == given.id
    assert approvals.approved(asset, hour_at(1), "row_count") is None


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"asset": "silver/shelves"}, "no such Silver table. Tables: silver/contacts, silver/reg"),
        (
            {"rule": "row_rules"},
            "no rule 'row_rules'.*Rules: quarantined_share, columns, row_count",
        ),
        ({"reason": " "}, "needs a reason and a person"),
        ({"person": ""}, "needs a reason and a person"),
    ],
)
def test_a_wrong_approval_says_what_is_right(box: Box, change: dict[str, str], found: str) -> None:
    """Nothing is recorded for a table, rule or person that is not there."""
    asked = {"asset": "shelf", "rule": "row_count", "reason": "why", "person": "Ada", **change}
    with pytest.raises(PermanentFailure, match=found):
        approve(box.catalog, box.ledger.approvals, hour=hour_at(0), **asked)
    assert box.ledger.approvals.of() == []


@pytest.mark.parametrize("entity", ["shelf", "regions"])
def test_a_first_empty_read_passes(box: Box, entity: str) -> None:
    """Nothing to fall from: an empty table is loaded as such."""
    bronze(box, entity, 0, [])
    assert box.silver(entity, 0).counts.read == 0
    bronze(box, entity, 1, rows(range(3)))
    assert box.silver(entity, 1).counts.applied == 3
