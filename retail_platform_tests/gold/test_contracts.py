"""Gold's public models beside their released contracts: what may change within a version."""

import copy
import json
import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from retail_platform.cli import main
from retail_platform.failures import PermanentFailure
from retail_platform.gold.by_hand import PROJECT
from retail_platform.gold.contracts import GoldContracts
from retail_platform.gold.model_docs import ModelDocs
from retail_platform.gold.project import GoldProject
from retail_platform.metadata.contract_docs import Lineage
from retail_platform.metadata.contract_releases import Checked
from retail_platform.settings import PACKAGE
from retail_platform_tests.gold.next_project import (
    DEPRECATED,
    MART,
    OLD,
    add_version,
    edit,
    project_copy,
)

TODAY = date(2026, 12, 1)
END = date.fromisoformat(DEPRECATED)
VERSIONS = "    latest_version: 1\n    versions: [{v: 1}]\n"


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for parsed manifests."""
    return tmp_path_factory.mktemp("home") / "dbt"


def manifest_of(project: Path, target: Path) -> dict[str, Any]:
    path = GoldProject(project_dir=project, target_path=target).manifest_path()
    return json.loads(path.read_bytes())


@pytest.fixture(scope="module")
def present(target: Path) -> dict[str, Any]:
    """The manifest of the project as it is."""
    return manifest_of(PROJECT, target)


@pytest.fixture(scope="module")
def changed_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which models were changed in many ways, most of them breaking."""
    project = project_copy(tmp_path_factory.mktemp("changed"))
    models = project / "models"
    add_version(project)
    marts = models / "marts" / "marts.yml"
    stays, mark, kpi = marts.read_text("utf-8").partition("  - name: mart_sales_kpi\n")
    margin = "      - name: margin_rate\n        data_type: double\n"
    text = '        description: "margin_amount / costed_amount; NULL without any."\n'
    assert margin + text in kpi
    marts.write_text(stays + mark + kpi.replace(margin + text, ""), "utf-8")
    edit(
        marts,
        # Retyped, narrowed, and a value less.
        (
            "name: safety_stock\n        data_type: bigint",
            "name: safety_stock\n        data_type: int",
        ),
        (
            "name: suggested_cost\n        data_type: decimal(19,4)",
            "name: suggested_cost\n        data_type: decimal(9,2)",
        ),
        (", no demand, discontinued]}", ", discontinued]}"),
        # Added.
        (
            "      - name: trailing_days\n",
            "      - {name: trailing_weeks, data_type: int}\n      - name: trailing_days\n",
        ),
    )
    _of_model(marts, "mart_supplier_performance", VERSIONS, "")
    _of_model(
        marts,
        "mart_sales_vs_spend",
        VERSIONS,
        VERSIONS.replace("1\n", "2\n").replace(": 1}", ": 2}"),
    )
    _of_model(
        marts,
        "mart_attributed_sales",
        "    config:\n",
        "    config:\n      contract: {enforced: false}\n",
    )
    _of_model(
        models / "dimensions" / "dimensions.yml",
        "dim_store",
        "    config:\n",
        "    config:\n      access: protected\n",
    )
    return project


def _of_model(path: Path, model: str, old: str, new: str) -> None:
    """Replaces the first occurrence of a text after the beginning of a model."""
    head, mark, rest = path.read_text("utf-8").partition(f"  - name: {model}\n")
    assert old in rest
    path.write_text(head + mark + rest.replace(old, new, 1), "utf-8")


@pytest.fixture(scope="module")
def changed(changed_project: Path, target: Path) -> GoldContracts:
    """The contracts of that copy beside those that are released."""
    return GoldContracts(PACKAGE / "catalog", manifest_of(changed_project, target))


def told(checked: Checked) -> list[str]:
    return [change.text for change in checked.breaking]


def test_what_outsiders_read_is_public_and_has_a_version(present: Mapping[str, Any]) -> None:
    """Every mart, and every model that an exposure names; each with an enforced contract."""
    public = GoldContracts(PACKAGE / "catalog", present).public
    named = {
        parent
        for exposure in present["exposures"].values()
        for parent in exposure["depends_on"]["nodes"]
    }
    nodes = present["nodes"]
    marts = {
        name
        for name, node in nodes.items()
        if node["resource_type"] == "model" and node["name"].startswith("mart_")
    }
    assert named | marts <= {model.unique_id for model in public.values()}
    assert all(model.version.version == 1 and model.enforced for model in public.values())
    assert "fct_order_click" not in {model.version.model for model in public.values()}


