"""Released versions, change requests and the version number that has to rise."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from retail_platform.failures import PermanentFailure
from retail_platform.metadata.contract_releases import ContractFiles
from retail_platform_tests.platform.catalogs import Tree, contract, write_catalog

COLUMNS = {"id": "bigint", "status": "string"}
TODAY = date(2026, 3, 1)
REQUEST: dict[str, Any] = {
    "entity": "orders",
    "version": "2.0.0",
    "reason": "the till sends no status any more",
    "announced": date(2026, 2, 1),
    "notice": "30d",
    "effective": date(2026, 3, 3),
    "signed_by": ["team:sales", "team:analytics"],
}


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """A catalog with one contract, released as 1.0.0."""
    write_catalog(tmp_path, [], [contract("orders", COLUMNS, ["id"])])
    ContractFiles(tmp_path).release("orders", TODAY)
    return tmp_path


def edit(catalog: Path, version: str, columns: dict[str, str], **fields: object) -> ContractFiles:
    tree = contract("orders", columns, ["id"]) | {"version": version} | fields
    write_catalog(catalog, [], [tree])
    return ContractFiles(catalog)


def ask(catalog: Path, **fields: object) -> None:
    (catalog / "contracts" / "changes").mkdir(exist_ok=True)
    content: Tree = REQUEST | fields
    path = catalog / "contracts" / "changes" / f"orders-{REQUEST['version']}.yaml"
    path.write_text(yaml.safe_dump(content))


def test_what_was_released_is_unchanged(catalog: Path) -> None:
    """The frozen file is the working one, byte by byte."""
    files = ContractFiles(catalog)
    checked = files.check("orders", TODAY)
    assert (checked.passed, checked.changes, checked.released) == (True, [], "1.0.0")
    frozen = files.releases("orders")["1.0.0"]
    assert frozen.read_bytes() == files.working["orders"][0].read_bytes()


@pytest.mark.parametrize(
    ("version", "columns", "fields", "least"),
    [
        ("1.0.0", {**COLUMNS, "note": "string"}, {}, "1.1.0"),
        ("1.0.9", {**COLUMNS, "note": "string"}, {}, "1.1.0"),
        ("1.0.0", COLUMNS, {"team": {"name": "sales"}}, "1.0.1"),
    ],
)
def test_the_version_must_rise(
    catalog: Path, version: str, columns: dict[str, str], fields: Tree, least: str
) -> None:
    """Additive: minor; text: patch; what is asked for passes and can be released."""
    refused = edit(catalog, version, columns, **fields)
    checked = refused.check("orders", TODAY)
    assert (checked.passed, checked.least) == (False, least)
    assert f"set version: {least}" in checked.problems[0]
    with pytest.raises(PermanentFailure, match=f"not released.*{least}"):
        refused.release("orders", TODAY)
    files = edit(catalog, least, columns, **fields)
    assert files.check("orders", TODAY).passed
    files.release("orders", TODAY)
    assert list(ContractFiles(catalog).releases("orders")) == ["1.0.0", least]
    assert ContractFiles(catalog).check("orders", TODAY).changes == []


def test_versions_are_numbers(catalog: Path) -> None:
    """1.10.0 is after 1.9.0."""
    for version, name in (("1.9.0", "a"), ("1.10.0", "b")):
        columns = {**COLUMNS, "a": "string", name: "string"}
        edit(catalog, version, columns).release("orders", TODAY)
    files = ContractFiles(catalog)
    assert list(files.releases("orders")) == ["1.0.0", "1.9.0", "1.10.0"]
    assert files.check("orders", TODAY).released == "1.10.0"


def test_a_breaking_change_waits_for_its_request_and_date(catalog: Path) -> None:
    """Refused without a request, refused before its date, and let through on it."""
    files = edit(catalog, "2.0.0", {"id": "bigint"})
    checked = files.check("orders", TODAY)
    assert not checked.passed
    assert "contracts/changes/orders-2.0.0.yaml" in checked.problems[0]
    ask(catalog)
    assert "not to go before 2026-03-03" in files.check("orders", TODAY).problems[0]
    with pytest.raises(PermanentFailure, match="2026-03-03"):
        files.release("orders", date(2026, 3, 2))
    checked = files.check("orders", date(2026, 3, 3))
    assert checked.passed
    assert checked.request is not None
    assert checked.request.signed_by == ("team:sales", "team:analytics")
    assert files.release("orders", date(2026, 3, 3)).name == "2.0.0.yaml"


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"effective": date(2026, 2, 20)}, "before 2026-03-03"),
        ({"signed_by": []}, "signed_by"),
        ({"version": "3.0.0"}, "is about orders 3.0.0"),
        ({"until": "soon"}, "line .*: until"),
    ],
)
def test_a_bad_request_is_refused(catalog: Path, fields: Tree, found: str) -> None:
    """The notice must have passed, somebody must have signed, and it is about this version."""
    files = edit(catalog, "2.0.0", {"id": "bigint"})
    ask(catalog, **fields)
    with pytest.raises(PermanentFailure, match=found):
        files.check("orders", date(2026, 4, 1))


def test_a_contract_that_is_gone_is_breaking(catalog: Path) -> None:
    """Its readers are still there."""
    (catalog / "contracts" / "silver" / "orders.yaml").unlink()
    checked = ContractFiles(catalog).check("orders", TODAY)
    assert (checked.passed, checked.working) == (False, None)
    assert "removed" in checked.breaking[0].text
    ask(catalog)
    assert ContractFiles(catalog).check("orders", date(2026, 3, 3)).passed


def test_released_files_never_change(catalog: Path) -> None:
    """An edited release is found out; an unknown contract is named."""
    files = edit(catalog, "1.0.0", COLUMNS)
    path = files.releases("orders")["1.0.0"]
    path.write_text(path.read_text().replace("1.0.0", "1.0.1"))
    with pytest.raises(PermanentFailure, match=r"1\.0\.0\.yaml.*never change"):
        ContractFiles(catalog).check("orders", TODAY)
    with pytest.raises(PermanentFailure, match=r"No contract 'ghosts'.*orders"):
        files.check("ghosts", TODAY)
