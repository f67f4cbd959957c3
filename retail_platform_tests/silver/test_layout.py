"""Partitions by metadata: keys that move between them, and layouts that are refused."""

from pathlib import Path

import pytest

from retail_platform.failures import PermanentFailure
from retail_platform.metadata.loader import Catalog, load_catalog
from retail_platform.silver.standardise import silver_schema
from retail_platform_tests.platform.box import Box, Row
from retail_platform_tests.platform.catalogs import Tree, contract, sql_source, write_catalog
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.platform.sources import ArrowReader

COLUMNS = {
    "id": "bigint",
    "region": "string",
    "amount": "decimal(18,2)",
    "modified_at": "timestamp",
}


def layout(folder: Path, **silver: object) -> Catalog:
    """A catalog of one table that is laid out as ``silver`` says."""
    row: Tree = {
        "table": "members",
        "load": "incremental",
        "key": ["id"],
        "watermark": {"column": "modified_at"},
        "silver": {"entity": "members", "merge": "upsert", **silver},
    }
    tree = contract("members", COLUMNS, ["id"], required=["modified_at"])
    return load_catalog(write_catalog(folder, [sql_source("box", [row])], [tree]))


def load(box: Box, number: int, rows: list[Row]) -> None:
    """Loads rows into Bronze and Silver."""
    box.bronze_from("members", number, ArrowReader.at(number, rows, list(COLUMNS)))
    box.silver("members", number)


def rows_at(number: int, regions: dict[str, str | None]) -> list[Row]:
    """Rows of an hour: region by id."""
    at = f"2026-01-05 {12 + number}:10:00"
    return [
        {"id": key, "region": region, "amount": "1", "modified_at": at}
        for key, region in regions.items()
    ]


@pytest.mark.parametrize("direct", [True, False], ids=["direct", "by the engine"])
def test_a_key_moves_between_partitions(new_box: Opener, tmp_path: Path, direct: bool) -> None:
    """It leaves its old partition in the commit that puts it into the new one; NULL is one, too."""
    box = new_box(layout(tmp_path / "catalog", partition_by=["region"]))
    box.lake.direct = direct
    load(box, 0, rows_at(0, {"1": "north", "2": "south", "3": None, "4": "north"}))
    load(box, 1, rows_at(1, {"1": "south", "3": "north", "4": None, "5": "west"}))
    found = {row["id"]: row["region"] for row in box.live("members")}
    assert len(box.stored_silver("members")) == len(found)
    assert found == {1: "south", 2: "south", 3: "north", 4: None, 5: "west"}
    assert box.lake.delta("silver", "members").metadata().partition_columns == ["region"]
    assert box.lake.spark.table("silver.members").where("region = 'south'").count() == 2


def test_other_partitions_than_the_stored_ones_are_refused(new_box: Opener, tmp_path: Path) -> None:
    """Metadata and table never contradict each other in silence."""
    catalog = layout(tmp_path / "catalog", partition_by=["region"])
    box = new_box(catalog)
    schema = silver_schema(catalog.by_entity["members"])
    with pytest.raises(
        PermanentFailure, match=r"silver\.members: stored in partitions by \['region'"
    ):
        box.lake.ensure("silver", "members", schema, partition_by=[])


@pytest.mark.parametrize(
    ("silver", "message"),
    [
        ({"partition_by": ["place"]}, r"silver\.partition_by names column 'place'"),
        ({"cluster_by": ["place"]}, r"silver\.cluster_by names column 'place'"),
        ({"partition_by": ["amount"]}, r"column 'amount' is decimal\(18,2\); partitions are named"),
        ({"partition_by": ["region"], "cluster_by": ["region"]}, r"leave them out of cluster_by"),
    ],
)
def test_a_wrong_layout_is_an_error_at_load(tmp_path: Path, silver: Tree, message: str) -> None:
    """The message names the field, the column and the cure."""
    with pytest.raises(PermanentFailure, match=message):
        layout(tmp_path / "catalog", **silver)
