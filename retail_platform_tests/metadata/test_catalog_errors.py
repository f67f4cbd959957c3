"""A bad catalog fails when it is loaded, with file, table and field; nothing is skipped."""

import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest

from retail_platform.failures import PermanentFailure
from retail_platform.metadata.loader import load_catalog
from retail_platform_tests.platform.catalogs import Tree, contract, sql_source, write_catalog

COLUMNS = {"id": "bigint", "parent_id": "bigint", "email": "string", "modified_at": "timestamp"}


def table(name: str) -> Tree:
    return {
        "table": name,
        "load": "incremental",
        "key": ["id"],
        "watermark": {"column": "modified_at"},
        "silver": {"entity": name, "merge": "upsert"},
    }


GOOD_SOURCE = sql_source("shop", [table("people"), table("orders")])
GOOD_CONTRACTS = {name: contract(name, COLUMNS, ["id"]) for name in ("people", "orders")}
Change = Callable[[Tree, dict[str, Tree]], None]


def people(source: Tree) -> Tree:
    return source["tables"][0]


def properties(contracts: dict[str, Tree]) -> list[Tree]:
    return contracts["people"]["schema"][0]["properties"]


def unknown_key(source: Tree, _: dict[str, Tree]) -> None:
    people(source)["waterMark"] = "modified_at"


def unknown_nested_key(source: Tree, _: dict[str, Tree]) -> None:
    people(source)["silver"]["murge"] = "upsert"


def wrong_merge(source: Tree, _: dict[str, Tree]) -> None:
    people(source)["silver"]["merge"] = "overwrite"


def wrong_duration(source: Tree, _: dict[str, Tree]) -> None:
    people(source)["watermark"]["buffer"] = "5 minutes"


def wrong_zone(source: Tree, _: dict[str, Tree]) -> None:
    source["connection"]["timezone"] = "Middle/Earth"


def no_watermark(source: Tree, _: dict[str, Tree]) -> None:
    del people(source)["watermark"]


def duplicate_entity(source: Tree, contracts: dict[str, Tree]) -> None:
    source["tables"][1]["silver"]["entity"] = "people"


def cycle(source: Tree, _: dict[str, Tree]) -> None:
    source["tables"][0]["depends_on"] = ["orders"]
    source["tables"][1]["depends_on"] = ["people"]


def unknown_parent(source: Tree, _: dict[str, Tree]) -> None:
    people(source)["depends_on"] = ["ghosts"]


def watermark_nowhere(source: Tree, _: dict[str, Tree]) -> None:
    people(source)["watermark"]["column"] = "changed_at"


def mapped_nowhere(source: Tree, _: dict[str, Tree]) -> None:
    people(source)["columns"] = {"Mail": "mail"}


def mapped_twice(source: Tree, _: dict[str, Tree]) -> None:
    people(source)["columns"] = {"Mail": "email", "Parent": "parent_id", "E-Mail": "email"}


def reference_nowhere(source: Tree, _: dict[str, Tree]) -> None:
    people(source)["references"] = [{"column": "parent_id", "entity": "ghosts"}]


def reference_to_another_type(source: Tree, contracts: dict[str, Tree]) -> None:
    people(source)["references"] = [{"column": "parent_id", "entity": "orders"}]
    source["tables"][1]["key"] = ["id", "email"]
    order_properties = contracts["orders"]["schema"][0]["properties"]
    order_properties[2] |= {"primaryKey": True, "primaryKeyPosition": 2, "required": True}


def key_differs(source: Tree, _: dict[str, Tree]) -> None:
    people(source)["key"] = ["email"]


def no_key_in_contract(_: Tree, contracts: dict[str, Tree]) -> None:
    for column in properties(contracts):
        column["primaryKey"] = False


def no_contract(source: Tree, _: dict[str, Tree]) -> None:
    people(source)["silver"]["entity"] = "ghosts"


def unknown_type(_: Tree, contracts: dict[str, Tree]) -> None:
    properties(contracts)[1]["physicalType"] = "nvarchar(50)"


def masked_number(source: Tree, _: dict[str, Tree]) -> None:
    people(source)["pii"] = {"parent_id": "hash"}


