"""An older version comes back by command; what it lacks is named and loaded again."""

from pathlib import Path

import pytest
from deltalake import DeltaTable

from retail_platform.control.requests import Request, RequestKind
from retail_platform.failures import PermanentFailure
from retail_platform.operations.restore import Restored, restore, version_before
from retail_platform_tests.platform.box import HOUR, Box, hour_at
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.platform.sources import ArrowReader
from retail_platform_tests.silver.modes import PLAIN, modes_catalog


@pytest.fixture(params=["contacts", "prices"])
def loaded(new_box: Opener, tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Box, str]:
    """Three hours of one row each; the last two are neighbours."""
    box = new_box(modes_catalog(tmp_path / "catalog"))
    entity = request.param
    for number in (0, 2, 3):
        moment = f"2026-01-05 {12 + number}:10:00"
        rows = [{"id": str(number), "amount": "1", "modified_at": moment}]
        box.bronze_from(entity, number, ArrowReader.at(number, rows, list(PLAIN)))
        box.silver(entity, number)
    return box, entity


def back(box: Box, entity: str, version: int) -> Restored:
    return restore(
        box.lake,
        box.ledger,
        box.catalog.by_entity[entity],
        version=version,
        reason="wrong prices",
        requester="Ada",
        engine="embedded",
    )


def test_what_the_version_lacks_is_named_and_processed_again(loaded: tuple[Box, str]) -> None:
    """The ledger has who and why; a restore is no load of its hour."""
    box, entity = loaded
    whole = box.live(entity)
    first, second, _ = box.loads(entity)
    version = version_before(box.ledger, box.catalog.by_entity[entity], second.id)
    assert version == first.target_version_after
    restored = back(box, entity, version)
    assert [row["id"] for row in box.live(entity)] == [0]
    assert restored.undone == (hour_at(2), hour_at(3))
    (command,) = restored.commands
    assert command == (
        f"retail-platform reprocess {entity} --from 2026-01-05-14:00 --to 2026-01-05-16:00 "
        f"--stored --downstream --reason 'restored version {version}'"
    )
    (request,) = box.ledger.requests.all()
    assert isinstance(request, Request)
    assert (request.kind, request.requester) == (RequestKind.RESTORE, "Ada")
    row = box.loads(entity)[-1]
    assert row.layer == "restore"
    assert "wrong prices; restored version" in (row.reason or "")
    assert (row.target_rows_before, row.target_rows_after) == (3, 1)
    assert box.ledger.succeeded_hours(f"silver/{entity}") == [hour_at(0), *restored.undone]
    for hour in restored.undone:
        box.silver_loader(entity).load(hour)
    assert box.live(entity) == whole


def test_versions_that_are_gone_are_refused_with_the_cure(loaded: tuple[Box, str]) -> None:
    """Vacuumed files cannot come back; nothing has changed."""
    box, entity = loaded
    location = box.lake.location("silver", entity)
    before = box.lake.version("silver", entity)
    with pytest.raises(PermanentFailure, match=f"has no version {before + 5}.*up to {before}"):
        back(box, entity, before + 5)
    DeltaTable(location).optimize.compact()
    DeltaTable(location).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    compacted = box.lake.version("silver", entity)
    with pytest.raises(PermanentFailure, match=r"files of version 1 were removed.*reprocess"):
        back(box, entity, 1)
    assert box.lake.version("silver", entity) == compacted
    assert box.loads(entity)[-1].error


def test_a_running_load_is_not_disturbed(loaded: tuple[Box, str]) -> None:
    """Nor is a version asked for that no load of this table had."""
    box, entity = loaded
    with pytest.raises(PermanentFailure, match="load 99 is no successful load"):
        version_before(box.ledger, box.catalog.by_entity[entity], 99)
    box.ledger.start(
        asset=f"silver/{entity}",
        layer="silver",
        hour=hour_at(4) + HOUR,
        run_id="run",
        engine="embedded",
        window=None,
    )
    with pytest.raises(PermanentFailure, match="is running; let it end"):
        back(box, entity, 1)