@pytest.mark.parametrize(
    ("entity", "breaking", "advice"),
    [
        (
            "mart_sales_kpi.v1",
            ["column margin_rate removed"],
            "within version 1 of mart_sales_kpi: take them back there, and make them in version 2",
        ),
        (
            "mart_replenishment.v1",
            [
                "safety_stock: type bigint changed to int",
                "advice: valid values no demand removed",
                "suggested_cost: type decimal(19,4) changed to decimal(9,2)",
            ],
            "3 breaking change(s) within version 1",
        ),
        (
            "mart_attributed_sales.v1",
            ["contract of mart_attributed_sales.v1 no longer enforced"],
            "within version 1 of mart_attributed_sales",
        ),
        (
            "mart_sales_vs_spend.v1",
            ["version 1 of model mart_sales_vs_spend removed, or no longer public"],
            "bring it back with a deprecation_date",
        ),
        (
            "dim_store.v1",
            ["version 1 of model dim_store removed, or no longer public"],
            "bring it back with a deprecation_date",
        ),
        ("mart_supplier_performance", [], "give it latest_version: 1 and versions: [{v: 1}]"),
    ],
)
def test_a_breaking_change_without_a_new_version_is_refused(
    changed: GoldContracts, entity: str, breaking: list[str], advice: str
) -> None:
    """The verdict names model and column, and says what to do."""
    checked = changed.check(entity, TODAY)
    assert not checked.passed
    assert told(checked) == breaking
    assert advice in checked.problems[0]
    with pytest.raises(PermanentFailure, match="not released"):
        changed.release(entity, TODAY)


def test_additions_and_a_version_beside_the_old_one_pass(
    present: Mapping[str, Any], changed: GoldContracts
) -> None:
    """A column more; version 2 with version 1 deprecated. All others are as released."""
    added = changed.check("mart_stock_turnover.v1", TODAY)
    assert (added.passed, told(added)) == (True, [])
    assert [change.text for change in added.changes] == ["column trailing_weeks (int) added"]
    assert (added.released, added.working) == ("1.0.0", "1.1.0")
    old, new = (changed.check(f"{MART}.v{number}", TODAY) for number in (1, 2))
    assert (old.passed, told(old), old.working) == (True, [], "1.1.0")
    assert (new.passed, new.released, new.working) == (True, None, "2.0.0")
    as_it_is = GoldContracts(PACKAGE / "catalog", present)
    for entity in as_it_is.entities:
        checked = as_it_is.check(entity, TODAY)
        assert (checked.passed, checked.changes, checked.released) == (True, [], "1.0.0"), entity


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """A copy of the catalog, in which contracts may be released."""
    return Path(shutil.copytree(PACKAGE / "catalog", tmp_path / "catalog"))


def with_versions(
    manifest: Mapping[str, Any], *, latest: int, kept: tuple[int, ...], deprecated: str | None
) -> dict[str, Any]:
    """The manifest of the changed project at another moment of the mart's way."""
    made = copy.deepcopy(dict(manifest))
    for number in (1, 2):
        name = f"model.retail_gold.{MART}.v{number}"
        node = made["nodes"][name]
        node["latest_version"] = latest
        if number == 1:
            node["deprecation_date"] = f"{deprecated}T00:00:00+00:00" if deprecated else None
        if number not in kept:
            del made["nodes"][name]
    return made


def test_a_version_goes_on_its_deprecation_date_and_not_before(
    catalog: Path, changed_project: Path, target: Path
) -> None:
    """From a pre-release to the day after: each step with its verdict."""
    manifest = manifest_of(changed_project, target)

    def at(**state: Any) -> GoldContracts:
        return GoldContracts(catalog, with_versions(manifest, **state))

    pre = at(latest=1, kept=(1, 2), deprecated=None)
    assert pre.named(MART) == [f"{MART}.v1"], "a pre-release is not promised"
    tried = pre.check(f"{MART}.v1", TODAY)
    assert (tried.passed, [one.text for one in tried.changes]) == (True, ["order of columns"])

    silent = at(latest=2, kept=(1, 2), deprecated=None).check(f"{MART}.v1", TODAY)
    assert "give version 1 a deprecation_date" in silent.problems[0]
    rushed = at(latest=2, kept=(1, 2), deprecated="2026-12-01").check(f"{MART}.v1", TODAY)
    assert "leaves readers no time" in rushed.problems[0]

    deprecated = at(latest=2, kept=(1, 2), deprecated="2027-03-31")
    assert [deprecated.release(name, TODAY).name for name in deprecated.named(MART)] == [
        "1.1.0.yaml",
        "2.0.0.yaml",
    ]
    nearer = at(latest=2, kept=(1, 2), deprecated="2027-01-31").check(f"{MART}.v1", TODAY)
    assert told(nearer) == ["promise of endofsupport: 2027-03-31 weakened to 2027-01-31"]
    later = at(latest=2, kept=(1, 2), deprecated="2027-06-30").check(f"{MART}.v1", TODAY)
    assert (later.passed, later.working) == (True, "1.2.0")
    back = at(latest=1, kept=(1, 2), deprecated=None).check(f"{MART}.v2", TODAY)
    assert "latest_version cannot go back to 1" in back.problems[0]

    gone = at(latest=2, kept=(2,), deprecated=None)
    early = gone.check(f"{MART}.v1", date(2027, 3, 30))
    assert early.problems == [
        "readers count on version 1 until 2027-03-31: bring it back until then"
    ]
    assert gone.check(f"{MART}.v1", date(2027, 3, 31)).passed