def rule_of_nothing(_: Tree, contracts: dict[str, Tree]) -> None:
    contracts["people"]["schema"][0]["quality"] = [
        {"name": "r", "type": "custom", "engine": "retail_platform"}
    ]


def same_table_twice(source: Tree, contracts: dict[str, Tree]) -> None:
    source["tables"][1]["table"] = "people"


def promise_too_short(_: Tree, contracts: dict[str, Tree]) -> None:
    contracts["people"]["slaProperties"] = [{"property": "latency", "value": 15, "unit": "m"}]


def promise_without_unit(_: Tree, contracts: dict[str, Tree]) -> None:
    contracts["people"]["slaProperties"] = [{"property": "latency", "value": 15}]


def threshold_missing(_: Tree, contracts: dict[str, Tree]) -> None:
    properties(contracts)[1]["quality"] = [{"type": "library", "metric": "nullValues"}]


def column_metric_on_the_table(_: Tree, contracts: dict[str, Tree]) -> None:
    contracts["people"]["schema"][0]["quality"] = [{"metric": "nullValues", "mustBe": 0}]


def sql_rule(_: Tree, contracts: dict[str, Tree]) -> None:
    contracts["people"]["schema"][0]["quality"] = [{"type": "sql", "query": "select 1"}]


def relationship_nowhere(_: Tree, contracts: dict[str, Tree]) -> None:
    properties(contracts)[1]["relationships"] = [{"to": "orders.number"}]


def mask_judged(source: Tree, contracts: dict[str, Tree]) -> None:
    people(source)["pii"] = {"email": "hash"}
    properties(contracts)[2]["quality"] = [
        {"metric": "invalidValues", "arguments": {"pattern": ".*@.*"}, "severity": "warning"}
    ]


def restated_without_slices(source: Tree, _: dict[str, Tree]) -> None:
    people(source)["load"] = "restated"


def slices_of_a_whole_read(source: Tree, _: dict[str, Tree]) -> None:
    people(source)["load"] = "full"
    people(source)["silver"]["sweep"] = ["parent_id"]


def mark_nowhere(source: Tree, _: dict[str, Tree]) -> None:
    people(source)["deleted"] = {"column": "is_deleted"}


def purged_history(source: Tree, _: dict[str, Tree]) -> None:
    people(source)["silver"] |= {"merge": "scd2", "deletes": "hard"}


def case_of_a_number(source: Tree, _: dict[str, Tree]) -> None:
    people(source)["case"] = {"parent_id": "lower"}


def default_of_another_type(source: Tree, _: dict[str, Tree]) -> None:
    people(source)["removed"] = {"columns": {"parent_id": {"default": "nobody"}}}


def types_without_mode(source: Tree, _: dict[str, Tree]) -> None:
    people(source)["schema"] = {"types": "melt"}


