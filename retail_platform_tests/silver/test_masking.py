"""Personal data: masked by a keyed HMAC in Silver, and in clear nowhere after Bronze."""

import hashlib
import hmac
from pathlib import Path

import pytest

from retail_platform.failures import PermanentFailure
from retail_platform.silver.load import SilverLoader
from retail_platform_tests.platform.box import PII_KEY, hour_at
from retail_platform_tests.platform.catalogs import demo_catalog
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.platform.sources import Database

CLEAR = {
    "full_name": "Zoë O'Hara",
    "email": "zoe@example.org",
    "phone": "+1 555 0100",
    "address_line": "1 High St \\ B",
}
NORMAL = {
    "full_name": "zoë o'hara",
    "email": "zoe@example.org",
    "phone": "+15550100",
    "address_line": "1 high st \\ b",
}
EARLY = "2025-12-01 00:00:00"


def mask(text: str) -> str:
    return hmac.new(PII_KEY.encode(), text.encode(), hashlib.sha256).hexdigest()


@pytest.fixture
def source(tmp_path: Path) -> Database:
    """One good customer, one who writes otherwise, one without, one that is refused."""
    database = Database(tmp_path / "sales.db", "America/Los_Angeles")
    database.create_like(demo_catalog("customers").by_entity["customers"])
    person = {"customer_type": "person", "modified_at": EARLY}
    database.put("customers", customer_id="1", **person, **CLEAR)
    database.put("customers", customer_id="2", **person, email=" Zoe@Example.ORG ")
    database.put("customers", customer_id="3", **person)
    database.put("customers", customer_id="4", **CLEAR | person | {"customer_type": "robot"})
    database.set_clock(0)
    return database


def test_equal_inputs_have_equal_masks_that_are_hmacs(new_box: Opener, source: Database) -> None:
    """What Python's hmac gives for the normal form; NULL stays NULL."""
    box = new_box(demo_catalog("customers"))
    box.both("customers", 0, {"SALES_DB_URL": source.url})
    rows = {row["customer_id"]: row for row in box.live("customers")}
    for name, text in NORMAL.items():
        assert rows[1][name] == mask(text)
        assert rows[3][name] is None
    assert rows[2]["email"] == rows[1]["email"]


def test_clear_text_is_in_no_file_after_bronze(
    new_box: Opener, source: Database, tmp_path: Path
) -> None:
    """Silver, quarantine and control database, read as bytes and as rows."""
    box = new_box(demo_catalog("customers"))
    box.both("customers", 0, {"SALES_DB_URL": source.url})
    (refused,) = box.quarantined("customers")
    assert '"customer_id":"4"' in refused["payload"]
    shown = f"{box.stored_silver('customers')}{box.quarantined('customers')}"
    home = tmp_path / "box1"
    files = [
        path
        for folder in ("lake/silver", "lake/quarantine", "control.db")
        for path in ([home / folder] if (home / folder).is_file() else (home / folder).rglob("*"))
        if path.is_file()
    ]
    assert len(files) > 3
    for text in (*CLEAR.values(), *NORMAL.values()):
        assert text not in shown
        assert not [path.name for path in files if text.encode() in path.read_bytes()]


def test_without_a_key_nothing_is_loaded(new_box: Opener, source: Database) -> None:
    """A missing key is never replaced by clear text or by an empty key."""
    box = new_box(demo_catalog("customers"))
    box.bronze("customers", 0, {"SALES_DB_URL": source.url})
    loader = SilverLoader(
        catalog=box.catalog,
        table=box.catalog.by_entity["customers"],
        lakehouse=box.lake,
        ledger=box.ledger,
        pii_key=None,
        run_id="run",
        engine="embedded",
    )
    with pytest.raises(PermanentFailure, match="set RETAIL_PII_KEY"):
        loader.load(hour_at(0))
    assert box.live("customers") == []
