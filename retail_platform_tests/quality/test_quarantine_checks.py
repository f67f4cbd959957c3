"""What a run says of its quarantine: counts by reason, and checks with the row's thresholds."""

from pathlib import Path

import dagster as dg
import pytest

from retail_platform.control.database import open_control
from retail_platform.control.decisions import QuarantineDecisions
from retail_platform.quality.quarantined import discard, quarantined_rows
from retail_platform_tests.platform.catalogs import (
    contract,
    quarantine_rule,
    sql_source,
    write_catalog,
)
from retail_platform_tests.platform.dagster_runs import Location, checks, failures, location
from retail_platform_tests.platform.sources import Database
from retail_platform_tests.silver.modes import PLAIN, RULES

AT = ["2026-01-05 12:10:00", "2026-01-05 13:10:00"]
ASSET = "silver/contacts"


def catalog(folder: Path) -> Path:
    """Two fifths of an hour and two rows of the table may be refused without a word."""
    table = {
        "table": "contacts",
        "load": "incremental",
        "key": ["id"],
        "watermark": {"column": "modified_at"},
        "silver": {"entity": "contacts", "merge": "upsert"},
    }
    tree = contract("contacts", PLAIN, ["id"], required=["amount"], rules=RULES)
    tree["schema"][0]["quality"] += [
        quarantine_rule("quarantinedRows", 40, severity="warning"),
        quarantine_rule("openQuarantinedRows", 2, severity="warning", unit="rows"),
    ]
    return write_catalog(folder, [sql_source("box", [table])], [tree])


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    database = Database(tmp_path / "box.db")
    database.create("contacts", "id TEXT, amount TEXT, modified_at TEXT")
    monkeypatch.setenv("BOX_URL", database.url)
    return database


def run(place: Location, source: Database, number: int) -> dg.ExecuteInProcessResult:
    source.set_clock(number)
    result = place.run(number)
    assert result.success, failures(result)
    return result


def table_of(result: dg.ExecuteInProcessResult) -> dict[str, tuple[object, object]]:
    """Reason to (rows of this load, open rows), as the asset's metadata shows it."""
    (event,) = [
        event
        for event in result.get_asset_materialization_events()
        if event.asset_key and event.asset_key.to_user_string() == ASSET
    ]
    shown = event.step_materialization_data.materialization.metadata["quarantined_by_reason"]
    assert isinstance(shown, dg.TableMetadataValue)
    return {
        str(record.data["reason"]): (record.data["this_load"], record.data["open"])
        for record in shown.records
    }


def test_counts_by_reason_and_thresholds(
    tmp_path: Path, engine_address: str, source: Database
) -> None:
    """Beyond a threshold the check warns; rows that a person closed count no more."""
    good = [(str(n), "1", AT[0]) for n in range(10, 13)]
    source.insert("contacts", *good, ("1", "many", AT[0]), ("2", "-1", AT[0]))
    with location(catalog(tmp_path / "catalog"), tmp_path / "home", engine_address) as place:
        first = run(place, source, 0)
        assert checks(first)[ASSET, "row_rules"]
        assert checks(first)[ASSET, "open_quarantined"]
        assert table_of(first) == {
            "amount cannot be read as int": (1, 1),
            "amount is missing": (1, 1),
            "amount is negative": (1, 1),
        }
        later = [("20", "1"), ("21", "1"), ("3", "-1"), ("4", "-2")]
        source.insert("contacts", *[(key, amount, AT[1]) for key, amount in later])
        second = run(place, source, 1)
        assert not checks(second)[ASSET, "row_rules"], "half of the hour"
        assert not checks(second)[ASSET, "open_quarantined"]
        assert table_of(second)["amount is negative"] == (2, 3)
        assert table_of(second)["amount is missing"] == (0, 1)
        lake = str(tmp_path / "home" / "lake")
        decisions = QuarantineDecisions(open_control(f"sqlite:///{tmp_path}/home/control.db"))
        rows = quarantined_rows(lake, "contacts", decisions, reason="cannot read")
        rows += quarantined_rows(lake, "contacts", decisions, reason="negative")[:1]
        assert discard("contacts", rows, decisions, person="Ada", reason="tests") == 2
        third = run(place, source, 1)
        assert checks(third)[ASSET, "open_quarantined"]
        assert "amount is missing" not in table_of(third)
