"""Local times that the clocks of London double or leave out: converted, and counted per load."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from retail_platform.metadata.loader import load_catalog
from retail_platform.silver.clock_changes import ClockChanges, shifts_back
from retail_platform_tests.platform.box import Box
from retail_platform_tests.platform.catalogs import contract, sql_source, write_catalog
from retail_platform_tests.platform.dagster_runs import location
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.platform.sources import ArrowReader, Database

NAMES = ["id", "ordered", "shipped"]
MARCH = [
    # 30 March 2025: 01:00 to 02:00 never happens.
    ("1", "2025-03-30 00:59:59.999999", None, (0, 59, 59)),
    ("2", "2025-03-30 01:00:00", "2025-03-30 01:59:59", (1, 0, 0)),
    ("3", "2025-03-30 01:30:00", "2025-03-30T01:30:00Z", (1, 30, 0)),
    ("4", "2025-03-30 02:00:00", None, (1, 0, 0)),
]
OCTOBER = [
    # 26 October 2025: 01:00 to 02:00 happens twice, the first time as 00:00 to 01:00 UTC.
    ("1", "2025-10-26 00:59:59", None, (23, 59, 59)),
    ("2", "2025-10-26 01:00:00", None, (0, 0, 0)),
    ("3", "2025-10-26 01:59:59.5", "2025-10-26 01:30", (0, 59, 59)),
    ("4", "2025-10-26 02:00:00", "2025-10-26T01:30:00+00:00", (2, 0, 0)),
]


def catalog_folder(folder: Path, zone: str = "Europe/London") -> Path:
    table = {
        "table": "orders",
        "load": "full",
        "key": ["id"],
        "silver": {"entity": "orders", "merge": "upsert"},
    }
    columns = {"id": "bigint", "ordered": "timestamp", "shipped": "timestamp"}
    source = sql_source("box", [table], timezone=zone)
    return write_catalog(folder, [source], [contract("orders", columns, ["id"])])


@pytest.fixture
def box(new_box: Opener, tmp_path: Path) -> Box:
    return new_box(load_catalog(catalog_folder(tmp_path / "catalog")))


@pytest.mark.parametrize(
    ("rows", "found"),
    [(MARCH, ClockChanges(skipped=3)), (OCTOBER, ClockChanges(doubled=3))],
    ids=["march", "october"],
)
def test_doubtful_hours_are_converted_and_counted(
    box: Box, rows: list[tuple[str, str, str | None, tuple[int, int, int]]], found: ClockChanges
) -> None:
    """Values that carry their zone are not doubtful; one value counts, not one row."""
    delivered = [dict(zip(NAMES, row[:3], strict=True)) for row in rows]
    box.bronze_from("orders", 0, ArrowReader.at(0, delivered, NAMES))
    load = box.silver("orders", 0)
    assert load.clock_changes == found
    moments = {row["id"]: row["ordered"] for row in box.live("orders")}
    assert {key: (m.hour, m.minute, m.second) for key, m in moments.items()} == {
        int(row[0]): row[3] for row in rows
    }


def test_typed_local_times_are_counted_as_well(box: Box) -> None:
    """A database's naive timestamps are local times like those in texts."""
    rows = [{"id": "1", "ordered": datetime(2025, 10, 26, 1, 30), "shipped": None}]  # noqa: DTZ001
    reader = ArrowReader.at(0, rows, NAMES)
    naive = pa.timestamp("us")
    reader.schema = pa.schema([("id", pa.string()), ("ordered", naive), ("shipped", naive)])
    box.bronze_from("orders", 0, reader)
    assert box.silver("orders", 0).clock_changes == ClockChanges(doubled=1)
    (row,) = box.live("orders")
    assert row["ordered"] == datetime(2025, 10, 26, 0, 30, tzinfo=UTC)


def test_the_counts_are_metadata_of_the_materialisation(
    engine_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks at the asset in the UI sees how many moments were a choice."""
    database = Database(tmp_path / "box.db", "Europe/London")
    database.create("orders", "id INTEGER, ordered TEXT, shipped TEXT")
    database.insert("orders", *(row[:3] for row in (*MARCH[1:2], *OCTOBER[2:])))
    database.set_clock(0)
    monkeypatch.setenv("BOX_URL", database.url)
    folder = catalog_folder(tmp_path / "catalog")
    with location(folder, tmp_path / "home", engine_address) as platform:
        assert platform.run(0).success
        event = platform.instance.get_latest_materialization_event(
            dg.AssetKey(["silver", "orders"])
        )
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    assert metadata["doubled_local_times"].value == 2
    assert metadata["skipped_local_times"].value == 2


@pytest.mark.parametrize(
    ("zone", "seconds"),
    [
        ("UTC", ()),
        ("Asia/Kolkata", ()),
        ("Europe/London", (3600,)),
        ("Australia/Lord_Howe", (1800, 3600)),
        ("Antarctica/Troll", (7200,)),
    ],
)
def test_shifts_of_zones(zone: str, seconds: tuple[int, ...]) -> None:
    """Not every zone moves its clocks by an hour, and some never do."""
    assert shifts_back(zone) == seconds
