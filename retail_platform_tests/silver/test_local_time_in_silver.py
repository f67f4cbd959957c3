"""Naive local times of a source become UTC, over the hours that clocks double or leave out."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from retail_platform.metadata.loader import load_catalog
from retail_platform_tests.platform.catalogs import contract, sql_source, write_catalog
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.platform.sources import Database

TIMES = {
    "2025-07-01 12:00:00": (2025, 7, 1, 19, 0, 0, 0),
    "2025-12-01 12:00:00.123456": (2025, 12, 1, 20, 0, 0, 123456),
    "2025-12-01T12:00": (2025, 12, 1, 20, 0, 0, 0),
    "2025-12-01": (2025, 12, 1, 8, 0, 0, 0),
    # Left out, 9 March 2025 02:00 to 03:00: shifts forward by the hour.
    "2025-03-09 01:59:59": (2025, 3, 9, 9, 59, 59, 0),
    "2025-03-09 02:30:00": (2025, 3, 9, 10, 30, 0, 0),
    "2025-03-09 03:00:00": (2025, 3, 9, 10, 0, 0, 0),
    # Doubled, 2 November 2025 01:00 to 02:00: the first pass.
    "2025-11-02 00:59:59": (2025, 11, 2, 7, 59, 59, 0),
    "2025-11-02 01:30:00": (2025, 11, 2, 8, 30, 0, 0),
    "2025-11-02 02:00:00": (2025, 11, 2, 10, 0, 0, 0),
    # Values with a zone mean that zone, whatever the source's own is.
    "2025-12-01T12:00:00Z": (2025, 12, 1, 12, 0, 0, 0),
    "2025-12-01 12:00:00+05:30": (2025, 12, 1, 6, 30, 0, 0),
    "2025-11-02T01:30:00-08:00": (2025, 11, 2, 9, 30, 0, 0),
}


@pytest.fixture
def convert(new_box: Opener, tmp_path: Path) -> Callable[[list[str]], dict[str, datetime]]:
    """Sends texts through Bronze and Silver of a source in Los Angeles."""
    table = {
        "table": "moments",
        "load": "full",
        "key": ["text"],
        "silver": {"entity": "moments", "merge": "upsert"},
        "columns": {"also": "moment"},
    }
    tree = contract("moments", {"text": "string", "moment": "timestamp"}, ["text"])
    source = sql_source("box", [table], timezone="America/Los_Angeles")
    box = new_box(load_catalog(write_catalog(tmp_path / "catalog", [source], [tree])))
    database = Database(tmp_path / "box.db", "America/Los_Angeles")
    database.create("moments", "text TEXT, also TEXT")

    def _convert(texts: list[str]) -> dict[str, datetime]:
        database.insert("moments", *((text, text) for text in texts))
        database.set_clock(0)
        box.both("moments", 0, {"BOX_URL": database.url})
        return {row["text"]: row["moment"] for row in box.live("moments")}

    return _convert


def test_local_times_become_utc(
    convert: Callable[[list[str]], dict[str, datetime]],
) -> None:
    """Ordinary, skipped and doubled times, and times that carry their zone."""
    wanted = {text: datetime(*parts, tzinfo=UTC) for text, parts in TIMES.items()}
    assert convert(list(TIMES)) == wanted


def test_what_is_no_time_is_refused(
    convert: Callable[[list[str]], dict[str, datetime]],
) -> None:
    """A wrong date is neither guessed nor taken for NULL; the good rows go on."""
    good = ["2025-07-01 12:00:00", "2025-12-01"]
    bad = ["2025-02-30 00:00:00", "01.02.2025"]
    assert sorted(convert([*good, *bad])) == sorted(good)
