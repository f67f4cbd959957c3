"""Nested records as rows: paths, lists, keys of elements without id, and what no column takes."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from retail_platform.extract.json_text import column_text, json_text, parsed_json
from retail_platform.extract.nested import Flattener, Row
from retail_platform.extract.text_rows import text_batches
from retail_platform.metadata.file_formats import JsonLinesFormat

TICKET = """{
  "id": 7, "via": {"channel": "web", "source": {"rel": null}}, "cost": 12.50,
  "tags": ["a", "b"], "open": true,
  "comments": [
    {"id": 71, "author": {"name": "Ada"}, "files": [{"name": "x.png"}, {"name": "y.png"}]},
    {"id": 72, "author": {"name": "Bo"}, "files": []}
  ]
}"""


def rows(
    columns: list[str],
    record: str = TICKET,
    *,
    elements: str | None = None,
    lists: Sequence[str] = (),
) -> list[Row]:
    return list(Flattener(columns, elements=elements, lists=lists).rows(parsed_json(record)))


def test_members_are_found_by_path_and_numbers_keep_every_digit() -> None:
    (row,) = rows(["id", "via.channel", "cost", "open", "tags", "via.source.rel", "missing.x"])
    assert json.loads(row.pop("_extra") or "") == {"comments": json.loads(TICKET)["comments"]}
    assert row == {
        "id": "7",
        "via.channel": "web",
        "cost": "12.50",
        "open": "true",
        "tags": '["a", "b"]',
        "via.source.rel": None,
        "missing.x": None,
    }


def test_what_no_column_takes_is_kept_and_named() -> None:
    flattener = Flattener(["id", "via.channel"], lists=["comments"])
    (row,) = flattener.rows(parsed_json(TICKET))
    assert json.loads(row["_extra"] or "") == {
        "via": {"source": {"rel": None}},
        "cost": 12.5,
        "tags": ["a", "b"],
        "open": True,
    }
    assert '"cost": 12.50' in (row["_extra"] or "")
    assert flattener.unknown == ["cost", "open", "tags", "via.source"]


def test_a_member_that_should_hold_members_and_does_not_is_kept() -> None:
    flattener = Flattener(["id", "via.channel"])
    (row,) = flattener.rows({"id": "1", "via": "fax"})
    assert (row["via.channel"], row["_extra"]) == (None, '{"via": "fax"}')
    assert flattener.unknown == ["via"]


def test_each_element_of_a_list_is_a_row_with_its_record() -> None:
    found = rows(["id", "author.name", "_record.id"], elements="comments", lists=["files"])
    assert found == [
        {"id": "71", "author.name": "Ada", "_record.id": "7", "_extra": None},
        {"id": "72", "author.name": "Bo", "_record.id": "7", "_extra": None},
    ]


def test_lists_inside_of_lists_know_what_holds_them() -> None:
    found = rows(["name", "_parent.id", "_record.id", "_position"], elements="comments.files")
    told = [(r["name"], r["_parent.id"], r["_record.id"], r["_position"]) for r in found]
    assert told == [("x.png", "71", "7", "0"), ("y.png", "71", "7", "1")]


def test_elements_that_are_no_objects_are_values() -> None:
    found = rows(["value", "_record.id", "_position"], elements="tags")
    assert [(row["value"], row["_position"]) for row in found] == [("a", "0"), ("b", "1")]


def test_the_hash_of_an_element_does_not_know_its_place_nor_the_order_of_its_members() -> None:
    columns = ["_element", "x"]
    before = rows(columns, '{"list": [{"x": 1, "y": 2}, {"x": 3}]}', elements="list")
    after = rows(columns, '{"list": [{"x": 3}, {"y": 2, "x": 1}]}', elements="list")
    assert {row["_element"] for row in before} == {row["_element"] for row in after}
    assert len({row["_element"] for row in before}) == 2


def test_equal_elements_are_rows_of_their_own() -> None:
    found = rows(["_element", "x"], '{"list": [{"x": 1}, {"x": 1}]}', elements="list")
    assert len({row["_element"] for row in found}) == 2


@pytest.mark.parametrize("record", ["{}", '{"comments": null}', '{"comments": []}'])
def test_a_record_without_elements_has_no_rows(record: str) -> None:
    assert rows(["id"], record, elements="comments") == []


@pytest.mark.parametrize(
    ("elements", "record", "told"),
    [
        ("list", '{"id": 1, "list": []}', True),
        ("list", '{"id": 1, "list": null}', True),
        ("list", '{"id": 1}', False),
        ("list", '{"id": 1, "list": [{"x": 1}]}', False),
        ("list.files", '{"id": 1, "list": []}', True),
        ("list.files", '{"id": 1, "list": [{"files": []}, {"files": []}]}', True),
        ("list.files", '{"id": 1, "list": [{"files": []}, {}]}', False),
        ("list.files", '{"id": 1, "list": {"files": []}}', True),
        ("list.files", '{"id": 1, "list": 5}', False),
    ],
)
def test_a_record_whose_list_is_empty_says_so_where_it_is_asked(
    elements: str, record: str, told: bool
) -> None:
    flattener = Flattener(["x", "_record.id"], elements=elements, tells_empty=True)
    found = list(flattener.rows(parsed_json(record)))
    empty = [row for row in found if row["_empty"]]
    assert empty == (
        [{"x": None, "_record.id": "1", "_extra": None, "_empty": "true"}] if told else []
    )
    assert all(row.keys() == {"x", "_record.id", "_extra", "_empty"} for row in found)


def test_a_number_and_a_text_of_the_same_digits_are_told_apart_in_json() -> None:
    assert json_text(parsed_json('{"b": 1.0, "a": "1.0"}')) == '{"a": "1.0", "b": 1.0}'


def test_half_a_character_does_not_stop_a_page() -> None:
    assert column_text(parsed_json('"a\\ud83d"')) == "a\ufffd"


@pytest.mark.parametrize(
    "text", ["NaN", '{"a": Infinity}', "[" * 100_000, '{"a": 1', b"\xff"], ids=range(5)
)
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parsed_json(text)


def test_json_lines_are_flattened_as_answers_are(tmp_path: Path) -> None:
    path = tmp_path / "tickets.jsonl"
    lines = [json.dumps(json.loads(TICKET)), '{"id": 8, "comments": [', "[1]", '{"id": 9}']
    path.write_text("\n".join(lines) + "\n")
    form = JsonLinesFormat(format="jsonl", nested=True)
    flattener = Flattener(["id", "_record.id"], elements="comments", lists=["author", "files"])
    (batch,) = text_batches(path, form, flattener.columns, 100, flattener)
    found = batch.select(["id", "_record.id", "_line"]).to_pylist()
    assert [tuple(row.values()) for row in found] == [
        ("71", "7", 1),
        ("72", "7", 1),
        (None, None, 2),
        (None, None, 3),
    ]
    errors = batch.column("_parse_error").to_pylist()
    assert errors[:2] == [None, None]
    assert "no JSON object" in errors[2]
    assert "no members" in errors[3]
    assert batch.column("_raw").to_pylist()[2:] == [line + "\n" for line in lines[1:3]]
