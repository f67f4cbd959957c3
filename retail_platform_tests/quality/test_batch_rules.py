"""Batch rules of a contract: judged before the commit, by measures of the rows that go on."""

from pathlib import Path

import pytest

from retail_platform.control.models import Status
from retail_platform.metadata.loader import load_catalog
from retail_platform.quality.batch_rules import asset_checks
from retail_platform.quality.verdicts import HeldBack, Verdict
from retail_platform.silver.load import SilverLoad
from retail_platform_tests.platform.box import Box, Row
from retail_platform_tests.platform.catalogs import Tree, contract, sql_source, write_catalog
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.platform.sources import ArrowReader

COLUMNS = {"id": "bigint", "code": "string", "city": "string", "amount": "int", "at": "timestamp"}
RULES = {"amount is negative": "amount >= 0"}


def rows(count: int, *, first: int = 0, **values: object) -> list[Row]:
    base = [
        {"id": str(n), "code": f"c{n}", "city": "Bath", "amount": "1", "at": "2026-01-05 12:10:00"}
        for n in range(first, first + count)
    ]
    return [{**row, **values} for row in base]


def open_with(new_box: Opener, folder: Path, rules: dict[str | None, list[Tree]]) -> Box:
    """A box with one table, ``things``, whose contract has rules on columns or (None) the table."""
    tree = contract("things", COLUMNS, ["id"], rules=RULES, max_quarantined=100)
    for column in tree["schema"][0]["properties"]:
        column["quality"] = rules.get(column["name"], [])
        column["unique"] = column["name"] == "code" and None in rules and not rules[None]
    tree["schema"][0]["quality"] += rules.get(None, [])
    table = {
        "table": "things",
        "load": "incremental",
        "key": ["id"],
        "watermark": {"column": "at"},
        "silver": {"entity": "things", "merge": "scd2"},
    }
    return new_box(
        load_catalog(write_catalog(folder / "catalog", [sql_source("box", [table])], [tree]))
    )


def load(box: Box, number: int, read: list[Row]) -> SilverLoad:
    at = f"2026-01-05 {12 + number}:10:00"
    read = [{**row, "at": row["at"].replace("2026-01-05 12:10:00", at)} for row in read]
    box.bronze_from("things", number, ArrowReader.at(number, read, list(COLUMNS)))
    return box.silver("things", number)


def verdict(load: SilverLoad, check: str) -> Verdict:
    return next(one for one in load.verdicts if one.check == check)


def test_completeness_holds_the_hour_beyond_its_threshold(new_box: Opener, tmp_path: Path) -> None:
    """The threshold itself passes; quarantined rows do not count; nothing is committed beyond."""
    rule = {"metric": "nullValues", "mustBeLessOrEqualTo": 25, "unit": "percent"}
    box = open_with(new_box, tmp_path, {"city": [rule]})
    good = [*rows(3), *rows(1, first=3, city=None), *rows(2, first=8, city=None, amount="-1")]
    found = verdict(load(box, 0, good), "completeness")
    assert found.passed
    assert found.text == "city: nullValues: 25 % of 4 rows, expected at most 25 %"
    with pytest.raises(HeldBack, match=r"completeness: city: nullValues: 40 % of 5 rows.*--rule"):
        load(box, 1, [*rows(3, first=10), *rows(2, first=20, city=None)])
    assert len(box.live("things")) == 4
    assert box.loads("things")[-1].status is Status.FAILURE


def test_a_warning_reports_and_lets_pass(new_box: Opener, tmp_path: Path) -> None:
    """Thresholds and predicates with severity warning: rows go on, the check says which failed."""
    rules: dict[str | None, list[Tree]] = {
        "city": [
            {"metric": "missingValues", "arguments": {"missingValues": [None, "n/a"]}, "mustBe": 0},
            {"metric": "invalidValues", "arguments": {"pattern": "^[A-Z]"}, "mustBe": 0},
        ],
        None: [
            {
                "name": "amount is large",
                "type": "custom",
                "engine": "retail_platform",
                "implementation": "amount < 100",
            }
        ],
    }
    for listed in rules.values():
        for rule in listed:
            rule["severity"] = "warning"
    box = open_with(new_box, tmp_path, rules)
    read = [*rows(2), *rows(1, first=2, city="n/a"), *rows(1, first=3, amount="100")]
    loaded = load(box, 0, read)
    assert loaded.counts.applied == 4, "nothing is quarantined, nothing held"
    completeness, validity = verdict(loaded, "completeness"), verdict(loaded, "validity")
    assert (completeness.passed, completeness.blocking) == (False, False)
    assert (validity.passed, validity.blocking) == (False, False)
    assert validity.figures == {"city does not match ^[A-Z]": 1, "amount is large": 1}
    assert "amount is large: 1 of 4 rows" in validity.text
    assert verdict(load(box, 1, rows(2, first=10)), "validity").passed


def test_uniqueness_is_between_keys(new_box: Opener, tmp_path: Path) -> None:
    """Two keys with one value are duplicates; two versions of a key and NULLs are not."""
    box = open_with(new_box, tmp_path, {None: []})
    versions = [
        *rows(1, code="same"),
        *rows(1, code="same", city="York", at="2026-01-05 12:20:00"),
        *rows(2, first=5, code=None),
    ]
    assert verdict(load(box, 0, versions), "uniqueness").passed
    with pytest.raises(HeldBack, match=r"uniqueness: code: duplicateValues: 2 of 4 rows"):
        load(box, 1, [*rows(3, first=10, code="same"), *rows(1, first=20)])


def test_volume_is_measured_by_the_median_of_the_hours_before(
    new_box: Opener, tmp_path: Path
) -> None:
    """Few hours warn; with enough of them the hour is held; a failed hour is no history."""
    rule = {
        "metric": "rowCount",
        "mustBeBetween": [50, 200],
        "unit": "percent",
        "arguments": {"medianOfHours": 3},
    }
    box = open_with(new_box, tmp_path, {None: [{**rule, "name": "volume"}]})
    first = verdict(load(box, 0, rows(100)), "volume")
    assert (first.passed, first.text) == (
        True,
        "volume: 100 rows, nothing to compare with: no hour before",
    )
    young = verdict(load(box, 1, rows(10, first=200)), "volume")
    assert (young.passed, young.blocking) == (False, False)
    assert "10 % of the median 100 of 1 hours" in young.text
    assert verdict(load(box, 2, rows(60, first=300)), "volume").passed
    assert verdict(load(box, 3, rows(40, first=400)), "volume").passed
    with pytest.raises(HeldBack, match=r"volume: volume: 9 rows, 22 % of the median 40 of 3 hours"):
        load(box, 4, rows(9, first=500))
    with pytest.raises(HeldBack, match=r"0 rows, 0 % of the median 40 of 3 hours"):
        load(box, 5, [])
    assert verdict(load(box, 5, rows(80, first=600)), "volume").passed


def test_the_asset_declares_the_checks_of_its_contract(new_box: Opener, tmp_path: Path) -> None:
    """One check for each dimension that there are rules on, and what it expects."""
    rule = {"metric": "nullValues", "mustBeLessThan": 5, "unit": "percent", "severity": "warning"}
    box = open_with(new_box, tmp_path, {"city": [rule], None: []})
    checks = asset_checks(box.catalog.by_entity["things"])
    assert list(checks) == [
        "row_rules",
        "quarantined_share",
        "columns",
        "completeness",
        "uniqueness",
    ]
    assert "city: nullValues less than 5 % (warns)" in checks["completeness"]
