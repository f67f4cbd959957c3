"""Onboarding from SQLite and files: proposals, what becomes of the catalog, what is refused."""

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.metadata.file_formats import DelimitedFormat
from retail_platform.metadata.loader import load_catalog
from retail_platform.metadata.onboarding import onboard
from retail_platform.metadata.onboarding_change import Onboarding, Outcome
from retail_platform.metadata.onboarding_scope import NewSource
from retail_platform.settings import PACKAGE
from retail_platform_tests.platform.box import hour_at
from retail_platform_tests.platform.catalogs import contract, sql_source, write_catalog
from retail_platform_tests.platform.sources import Database, Landing, pos_file

ROW = {
    "table": "customers",
    "load": "incremental",
    "key": ["id"],
    "watermark": {"column": "modified_at"},
    "silver": {"entity": "customers", "merge": "scd2"},
}
META = ("file_path", "line_number")
COLUMNS = {"id": "bigint", "name": "string", "modified_at": "timestamp"}
HEAD = """\
# The shop's database: asked every hour.
source:   shop      # spacing stays
connection: {kind: sql, url: {env: SHOP_URL}, timezone: Europe/London, clock_query: select now from clock}
tables:
  - {table: customers, load: incremental, key: [id], watermark: {column: modified_at},
     silver: {entity: customers, merge: scd2}}   # the oldest one
    # a remark on customers

# the end
owners: ["team:shop"]
"""  # noqa: E501


ORDER_DETAILS = """CREATE TABLE "Order Details" (
    "OrderID" INTEGER NOT NULL, "Line" INTEGER NOT NULL, "Order" TEXT,
    "UnitPrice" DECIMAL(10,2) NOT NULL, "Status" TEXT NOT NULL,
    "CustomerID" INTEGER REFERENCES customers(id), "E-Mail" TEXT, "UpdatedAt" TEXT,
    CHECK ("Status" IN ('open','shut')), CHECK ("UnitPrice" >= 0), CHECK (json_valid("Order")),
    PRIMARY KEY ("OrderID", "Line"))"""


