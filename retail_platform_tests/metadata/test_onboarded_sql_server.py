"""Onboarding of a SQL Server's tables, and the hours that are loaded through what it writes.

The server (`tds_server`) speaks SQL Server's protocol over DuckDB; its catalogue views have the
columns of Microsoft's documentation and say what a test declares (`tds_catalogue`). So this proves
that what is asked is T-SQL as sqlglot reads it, over documented columns, and what is made of the
answers. That SQL Server fills its views so, whom it shows them, and how it keeps versions and
tracks changes is not proved: the positions are those that the test sets.
"""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from retail_platform.failures import PermanentFailure
from retail_platform.metadata.loader import load_catalog
from retail_platform.metadata.onboarding import onboard
from retail_platform.metadata.onboarding_change import Onboarding
from retail_platform.metadata.onboarding_scope import NewSource
from retail_platform_tests.extract.tds_catalogue import Declared
from retail_platform_tests.extract.tds_server import SqlServer
from retail_platform_tests.platform.box import Box
from retail_platform_tests.platform.fixtures import Opener

ORDERS = {
    "OrderID": "int",
    "LineNo": "smallint",
    "Status": "nvarchar(20)",
    "Quantity": "int",
    "UnitPrice": "money",
    "Discount": "decimal(9,4)",
    "Gift": "bit",
    "Note": "nvarchar(max)",
    "RowGuid": "uniqueidentifier",
    "PlacedAt": "datetime",
    "ShippedAt": "datetimeoffset(7)",
    "ModifiedAt": "datetime2(7)",
    "Version": "rowversion",
}
LINE = (
    *("1", "1", "open", "3", "922337203685477.5807", "0.1250", "1", "ż" * 5000),
    *("6F9619FF-8B86-D011-B42D-00C04FC964FF", "2026-01-05 11:00:00.003"),
    *("2026-01-05 12:10:00.1234567 +05:30", "2026-01-05 12:20:00.1234567", "00000000000007D1"),
)
LOADED = {
    "order_id": 1,
    "line_no": 1,
    "status": "open",
    "quantity": 3,
    "unit_price": Decimal("922337203685477.5807"),
    "discount": Decimal("0.1250"),
    "gift": True,
    "note": "ż" * 5000,
    "row_guid": "6F9619FF-8B86-D011-B42D-00C04FC964FF",
    "placed_at": datetime(2026, 1, 5, 11, 0, 0, 3_000, tzinfo=UTC),
    "shipped_at": datetime(2026, 1, 5, 6, 40, 0, 123_456, tzinfo=UTC),
    "modified_at": datetime(2026, 1, 5, 12, 20, 0, 123_456, tzinfo=UTC),
    "version": "0x00000000000007D1",
}


@pytest.fixture
def server(tds_server: SqlServer) -> SqlServer:
    """A shop: orders by watermark, prices by rowversion, members by Change Tracking."""
    tds_server.clear()
    tds_server.create(
        "Members",
        {"MemberID": "bigint", "Name": "nvarchar(80)", "Level": "varchar(10)"},
        Declared(key=["MemberID"], comments={"": "Who shops", "Level": "Of the card"}),
    )
    tds_server.insert("Members", ("1", "Ada", "gold"), ("2", "Grace", "tin"))
    tds_server.track("Members", ["MemberID"])
    tds_server.create(
        "sales.Prices",
        {"Sku": "varchar(20)", "Price": "smallmoney", "Version": "rowversion"},
        Declared(key=["Sku"], indexes={"IX_Version": ["Version"]}),
    )
    tds_server.insert(
        "sales.Prices", ("a", "1.5000", "00000000000007D0"), ("b", "2.0000", "00000000000007D1")
    )
    tds_server.create(
        "sales.Order Lines",
        {**ORDERS, "MemberID": "bigint"},
        Declared(
            key=["OrderID", "LineNo"],
            required=["Status", "ModifiedAt"],
            indexes={"IX_Modified": ["ModifiedAt", "Status"], "UX_Open": ["RowGuid"]},
            unique=["UX_Open"],
            filtered=["UX_Open"],
            references={("MemberID",): ("Members", ("MemberID",))},
            checks={"([Quantity]>=(0))": True, "([Discount]<(1))": False},
        ),
    )
    tds_server.insert("sales.Order Lines", (*LINE, "1"))
    tds_server.create(
        "sales.Open Orders", {"OrderID": "int"}, Declared(is_view=True, required=["OrderID"])
    )
    tds_server.create("sales.Heap", {"a": "xml", "b": "sql_variant"})
    tds_server.version = 2001
    return tds_server


def onboarded(server: SqlServer, folder: Path, *patterns: str, **more: object) -> Onboarding:
    new = NewSource(name="erp", kind="sql", variable="ERP_URL", timezone="UTC")
    return onboard(
        folder,
        patterns or ["*", "sales.*"],
        environ={"ERP_URL": server.url()},
        new_source=new,
        **more,  # pyright: ignore[reportArgumentType]
    )


