"""Thresholds of the quarantine: written in the contract, wrong ones found in their place."""

from pathlib import Path

import pytest

from retail_platform.failures import PermanentFailure
from retail_platform.metadata.contract_quarantine import QuarantineLimits
from retail_platform.metadata.loader import load_catalog
from retail_platform_tests.platform.catalogs import (
    Tree,
    contract,
    quarantine_rule,
    sql_source,
    write_catalog,
)


def write(folder: Path, rules: list[Tree], *, column: bool = False, **silver: object) -> Path:
    table = {
        "table": "people",
        "load": "full",
        "key": ["id"],
        "silver": {"entity": "people", "merge": "upsert", **silver},
    }
    tree = contract("people", {"id": "bigint", "name": "string"}, ["id"])
    place = tree["schema"][0]["properties"][1] if column else tree["schema"][0]
    place["quality"] = rules
    return write_catalog(folder, [sql_source("shop", [table])], [tree])


def limits(folder: Path, *rules: Tree) -> QuarantineLimits:
    return load_catalog(write(folder, list(rules))).tables[0].contract.quarantine


def test_a_contract_without_thresholds_has_the_usual_ones(tmp_path: Path) -> None:
    """Half of an hour holds it, a single row warns."""
    found = limits(tmp_path)
    assert (found.hold.text, found.warn.text) == ("at most 50 %", "at most 0 %")
    assert found.open.text == "at most 0"
    assert found.hold.holds(1, 2)
    assert not found.hold.holds(51, 100)
    assert found.hold.holds(0, 0)


def test_thresholds_in_percent_and_in_rows(tmp_path: Path) -> None:
    """The standard's operators, units and severities say what is measured and what follows."""
    found = limits(
        tmp_path,
        quarantine_rule("quarantinedRows", 10, unit="rows"),
        quarantine_rule("quarantinedRows", 5, severity="warning"),
        quarantine_rule("openQuarantinedRows", 3, severity="warning", unit="rows"),
    )
    assert (found.hold.holds(10, 10), found.hold.holds(11, 10_000)) == (True, False)
    assert (found.warn.holds(5, 100), found.warn.holds(6, 100)) == (True, False)
    assert (found.open.holds(3, 3), found.open.holds(4, 4)) == (True, False)


@pytest.mark.parametrize(
    ("rules", "column", "message"),
    [
        (
            [quarantine_rule("quarantinedShare", 5)],
            False,
            r"line \d+: schema.people.quality.*predicate.*measure: quarantinedRows",
        ),
        (
            [{**quarantine_rule("quarantinedRows", 5), "mustBeLessOrEqualTo": None}],
            False,
            r"line \d+: schema.people.quality.*needs an operator, such as mustBeLessOrEqualTo",
        ),
        (
            [quarantine_rule("openQuarantinedRows", 5)],
            False,
            r"line \d+: schema.people.quality.*write severity: warning and unit: rows",
        ),
        (
            [quarantine_rule("quarantinedRows", 5)],
            True,
            r"line \d+: schema.people.properties.name: .*at the table's quality, not at column",
        ),
        (
            [quarantine_rule("quarantinedRows", 5), quarantine_rule("quarantinedRows", 6)],
            False,
            r"line \d+: schema.people: .*two rules of measure quarantinedRows.*keep one",
        ),
    ],
    ids=["measure", "operator", "open", "column", "twice"],
)
def test_a_wrong_threshold_names_file_line_field_and_cure(
    tmp_path: Path, rules: list[Tree], *, column: bool, message: str
) -> None:
    """Nothing is guessed: the catalog does not load."""
    with pytest.raises(PermanentFailure, match=f"people.yaml {message}") as caught:
        load_catalog(write(tmp_path, rules, column=column))
    assert "line 1:" not in str(caught.value)


def test_a_threshold_in_the_row_is_sent_to_the_contract(tmp_path: Path) -> None:
    """There is one place for it, and the message shows what to write there."""
    folder = write(tmp_path, [], max_quarantined=0.1)
    match = r"shop.yaml line \d+: tables.people.silver: .*max_quarantined.*belong to the contract"
    with pytest.raises(PermanentFailure, match=match) as caught:
        load_catalog(folder)
    assert "{measure: quarantinedRows}, unit: percent, mustBeLessOrEqualTo: 50" in str(caught.value)
