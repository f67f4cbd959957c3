"""Another writer commits while a load runs: what the ledger claims to see, it sees, in every mode.

The other writer is a second lake over the same files, which commits at a chosen step of the load.
A contradicted load fails with both sides, and loading the hour again ends as if nothing had been.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from retail_platform.control.models import Status
from retail_platform.failures import PermanentFailure
from retail_platform_tests.platform.box import Box, Row, hour_at
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.platform.sources import ArrowReader
from retail_platform_tests.silver.modes import PLAIN, modes_catalog

NAMES = list(PLAIN)


@pytest.fixture
def box(new_box: Opener, tmp_path: Path) -> Box:
    return new_box(modes_catalog(tmp_path / "catalog"))


def row(key: int, amount: int, minute: int) -> Row:
    return {
        "id": str(key),
        "amount": str(amount),
        "modified_at": f"2026-01-05 12:{minute:02}:00",
    }


def bronze(box: Box, entity: str, number: int, *rows: Row) -> None:
    box.bronze_from(entity, number, ArrowReader.at(number, list(rows), NAMES))


def once_before(owner: object, method: str, meddle: Callable[..., None]) -> None:
    """Lets the other writer commit just before the next fitting call of a method."""
    original = getattr(owner, method)

    def wrapped(*args: Any, **named: Any) -> Any:
        delattr(owner, method)
        meddle()
        return original(*args, **named)

    setattr(owner, method, wrapped)


def stored(box: Box, entity: str) -> DeltaTable:
    return DeltaTable(box.lake.location("silver", entity))


def changed(box: Box, entity: str, key: int, **values: object) -> Callable[[], None]:
    """The other writer appends a copy of a stored row with other values."""

    def append() -> None:
        table = stored(box, entity)
        rows = table.to_pyarrow_table()
        (copy,) = [found for found in rows.to_pylist() if found["id"] == key]
        write_deltalake(table, pa.Table.from_pylist([copy | values], rows.schema), mode="append")

    return append


def contradicted(box: Box, entity: str, number: int, meddle: Callable[[], None]) -> str:
    """Loads an hour whose merge another writer overtakes; returns the failure's text."""
    once_before(box.lake, "merge", meddle)
    with pytest.raises(PermanentFailure, match="the ledger does not balance: planned") as caught:
        box.silver(entity, number)
    (attempt,) = box.ledger.loads(asset=f"silver/{entity}", hour=hour_at(number))
    assert attempt.status is Status.FAILURE
    assert "Materialise the hour again" in (attempt.error or "")
    return str(caught.value)


@pytest.mark.parametrize("entity", ["contacts", "archive", "rates"])
def test_rows_of_another_writer_contradict_upsert_append_and_replace(box: Box, entity: str) -> None:
    """A second row of one key: two rows changed where one was planned."""
    bronze(box, entity, 0, row(1, 1, 0), row(2, 1, 0))
    box.silver(entity, 0)
    bronze(box, entity, 1, row(1, 5, 10), row(2, 1, 0))
    text = contradicted(box, entity, 1, changed(box, entity, 1, amount=2))
    assert "planned 1 rows applied, but commit" in text
    assert "updated 2" in text
    stored(box, entity).delete("id = 1")
    box.silver(entity, 1)
    assert {r["id"]: r["amount"] for r in box.live(entity)} == {1: 5, 2: 1}


def test_a_later_row_of_another_writer_is_not_overwritten(box: Box) -> None:
    """The sequence guards the merge itself: the later row stays, and the plan is contradicted."""
    bronze(box, "contacts", 0, row(1, 1, 0))
    box.silver("contacts", 0)
    bronze(box, "contacts", 1, row(1, 5, 10))

    def later() -> None:
        late = {"amount": "9", "_watermark": "timestamp '2026-01-05 12:30:00Z'"}
        stored(box, "contacts").update(updates=late, predicate="id = 1")

    assert "planned 1 rows applied" in contradicted(box, "contacts", 1, later)
    assert [r["amount"] for r in box.live("contacts")] == [9]
    loaded = box.silver("contacts", 1)
    assert (loaded.counts.stale, loaded.counts.applied) == (1, 0)


@pytest.mark.parametrize("entity", ["prices", "shelf"])
def test_versions_of_another_writer_contradict_scd2(box: Box, entity: str) -> None:
    """The version that is to be closed is gone: one row less is changed than planned."""
    bronze(box, entity, 0, row(1, 1, 0))
    box.silver(entity, 0)
    whole = box.lake.version("silver", entity)
    bronze(box, entity, 1, row(1, 5, 10))

    def emptied() -> None:
        stored(box, entity).delete("id = 1")

    text = contradicted(box, entity, 1, emptied)
    assert "inserts=1, updates=1" in text
    assert "inserted 1, updated 0" in text
    box.lake.restore("silver", entity, whole)
    box.silver(entity, 1)
    assert [(r["amount"], r["is_current"]) for r in box.live(entity)] == [(1, False), (5, True)]


@pytest.mark.parametrize("entity", ["regions", "rates"])
def test_swept_rows_that_another_writer_took_contradict_the_plan(box: Box, entity: str) -> None:
    """A sweep knows how many rows it is going to mark."""
    bronze(box, entity, 0, row(1, 1, 0), row(2, 1, 0), row(3, 1, 0))
    box.silver(entity, 0)
    bronze(box, entity, 1, row(1, 1, 0))
    merge = box.lake.merge

    def sweeping(*args: Any, **named: Any) -> Any:
        if not named.get("insert"):
            stored(box, entity).delete("id = 2")
        return merge(*args, **named)

    box.lake.merge = sweeping
    with pytest.raises(PermanentFailure, match=r"planned 2 rows swept, but .* updated 1 "):
        box.silver(entity, 1)
    box.lake.merge = merge
    box.silver(entity, 1)
    assert [r["id"] for r in box.live(entity)] == [1]


def test_rows_that_come_into_bronze_meanwhile_unbalance_the_ledger(box: Box) -> None:
    """Read 1, but 2 classified: seen before the merge, so that nothing was committed."""
    bronze(box, "contacts", 0, row(1, 1, 0))
    before = box.lake.version("silver", "contacts")
    loader = box.silver_loader("contacts")

    def second() -> None:
        bronze(box, "contacts", 0, row(2, 1, 0))

    once_before(loader.hours, "standardised", second)
    with pytest.raises(PermanentFailure, match=r"read 1, but its parts add up to 2 \(.*applied 2"):
        loader.load(hour_at(0))
    assert box.lake.version("silver", "contacts") == before
    (attempt,) = box.loads("contacts")
    assert (attempt.status, attempt.read, attempt.applied) == (Status.FAILURE, 1, 2)
    assert "materialise the hour again" in (attempt.error or "")
    assert box.silver("contacts", 0).counts.applied == 2


def test_an_append_of_another_writer_contradicts_bronze(box: Box) -> None:
    """Rows that another writer appends at the same moment are not taken for the load's own."""
    bronze(box, "contacts", 0, row(1, 1, 0))
    append = box.lake._commit

    def overtaken(*args: Any) -> Any:
        table = DeltaTable(box.lake.location("bronze", "box__contacts"))
        rows = table.to_pyarrow_table()
        write_deltalake(table, pa.concat_tables([rows, rows]), mode="append")
        return append(*args)

    box.lake._commit = overtaken  # type: ignore[method-assign]
    match = r"bronze.box__contacts, hour 2026-01-05-13:00: .*planned 1 rows appended, but .* has 4"
    with pytest.raises(PermanentFailure, match=match):
        bronze(box, "contacts", 1, row(2, 1, 0))
