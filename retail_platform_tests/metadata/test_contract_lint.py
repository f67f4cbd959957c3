"""Lint: one fault each in a contract that is otherwise clean, found on its own line."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from retail_platform.metadata.contract_lint import Finding, lint
from retail_platform.settings import PACKAGE
from retail_platform_tests.platform.catalogs import Tree, contract, quarantine_rule

Edit = Callable[[Tree], object]
CUSTOM = {"type": "custom", "engine": "retail_platform"}


def clean() -> Tree:
    columns = {"id": "bigint", "amount": "int", "at": "timestamp"}
    tree = contract("orders", columns, ["id"], required=["amount"], rules={"paid": "amount >= 0"})
    for column in tree["schema"][0]["properties"]:
        column["classification"] = "internal"
    tree["schema"][0]["description"] = "Orders"
    return tree | {
        "description": {"purpose": "Revenue"},
        "team": {"name": "sales"},
        "slaProperties": [{"property": "latency", "value": 2, "unit": "h"}],
    }


def found(folder: Path, tree: Tree) -> list[Finding]:
    path = folder / "orders.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return lint(path)


def table(tree: Tree) -> Tree:
    return tree["schema"][0]


def amount(**fields: object) -> Edit:
    return lambda tree: table(tree)["properties"][1].update(fields)


def predicate(text: str) -> Edit:
    return lambda tree: table(tree)["quality"][0].update(implementation=text)


def rule(**fields: object) -> Edit:
    return amount(quality=[fields])


CASES: list[tuple[str, Edit, str, str]] = [
    (
        "threshold",
        lambda t: table(t)["quality"].append(quarantine_rule("quarantinedRows", 100)),
        "- name: quarantinedRows error",
        "can never fail",
    ),
    ("typo", amount(clasification="x"), "clasification: x", "did you mean 'classification'?"),
    ("own key", lambda t: t.update(colour="red"), "colour: red", "customProperties"),
    ("nested typo", lambda t: t["team"].update(membres=[]), "membres:", "'members'"),
    ("purpose", lambda t: t["description"].pop("purpose"), "description:", "purpose"),
    ("owner", lambda t: t.update(team={"members": []}), "team:", "role owner"),
    ("promise", lambda t: t.update(slaProperties=[]), "slaProperties:", "latency"),
    ("table text", lambda t: table(t).pop("description"), "- name: orders", "of the table"),
    ("column text", amount(description=""), "- name: amount", "description of amount"),
    ("class", amount(classification=None), "- name: amount", "classification of amount"),
    (
        "optional key",
        lambda t: table(t)["properties"][0].update(required=False),
        "- name: id",
        "required: true",
    ),
    (
        "zone",
        lambda t: table(t)["properties"][2].update(
            logicalTypeOptions={"defaultTimezone": "Europe/London"}
        ),
        "defaultTimezone: Europe/London",
        "UTC",
    ),
    ("no SQL", predicate("amount >="), "implementation: amount >=", "no Spark SQL"),
    ("no column", predicate("total > 0"), "implementation: total > 0", "names total"),
    ("constant", predicate("1 = 1"), "implementation: 1 = 1", "can never fail"),
    ("itself", predicate("amount >= amount"), "implementation: amount >=", "can never fail"),
    (
        "either way",
        predicate("amount is null or amount is not null"),
        "implementation: amount is null",
        "can never fail",
    ),
    ("required", predicate("amount is not null"), "implementation:", "required already"),
    ("after", rule(metric="nullValues", mustBe=0), "- metric: nullValues", "quarantine first"),
    (
        "everything",
        rule(
            metric="missingValues",
            arguments={"missingValues": ["-"]},
            unit="percent",
            mustBeLessOrEqualTo=100,
        ),
        "- metric: missingValues",
        "at most 100 % is every batch",
    ),
    ("deprecated", lambda t: t.update(status="deprecated"), "status:", "endOfSupport"),
]


@pytest.mark.parametrize(
    ("edit", "line", "text"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_fault_is_found_on_its_line(tmp_path: Path, edit: Edit, line: str, text: str) -> None:
    """One finding, an error, that names the line and the cure."""
    tree = clean()
    edit(tree)
    (finding,) = found(tmp_path, tree)
    assert text in finding.text
    assert finding.is_error
    assert line in (tmp_path / "orders.yaml").read_text().splitlines()[finding.line - 1]


def test_clean_contracts_have_no_findings(tmp_path: Path) -> None:
    """What the cases start from, and every shipped contract."""
    assert found(tmp_path, clean()) == []
    for path in sorted((PACKAGE / "catalog" / "contracts" / "silver").glob("*.yaml")):
        assert lint(path) == []


def test_missing_words_only_warn_in_a_draft(tmp_path: Path) -> None:
    """A draft may be incomplete; a rule that never fails is wrong in a draft, too."""
    tree = clean() | {"status": "draft", "slaProperties": []}
    predicate("1 = 1")(tree)
    errors = {"latency" in one.text: one.is_error for one in found(tmp_path, tree)}
    assert errors == {True: False, False: True}


def test_a_file_that_does_not_load_is_a_finding(tmp_path: Path) -> None:
    """Its message is the loader's."""
    (finding,) = found(tmp_path, clean() | {"kind": "Contract"})
    assert finding.is_error
    assert "kind" in finding.text