CASES: list[tuple[Change, list[str]]] = [
    (unknown_key, ["shop.yaml line ", "tables.people.waterMark", "Extra inputs"]),
    (unknown_nested_key, ["shop.yaml", "people", "silver", "murge"]),
    (wrong_merge, ["shop.yaml", "people", "merge", "'upsert'"]),
    (wrong_duration, ["shop.yaml", "people", "buffer", "such as 30s"]),
    (wrong_zone, ["shop.yaml", "timezone", "IANA"]),
    (no_watermark, ["shop.yaml", "people", "an incremental load needs watermark"]),
    (duplicate_entity, ["shop.yaml line", "table orders", "already filled by shop__people"]),
    (same_table_twice, ["shop.yaml line", "table people", "has this table already, on line"]),
    (cycle, ["cycle", "people -> orders"]),
    (unknown_parent, ["shop.yaml", "people", "depends_on", "ghosts"]),
    (watermark_nowhere, ["shop.yaml line", "table people", "watermark.column", "changed_at"]),
    (mapped_nowhere, ["shop.yaml", "people", "columns", "'mail'"]),
    (mapped_twice, ["shop.yaml line", "table people", "'Mail' and 'E-Mail' to 'email'"]),
    (reference_nowhere, ["shop.yaml", "people", "references", "ghosts"]),
    (reference_to_another_type, ["shop.yaml", "people", "references", "orders", "one column"]),
    (key_differs, ["shop.yaml line", "table people", "key", "email"]),
    (no_key_in_contract, ["shop.yaml line", "table people", "primary key [] of contract people"]),
    (no_contract, ["shop.yaml", "people", "silver.entity", "contracts/silver/ghosts.yaml"]),
    (unknown_type, ["people.yaml line ", "parent_id.physicalType", "nvarchar(50)"]),
    (masked_number, ["shop.yaml", "people", "pii", "parent_id", "bigint"]),
    (restated_without_slices, ["shop.yaml", "people", "silver.sweep"]),
    (slices_of_a_whole_read, ["shop.yaml", "people", "silver.sweep", "leave sweep out"]),
    (mark_nowhere, ["shop.yaml", "people", "deleted.column", "is_deleted"]),
    (purged_history, ["shop.yaml", "people", "silver.deletes: hard", "deletes: soft"]),
    (case_of_a_number, ["shop.yaml", "people", "case", "parent_id", "bigint"]),
    (default_of_another_type, ["shop.yaml", "people", "removed.columns", "'nobody'", "bigint"]),
    (types_without_mode, ["shop.yaml", "people", "schema", "evolve", "discard_value"]),
    (rule_of_nothing, ["people.yaml", "quality", "needs implementation"]),
    (promise_too_short, ["people.yaml line", "slaProperties.0", "15 m", "cadence", "1 h or more"]),
    (promise_without_unit, ["people.yaml line", "slaProperties", "unit of m, h or d"]),
    (threshold_missing, ["people.yaml line", "parent_id.quality", "needs an operator"]),
    (column_metric_on_the_table, ["people.yaml", "nullValues belongs to a column"]),
    (sql_rule, ["people.yaml line", "quality", "predicate"]),
    (relationship_nowhere, ["people.yaml line", "column parent_id", "'orders.number'"]),
    (mask_judged, ["shop.yaml line", "table people", "'email'", "masked"]),
]


LINES: list[tuple[Change, str, str]] = [
    (unknown_key, "shop", "waterMark: "),
    (unknown_nested_key, "shop", "murge: "),
    (duplicate_entity, "shop", "entity: people"),
    (same_table_twice, "shop", "- table: people"),
    (cycle, "shop", "depends_on:"),
    (unknown_parent, "shop", "- ghosts"),
    (watermark_nowhere, "shop", "column: changed_at"),
    (mapped_nowhere, "shop", "columns:"),
    (mapped_twice, "shop", "E-Mail: email"),
    (reference_nowhere, "shop", "- column: parent_id"),
    (key_differs, "shop", "key:"),
    (no_key_in_contract, "shop", "key:"),
    (masked_number, "shop", "parent_id: hash"),
    (unknown_type, "people", "physicalType: nvarchar(50)"),
    (promise_too_short, "people", "- property: latency"),
    (mask_judged, "shop", "email: hash"),
    (relationship_nowhere, "people", "relationships:"),
]


@pytest.mark.parametrize(
    ("change", "file", "line"), LINES, ids=[change.__name__ for change, _, _ in LINES]
)
def test_a_bad_entry_names_its_line(tmp_path: Path, change: Change, file: str, line: str) -> None:
    """The line in the message is the one on which the entry stands."""
    source, contracts = deepcopy(GOOD_SOURCE), deepcopy(GOOD_CONTRACTS)
    change(source, contracts)
    folder = write_catalog(tmp_path, [source], list(contracts.values()))
    with pytest.raises(PermanentFailure) as failure:
        load_catalog(folder)
    named = re.findall(rf"{file}\.yaml line (\d+)", str(failure.value))
    path = next(folder.rglob(f"{file}.yaml"))
    assert named
    for number in named:
        assert line in path.read_text().splitlines()[int(number) - 1]


@pytest.mark.parametrize(("change", "parts"), CASES, ids=[change.__name__ for change, _ in CASES])
def test_a_bad_entry_names_its_place(tmp_path: Path, change: Change, parts: list[str]) -> None:
    """One thing is wrong, and the message has file, table, field and what was expected."""
    source, contracts = deepcopy(GOOD_SOURCE), deepcopy(GOOD_CONTRACTS)
    change(source, contracts)
    folder = write_catalog(tmp_path, [source], list(contracts.values()))
    with pytest.raises(PermanentFailure) as failure:
        load_catalog(folder)
    for part in parts:
        assert part in str(failure.value)


