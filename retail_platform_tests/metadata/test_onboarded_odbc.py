"""Onboarding over ODBC's catalogue functions, with PostgreSQL's and SQLite's real drivers.

How much another driver's catalogue tells, only its database can show.
"""

import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pyodbc
import pytest
from click.testing import CliRunner

from retail_platform.cli import main
from retail_platform.extract.odbc_catalogue import OdbcCatalogue
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.metadata.loader import load_catalog
from retail_platform.metadata.onboarding import onboard
from retail_platform.metadata.onboarding_change import Onboarding
from retail_platform.metadata.onboarding_scope import NewSource
from retail_platform_tests.extract.odbc import connection, require_driver
from retail_platform_tests.extract.postgres import run
from retail_platform_tests.platform.fixtures import Opener

CLOCK = "select now from legacy.clock"
MEMBERS = """create table legacy."Members" ("MemberID" bigint primary key, name text not null,
    balance numeric(12,3), exact numeric, modified timestamp not null, active boolean)"""
VISITS = """create table legacy.visits (member bigint not null references legacy."Members",
    at_door int not null, code varchar(20) not null, primary key (member, at_door))"""


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    """A schema of its own, and a clock in it."""
    require_driver("PostgreSQL Unicode", "odbc-postgresql")
    run(
        postgres_url,
        "drop schema if exists legacy cascade",
        "create schema legacy",
        "create table legacy.clock as select timestamp '2026-01-05 13:00' as now",
        MEMBERS,
        VISITS,
        'create index on legacy."Members" (modified)',
        """insert into legacy."Members" values
        (1, 'Ada', 1.25, 3.141592653589793238, '2026-01-05 12:00:00.5', true),
        (2, 'Grace', -5.5, null, '2026-01-05 12:30', null)""",
        "insert into legacy.visits values (1, 1, 'a'), (1, 2, 'b')",
        'create view legacy.everybody as select * from legacy."Members"',
        "create table legacy.axisits (other int)",
    )
    yield postgres_url
    run(postgres_url, "drop schema legacy cascade")


def onboarded(folder: Path, text: str, *patterns: str, dialect: str = "postgres") -> Onboarding:
    new = NewSource(
        name="old",
        kind="odbc",
        variable="OLD",
        timezone="UTC",
        dialect=dialect,
        clock_query=CLOCK,
    )
    return onboard(folder, patterns, environ={"OLD": text}, new_source=new)


