"""Exports say the same as the load: Great Expectations row by row, dbt by its own parser."""

import json
import random
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from pyspark.sql.connect.session import SparkSession

from retail_platform.gold.project import GoldProject
from retail_platform.lakehouse.engine import open_engine
from retail_platform.metadata.contract import Contract, Property
from retail_platform.metadata.loader import Table, load_catalog
from retail_platform.quality.exports import dbt_sources, great_expectations_suite, not_exported
from retail_platform.quality.exports_suite import run_suite
from retail_platform.settings import PACKAGE, Engine
from retail_platform_tests.platform.catalogs import contract

CATALOG = load_catalog(PACKAGE / "catalog")
ROWS = 60


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    with open_engine(Engine.EMBEDDED) as session:
        yield session.spark


def value(chance: random.Random, column: Property, words: list[str]) -> object:
    """A value of the column's type: NULL now and then, bad as often as good."""
    if chance.random() < 0.2:
        return None
    kind = column.physicalType
    if kind == "string":
        return chance.choice([*words, "", "Words", "it's", " placed"])
    if kind in ("int", "bigint"):
        return chance.choice([-1, 0, 1, 23, 24, 100, 2**31 - 1])
    if kind.startswith("decimal"):
        return Decimal(chance.choice(["-0.01", "0", "0.01", "12345.67", "-9"]))
    moment = datetime(2026, 1, chance.randint(1, 28), tzinfo=UTC)
    return {"timestamp": moment, "date": date(2026, 1, 5), "boolean": True, "double": -0.5}[kind]


def frame(of: Contract, seed: int) -> pa.Table:
    chance = random.Random(seed)
    words = [
        str(word)
        for _, rule in of.rules
        for word in rule.arguments.get("validValues", ["GB", "B1"])
    ]
    schema = pa.schema([pa.field(column.name, column.arrow) for column in of.columns])
    rows = [{c.name: value(chance, c, words) for c in of.columns} for _ in range(ROWS)]
    return pa.Table.from_pylist(rows, schema=schema)


def refused(spark: SparkSession, of: Contract, rows: pa.Table) -> dict[int, set[str]]:
    """Rows to the rules that they break, as the load's own predicates say on the engine."""
    numbered = rows.append_column("_n", pa.array(range(rows.num_rows)))
    spark.createDataFrame(numbered).createOrReplaceTempView("frame")
    broken: dict[int, set[str]] = {}
    for rule in of.row_rules:
        for row in spark.sql(f"select _n from frame where not ({rule.predicate})").collect():
            broken.setdefault(row["_n"], set()).add(rule.name)
    return broken


SHAPES = {
    "over": "a > 0",
    "mirrored": "100 >= a",
    "between": "b between 0 and 23",
    "listed": "s in ('GB', 'it\\'s')",
    "pair": "a <= b",
    "pair mirrored": "b > a",
    "both": "(a >= -1) and b < 100 and s is not null",
    "equal": "a = 1",
    "same": "a = b",
    "decimal": "d > 0.005",
}


def shapes() -> Contract:
    columns = {"id": "bigint", "a": "int", "b": "int", "s": "string", "d": "decimal(19,4)"}
    tree = contract("shapes", columns, ["id"], rules={**SHAPES, "either": "a > 0 or b > 0"})
    listed = tree["schema"][0]["properties"]
    listed[3]["quality"] = [{"metric": "invalidValues", "arguments": {"pattern": "^[A-Z]+$"}}]
    listed[1]["quality"] = [{"metric": "invalidValues", "arguments": {"validValues": [0, 1]}}]
    return Contract.model_validate(tree)


@pytest.mark.parametrize(
    "of",
    [
        shapes(),
        *(
            t.contract
            for t in CATALOG.tables
            if t.entity in ("orders", "google_campaign_performance", "customers")
        ),
    ],
    ids=lambda of: of.name,
)
def test_a_suite_refuses_the_rows_that_the_load_refuses(spark: SparkSession, of: Contract) -> None:
    """Both over the same generated rows: for every row, the same rules."""
    rows = frame(of, seed=7)
    silent = set(not_exported(of))
    expected = {
        number: rules - silent
        for number, rules in refused(spark, of, rows).items()
        if rules - silent
    }
    suite = json.loads(json.dumps(great_expectations_suite(of)))
    found = run_suite(suite, rows)
    assert {number: set(rules) for number, rules in found.rows.items()} == expected
    assert len(expected) > ROWS / 3, "there was something to find"
    broken = set().union(*expected.values())
    said = {one["meta"]["rule"] for one in suite["expectations"] if one["meta"]["on_rows"]}
    assert broken >= said & set(SHAPES), "every shape was put to the test"


def test_what_cannot_be_said_is_listed() -> None:
    """Of the shipped contracts every rule on rows is exported; of the shapes, all but `or`."""
    assert not_exported(shapes()) == ["either"]
    for table in CATALOG.tables:
        rows = {rule.name for rule in table.contract.row_rules}
        assert not rows & set(not_exported(table.contract)), table.entity


def test_rules_on_the_whole_frame_are_exported() -> None:
    """Thresholds become ``mostly``, unique columns stay unique, warnings stay warnings."""
    suite = great_expectations_suite(CATALOG.by_entity["orders"].contract)
    whole = {
        one["meta"]["rule"]: one for one in suite["expectations"] if not one["meta"]["on_rows"]
    }
    missing = whole["customer_id: nullValues"]
    assert missing["kwargs"] == {"column": "customer_id", "mostly": 0.8}
    assert missing["severity"] == "warning"
    assert whole["order_number: duplicateValues"]["type"] == "expect_column_values_to_be_unique"


def test_dbt_reads_the_exported_sources(tmp_path: Path) -> None:
    """Parsed by dbt itself all exports, in place of the project's own sources."""
    project = tmp_path / "project"
    shutil.copytree(PACKAGE / "gold" / "dbt", project)
    (project / "models" / "silver" / "silver.yml").unlink()
    merged: dict[str, Any] = {"name": "silver", "schema": "silver", "tables": []}
    for table in CATALOG.tables:
        merged["tables"] += yaml.safe_load(dbt_sources(table))["sources"][0]["tables"]
    exported = yaml.safe_dump({"sources": [merged]})
    (project / "models" / "silver" / "exported.yml").write_text(exported)
    manifest = GoldProject(project_dir=project, target_path=tmp_path / "target").manifest_path()
    nodes = json.loads(manifest.read_text())["nodes"].values()
    tests = [node for node in nodes if node["resource_type"] == "test"]
    on_orders = [
        (test["test_metadata"]["name"], test.get("column_name"), test["config"]["severity"].lower())
        for test in tests
        if test["depends_on"]["nodes"] == ["source.retail_gold.silver.orders"]
    ]
    assert ("accepted_values", "status", "error") in on_orders
    assert ("not_null", "order_id", "error") in on_orders
    assert ("unique", "order_number", "error") in on_orders
    assert ("row_rule", None, "error") in on_orders


def test_dbt_tests_of_versions_look_at_current_ones() -> None:
    """Versions of one product share its number."""
    table: Table = CATALOG.by_entity["products"]
    (source,) = yaml.safe_load(dbt_sources(table))["sources"][0]["tables"]
    number = next(column for column in source["columns"] if column["name"] == "product_number")
    unique = next(test["unique"] for test in number["data_tests"] if "unique" in test)
    assert "is_current" in unique["config"]["where"]
    assert source["data_tests"][0]["composite_key"]["arguments"]["columns"] == [
        "product_id",
        "valid_from",
    ]
