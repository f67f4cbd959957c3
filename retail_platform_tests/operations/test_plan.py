"""The dry run says what the load then does, names what would stop it, and writes nothing."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from sqlalchemy.exc import OperationalError

from retail_platform.cli import main
from retail_platform.control.database import open_control_read_only
from retail_platform.failures import PermanentFailure
from retail_platform.metadata.loader import Catalog, load_catalog
from retail_platform.operations.plan import Outcome, TablePlan, plan
from retail_platform.settings import Settings
from retail_platform_tests.platform.box import PII_KEY, Box, hour_at, open_box
from retail_platform_tests.platform.catalogs import (
    Tree,
    contract,
    demo_catalog,
    sql_source,
    write_catalog,
)
from retail_platform_tests.platform.sources import Database, Landing, pos_file

COLUMNS = {"id": "bigint", "amount": "decimal(19,4)", "modified_at": "timestamp"}
LONG_AGO = "2025-12-01 00:00:00.000000"


def row(name: str, load: str = "incremental", **more: object) -> Tree:
    return {
        "table": name,
        "load": load,
        "key": ["id"],
        "watermark": {"column": "modified_at"},
        "silver": {"entity": name, "merge": "upsert"},
        **more,
    }


class Shop:
    """A source, a catalog over it, and a home."""

    def __init__(self, folder: Path, address: str) -> None:
        self.database = Database(folder / "shop.db")
        self.home = folder / "home"
        self.address = address
        self.folder = folder / "catalog"
        self.environ: Mapping[str, str] = {"SHOP_URL": self.database.url}
        for name in ("customers", "orders", "lines", "colours"):
            self.database.create(name, "id INTEGER, amount TEXT, modified_at TEXT")
        self.write([])
        self.database.set_clock(0)

    def write(self, more: list[Tree], columns: Mapping[str, str] = COLUMNS) -> None:
        rows = [
            row("customers"),
            row("orders", depends_on=["customers"]),
            row("lines", depends_on=["orders"]),
            row("colours", "full"),
            *more,
        ]
        write_catalog(
            self.folder,
            [sql_source("shop", rows, timezone="Europe/London")],
            [contract(r["table"], columns, ["id"]) for r in rows],
        )

    @property
    def catalog(self) -> Catalog:
        return load_catalog(self.folder)

    @property
    def settings(self) -> Settings:
        variables = {
            "RETAIL_HOME": str(self.home),
            "RETAIL_CATALOG": str(self.folder),
            "RETAIL_PII_KEY": PII_KEY,
        }
        return Settings.from_environment(variables)

    def plan(self, *names: str, number: int | None = None) -> list[TablePlan]:
        hour = None if number is None else hour_at(number)
        return plan(self.settings, self.catalog, names, hour=hour, environ=self.environ)

    def one(self, name: str, number: int | None = None) -> TablePlan:
        (found,) = self.plan(name, number=number)
        return found

    def load(self, number: int, *entities: str) -> dict[str, int]:
        """Rows that the Bronze loads of an hour have read."""
        self.database.set_clock(number)
        with open_box(self.home, self.catalog, self.address) as box:
            return {entity: self._read(box, entity, number) for entity in entities}

    def _read(self, box: Box, entity: str, number: int) -> int:
        read = box.bronze(entity, number, self.environ).counts.read
        box.silver(entity, number)
        return read

    def fail(self, asset: str, number: int, error: str) -> None:
        with open_box(self.home, self.catalog, self.address) as box:
            load = box.ledger.start(
                asset=asset,
                layer="silver",
                hour=hour_at(number),
                run_id="r",
                engine="e",
                window=None,
            )
            box.ledger.fail(load, error)


@pytest.fixture
def shop(tmp_path: Path, engine_address: str) -> Shop:
    return Shop(tmp_path, engine_address)


def content(folder: Path) -> dict[str, str]:
    """Hash of every file, and every folder."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }


def test_the_rows_that_are_expected_are_those_that_are_read(shop: Shop) -> None:
    """First loads, buffers, rows without time and from the future: the very query's predicate."""
    base = shop.database
    at = [base.local(hour_at(n)) for n in range(3)]
    base.insert("customers", *((n, "1", LONG_AGO) for n in range(5)), (5, "1", at[0]))
    first = shop.one("customers")
    assert (first.outcome, first.hour, first.rows) == (Outcome.LOADS, hour_at(0), 6)
    assert first.window is not None
    assert first.window.initial
    assert shop.load(0, "customers") == {"customers": 6}
    buffered = base.local(hour_at(1) - timedelta(seconds=30))
    base.insert(
        "customers", (6, "1", at[1]), (7, "1", None), (8, "1", "2031-01-01 00:00:00.000000")
    )
    base.insert("customers", (9, "1", buffered))
    base.set_clock(1)
    latest = shop.one("customers")
    assert (latest.hour, latest.rows) == (hour_at(1), 4)
    assert shop.load(1, "customers") == {"customers": 4}
    base.insert("customers", (10, "1", at[2]))
    base.set_clock(2)
    past = shop.one("customers", 1)
    assert past.window is not None
    assert not past.window.latest
    assert past.rows == 2, "rows without a place in time come with the latest hour only"