@pytest.fixture
def shop(tmp_path: Path) -> Database:
    """A database with tables of every kind."""
    database = Database(tmp_path / "shop.db")
    for statement in (
        "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, modified_at TEXT)",
        ORDER_DETAILS,
        "CREATE TABLE colours (colour_id INTEGER PRIMARY KEY, name TEXT)",
        "CREATE TABLE loose (code TEXT, amount TEXT, modified_at TEXT)",
        "CREATE TABLE shapeless (a TEXT, b TEXT)",
        "CREATE VIEW everything AS SELECT * FROM colours",
        "CREATE TABLE events (event_id INTEGER PRIMARY KEY, kind TEXT, created_at TEXT)",
        "CREATE TABLE clock (now TEXT)",
    ):
        database.execute(statement)
    database.insert(
        '"Order Details"',
        *(
            (n, 1, "1", "1.25", "open", 1, f"a{n}@example.org", "2026-01-05 10:00:00")
            for n in range(40)
        ),
    )
    database.insert("loose", *((f"c{n}", f"{n}.5", "2026-01-05 10:00:00") for n in range(30)))
    database.insert("shapeless", ("a", "b"), ("a", "b"))
    database.insert("colours", (1, "red"), (2, "blue"))
    stamps = [database.local(hour_at(0) if n != 7 else hour_at(-1)) for n in range(60)]
    database.insert("events", *((n, "click", stamp) for n, stamp in enumerate(stamps)))
    return database


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A catalog whose file is formatted by hand."""
    path = write_catalog(
        tmp_path / "catalog",
        [sql_source("shop", [ROW])],
        [contract("customers", COLUMNS, ["id"])],
    )
    (path / "sources" / "shop.yaml").write_text(HEAD, encoding="utf-8")
    return path


def asked(folder: Path, database: Database, *patterns: str, **more: object) -> Onboarding:
    return onboard(folder, patterns, environ={"SHOP_URL": database.url}, **more)  # pyright: ignore[reportArgumentType]


def only(onboarding: Onboarding) -> Outcome:
    (outcome,) = onboarding.outcomes
    return outcome


def test_the_file_keeps_every_line_and_the_catalog_loads(folder: Path, shop: Database) -> None:
    """Comments, order, flow style and what follows the tables stay byte by byte."""
    onboarding = asked(folder, shop, 'shop."Order Details"')
    path = folder / "sources" / "shop.yaml"
    assert path.read_text("utf-8") == HEAD, "nothing is written before write()"
    onboarding.write()
    after = path.read_text("utf-8").splitlines()
    kept = iter(after)
    assert all(line in kept for line in HEAD.splitlines())
    place = after.index("    # a remark on customers")
    assert after[place + 1].startswith("  # "), "new rows follow the last one and its remark"
    assert after.index("# the end") > after.index("  - table: order_details")
    assert {t.entity for t in load_catalog(folder).tables} == {"customers", "order_details"}


def test_a_row_of_mixed_case_with_composite_key(folder: Path, shop: Database) -> None:
    """Names are mapped, types are exact, constraints are rules, foreign keys are references."""
    asked(folder, shop, "shop.order details").write()
    table = load_catalog(folder).by_entity["order_details"]
    assert table.row.source_name == "Order Details"
    assert table.row.load == "incremental"
    assert table.row.key == ("order_id", "line")
    assert table.row.watermark is not None
    assert table.row.watermark.column == "updated_at"
    assert table.row.columns["Order"] == "order_details_order", "a reserved word"
    assert table.row.columns["E-Mail"] == "e_mail"
    assert {name: pii.kind for name, pii in table.row.pii.items()} == {"e_mail": "email"}
    assert [(r.column, r.entity) for r in table.row.references] == [("customer_id", "customers")]
    assert table.parents == ("customers",)
    assert {c.name: c.physicalType for c in table.contract.columns} == {
        "order_id": "bigint",
        "line": "bigint",
        "order_details_order": "string",
        "unit_price": "decimal(10,2)",
        "status": "string",
        "customer_id": "bigint",
        "e_mail": "string",
        "updated_at": "timestamp",
    }
    assert {rule.predicate for rule in table.contract.row_rules} == {
        "order_id is not null",
        "line is not null",
        "unit_price is not null",
        "status is not null",
        "cast(status as string) in ('open', 'shut')",
        "unit_price >= 0",
    }
    notes = (folder / "sources" / "shop.yaml").read_text("utf-8")
    assert "not taken over, write the rule by hand: CHECK (json_valid" in notes
    assert "no index on UpdatedAt" in notes
    assert "example.org" not in notes, "no personal value becomes a comment"


def test_a_table_without_watermark_is_read_whole(folder: Path, shop: Database) -> None:
    asked(folder, shop, "shop.colours").write()
    row = load_catalog(folder).by_entity["colours"].row
    assert (row.load, row.watermark) == ("full", None)


def test_a_table_without_primary_key_gets_a_proved_guess(folder: Path, shop: Database) -> None:
    """A column that tells the sample apart is the key only if it tells the whole table apart."""
    assert only(asked(folder, shop, "shop.loose")).proposal is not None
    shop.execute("CREATE TABLE twice (code TEXT, amount TEXT)")
    shop.insert("twice", *((f"c{n % 1500}", "1") for n in range(1600)))
    left = only(asked(folder, shop, "shop.twice"))
    assert left.state == "left out"
    assert "name the key with --key" in left.text
    named = only(asked(folder, shop, "shop.shapeless", key=["A"]))
    assert named.proposal is not None
    assert named.proposal.key == ("a",)
    with pytest.raises(PermanentFailure, match="--key goes with one table"):
        asked(folder, shop, "shop.*", key=["a"])


def test_wildcards_leave_out_what_cannot_be_and_do_the_rest(folder: Path, shop: Database) -> None:
    """Views and the clock are not meant by a star; tables that exist are left alone."""
    states = {o.table: o.state for o in asked(folder, shop, "shop.*").outcomes}
    assert states == {
        "Order Details": "new",
        "colours": "new",
        "customers": "exists",
        "events": "new",
        "loose": "new",
        "shapeless": "left out",
    }


def test_append_only_tables_get_a_buffer_that_covers_what_came_late(
    folder: Path, shop: Database
) -> None:
    """A creation time that rises with the key is a watermark; one that does not is none."""
    found = only(asked(folder, shop, "shop.events")).proposal
    assert found is not None
    assert found.row["watermark"] == {"column": "created_at", "buffer": "60m"}
    assert any("deletes are not seen" in note for note in found.notes)
    shop.execute("UPDATE events SET created_at = '2026-01-05 0' || (event_id % 9) || ':00:00'")
    shuffled = only(asked(folder, shop, "shop.events")).proposal
    assert shuffled is not None
    assert shuffled.row["load"] == "full"


def test_missing_and_unsortable_watermarks_are_told(folder: Path, shop: Database) -> None:
    shop.execute("UPDATE loose SET modified_at = NULL WHERE amount < '15'")
    some = only(asked(folder, shop, "shop.loose")).proposal
    assert some is not None
    assert some.row["watermark"] == {"column": "modified_at", "buffer": "1m", "null": "default"}
    shop.execute("UPDATE loose SET modified_at = '2026-01-05T10:00:00'")
    none = only(asked(folder, shop, "shop.loose")).proposal
    assert none is not None
    assert none.row["load"] == "full"
    assert any("SQLite orders text" in note for note in none.notes)


def test_an_entity_that_is_taken_gets_the_name_of_its_source(folder: Path, shop: Database) -> None:
    (folder / "contracts" / "silver" / "colours.yaml").write_text(
        (folder / "contracts" / "silver" / "customers.yaml")
        .read_text("utf-8")
        .replace("customers", "colours"),
        encoding="utf-8",
    )
    found = only(asked(folder, shop, "shop.colours")).proposal
    assert found is not None
    assert found.entity == "shop_colours"


def test_new_columns_are_added_and_nothing_else(folder: Path, shop: Database) -> None:
    """The contract's version takes a minor step; the row learns new names and what is personal."""
    assert only(asked(folder, shop, "shop.customers", update=True)).state == "exists"
    shop.execute('ALTER TABLE customers ADD COLUMN "PhoneNo" TEXT')
    shop.execute("ALTER TABLE customers ADD COLUMN points INTEGER NOT NULL DEFAULT 0")
    assert not asked(folder, shop, "shop.customers").changes, "left alone without --update"
    onboarding = asked(folder, shop, "shop.customers", update=True)
    assert only(onboarding).state == "updated"
    onboarding.write()
    table = load_catalog(folder).by_entity["customers"]
    assert table.contract.version == "1.1.0"
    assert [c.name for c in table.contract.columns] == [*COLUMNS, "phone_no", "points"]
    points = table.contract.column("points")
    assert points is not None
    assert not points.required, "rows of earlier hours do not have it"
    assert table.row.columns == {"PhoneNo": "phone_no"}
    assert {name: pii.kind for name, pii in table.row.pii.items()} == {"phone_no": "phone"}
    assert "# the oldest one" in (folder / "sources" / "shop.yaml").read_text("utf-8")