@pytest.mark.postgres
def test_an_hour_is_loaded_through_what_was_written(
    url: str, tmp_path: Path, new_box: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the command; a numeric without precision is of what its values are."""
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RETAIL_CATALOG", str(tmp_path / "catalog"))
    monkeypatch.setenv("OLD", connection(url))
    command = ["onboard", "--new-source", "old", "--url-env", "OLD", "--timezone", "UTC"]
    kind = ["--kind", "odbc", "--dialect", "postgres", "--clock-query", CLOCK]
    result = CliRunner().invoke(main, [*command, *kind, "old.legacy.[mv]*", "--yes"])
    assert result.exit_code == 0, result.output
    catalog = load_catalog(tmp_path / "catalog")
    members, visits = catalog.by_entity["members"], catalog.by_entity["visits"]
    assert set(catalog.by_entity) == {"members", "visits"}, "a view is not meant by a star"
    assert members.row.source_name == "legacy.Members"
    assert (members.row.load, members.row.key) == ("incremental", ("member_id",))
    assert {c.name: c.physicalType for c in members.contract.columns} == {
        "member_id": "bigint",
        "name": "string",
        "balance": "decimal(12,3)",
        "exact": "decimal(38,18)",
        "modified": "timestamp",
        "active": "boolean",
    }
    notes = (tmp_path / "catalog" / "sources" / "old.yaml").read_text("utf-8")
    assert "exact is declared numeric, but holds what is decimal(38,18)" in notes
    assert "no index on modified" not in notes
    assert visits.row.key == ("member", "at_door")
    assert [(r.column, r.entity) for r in visits.row.references] == [("member", "members")]
    box = new_box(catalog)
    for entity in ("members", "visits"):
        assert box.both(entity, 0, {"OLD": connection(url)}).counts.applied == 2
    loaded = {row["member_id"]: row for row in box.live("members")}
    assert {n: (row["balance"], row["exact"], row["active"]) for n, row in loaded.items()} == {
        1: (Decimal("1.250"), Decimal("3.141592653589793238"), True),
        2: (Decimal("-5.500"), None, None),
    }


@pytest.mark.postgres
def test_a_unique_index_is_held_against_the_table(url: str, tmp_path: Path) -> None:
    """The driver says nothing of an index's condition, nor that it is over an expression."""
    run(
        url,
        "create table legacy.loose (kind text not null, code text not null)",
        "create unique index on legacy.loose (kind) where code > 'b'",
        "create unique index on legacy.loose (lower(code))",
        "insert into legacy.loose select 'x', 'a' || n from generate_series(1, 600) n",
    )
    (found,) = onboarded(tmp_path, connection(url), "legacy.loose").outcomes
    assert found.proposal is not None
    assert found.proposal.key == ("code",)
    assert any("the key is a guess" in note for note in found.proposal.notes)
    run(url, "drop table legacy.loose", "create table legacy.loose (a text not null unique)")
    (found,) = onboarded(tmp_path, connection(url), "legacy.loose").outcomes
    assert found.proposal is not None
    assert found.proposal.notes[0] == "no primary key: the key is that of a unique constraint"


@pytest.mark.postgres
def test_failures_name_source_and_cure(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No function, no login, no server."""
    text = connection(url)
    for wrong, failure, words in (
        (connection(url, PWD="guess"), PermanentFailure, "source old.*authentication failed"),
        (connection(url, Port="1"), TransientFailure, "source old.*broke off"),
        (connection(url, Driver="Nobody's"), PermanentFailure, "Can't open lib"),
    ):
        with pytest.raises(failure, match=words) as raised:
            onboarded(tmp_path, wrong, "legacy.*")
        assert "guess" not in str(raised.value)

    def none(_: object) -> None:
        raise pyodbc.Error("IM001", "Driver does not support this function")

    with monkeypatch.context() as patch:
        patch.setattr(OdbcCatalogue, "tables", none)
        with pytest.raises(PermanentFailure, match=r"cannot list tables .* by hand"):
            onboarded(tmp_path, text, "legacy.*")
    monkeypatch.setattr(OdbcCatalogue, "foreign_keys", lambda *_: [])
    (found,) = onboarded(tmp_path, text, "legacy.visits").outcomes
    assert found.proposal is not None
    assert "references" not in found.proposal.row


def test_a_sqlite_file(tmp_path: Path) -> None:
    """Its driver gives every type a code; what values are says more."""
    require_driver("SQLite3", "libsqliteodbc")
    path = tmp_path / "old.db"
    client = sqlite3.connect(path)
    client.executescript(
        """create table orders (id integer primary key, amount text, price decimal(10,2),
        changed_at text, note text);
        insert into orders values (1, '0.10', 1.5, '2026-11-20 14:10:00', null);
        create table things (a integer, b integer references orders(id));"""
    )
    client.close()
    text = f"Driver=SQLite3;Database={path}"
    found = onboarded(tmp_path / "catalog", text, "*", dialect="sqlite")
    assert {o.table: o.state for o in found.outcomes} == {"orders": "new", "things": "left out"}
    found.write()
    orders = load_catalog(tmp_path / "catalog").by_entity["orders"]
    assert {c.name: c.physicalType for c in orders.contract.columns} == {
        "id": "bigint",
        "amount": "decimal(19,4)",
        "price": "decimal(10,2)",
        "changed_at": "timestamp",
        "note": "string",
    }
    assert orders.row.watermark is not None
