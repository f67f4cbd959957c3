"""Whole lives of a small table, and what plain Python says of them in all four places.

A history is a list of steps: the source is read into Bronze, hours are processed into Silver,
early, late, twice or not to their end, the source grows a column, a rule is relaxed and the
quarantine replayed. Belongs here: running one, and comparing Bronze, Silver, quarantine and ledger
with plain Python. Not here: how histories are drawn (`test_histories`) and what each mode means
(`oracle`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from retail_platform.control.models import Status
from retail_platform.metadata.loader import Catalog
from retail_platform.quality.quarantined import RowStatus
from retail_platform_tests.platform.box import Box, Row, hour_at, in_order, open_box
from retail_platform_tests.platform.sources import ArrowReader
from retail_platform_tests.silver import oracle
from retail_platform_tests.silver.interrupted import interrupted
from retail_platform_tests.silver.modes import MARKED, PLAIN, RECEIPTS, SEEN, SPEND

ADDED = "note"
"""The column that the source grows; the contract does not know it."""


@dataclass(frozen=True)
class Cut:
    """Where a load ends untimely: at one of its writes, just before it or just after it."""

    write: int
    before: bool


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        hour: Number of the hour.
        rows: What the source holds, for a step that reads it; None: Silver processes the hour.
        drifted: Whether the source has grown a column by then.
        cut: Where the load ends untimely; it is repeated at once, if it is a read, else sometime.
    """

    hour: int
    rows: tuple[tuple[tuple[str, object], ...], ...] | None = None
    drifted: bool = False
    cut: Cut | None = None


@dataclass(frozen=True)
class Life:
    """A history in two parts: under strict rules, and, if ``relaxed``, once a rule is relaxed.

    Attributes:
        steps: Steps under the strict rules; each read hour is processed after its last read.
        relaxed: Whether a rule is relaxed then, and the quarantine replayed.
        again: Hours that are processed once more at the end.
    """

    steps: tuple[Step, ...]
    relaxed: bool
    again: tuple[int, ...]


@dataclass(frozen=True)
class Mode:
    """One way in which rows meet stored ones.

    Attributes:
        columns: Columns of its contract.
        expected: What Silver must hold, from Bronze.
    """

    columns: dict[str, str]
    expected: oracle.Oracle

    @property
    def names(self) -> list[str]:
        """The source's columns."""
        return ["_file", "_line", "amount"] if self.columns is RECEIPTS else list(self.columns)


def _sequenced(columns: dict[str, str], find: Callable[..., list[Row]]) -> Mode:
    return Mode(columns, lambda bronze: find(bronze, list(columns), ["id"]))


def _undeleted(find: Callable[..., list[Row]]) -> Mode:
    return Mode(MARKED, lambda bronze: oracle.without_deleted(find(bronze, list(MARKED), ["id"])))


def _slices(columns: dict[str, str], key: list[str], by: list[str]) -> Mode:
    return Mode(
        columns,
        lambda bronze: oracle.whole_slices(bronze, list(columns), key, by, read_by_read=bool(by)),
    )


MODES = {
    "contacts": _sequenced(PLAIN, oracle.by_sequence),
    "prices": _sequenced(PLAIN, oracle.versions),
    "members": _undeleted(oracle.by_sequence),
    "fees": _undeleted(oracle.versions),
    "guests": Mode(SEEN, lambda bronze: oracle.dated_versions(bronze, list(SEEN))),
    "shelf": _sequenced(PLAIN, oracle.snapshot_versions),
    "bins": _undeleted(oracle.snapshot_versions),
    "regions": _slices(PLAIN, ["id"], []),
    "rates": _sequenced(PLAIN, oracle.replaced),
    "archive": _sequenced(PLAIN, oracle.by_sequence),
    "spend": _slices(SPEND, ["day", "campaign"], ["day"]),
    "receipts": _slices(RECEIPTS, ["file_path", "line_number"], ["file_path"]),
}
"""Each table of `modes.modes_catalog`."""