def test_nothing_is_written(shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not before anything was loaded, and not after; the whole folder is compared."""
    shop.database.insert("orders", (1, "1", LONG_AGO))
    monkeypatch.setenv("RETAIL_HOME", str(shop.home))
    monkeypatch.setenv("RETAIL_CATALOG", str(shop.folder))
    monkeypatch.setenv("SHOP_URL", shop.database.url)
    before = content(tmp_path)
    result = CliRunner().invoke(main, ["plan"])
    assert result.exit_code == 0, result.output
    assert "new table" in result.output
    assert content(tmp_path) == before
    assert not shop.home.exists()
    shop.load(0, "customers", "orders", "colours")
    before = content(tmp_path)
    assert shop.one("lines").touched[1].exists, "the box has made every Silver table"
    for options in ([], ["--json"], ["orders", "--details"], ["--hour", "2026-01-05T12:00"]):
        assert CliRunner().invoke(main, ["plan", *options]).exit_code == 0
    assert content(tmp_path) == before


def test_the_control_database_is_opened_for_reading_only(shop: Shop) -> None:
    shop.load(0, "customers")
    engine = open_control_read_only(shop.settings.control_url)
    assert engine is not None
    with engine.connect() as connection, pytest.raises(OperationalError, match="readonly"):
        connection.execute(sa.text("DELETE FROM loads"))
    engine.dispose()
    with sa.create_engine(shop.settings.control_url).begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    with pytest.raises(PermanentFailure, match="it is on revision 0001"):
        shop.plan()


def test_children_of_what_failed_are_blocked_with_the_chain(shop: Shop) -> None:
    """Parents that would be stopped stop their children, whose causes name them."""
    shop.load(0, "orders")
    shop.fail("silver/customers", 0, "HeldBack: silver.customers: held back")
    alone = shop.one("orders")
    assert alone.outcome is Outcome.BLOCKED
    assert "silver/customers failed (attempt 1): HeldBack" in alone.reasons[0]
    plans = {found.entity: found for found in shop.plan()}
    assert plans["customers"].outcome is Outcome.LOADS
    assert plans["orders"].outcome is Outcome.BLOCKED
    assert plans["lines"].outcome is Outcome.BLOCKED
    assert "silver/orders would not be loaded: silver/customers failed" in plans["lines"].reasons[0]
    assert plans["colours"].outcome is Outcome.LOADS


def test_a_missing_parent_blocks_unless_it_is_loaded_along(shop: Shop) -> None:
    missing = shop.one("orders")
    assert missing.outcome is Outcome.BLOCKED
    assert "silver/customers was never loaded for the hour 2026-01-05-12:00" in missing.reasons[0]
    assert {p.outcome for p in shop.plan("shop.*")} == {Outcome.LOADS}
    shop.load(0, "customers")
    assert shop.one("orders").outcome is Outcome.LOADS


def test_a_passing_failure_is_tried_again_with_its_children(shop: Shop) -> None:
    """A transient one is no reason to hold back what is loaded after it in the same run."""
    shop.fail("silver/customers", 0, "TransientFailure: the network broke off")
    plans = {found.entity: found for found in shop.plan("customers", "orders")}
    assert plans["orders"].outcome is Outcome.LOADS
    assert "TransientFailure" in plans["orders"].reasons[0]
    assert shop.one("orders").outcome is Outcome.BLOCKED, "alone, it would not be"


def test_a_whole_read_that_shrank_would_be_held(shop: Shop) -> None:
    """An empty source is held at once; an approval lets it through."""
    shop.database.insert("colours", *((n, "1", LONG_AGO) for n in range(10)))
    shop.load(0, "colours")
    assert shop.one("colours").guard == "10 keys read, 10 stored"
    shop.database.execute("DELETE FROM colours")
    shop.database.set_clock(1)
    held = shop.one("colours")
    assert held.outcome is Outcome.FAILS
    assert "retail-platform approve silver/colours --hour 2026-01-05-13:00" in held.reasons[0]
    with open_box(shop.home, shop.catalog, shop.address) as box:
        box.ledger.approvals.approve(
            asset="silver/colours", hour=hour_at(1), rule="row_count", reason="sold", person="Zoe"
        )
    assert shop.one("colours").outcome is Outcome.LOADS


def test_columns_against_source_lake_and_contract(shop: Shop) -> None:
    shop.database.insert("orders", (1, "1", LONG_AGO))
    shop.load(0, "customers", "orders")
    shop.database.execute("ALTER TABLE orders ADD COLUMN Colour TEXT")
    shop.write([], {**COLUMNS, "note": "string"})
    columns = shop.one("shop.orders").columns
    assert columns.added_to_bronze == ("Colour",)
    assert columns.added_to_silver == ("note",)
    assert columns.dropped == ("Colour",)
    assert columns.missing == ("note",)
    assert columns.cast == (
        "id: INTEGER -> bigint",
        "amount: TEXT -> decimal(19,4)",
        "modified_at: TEXT -> timestamp",
    )
    shop.write([], {**COLUMNS, "amount": "double"})
    retyped = shop.one("orders")
    assert retyped.outcome is Outcome.FAILS
    assert "amount: stored decimal(19,4), now double" in retyped.reasons[-1]
    assert "Types are frozen" in retyped.reasons[-1]


def test_files_are_those_whose_keys_may_match(shop: Shop) -> None:
    """Two hours of distant keys are two files; an hour that changes one of them touches one."""
    for number, first in enumerate((0, 1000)):
        stamp = shop.database.local(hour_at(number))
        shop.database.insert("customers", *((first + n, "1", stamp) for n in range(9)))
        shop.load(number, "customers")
    stamp = shop.database.local(hour_at(2))
    shop.database.execute(f"UPDATE customers SET modified_at = '{stamp}' WHERE id = 1003")
    shop.database.set_clock(2)
    bronze, silver = shop.one("customers").touched
    assert (silver.files, silver.touched, silver.rows) == (2, 1, 9)
    assert (bronze.touched, bronze.partitions) == (0, ("_hour=2026-01-05 14:00",))
    again, _ = shop.one("customers", 1).touched
    assert (again.touched, again.rows) == (1, 9)
    shop.database.execute("DELETE FROM customers WHERE id = 1003")
    assert shop.one("customers").touched[1].touched == 0, "an empty hour touches nothing"


def test_a_source_that_is_not_there_is_a_row_and_a_missing_variable_a_failure(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What passes by itself is unknown, and the exit code says no to nothing; else it is 1."""
    monkeypatch.setenv("RETAIL_HOME", str(shop.home))
    monkeypatch.setenv("RETAIL_CATALOG", str(shop.folder))
    monkeypatch.setenv("SHOP_URL", "sqlite:////nowhere/shop.db")
    result = CliRunner().invoke(main, ["plan", "colours", "--json"])
    assert result.exit_code == 0, result.output
    (found,) = json.loads(result.output)
    assert found["outcome"] == "unknown"
    assert "cannot be reached" in found["reasons"][0]
    monkeypatch.delenv("SHOP_URL")
    result = CliRunner().invoke(main, ["plan", "colours"])
    assert result.exit_code == 1
    assert "SHOP_URL, which is not set" in result.output
    assert "Traceback" not in result.output
    result = CliRunner().invoke(main, ["plan", "colour"])
    assert result.exit_code == 1
    assert "no table is called 'colour'; there are: colours" in result.output


def test_hours_that_are_open_or_have_passed(shop: Shop) -> None:
    assert shop.one("colours", 1).outcome is Outcome.WAITS
    shop.database.set_clock(3)
    missed = shop.one("colours", 1)
    assert missed.outcome is Outcome.STAYS
    assert "counts as missed" in missed.reasons[0]


def test_settings_tell_where_they_come_from(shop: Shop) -> None:
    settings = {s.name: (s.value, s.origin) for s in shop.one("orders").settings}
    assert settings["watermark.column"] == ("modified_at", "row")
    assert settings["watermark.buffer"] == ("1m", "platform")
    assert settings["silver.max_shrink"] == ("0.2", "platform")
    assert settings["connection.timezone"] == ("Europe/London", "source")
    assert settings["connection.url"] == ("env: SHOP_URL", "source")
    assert settings["contract"] == ("orders 1.0.0", "contract")


def test_a_source_column_that_the_row_names_and_the_source_lacks(shop: Shop) -> None:
    shop.database.execute("ALTER TABLE orders RENAME COLUMN modified_at TO changed_at")
    failing = next(p for p in shop.plan() if p.entity == "orders")
    assert failing.outcome is Outcome.FAILS
    assert "no column modified_at" in failing.reasons[0]
    assert failing.hour == hour_at(0).astimezone(UTC) == datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_files_are_listed_and_their_headers_looked_at(tmp_path: Path) -> None:
    """Rows are unknown without reading; a marker is waited for, and a bad header would fail."""
    landing = Landing(tmp_path / "landing")
    settings = Settings.from_environment({"RETAIL_HOME": str(tmp_path / "home")})
    catalog = demo_catalog("pos_transactions")

    def planned() -> TablePlan:
        (found,) = plan(settings, catalog, hour=hour_at(0), environ=landing.environ)
        return found

    assert planned().outcome is Outcome.WAITS
    assert "waiting for marker" in planned().reasons[0]
    landing.deliver(0, pos_file("1,A,Thing,1,2026-01-05 12:00:00,2.5,17850,UK"))
    found = planned()
    assert (found.outcome, found.rows) == (Outcome.LOADS, None)
    assert found.reads.startswith("1 files, ")
    assert found.columns.missing == found.columns.dropped == ()
    assert "quantity: string -> int" in found.columns.cast
    landing.deliver(0, "InvoiceNo,Colour\n1,red\n")
    failing = planned()
    assert failing.outcome is Outcome.FAILS
    assert "no column StockCode" in failing.reasons[0]