ALLOWED = {
    "full": {"upsert", "scd2", "append", "replace"},
    "snapshot": {"upsert", "scd2", "append", "replace"},
    "incremental": {"upsert", "scd2", "append"},
    "files": {"upsert", "scd2", "append", "replace"},
    "restated": {"upsert", "append"},
}


@pytest.mark.parametrize("merge", ["upsert", "scd2", "append", "replace"])
@pytest.mark.parametrize("load", list(ALLOWED))
def test_each_load_goes_with_these_merges(tmp_path: Path, load: str, merge: str) -> None:
    """Any other pair is refused with file, table, field and reason."""
    source, contracts = deepcopy(GOOD_SOURCE), deepcopy(GOOD_CONTRACTS)
    row = people(source)
    row["load"], row["silver"]["merge"] = load, merge
    if load == "restated":
        row["silver"]["sweep"] = ["parent_id"]
    if load == "files":
        row["path"] = "people_%Y%m%dT%H"
    folder = write_catalog(tmp_path, [source], list(contracts.values()))
    if merge in ALLOWED[load]:
        assert load_catalog(folder).by_entity["people"].row.load == load
    else:
        place = rf"shop\.yaml line \d+: tables\.people.*{merge}"
        with pytest.raises(PermanentFailure, match=place):
            load_catalog(folder)


def test_the_unchanged_catalog_loads(tmp_path: Path) -> None:
    """What the cases above start from is good."""
    folder = write_catalog(tmp_path, [GOOD_SOURCE], list(GOOD_CONTRACTS.values()))
    assert set(load_catalog(folder).by_entity) == {"people", "orders"}


def test_two_contracts_of_one_name_are_refused(tmp_path: Path) -> None:
    """None of them silently wins."""
    folder = write_catalog(tmp_path, [GOOD_SOURCE], list(GOOD_CONTRACTS.values()))
    original = folder / "contracts" / "silver" / "people.yaml"
    original.with_name("more_people.yaml").write_text(original.read_text())
    with pytest.raises(PermanentFailure, match=r"people\.yaml.*people"):
        load_catalog(folder)


def test_two_sources_of_one_name_are_refused(tmp_path: Path) -> None:
    """Their Bronze tables would be the same."""
    other = deepcopy(GOOD_SOURCE)
    other["tables"] = [table("visits")]
    folder = write_catalog(
        tmp_path, [GOOD_SOURCE], [*GOOD_CONTRACTS.values(), contract("visits", COLUMNS, ["id"])]
    )
    write_catalog(tmp_path / "second", [other], [])
    (tmp_path / "second" / "sources" / "shop.yaml").rename(folder / "sources" / "shop2.yaml")
    with pytest.raises(PermanentFailure, match=r"shop2\.yaml.*shop"):
        load_catalog(folder)


def test_what_is_not_yaml_and_what_is_not_there(tmp_path: Path) -> None:
    """A broken file is named, an empty folder too."""
    folder = write_catalog(tmp_path, [GOOD_SOURCE], list(GOOD_CONTRACTS.values()))
    (folder / "sources" / "shop.yaml").write_text("source: [shop")
    with pytest.raises(PermanentFailure, match=r"shop\.yaml is not YAML"):
        load_catalog(folder)
    with pytest.raises(PermanentFailure, match=r"No \*\.yaml"):
        load_catalog(tmp_path / "nowhere")


def test_a_key_written_twice_is_refused(tmp_path: Path) -> None:
    """YAML would silently keep the second."""
    folder = write_catalog(tmp_path, [GOOD_SOURCE], list(GOOD_CONTRACTS.values()))
    path = folder / "sources" / "shop.yaml"
    path.write_text(path.read_text() + "source: store\n")
    with pytest.raises(PermanentFailure, match=r"shop\.yaml.*'source' is written twice(?s:.)*line"):
        load_catalog(folder)
