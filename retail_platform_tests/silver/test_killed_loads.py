"""A process killed in the middle of a load, and a re-run: the same tables as without the kill."""

import multiprocessing
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from retail_platform.control.models import Status
from retail_platform.metadata.loader import load_catalog
from retail_platform_tests.platform.box import Box, Row, in_order, open_box
from retail_platform_tests.platform.sources import ArrowReader
from retail_platform_tests.silver.killed_child import Point, load_and_die
from retail_platform_tests.silver.modes import modes_catalog

EARLY, LATER = "2026-01-05 12:10:00", "2026-01-05 13:10:00"


@dataclass(frozen=True)
class Scene:
    """Two reads of one table; the process dies while it loads the second one.

    Attributes:
        names: The source's columns.
        first: Rows of hour 0.
        second: Rows of ``hour``.
        hour: Hour of the second read.
    """

    names: list[str]
    first: list[Row]
    second: list[Row]
    hour: int = 1


def _plain(*rows: tuple[str, str, str]) -> list[Row]:
    return [{"id": i, "amount": amount, "modified_at": at} for i, amount, at in rows]


def _spend(*rows: tuple[str, str]) -> list[Row]:
    return [{"day": "d1", "campaign": campaign, "amount": amount} for campaign, amount in rows]


def _lines(*amounts: str) -> list[Row]:
    return [{"_file": "f.csv", "_line": n, "amount": a} for n, a in enumerate(amounts, start=2)]


SCENES = {
    "spend": Scene(
        ["day", "campaign", "amount"],
        _spend(("a", "1"), ("b", "2"), ("gone", "3")),
        _spend(("a", "4"), ("b", "2"), ("new", "5"), ("bad", "-1")),
    ),
    "shelf": Scene(
        ["id", "amount", "modified_at"],
        _plain(("1", "1", EARLY), ("2", "2", EARLY), ("3", "3", EARLY)),
        _plain(("1", "5", LATER), ("3", "3", EARLY), ("4", "4", LATER), ("5", "-5", LATER)),
    ),
    "contacts": Scene(
        ["id", "amount", "modified_at"],
        _plain(("1", "1", EARLY), ("2", "2", EARLY)),
        _plain(("1", "5", LATER), ("3", "3", LATER), ("4", "-4", LATER)),
    ),
    "receipts": Scene(
        ["_file", "_line", "amount"], _lines("1", "2", "3"), _lines("1", "9"), hour=0
    ),
}
CASES: list[tuple[str, Point]] = [
    ("spend", "bronze appended"),
    ("spend", "quarantine merged"),
    ("spend", "silver merged"),
    ("spend", "silver swept"),
    ("spend", "before silver succeeds"),
    ("shelf", "silver classified"),
    ("shelf", "silver merged"),
    ("shelf", "before silver succeeds"),
    ("contacts", "bronze appended"),
    ("contacts", "silver merged"),
    ("receipts", "bronze appended"),
    ("receipts", "bronze committed"),
    ("receipts", "silver merged"),
]


@pytest.fixture(scope="module")
def catalog_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalog")
    modes_catalog(folder)
    return folder


def _load(box: Box, entity: str, number: int, rows: list[Row]) -> None:
    box.bronze_from(entity, number, ArrowReader.at(number, rows, SCENES[entity].names))
    box.silver(entity, number)


def _state(box: Box, entity: str) -> dict[str, list[Row]]:
    """What must be equal: rows of all three tables without the times at which they were read."""
    times = ("_extracted_at", "first_seen", "last_seen")
    tables = {
        "bronze": box.stored_bronze(entity),
        "silver": box.live(entity),
        "quarantine": box.quarantined(entity),
    }
    return {
        layer: in_order({k: v for k, v in row.items() if k not in times} for row in rows)
        for layer, rows in tables.items()
    }


@pytest.mark.parametrize(("entity", "point"), CASES)
def test_a_rerun_after_a_kill_gives_the_undisturbed_tables(
    engine_address: str, tmp_path: Path, catalog_folder: Path, entity: str, point: Point
) -> None:
    """The child dies by SIGKILL at the point; the re-run repairs without adding anything twice."""
    scene = SCENES[entity]
    catalog = load_catalog(catalog_folder)
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    with open_box(killed, catalog, engine_address) as box:
        _load(box, entity, 0, scene.first)
    shutil.copytree(killed, undisturbed)
    with open_box(undisturbed, catalog, engine_address) as box:
        _load(box, entity, scene.hour, scene.second)
        wanted = _state(box, entity)
    children = multiprocessing.get_context("forkserver")
    children.set_forkserver_preload([load_and_die.__module__])
    arguments = (
        str(killed),
        str(catalog_folder),
        entity,
        scene.hour,
        scene.second,
        scene.names,
        point,
    )
    child = children.Process(target=load_and_die, args=arguments)
    child.start()
    child.join(timeout=60)
    assert child.exitcode == -signal.SIGKILL
    with open_box(killed, catalog, engine_address) as box:
        unfinished = box.ledger.loads(status=Status.RUNNING)
        assert len(unfinished) == 1
        _load(box, entity, scene.hour, scene.second)
        assert _state(box, entity) == wanted
        assert box.ledger.loads(status=Status.RUNNING) == []
        (dead,) = box.ledger.loads(status=Status.FAILURE)
        assert dead.id == unfinished[0].id
        assert dead.error == "abandoned: the process ended"
