"""Each way in which Silver merges gives the same rows and the same ledger on every engine.

One small history a mode, with late, repeated, restated, vanishing and refused rows, processed with
an hour late and another twice. Rows are compared with the oracle in plain Python (`silver.oracle`),
counts with the ones written here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from retail_platform.control.loads import LoadRow
from retail_platform.metadata.loader import Catalog
from retail_platform_tests.platform.box import Box, Row, in_order
from retail_platform_tests.platform.sources import ArrowReader
from retail_platform_tests.silver import oracle
from retail_platform_tests.silver.modes import PLAIN, RECEIPTS, SPEND, modes_catalog

ORDER = (0, 2, 1, 2)
"""Hour 1 comes late, and hour 2 is replayed."""

Counts = tuple[int, int, int, int, int, int, int]
"""Rows read, quarantined, duplicate, stale, unchanged, applied, swept."""

OLD, H12, H13, H14 = (
    "2026-01-02 08:00:00",
    "2026-01-05 12:10:00",
    "2026-01-05 13:00:00",
    "2026-01-05 14:30:00.000001",
)


def plain(number: int | None, amount: str, moment: str) -> Row:
    key = None if number is None else str(number)
    return {"id": key, "amount": amount, "modified_at": moment}


def spend(day: str, **amounts: str) -> list[Row]:
    return [{"day": day, "campaign": name, "amount": text} for name, text in amounts.items()]


def receipt(file: str, *amounts: str) -> list[Row]:
    return [
        {"_file": file, "_line": line, "amount": amount}
        for line, amount in enumerate(amounts, start=2)
    ]


PARTIAL = (
    [plain(1, "1", OLD), plain(2, "2", H12), plain(1, "3", H12), plain(3, "-1", H12)],
    [plain(1, "5", H13), plain(1, "5", H13), plain(4, "many", H13), plain(None, "1", H13)],
    [plain(2, "7", H14), plain(1, "2", H12), plain(5, "1", H14), plain(5, "2", H14)],
)
WHOLE = (
    [plain(1, "1", OLD), plain(2, "2", OLD), plain(3, "3", H12), plain(9, "0", OLD)],
    [plain(1, "1", OLD), plain(3, "4", H13), plain(9, "0", OLD)],
    [plain(1, "6", H14), plain(2, "2", OLD), plain(9, "0", OLD), plain(4, "-4", H14)],
)
RESTATED = (
    [*spend("d1", a="1", b="2"), *spend("d2", a="3")],
    [*spend("d1", a="1", b="-2")],
    [*spend("d1", b="2"), *spend("d2", a="4", c="5")],
)
FILES = (
    receipt("f0.csv", "1", "1", "2"),
    [*receipt("f1.csv", "1", "-1"), *receipt("f0.csv", "1", "3")],
    receipt("f2.csv", "5"),
)


@dataclass(frozen=True, kw_only=True)
class Mode:
    """One table, what its source says in each hour, its oracle and its ledger."""

    entity: str
    reads: Sequence[list[Row]]
    columns: Mapping[str, str]
    oracle: Callable[[list[Row]], list[Row]]
    counts: Sequence[Counts]


MODES = [
    Mode(
        entity="contacts",
        reads=PARTIAL,
        columns=PLAIN,
        oracle=lambda bronze: oracle.by_sequence(bronze, list(PLAIN), ["id"]),
        counts=[
            (4, 1, 1, 0, 0, 2, 0),
            (4, 0, 1, 0, 0, 3, 0),
            (4, 2, 1, 0, 0, 1, 0),
            (4, 0, 1, 1, 2, 0, 0),
        ],
    ),
    Mode(
        entity="prices",
        reads=PARTIAL,
        columns=PLAIN,
        oracle=lambda bronze: oracle.versions(bronze, list(PLAIN), ["id"]),
        counts=[
            (4, 1, 0, 0, 0, 3, 0),
            (4, 0, 1, 0, 0, 3, 0),
            (4, 2, 1, 0, 0, 1, 0),
            (4, 0, 1, 0, 3, 0, 0),
        ],
    ),
    Mode(
        entity="shelf",
        reads=WHOLE,
        columns=PLAIN,
        oracle=lambda bronze: oracle.snapshot_versions(bronze, list(PLAIN), ["id"]),
        counts=[
            (4, 0, 0, 0, 0, 4, 0),
            (4, 1, 0, 0, 2, 1, 1),
            (3, 0, 0, 1, 1, 1, 0),
            (4, 1, 0, 0, 3, 0, 0),
        ],
    ),
    Mode(
        entity="regions",
        reads=WHOLE,
        columns=PLAIN,
        oracle=lambda bronze: oracle.whole_slices(
            bronze, list(PLAIN), ["id"], [], read_by_read=False
        ),
        counts=[
            (4, 0, 0, 0, 0, 4, 0),
            (4, 1, 0, 0, 2, 1, 1),
            (3, 0, 0, 3, 0, 0, 0),
            (4, 1, 0, 0, 3, 0, 0),
        ],
    ),
    Mode(
        entity="spend",
        reads=RESTATED,
        columns=SPEND,
        oracle=lambda bronze: oracle.whole_slices(
            bronze, list(SPEND), ["day", "campaign"], ["day"], read_by_read=True
        ),
        counts=[
            (3, 0, 0, 0, 0, 3, 0),
            (3, 0, 0, 0, 1, 2, 1),
            (2, 1, 0, 1, 0, 0, 0),
            (3, 0, 0, 0, 3, 0, 0),
        ],
    ),
    Mode(
        entity="receipts",
        reads=FILES,
        columns={"_file": "string", "_line": "bigint", "amount": "int"},
        oracle=lambda bronze: oracle.whole_slices(
            bronze, list(RECEIPTS), ["file_path", "line_number"], ["file_path"], read_by_read=True
        ),
        counts=[
            (3, 0, 0, 0, 0, 3, 0),
            (1, 0, 0, 0, 0, 1, 0),
            (4, 1, 0, 0, 1, 2, 1),
            (1, 0, 0, 0, 1, 0, 0),
        ],
    ),
]


def counted(load: LoadRow) -> Counts:
    return (
        load.read,
        load.quarantined,
        load.duplicates,
        load.stale,
        load.unchanged,
        load.applied,
        load.swept,
    )


@pytest.mark.parametrize("mode", MODES, ids=[mode.entity for mode in MODES])
def test_a_history_gives_the_oracles_rows_and_these_counts(
    mode: Mode, open_one: Callable[[Catalog], Box], tmp_path: Path
) -> None:
    """Rows are those of plain Python; every load counts what is written here."""
    catalog = modes_catalog(tmp_path / "catalog")
    box = open_one(Catalog(tables=(catalog.by_entity[mode.entity],)))
    for hour, rows in enumerate(mode.reads):
        box.bronze_from(mode.entity, hour, ArrowReader.at(hour, rows, list(mode.columns)))
    for hour in ORDER:
        box.silver(mode.entity, hour)
    assert box.live(mode.entity) == in_order(mode.oracle(box.stored_bronze(mode.entity)))
    loads = box.loads(mode.entity)
    assert [counted(load) for load in loads] == mode.counts
    refused = {load.hour: load.quarantined for load in loads}
    assert len(box.quarantined(mode.entity)) == sum(refused.values())