def live_through(
    home: Path, entity: str, life: Life, *, strict: Catalog, relaxed: Catalog, address: str
) -> None:
    """Runs a history and compares all that it leaves behind with plain Python.

    Args:
        home: Folder of the box.
        entity: Table that lives it.
        life: The history.
        strict: Catalog with the rules of the beginning.
        relaxed: Catalog with those of the end.
        address: ``sc://host:port`` of the engine.
    """
    mode = MODES[entity]
    cuts = 0
    with open_box(home, Catalog(tables=(strict.by_entity[entity],)), address) as box:
        for step in life.steps:
            cuts += _take(box, entity, mode, step)
        if not life.relaxed:
            for hour in life.again:
                box.silver(entity, hour)
        _agrees(box, entity, mode, life, cuts)
    if not life.relaxed:
        return
    with open_box(home, Catalog(tables=(relaxed.by_entity[entity],)), address) as box:
        box.replay(entity)
        for hour in life.again:
            box.silver(entity, hour)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(oracle, "SMALLEST", -1)
            _agrees(box, entity, mode, life, cuts)


def _take(box: Box, entity: str, mode: Mode, step: Step) -> int:
    """Takes a step; returns how many loads of it have ended before their success was noted."""
    if step.rows is None:
        return _perhaps_cut(box, step.cut, lambda: box.silver(entity, step.hour))
    names = [*mode.names, ADDED] if step.drifted else mode.names
    rows = [{**dict(row), ADDED: "new"} if step.drifted else dict(row) for row in step.rows]

    def read() -> object:
        return box.bronze_from(entity, step.hour, ArrowReader.at(step.hour, rows, names))

    cut = _perhaps_cut(box, step.cut, read)
    if cut:
        read()
    return cut


def _perhaps_cut(box: Box, cut: Cut | None, load: Callable[[], object]) -> int:
    if cut is None:
        load()
        return 0
    interrupted(box, load, write=cut.write, before=cut.before)
    newest = max(box.ledger.loads(), key=lambda row: row.id)
    return int(newest.status is Status.RUNNING)


def _agrees(box: Box, entity: str, mode: Mode, life: Life, cuts: int) -> None:
    bronze = box.stored_bronze(entity)
    assert _contents(bronze) == _read(box, entity, life), "Bronze"
    assert box.live(entity) == in_order(mode.expected(bronze)), "Silver"
    refused = {row["_row_hash"] for row in bronze if oracle.read(row, mode.columns) is None}
    opened = box.refused(entity, status=RowStatus.OPEN)
    assert {row.row_hash for row in opened} == refused, "quarantine"
    _ledger_agrees(box, entity, bronze, cuts)


def _ledger_agrees(box: Box, entity: str, bronze: list[Row], cuts: int) -> None:
    loads = box.ledger.loads()
    failures = [load for load in loads if load.status is Status.FAILURE]
    assert len(failures) == cuts, "each load that ended untimely is closed by the next one"
    assert all(load.error == "abandoned: the process ended" for load in failures)
    assert len([load for load in loads if load.status is Status.SUCCESS]) == len(loads) - cuts
    for load in loads:
        parts = (load.rejected, load.quarantined, load.duplicates, load.stale, load.unchanged)
        assert load.read == sum(parts) + load.applied, load
    last = {load.hour: load for load in box.loads(entity) if not load.reprocess}
    for hour, load in last.items():
        assert load.read == sum(row["_hour"] == hour for row in bronze), "the last load reads all"


def _contents(bronze: Iterable[Row]) -> list[str]:
    return sorted(_content(row["_hour"], row) for row in bronze)


def _content(hour: object, row: Row) -> str:
    """A row without what loading adds to it, in its hour; an absent column is an empty one."""
    kept = {
        name: str(value)
        for name, value in row.items()
        if value is not None and (not name.startswith("_") or name in ("_file", "_line"))
    }
    return f"{hour} {sorted(kept.items())}"


def _read(box: Box, entity: str, life: Life) -> list[str]:
    """What Bronze holds: of each hour every row that a read had and it did not hold before.

    Of a table that is read in whole slices, each read that differs from the one before, whole.
    """
    whole = box.catalog.by_entity[entity].row.keeps_whole_reads
    hours: dict[int, list[str]] = {}
    last: dict[int, set[str]] = {}
    for step in life.steps:
        if step.rows is None:
            continue
        extra = {ADDED: "new"} if step.drifted else {}
        read = [_content(hour_at(step.hour), {**dict(row), **extra}) for row in step.rows]
        stored = hours.setdefault(step.hour, [])
        known = set() if whole and last.get(step.hour) != set(read) else set(stored)
        stored += [row for row in read if row not in known]
        last[step.hour] = set(read)
    return sorted(row for stored in hours.values() for row in stored)