def test_what_the_catalogue_says_becomes_rows_and_contracts(
    server: SqlServer, tmp_path: Path
) -> None:
    found = onboarded(server, tmp_path / "catalog")
    assert {o.table: o.state for o in found.outcomes} == {
        "Members": "new",
        "sales.Heap": "left out",
        "sales.Order Lines": "new",
        "sales.Prices": "new",
    }, "views are not meant by a star"
    found.write()
    catalog = load_catalog(tmp_path / "catalog")
    lines = catalog.by_entity["order_lines"]
    assert (lines.row.source_name, lines.row.load) == ("sales.Order Lines", "incremental")
    assert lines.row.key == ("order_id", "line_no")
    assert lines.row.watermark is not None
    assert lines.row.watermark.column == "modified_at"
    assert [(r.column, r.entity) for r in lines.row.references] == [("member_id", "members")]
    assert {c.name: c.physicalType for c in lines.contract.columns} == {
        "order_id": "int",
        "line_no": "int",
        "status": "string",
        "quantity": "int",
        "unit_price": "decimal(19,4)",
        "discount": "decimal(9,4)",
        "gift": "boolean",
        "note": "string",
        "row_guid": "string",
        "placed_at": "timestamp",
        "shipped_at": "timestamp",
        "modified_at": "timestamp",
        "version": "string",
        "member_id": "bigint",
    }
    rules = {rule.predicate for rule in lines.contract.row_rules}
    assert "quantity >= 0" in rules
    assert not any("discount" in rule for rule in rules), "it was switched off for a time"
    prices = catalog.by_entity["prices"].row
    assert prices.changes is not None
    assert (prices.load, prices.changes.column) == ("changes", "version")
    members = catalog.by_entity["members"]
    assert members.row.changes is not None
    assert (members.row.load, members.row.changes.by) == ("changes", "change_tracking")
    assert members.row.description == "Who shops"
    level = members.contract.column("level")
    assert level is not None
    assert level.description == "Of the card"
    notes = (tmp_path / "catalog" / "sources" / "erp.yaml").read_text("utf-8")
    assert "VIEW CHANGE TRACKING" in notes
    assert "no index on" not in notes


def test_a_key_that_is_none_of_the_catalogue_is_proved(server: SqlServer, tmp_path: Path) -> None:
    """By the whole table; an index over some of its rows only is no key."""
    columns = {"code": "varchar(10)", "value": "int"}
    server.create(
        "loose",
        columns,
        Declared(required=["code"], indexes={"UX": ["code"]}, unique=["UX"], filtered=["UX"]),
    )
    server.insert("loose", *((f"c{n}", "1") for n in range(600)))
    (found,) = onboarded(server, tmp_path, "loose").outcomes
    assert found.proposal is not None
    assert found.proposal.key == ("code",)
    assert len(found.proposal.table.sample) == 500
    assert found.proposal.table.rows == 600
    server.insert("loose", ("c0", "2"))
    (found,) = onboarded(server, tmp_path, "loose").outcomes
    assert "name the key with --key" in found.text
    server.create("gaps", columns)
    server.insert("gaps", *((f"c{n}", "1") for n in range(600)), (None, "1"))
    (found,) = onboarded(server, tmp_path, "gaps").outcomes
    assert "name the key with --key" in found.text


def test_a_table_without_an_index_on_its_version_is_told(server: SqlServer, tmp_path: Path) -> None:
    server.create("plain", {"id": "int", "Version": "rowversion"}, Declared(key=["id"]))
    (found,) = onboarded(server, tmp_path, "plain").outcomes
    assert found.proposal is not None
    assert "no index on Version: every hour scans the whole table" in found.proposal.notes


def test_what_the_server_refuses_names_the_source(server: SqlServer, tmp_path: Path) -> None:
    new = NewSource(name="erp", kind="sql", variable="ERP_URL", timezone="UTC")
    wrong = {"ERP_URL": server.url(password="guess")}
    with pytest.raises(PermanentFailure, match=r"source erp, .*Login failed"):
        onboard(tmp_path, ["*"], environ=wrong, new_source=new)


@pytest.fixture
def box(server: SqlServer, tmp_path: Path, new_box: Opener) -> Box:
    """A platform of what was onboarded."""
    onboarded(server, tmp_path / "catalog").write()
    return new_box(load_catalog(tmp_path / "catalog"))


def test_an_hour_is_loaded_through_what_was_written(box: Box, server: SqlServer) -> None:
    """Every type arrives in Silver as its contract says; deletes are seen where they are tracked.

    Silver keeps microseconds: of the seventh digit only Bronze knows.
    """
    environ = {"ERP_URL": server.url()}
    for entity, rows in (("members", 2), ("prices", 2), ("order_lines", 1)):
        loaded = box.bronze(entity, 0, environ)
        assert (loaded.initial, loaded.counts.applied) == (True, rows), entity
        box.silver(entity, 0)
    assert box.live("order_lines") == [{**LOADED, "member_id": 1}]
    (received,) = box.stored_bronze("order_lines")
    assert received["ModifiedAt"] == "2026-01-05 12:20:00.1234567"
    assert {row["sku"]: row["price"] for row in box.live("prices")} == {
        "a": Decimal("1.5000"),
        "b": Decimal("2.0000"),
    }
    server.execute("DELETE FROM dbo.Members WHERE MemberID = '1'")
    server.change("Members", "D", "1")
    server.insert("Members", ("3", "Joan", "tin"))
    server.change("Members", "I", "3")
    server.insert("sales.Prices", ("c", "3.0000", "00000000000007D3"))
    server.version = 2003
    for entity in ("members", "prices"):
        box.both(entity, 1, environ)
    assert {row["member_id"] for row in box.live("members")} == {2, 3}
    assert {row["sku"] for row in box.live("prices")} == {"a", "b", "c"}
    assert box.bronze("prices", 2, environ).counts.read == 0
