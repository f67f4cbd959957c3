"""The end of onboarding: what it writes loads through Bronze and Silver without a further edit."""

import hmac
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from retail_platform.cli import main
from retail_platform.metadata.loader import Catalog, load_catalog
from retail_platform.metadata.onboarding import onboard
from retail_platform.metadata.onboarding_scope import NewSource
from retail_platform_tests.platform.box import HOUR, PII_KEY, Row, hour_at
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.platform.sources import Database

STAMP = "2026-01-05 12:30:00"


@pytest.fixture
def returns(tmp_path: Path) -> Database:
    """A source with tables that no demo has, named as databases name them."""
    database = Database(tmp_path / "erp.db")
    database.execute("CREATE TABLE shoppers (id INTEGER PRIMARY KEY, email TEXT, updated_at TEXT)")
    database.execute(
        'CREATE TABLE "Return Lines" ("ReturnID" INTEGER, "Line No" INTEGER, "Order" TEXT, '
        '"Refund Amount" TEXT NOT NULL, "Shopper" INTEGER REFERENCES shoppers(id), '
        '"LastUpdated" TEXT, PRIMARY KEY ("ReturnID", "Line No"))'
    )
    database.insert("shoppers", (1, "zoe@example.org", STAMP))
    database.insert(
        '"Return Lines"',
        (1, 1, "A7", "12.3400", 1, STAMP),
        (1, 2, "A7", "-0.5000", 9, "2026-01-05 12:45:00"),
    )
    database.set_clock(0)
    return database


def loaded(
    new_box: Opener, catalog: Catalog, entities: list[str], url: str
) -> dict[str, list[Row]]:
    box = new_box(catalog)
    for entity in entities:
        box.both(entity, 0, {"ERP_URL": url})
    return {entity: box.live(entity) for entity in entities}


def test_one_command_and_one_hour(
    returns: Database, tmp_path: Path, new_box: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names, types, masks and inferred members are those of a table that was written by hand."""
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RETAIL_CATALOG", str(tmp_path / "catalog"))
    monkeypatch.setenv("ERP_URL", returns.url)
    command = ["onboard", "--new-source", "erp", "--url-env", "ERP_URL", "--timezone", "UTC"]
    result = CliRunner().invoke(main, [*command, "shoppers", "erp.return*", "--yes"])
    assert result.exit_code == 0, result.output
    assert "+  - table: return_lines" in result.output
    catalog = load_catalog(tmp_path / "catalog")
    rows = loaded(new_box, catalog, ["shoppers", "return_lines"], returns.url)
    assert [
        (r["return_id"], r["line_no"], r["return_lines_order"], r["refund_amount"], r["shopper"])
        for r in rows["return_lines"]
    ] == [(1, 1, "A7", Decimal("12.3400"), 1), (1, 2, "A7", Decimal("-0.5000"), 9)]
    mask = hmac.new(PII_KEY.encode(), b"zoe@example.org", "sha256").hexdigest()
    assert {r["id"]: r["email"] for r in rows["shoppers"]} == {1: mask, 9: None}


def test_nothing_is_written_without_a_yes(
    returns: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by --dry-run, nor by JSON alone, nor when the answer is no."""
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RETAIL_CATALOG", str(tmp_path / "catalog"))
    monkeypatch.setenv("ERP_URL", returns.url)
    command = ["onboard", "--new-source", "erp", "--url-env", "ERP_URL", "--timezone", "UTC"]
    for more, answer in (["--dry-run"], None), (["--json"], None), ([], "n\n"):
        result = CliRunner().invoke(main, [*command, "*", *more], input=answer)
        assert "return_lines" in result.output
        assert not (tmp_path / "catalog").exists()


@pytest.mark.postgres
def test_postgresql(postgres_url: str, tmp_path: Path, new_box: Opener) -> None:
    """Schemas, comments, enumerations, constraints as PostgreSQL stores them, and exact types."""
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        for statement in _POSTGRES.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    engine.dispose()
    folder = tmp_path / "catalog"
    found = onboard(
        folder,
        ["erp.Shop.*", "plain"],
        environ={"ERP_URL": postgres_url},
        new_source=NewSource(
            name="erp", kind="sql", variable="ERP_URL", timezone="America/Los_Angeles"
        ),
    )
    assert {o.table: o.state for o in found.outcomes} == {
        "Shop.Members": "new",
        "Shop.Visits": "new",
        "Shop.heap": "left out",
        "plain": "new",
    }
    found.write()
    catalog = load_catalog(folder)
    members = catalog.by_entity["members"]
    assert members.row.source_name == "Shop.Members"
    assert members.row.description == "People who shop"
    assert members.row.watermark is not None
    assert members.row.watermark.column == "modified"
    assert {c.name: c.physicalType for c in members.contract.columns} == {
        "member_id": "bigint",
        "level": "string",
        "balance": "decimal(12,3)",
        "exact": "decimal(38,18)",
        "modified": "timestamp",
        "active": "boolean",
    }
    rules = {rule.predicate for rule in members.contract.row_rules}
    assert "cast(level as string) in ('gold', 'tin')" in rules
    assert "balance >= -5.5" in rules
    visits = catalog.by_entity["visits"]
    assert visits.row.key == ("member", "at_door")
    assert [(r.column, r.entity) for r in visits.row.references] == [("member", "members")]
    assert any(
        "order only" in note for o in found.outcomes if o.proposal for note in o.proposal.notes
    )
    box = new_box(catalog)
    with sa.create_engine(postgres_url).begin() as connection:
        now = connection.scalar(sa.text("select now()"))
    assert now is not None
    hour = round((now.replace(minute=0, second=0, microsecond=0) - hour_at(0)) / HOUR) - 1
    load = box.both("members", hour, {"ERP_URL": postgres_url})
    assert load.counts.applied == 2
    assert {row["member_id"]: (row["balance"], row["exact"]) for row in box.live("members")} == {
        1: (Decimal("1.250"), Decimal("3.141592653589793238")),
        2: (Decimal("-5.500"), None),
    }


_POSTGRES = """
DROP SCHEMA IF EXISTS "Shop" CASCADE;
DROP TABLE IF EXISTS plain;
CREATE SCHEMA "Shop";
CREATE TYPE "Shop".level AS ENUM ('gold', 'tin');
CREATE TABLE "Shop"."Members" ("MemberID" bigint PRIMARY KEY, level "Shop".level NOT NULL,
    balance numeric(12,3) CHECK (balance >= -5.5), exact numeric, modified timestamptz NOT NULL,
    active boolean, UNIQUE ("MemberID", level));
COMMENT ON TABLE "Shop"."Members" IS 'People who shop';
CREATE TABLE "Shop"."Visits" (member bigint NOT NULL REFERENCES "Shop"."Members",
    at_door int NOT NULL, level "Shop".level, UNIQUE (member, at_door),
    FOREIGN KEY (member, level) REFERENCES "Shop"."Members" ("MemberID", level));
CREATE TABLE "Shop".heap (a text, b text);
CREATE TABLE plain (id int PRIMARY KEY, made date);
INSERT INTO "Shop"."Members"
    VALUES (1, 'gold', 1.25, 3.141592653589793238, '2026-01-05 12:00:00+00', true),
    (2, 'tin', -5.5, NULL, '2026-01-05 12:30:00+00', NULL);
"""
