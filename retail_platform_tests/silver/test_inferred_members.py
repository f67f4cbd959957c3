"""References to members that are not there yet: inferred, completed in place, never refused."""

from pathlib import Path

import pytest

from retail_platform.metadata.loader import Catalog, load_catalog
from retail_platform_tests.platform.box import Box, Row, hour_at
from retail_platform_tests.platform.catalogs import contract, sql_source, write_catalog
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.platform.sources import Database

EARLY = "2025-12-01 00:00:00"


def family(folder: Path, parent_merge: str, *, parent_load: str = "incremental") -> Catalog:
    parent = {
        "table": "customers",
        "load": parent_load,
        "key": ["customer_id"],
        "watermark": {"column": "modified_at"},
        "silver": {"entity": "customers", "merge": parent_merge},
    }
    child = {
        "table": "orders",
        "load": "incremental",
        "key": ["order_id"],
        "watermark": {"column": "modified_at"},
        "silver": {"entity": "orders", "merge": "upsert"},
        "references": [{"column": "customer_id", "entity": "customers"}],
        "depends_on": ["customers"],
    }
    contracts = [
        contract(
            "customers",
            {"customer_id": "bigint", "city": "string", "modified_at": "timestamp"},
            ["customer_id"],
            required=["city"],
        ),
        contract(
            "orders",
            {"order_id": "bigint", "customer_id": "bigint", "modified_at": "timestamp"},
            ["order_id"],
        ),
    ]
    return load_catalog(write_catalog(folder, [sql_source("box", [parent, child])], contracts))


@pytest.fixture
def source(tmp_path: Path) -> Database:
    database = Database(tmp_path / "box.db")
    database.create("customers", "customer_id TEXT, city TEXT, modified_at TEXT")
    database.create("orders", "order_id TEXT, customer_id TEXT, modified_at TEXT")
    database.insert("customers", ("1", "Oslo", EARLY))
    database.insert(
        "orders", ("1", "1", EARLY), ("2", "9", EARLY), ("3", "9", EARLY), ("4", None, EARLY)
    )
    database.set_clock(0)
    return database


def members(box: Box) -> list[tuple[int, str | None, bool]]:
    rows: list[Row] = [row for row in box.stored_silver("customers") if not row["_deleted"]]
    return sorted((row["customer_id"], row["city"], row["_inferred"]) for row in rows)


@pytest.mark.parametrize("parent_merge", ["upsert", "scd2"])
def test_an_unknown_member_is_inferred_once_and_completed_in_place(
    new_box: Opener, tmp_path: Path, source: Database, parent_merge: str
) -> None:
    """The order goes on, a warning says so, and the customer's own row takes the place over."""
    box = new_box(family(tmp_path / "catalog", parent_merge))
    environ = {"BOX_URL": source.url}
    box.both("customers", 0, environ)
    load = box.both("orders", 0, environ)
    assert (load.counts.applied, load.counts.quarantined, load.counts.inferred) == (4, 0, 1)
    (verdict,) = [verdict for verdict in load.verdicts if verdict.check == "references"]
    assert not verdict.passed
    assert not verdict.blocking
    assert members(box) == [(1, "Oslo", False), (9, None, True)]
    assert box.silver("orders", 0).counts.inferred == 0
    late = source.local(hour_at(1))
    source.insert("customers", ("9", "Rome", late))
    source.set_clock(1)
    assert box.both("customers", 1, environ).counts.applied == 1
    assert members(box) == [(1, "Oslo", False), (9, "Rome", False)]
    if parent_merge == "scd2":
        (version,) = [row for row in box.stored_silver("customers") if row["customer_id"] == 9]
        assert version["is_current"]
        assert version["valid_from"] == hour_at(1)
    clean = box.both("orders", 1, environ)
    assert [v.passed for v in clean.verdicts if v.check == "references"] == [True]
    box.silver("orders", 0)
    box.silver("customers", 0)
    assert members(box) == [(1, "Oslo", False), (9, "Rome", False)]


@pytest.mark.parametrize("parent_merge", ["upsert", "scd2"])
def test_child_before_parent_ends_like_parent_before_child(
    new_box: Opener, tmp_path: Path, source: Database, parent_merge: str
) -> None:
    """The order of the two tables leaves no trace."""
    catalog = family(tmp_path / "catalog", parent_merge)
    environ = {"BOX_URL": source.url}
    straight, swapped = new_box(catalog), new_box(catalog)
    for box, tables in ((straight, ("customers", "orders")), (swapped, ("orders", "customers"))):
        for table in tables:
            box.both(table, 0, environ)
    assert members(swapped) == members(straight)
    assert swapped.live("orders") == straight.live("orders")


def test_a_member_that_is_quarantined_stays_inferred(
    new_box: Opener, tmp_path: Path, source: Database
) -> None:
    """The reference holds although the member's own row breaks a rule."""
    box = new_box(family(tmp_path / "catalog", "upsert"))
    environ = {"BOX_URL": source.url}
    source.insert("customers", ("9", None, EARLY))
    assert box.both("customers", 0, environ).counts.quarantined == 1
    assert box.both("orders", 0, environ).counts.inferred == 1
    assert members(box) == [(1, "Oslo", False), (9, None, True)]


@pytest.mark.parametrize("parent_merge", ["upsert", "scd2"])
def test_a_member_that_never_arrives_stays_and_warns_each_hour(
    new_box: Opener, tmp_path: Path, source: Database, parent_merge: str
) -> None:
    """Whole reads of the parent without it sweep it not; the check warns until it arrives."""
    box = new_box(family(tmp_path / "catalog", parent_merge, parent_load="full"))
    environ = {"BOX_URL": source.url}
    for number in range(3):
        source.set_clock(number)
        if number == 2:
            source.insert("customers", ("9", "Rome", EARLY))
        box.both("customers", number, environ)
        load = box.both("orders", number, environ)
        (verdict,) = [verdict for verdict in load.verdicts if verdict.check == "references"]
        assert verdict.passed == (number == 2)
        assert load.counts.inferred == (1 if number == 0 else 0)
        assert verdict.figures.get("customers", 0) == (0 if number == 2 else 1)
        city, inferred = (None, True) if number < 2 else ("Rome", False)
        assert members(box) == [(1, "Oslo", False), (9, city, inferred)]
    source.execute("DELETE FROM customers WHERE customer_id = 9")
    source.set_clock(3)
    box.both("customers", 3, environ)
    box.both("orders", 3, environ)
    nine = [row for row in box.stored_silver("customers") if row["customer_id"] == 9]
    assert [row["_inferred"] for row in nine] == [False], "its own row, ended, is no inferred one"
    assert [row["_deleted"] or not row.get("is_current", True) for row in nine] == [True]
