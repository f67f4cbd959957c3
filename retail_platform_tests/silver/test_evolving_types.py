"""Types that evolve: a wider contract holds the hour; once approved the tables are rewritten."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from retail_platform.control.models import Status
from retail_platform.failures import PermanentFailure
from retail_platform.metadata.loader import load_catalog
from retail_platform.metadata.types import is_lossless
from retail_platform.quality.verdicts import HeldBack
from retail_platform_tests.platform.box import Box, Row, hour_at, open_box
from retail_platform_tests.platform.catalogs import contract, sql_source, write_catalog
from retail_platform_tests.platform.sources import ArrowReader

NARROW = {
    "id": "int",
    "pieces": "int",
    "price": "decimal(10,2)",
    "born": "date",
    "email": "string",
    "modified_at": "timestamp",
}
WIDE = {**NARROW, "id": "bigint", "pieces": "decimal(12,1)", "price": "decimal(18,4)"}
WIDE["born"] = "timestamp"
AT = [f"2026-01-05 {hour}:10:00" for hour in (12, 13, 14)]
Opener = Callable[..., AbstractContextManager[Box]]


def row(key: int, at: str, *, pieces: str = "7", price: str = "1.25") -> Row:
    return {
        "id": str(key),
        "pieces": pieces,
        "price": price,
        "born": "2001-07-05",
        "email": "a@example.org",
        "modified_at": at,
    }


def catalog_folder(folder: Path, columns: dict[str, str], merge: str, types: str) -> Path:
    table = {
        "table": "things",
        "load": "incremental",
        "key": ["id"],
        "watermark": {"column": "modified_at"},
        "silver": {"entity": "things", "merge": merge},
        "pii": {"email": {"method": "hash", "kind": "email", "keep_clear": True}},
        "schema": {"types": types},
    }
    rules = {"price is negative": "price >= 0"}
    tree = contract("things", columns, ["id"], rules=rules, max_quarantined=100)
    source = sql_source("shop", [table], timezone="Europe/London")
    return write_catalog(folder, [source], [tree])


@pytest.fixture
def box_of(engine_address: str, tmp_path: Path) -> Opener:
    """Opens the same lake again under another contract."""

    def opener(
        columns: dict[str, str], merge: str = "upsert", types: str = "evolve"
    ) -> AbstractContextManager[Box]:
        catalog = load_catalog(catalog_folder(tmp_path / "catalog", columns, merge, types))
        return open_box(tmp_path / "box", catalog, engine_address)

    return opener


def bronze(box: Box, number: int, *rows: Row) -> None:
    box.bronze_from("things", number, ArrowReader.at(number, list(rows), list(NARROW)))


def approve(box: Box, number: int) -> None:
    box.ledger.approvals.approve(
        asset="silver/things", hour=hour_at(number), rule="types", reason="agreed", person="Ada"
    )


def stored_types(box: Box) -> dict[str, str]:
    schema = box.lake.delta("silver", "things").schema()
    return {field.name: str(field.type) for field in schema.fields}


@pytest.mark.parametrize("merge", ["upsert", "scd2"])
def test_wider_types_hold_the_hour_until_they_are_approved(box_of: Opener, merge: str) -> None:
    """Held with the command, rewritten in one commit, loaded, with a new schema version."""
    with box_of(NARROW, merge) as box:
        bronze(box, 0, row(1, AT[0]), row(2, AT[0]), row(3, AT[0], price="-1"))
        box.silver("things", 0)
        assert len(box.clear("things")) == 2
    with box_of(WIDE, merge) as box:
        large = row(2, AT[1], pieces="12345678901.5", price="12345678901234.5678")
        bronze(box, 1, large, row(3_000_000_000, AT[1]))
        before = box.lake.version("silver", "things")
        with pytest.raises(HeldBack) as held:
            box.silver("things", 1)
        text = str(held.value)
        assert "pieces: stored int, now decimal(12,1)" in text
        assert "price: stored decimal(10,2), now decimal(18,4)" in text
        assert "born: stored date, now timestamp" in text
        assert "rewrites silver.things, pii.things__pii" in text
        assert "retail-platform approve silver/things --hour 2026-01-05-13:00 --rule types" in text
        assert box.lake.version("silver", "things") == before
        approve(box, 1)
        loaded = box.silver("things", 1)
        assert loaded.counts.applied == 2
        assert not next(v for v in loaded.verdicts if v.check == "types").blocking
        operations = [
            entry["operation"]
            for entry in DeltaTable(box.lake.location("silver", "things")).history()
            if entry["version"] > before
        ]
        assert operations == ["MERGE", "WRITE"]
        assert stored_types(box)["pieces"] == 'PrimitiveType("decimal(12,1)")'
        rows = {r["id"]: r for r in box.live("things") if r.get("is_current", True)}
        assert rows[1]["pieces"] == Decimal("7.0")
        assert rows[1]["price"] == Decimal("1.2500")
        # The day began at midnight of the source's zone, as the load reads it.
        assert rows[1]["born"] == datetime(2001, 7, 4, 23, tzinfo=UTC)
        assert rows[2]["born"] == rows[1]["born"]
        assert rows[2]["price"] == Decimal("12345678901234.5678")
        assert {r["id"] for r in box.clear("things")} == {1, 2, 3_000_000_000}
        seen = box.lake.spark.sql("select id, born from silver.things").toArrow()
        assert str(seen.schema.field("id").type) == "int64"
        versions = [load.schema_version for load in box.loads("things")]
        assert versions == [1, None, 2]


def test_what_was_loaded_before_is_unchanged_and_replays_go_on(box_of: Opener) -> None:
    """Rewritten rows keep their sequences; quarantined rows, kept as text, need no rewrite."""
    with box_of(NARROW) as box:
        bronze(box, 0, row(1, AT[0]), row(2, AT[0], price="-1"))
        box.silver("things", 0)
    with box_of(WIDE) as box:
        with pytest.raises(PermanentFailure, match="to be rewritten first: load its newest hour"):
            box.replay("things")
        bronze(box, 1, row(4, AT[1]))
        approve(box, 1)
        box.silver("things", 1)
        again = box.silver("things", 0)
        assert (again.counts.unchanged, again.counts.quarantined) == (1, 1)
        (refused,) = box.refused("things")
        assert "price is negative" in refused.reasons
        assert (box.replay("things").replayed, box.replay("things").refused) == (0, 1)


def test_a_load_that_dies_after_the_rewrite_is_repeated(box_of: Opener) -> None:
    """The rewrite is whole by itself; the next attempt only merges."""
    with box_of(NARROW) as box:
        bronze(box, 0, row(1, AT[0]))
        box.silver("things", 0)
    with box_of(WIDE) as box:
        bronze(box, 1, row(2, AT[1]))
        approve(box, 1)
        merge = box.lake.merge

        def dies(*_: Any, **__: Any) -> Any:
            raise KeyboardInterrupt

        box.lake.merge = dies
        with pytest.raises(KeyboardInterrupt):
            box.silver("things", 1)
        box.lake.merge = merge
        version = box.lake.version("silver", "things")
        assert box.silver("things", 1).counts.applied == 1
        assert box.lake.version("silver", "things") == version + 1
        assert box.loads("things")[-1].status is Status.SUCCESS


@pytest.mark.parametrize(
    ("column", "narrower"),
    [("pieces", "string"), ("price", "decimal(18,1)"), ("born", "string"), ("id", "double")],
)
def test_lossy_types_are_refused_with_the_reason(
    box_of: Opener, column: str, narrower: str
) -> None:
    """No approval lets them through; nothing is written."""
    with box_of(WIDE) as box:
        bronze(box, 0, row(1, AT[0]))
        box.silver("things", 0)
        version = box.lake.version("silver", "things")
    with box_of({**WIDE, column: narrower}) as box:
        bronze(box, 1, row(1, AT[1]))
        approve(box, 1)
        with pytest.raises(PermanentFailure, match=f"lose values of {column}: stored .*wider"):
            box.silver("things", 1)
        assert box.lake.version("silver", "things") == version


def test_frozen_types_fail_this_table_alone_and_name_the_cure(box_of: Opener) -> None:
    """Without evolve a wider type is a failure of the load, not of every run."""
    with box_of(NARROW, types="freeze") as box:
        bronze(box, 0, row(1, AT[0]))
        box.silver("things", 0)
    with box_of(WIDE, types="freeze") as box:
        bronze(box, 1, row(1, AT[1]))
        with pytest.raises(PermanentFailure, match=r"Types are frozen.*schema: \{types: evolve\}"):
            box.silver("things", 1)


@pytest.mark.parametrize(
    ("old", "new", "lossless"),
    [
        ("int", "bigint", True),
        ("bigint", "int", False),
        ("int", "double", True),
        ("bigint", "double", False),
        ("int", "decimal(10,0)", True),
        ("int", "decimal(11,2)", False),
        ("bigint", "decimal(19,0)", True),
        ("decimal(10,2)", "decimal(18,2)", True),
        ("decimal(10,2)", "decimal(11,4)", False),
        ("decimal(10,2)", "double", False),
        ("date", "timestamp", True),
        ("timestamp", "date", False),
        ("int", "string", False),
    ],
)
def test_what_is_lossless(old: str, new: str, *, lossless: bool) -> None:
    """Every value of the old type must be one of the new one."""
    assert is_lossless(old, new) is lossless


def test_days_keep_their_date(box_of: Opener) -> None:
    """What a narrow table holds is a day; only the rewrite makes a moment of it."""
    with box_of(NARROW) as box:
        bronze(box, 0, row(1, AT[0]))
        box.silver("things", 0)
        assert box.live("things")[0]["born"] == date(2001, 7, 5)