def test_a_catalog_that_would_not_load_is_not_written(tmp_path: Path, shop: Database) -> None:
    folder = tmp_path / "fresh"
    with pytest.raises(PermanentFailure, match=r"nothing is written: .*not an IANA"):
        onboard(
            folder,
            ["colours"],
            environ={"URL": shop.url},
            new_source=NewSource(name="shop", kind="sql", variable="URL", timezone="London"),
        )
    assert not folder.exists()


def test_two_names_that_are_written_alike_get_two_tables(folder: Path, shop: Database) -> None:
    """Neither their Bronze tables nor their entities are one."""
    shop.execute("CREATE TABLE Order_Details (id INTEGER PRIMARY KEY)")
    asked(folder, shop, "shop.order*").write()
    tables = [t for t in load_catalog(folder).tables if t.entity != "customers"]
    assert {t.bronze for t in tables} == {"shop__order_details", "shop__order_details_2"}
    assert {t.row.name_in_source for t in tables} == {"Order Details", "Order_Details"}


def test_a_file_that_changed_meanwhile_is_not_overwritten(folder: Path, shop: Database) -> None:
    onboarding = asked(folder, shop, "shop.colours")
    path = folder / "sources" / "shop.yaml"
    path.write_text(HEAD + "# someone was here\n", encoding="utf-8")
    with pytest.raises(PermanentFailure, match="changed while its diff"):
        onboarding.write()
    assert not (folder / "contracts" / "silver" / "colours.yaml").exists()


def test_half_a_write_is_taken_back(folder: Path, shop: Database) -> None:
    """The second file cannot be written: the first one is as before."""
    onboarding = asked(folder, shop, "shop.colours")
    (folder / "contracts" / "silver" / ".colours.yaml.new").mkdir()
    with pytest.raises(PermanentFailure, match="nothing was changed"):
        onboarding.write()
    assert (folder / "sources" / "shop.yaml").read_text("utf-8") == HEAD


