"""Live tables in the catalog: what contradicts is refused with file, line and cure."""

from pathlib import Path
from typing import Any

import pytest

from retail_platform.failures import PermanentFailure
from retail_platform.metadata.loader import load_catalog
from retail_platform.settings import PACKAGE
from retail_platform_tests.kafka import kafka_source
from retail_platform_tests.platform.catalogs import contract, sql_source, write_catalog

COLUMNS = {"id": "bigint", "quantity": "int", "changed_at": "timestamp"}
ROW = {"table": "stock", "topic": "t", "key": ["id"], "sequence": "changed_at"}


@pytest.mark.parametrize(
    ("row", "terms", "said"),
    [
        ({"key": ["id", "quantity"]}, {}, r"web.yaml line \d+: live table stock: key .* differs"),
        ({"sequence": "at"}, {}, "sequence names column 'at', which contract stock does not have"),
        ({"table": "other"}, {}, "live table 'other' has no contract"),
        ({"table": "events"}, {}, "name of a table that web__events fills"),
        ({}, {"required": []}, "changed_at of contract stock must be required"),
        ({}, {"rules": {"below zero": "quantity >= 0"}}, r"has rules \(below zero\)"),
        ({"pii": {}}, {}, "Extra inputs are not permitted"),
    ],
    ids=["key", "sequence", "contract", "name", "required", "rules", "unknown"],
)
def test_what_contradicts_is_refused(
    tmp_path: Path, row: dict[str, Any], terms: dict[str, Any], said: str
) -> None:
    """Each mistake names its field."""
    source = {**kafka_source("t"), "live": [{**ROW, **row}]}
    contracts = [
        contract("events", {"id": "bigint", "changed_at": "timestamp"}, ["id"]),
        contract("stock", COLUMNS, ["id"], **{"required": ["changed_at"], **terms}),
    ]
    if row.get("table") == "events":
        contracts[0] = contract("events", COLUMNS, ["id"], required=["changed_at"])
    with pytest.raises(PermanentFailure, match=said):
        load_catalog(write_catalog(tmp_path, [source], contracts))


def test_only_topics_have_live_tables(tmp_path: Path) -> None:
    """A database is not read by offsets."""
    table = {
        "table": "orders",
        "load": "full",
        "key": ["id"],
        "silver": {"entity": "orders", "merge": "upsert"},
    }
    source = {**sql_source("box", [table]), "live": [ROW]}
    contracts = [
        contract("orders", {"id": "bigint"}, ["id"]),
        contract("stock", COLUMNS, ["id"], required=["changed_at"]),
    ]
    with pytest.raises(PermanentFailure, match="the connection is of kind 'sql'"):
        load_catalog(write_catalog(tmp_path, [source], contracts))


def test_a_source_that_is_left_out_leaves_its_live_tables_out() -> None:
    """The platform's own catalog has one."""
    whole = load_catalog(PACKAGE / "catalog")
    assert [table.entity for table in whole.live] == ["inventory_live"]
    assert "inventory_live" in whole.quarantines
    assert load_catalog(PACKAGE / "catalog", without=["web"]).live == ()