def test_a_released_contract_is_one_of_the_standard(catalog: Path) -> None:
    """ODCS as Silver's: names, types, key and valid values; no technical column."""
    path = catalog / "contracts" / "released" / "gold" / "mart_sales_kpi" / "1.0.0.yaml"
    contract = yaml.safe_load(path.read_text("utf-8"))
    properties = {one["name"]: one for one in contract["schema"][0]["properties"]}
    assert (contract["apiVersion"], contract["kind"]) == ("v3.1.0", "DataContract")
    assert properties["kpi_key"]["primaryKey"] is True
    assert properties["net_amount"]["physicalType"] == "decimal(19,4)"
    assert properties["grain"]["quality"][0]["arguments"] == {"validValues": ["hour", "day"]}
    assert "_hour" not in properties


def test_an_export_is_of_the_latest_version_unless_another_is_named(changed: GoldContracts) -> None:
    """In ODCS, with the end of what is deprecated; nothing that the check refuses."""
    assert [changed.one(name) for name in (MART, f"{MART}.v1", "fct_order_click", "ghosts")] == [
        f"{MART}.v2",
        f"{MART}.v1",
        None,
        None,
    ]
    old, new = (yaml.safe_load(changed.text(f"{MART}.v{n}", TODAY)) for n in (1, 2))
    assert (old["version"], old["status"]) == ("1.1.0", "deprecated")
    assert old["slaProperties"] == [{"property": "endOfSupport", "value": DEPRECATED}]
    assert (new["version"], new["status"]) == ("2.0.0", "active")
    with pytest.raises(PermanentFailure, match=r"mart_sales_kpi\.v1: not exported: 1 breaking"):
        changed.text("mart_sales_kpi.v1", TODAY)


def test_the_page_of_a_deprecated_version_says_until_when_and_what_instead(
    changed: GoldContracts,
) -> None:
    """Every version has a page of its own, under the name of its table."""
    docs = ModelDocs(changed.manifest)
    old, new = (changed.public[f"{MART}.v{number}"] for number in (1, 2))
    assert [docs.table_of(model) for model in (old, new)] == [f"gold.{MART}_v1", f"gold.{MART}"]
    page = docs.page(
        old,
        "1.1.0",
        made_of={OLD: [("silver.products", "category")]},
        lineage=Lineage(readers=["report/<x> (report)"], columns={OLD: ["gold.mart_x.category"]}),
        versions=["1.0.0"],
    )
    for text in (
        "1.1.0, deprecated",
        f"Deprecated: version 1 goes on {DEPRECATED}; read version 2, gold/{MART}.",
        f"<code>{OLD}</code>",
        "silver.products.category",
        "gold.mart_x.category",
        "report/&lt;x&gt; (report)",
        " 1.1.0 is not, yet.",
    ):
        assert text in page, text
    index = docs.index([(old, "1.1.0"), (new, "2.0.0")])
    assert f'<a href="gold.{MART}_v1.html">{MART}_v1</a>' in index
    assert "2.0.0 <span class='tag'>active</span>" in index


def test_the_commands_take_gold_beside_silver(
    catalog: Path, changed_project: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a person and CI see: model, column, who reads it, what to do, and the exit code."""
    monkeypatch.setenv("RETAIL_CATALOG", str(catalog))
    monkeypatch.setenv("RETAIL_HOME", str(target.parent))
    monkeypatch.setattr("retail_platform.gold.by_hand.PROJECT", changed_project)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["contracts", *arguments])

    refused = run("check", "mart_sales_kpi", "stores")
    assert refused.exit_code == 1, refused.output
    assert "mart_sales_kpi.v1 1.0.0 -> 1.0.0: REFUSED" in refused.output
    assert "major: column margin_rate removed" in refused.output
    assert "reaches exposure Sales by region and category" in refused.output
    assert "instead: keep margin_rate as it is in mart_sales_kpi.v1" in refused.output
    assert "stores" in refused.output
    assert run("check", "mart_stock_turnover").exit_code == 0
    released = run("release", "mart_stock_turnover.v1", "stores")
    assert "mart_stock_turnover.v1 1.1.0: released as mart_stock_turnover/1.1.0.yaml" in (
        released.output
    )
    assert "unchanged" in run("check", "mart_stock_turnover").output
    everything = run("check")
    assert everything.exit_code == 1
    assert "dim_store.v1 1.0.0 -> removed: REFUSED" in everything.output