@pytest.mark.parametrize(
    ("pattern", "cure"),
    [
        ("nowhere.orders", "names no source of the catalog.*--new-source"),
        ("orders", "names no source"),
        ("shop.shop.yaml", "Quote wildcards"),
        ("shop.nothing", "has no table nothing; it has: .*colours"),
    ],
)
def test_what_does_not_exist_is_named(
    folder: Path, shop: Database, pattern: str, cure: str
) -> None:
    with pytest.raises(PermanentFailure, match=cure):
        asked(folder, shop, pattern)


def test_an_api_is_not_looked_into() -> None:
    with pytest.raises(PermanentFailure, match="kind facebook_ads: onboard looks into SQL"):
        onboard(PACKAGE / "catalog", ["facebook_ads.campaigns"], environ={})


def test_a_database_that_is_not_there_is_not_created(folder: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing.db"
    with pytest.raises(TransientFailure, match="cannot be looked into"):
        onboard(folder, ["shop.*"], environ={"SHOP_URL": f"sqlite:///{missing}"})
    assert not missing.exists()
    with pytest.raises(PermanentFailure, match="SHOP_URL, which is not set"):
        onboard(folder, ["shop.*"], environ={})


def test_a_new_source_of_files(tmp_path: Path) -> None:
    """A pattern is found in the paths; every column of the header is declared, ids are numbers."""
    landing = Landing(tmp_path / "landing")
    lines = [f"5{n},A{n},Thing,1,2026-01-05 12:0{n}:00,2.5,17850.0,nan" for n in range(9)]
    landing.deliver(0, pos_file(*lines))
    folder = tmp_path / "catalog"
    onboarding = onboard(
        folder,
        ["*"],
        environ={"TILL": str(landing.root)},
        new_source=NewSource(name="till", kind="files", variable="TILL", timezone="Europe/London"),
    )
    onboarding.write()
    table = load_catalog(folder).by_entity["transactions"]
    assert table.row.path == "pos/retail/transactions/%Y-%m-%d/transactions_%Y%m%dT%H"
    assert table.row.key == ("file_path", "line_number")
    assert table.row.null_tokens == ("nan",)
    types = {c.name: c.physicalType for c in table.contract.columns}
    assert types["customer_id"] == "bigint"
    assert types["unit_price"] == "decimal(19,4)"
    assert types["invoice_date"] == "timestamp"


def test_how_files_are_written_is_found(tmp_path: Path) -> None:
    """Delimiter, decimal comma, JSON lines and Parquet; a file that is no hour's is no table."""
    root = tmp_path / "landing"
    files = {
        "rates/rates_2026010513.txt": "Code;Rate\nA;1.234,56\nB;3,5\n",
        "clicks/2026-01-05/clicks_20260105T13.jsonl": '{"page": "a", "n": 3}\n',
        "static/list.csv": "a,b\n1,2\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    (root / "stock").mkdir()
    table = pa.table({"Sku": ["x"], "Qty": pa.array([1], pa.int16()), "Price": [Decimal("1.50")]})
    pq.write_table(table, root / "stock" / "stock_20260105_13.parquet")
    folder = tmp_path / "catalog"
    new = NewSource(name="drops", kind="files", variable="DROPS", timezone="UTC")
    onboard(folder, ["*"], environ={"DROPS": str(root)}, new_source=new).write()
    tables = load_catalog(folder).by_entity
    assert set(tables) == {"rates", "clicks", "stock"}
    types = {
        entity: {c.name: c.physicalType for c in table.contract.columns if c.name not in META}
        for entity, table in tables.items()
    }
    assert types["rates"] == {"code": "string", "rate": "decimal(19,4)"}
    assert types["clicks"] == {"page": "string", "n": "bigint"}
    assert types["stock"] == {"sku": "string", "qty": "bigint", "price": "decimal(3,2)"}
    rates = tables["rates"].row.file_format
    assert isinstance(rates, DelimitedFormat)
    assert (rates.delimiter, rates.decimal, rates.thousands) == (";", ",", ".")
    assert tables["stock"].row.path == "stock/stock_%Y%m%d_%H"


def test_two_hundred_tables_are_asked_for_at_once(folder: Path, shop: Database) -> None:
    """References among them become an order without cycles."""
    for n in range(200):
        shop.execute(
            f"CREATE TABLE t{n:03} (id INTEGER PRIMARY KEY, next_id INTEGER "
            f"REFERENCES t{(n + 1) % 200:03}(id), modified_at TEXT)"
        )
    onboarding = asked(folder, shop, "shop.t*")
    assert len(onboarding.outcomes) == 200
    onboarding.write()
    assert sum(bool(table.parents) for table in load_catalog(folder).tables) == 199
