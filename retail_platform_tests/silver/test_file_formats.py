"""Every format of landing files, from the folder to Silver: rows arrive, bad ones are explained."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retail_platform.failures import PermanentFailure
from retail_platform.quality.verdicts import HeldBack
from retail_platform_tests.platform.drops import ENTITY, Drops, drops_catalog
from retail_platform_tests.platform.fixtures import Opener

NewDrops = Callable[..., Drops]
CSV = {"format": "csv"}
PIPES = {
    "format": "delimited",
    "delimiter": "|",
    "quote": "'",
    "escape": "\\",
    "encoding": "cp1252",
    "header": False,
    "names": ["no", "article", "price"],
    "skip": 2,
    "comment": "#",
    "trailer": {"pattern": r"END (?P<count>\d+)"},
    "decimal": ",",
    "thousands": ".",
}
FIXED = {
    "format": "fixed_width",
    "fields": [
        {"name": "no", "start": 1, "width": 4},
        {"name": "article", "start": 5, "width": 8},
        {"name": "price", "start": 14, "width": 8},
    ],
}
COUNTED = {**CSV, "trailer": {"pattern": r"TRAILER,(?P<count>\d+)"}}
HEADER = "no,article,price\n"


@pytest.fixture
def new_drops(new_box: Opener, tmp_path: Path) -> NewDrops:
    def build(files: dict[str, Any], **row: Any) -> Drops:
        catalog = drops_catalog(tmp_path / "catalog", files, **row)
        ending = catalog.by_entity[ENTITY].row.file_format.extension
        return Drops(new_box(catalog), tmp_path / "landing", ending)

    return build


def parquet(path: Path, **columns: pa.Array) -> None:
    pq.write_table(pa.table(columns), path, row_group_size=2)


def test_delimited_text_with_head_comments_and_trailer(new_drops: NewDrops) -> None:
    drops = new_drops(PIPES)
    lines = ["made by TILL 7", "", "# day one", "1|'O\\'Neil|Ltd'|1.234,56", "2|Käse|-0,5"]
    drops.put("\r\n".join([*lines, "END 2", ""]).encode("cp1252"))
    assert drops.load().counts.quarantined == 0
    assert drops.rows() == [(1, "O'Neil|Ltd", "1234.5600"), (2, "Käse", "-0.5000")]
    assert [row["line_number"] for row in drops.box.live(ENTITY)] == [4, 5]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1.234.567,5", "1234567.5000"),
        ("1234,5", "1234.5000"),
        (",5", "0.5000"),
        ("3,5E-2", "0.0350"),
        ("+7", "7.0000"),
        ("1.5", None),
        ("12.34,5", None),
        ("1,234.5", None),
        ("1,2,3", None),
    ],
)
def test_decimal_comma_is_read_and_never_guessed(
    new_drops: NewDrops, written: str, read: str | None
) -> None:
    """``1.5`` would be fifteen or one and a half: where the comma is the mark it is neither."""
    drops = new_drops({**CSV, "delimiter": ";", "decimal": ",", "thousands": "."})
    drops.put(f"no;article;price\n1.000;a;0,0\n2;b;{written}\n")
    drops.load()
    assert drops.rows() == [(1000, "a", "0.0000"), *([(2, "b", read)] if read else [])]
    if read is None:
        assert f"price: cannot read {written} as decimal(19,4)" in drops.refused()[0]["reasons"]


def test_fixed_width_text(new_drops: NewDrops) -> None:
    """Positions count characters, not bytes; a short line and one with a tail are refused."""
    drops = new_drops({**FIXED, "trailer": {"pattern": r"\*{3} (?P<count>\d+)"}})
    good, second = "0001Käse    |    1.50", "0002Bread   |   -0.25"
    name = drops.put(f"{good}\n{second}\n0003Cut\n0004Tail    |    1.00 tail\n*** 4\n")
    load = drops.load()
    assert drops.rows() == [(1, "Käse", "1.5000"), (2, "Bread", "-0.2500")]
    assert load.counts.quarantined == 2
    short, tail = drops.refused()
    assert (short["place"], tail["place"]) == (f"{name} line 3", f"{name} line 4")
    assert f"{name}, line 3: 7 characters, expected 21" in short["reasons"]
    assert "text after character 21" in tail["reasons"]
    assert json.loads(short["payload"])["_raw"] == "0003Cut\n"


def test_short_fixed_width_lines_may_be_padded(new_drops: NewDrops) -> None:
    fields = [*FIXED["fields"][:1], {"name": "price", "start": 5, "width": 6}]
    fields.append({"name": "article", "start": 11, "width": 9})
    drops = new_drops({**FIXED, "fields": fields, "short_lines": "pad"})
    drops.put("0001  1.50Bread\n0002  2.50\n")
    drops.load()
    assert drops.rows() == [(1, "Bread", "1.5000"), (2, None, "2.5000")]


def test_json_lines_keep_every_digit_and_nested_values(new_drops: NewDrops) -> None:
    """Numbers are not read as floats; objects and lists stay JSON; a null is NULL."""
    drops = new_drops({"format": "jsonl"})
    drops.put(
        '{"no": 1, "article": "two\\nlines", "price": 123456789012345.6789, '
        '"more": {"a": [1.10]}}\n'
        '{"price": "2.5", "no": 2, "article": null, "ok": true}\n'
    )
    assert drops.load().counts.quarantined == 0
    assert drops.rows() == [(1, "two\nlines", "123456789012345.6789"), (2, None, "2.5000")]
    stored = sorted(drops.box.stored_bronze(ENTITY), key=lambda row: row["_line"])
    assert [(row["more"], row["ok"]) for row in stored] == [('{"a": [1.10]}', None), (None, "true")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"no": 2, "article": "cut', "no JSON object: Unterminated string"),
        ("[2]", "no JSON object: Expecting '{'"),
        ('{"no": 2, "price": 1} {"no": 3}', "no JSON object: Text after the object"),
        ('{"no": 2, "no": 3, "price": 1}', "member no twice"),
        ('{"no": 2, "price": 1, "article": "\\ud83d"}', "half a character"),
        ('{"no": 2}', "price is missing"),
    ],
)
def test_a_malformed_json_line_is_refused_alone(
    new_drops: NewDrops, line: str, reason: str
) -> None:
    drops = new_drops({"format": "jsonl"})
    name = drops.put(f'{{"no": 1, "price": 1}}\n{line}\n{{"no": 9, "price": 1}}\n')
    drops.load()
    assert [no for no, _, _ in drops.rows()] == [1, 9]
    (refused,) = drops.refused()
    assert refused["place"] == f"{name} line 2"
    assert reason in refused["reasons"]
    assert "_raw" not in refused["payload"] or line in json.loads(refused["payload"])["_raw"]


def test_parquet_is_typed_and_read_by_name(new_drops: NewDrops) -> None:
    """Columns may lie in any order; moments without zone are the source's own."""
    drops = new_drops({"format": "parquet"})
    parquet(
        drops.path(),
        price=pa.array([Decimal("1.50"), Decimal("2.25"), Decimal("3.00")], pa.decimal128(9, 2)),
        article=pa.array(["a", "b", None]).dictionary_encode(),
        no=pa.array([1, 2, 3], pa.int16()),
        at=pa.array([datetime(2026, 1, 5, 12, tzinfo=UTC)] * 3, pa.timestamp("ns", "Europe/Paris")),
        tags=pa.array([["x"], [], None], pa.list_(pa.string())),
    )
    drops.mark()
    assert drops.load().counts.applied == 3
    assert drops.rows() == [(1, "a", "1.5000"), (2, "b", "2.2500"), (3, None, "3.0000")]
    schema = drops.box.lake.schema("bronze", "drops__receipts")
    assert schema.field("no").type == pa.int64()
    assert schema.field("at").type == pa.timestamp("us", "UTC")
    assert [row["tags"] for row in drops.box.stored_bronze(ENTITY)].count('["x"]') == 1


def test_a_parquet_file_whose_types_changed(new_drops: NewDrops) -> None:
    """The stored types stay: values that mean the same go on, others are refused with their row."""
    drops = new_drops({"format": "parquet"})
    parquet(drops.path(0), no=pa.array([1]), article=pa.array(["a"]), price=pa.array([1.5]))
    drops.mark(0)
    drops.load(0)
    parquet(
        drops.path(1),
        no=pa.array([2.0, 2.5, None]),
        article=pa.array([7, 8, 9]),
        price=pa.array([Decimal("2.50"), Decimal("3.50"), Decimal("4.50")]),
    )
    drops.mark(1)
    load = drops.load(1)
    assert drops.rows() == [(1, "a", "1.5000"), (2, "7", "2.5000")]
    assert load.counts.quarantined == 2
    refused = drops.refused()[0]
    assert refused["place"] == f"{drops.path(1).name} line 2"
    assert "column no: '2.5' is double, stored as int64" in refused["reasons"]
    assert '"no": 2.5' in json.loads(refused["payload"])["_raw"]


def test_text_is_never_read_as_the_stored_number(new_drops: NewDrops) -> None:
    drops = new_drops({"format": "parquet"})
    article, price = pa.array(["a"]), pa.array([1.5])
    parquet(drops.path(0), no=pa.array([1]), article=article, price=price)
    parquet(drops.path(0, "_2"), no=pa.array(["0x2"]), article=article, price=price)
    drops.mark()
    drops.load()
    assert drops.rows() == [(1, "a", "1.5000")]
    assert "'0x2' is string, stored as int64" in drops.refused()[0]["reasons"]


def test_a_parquet_file_that_breaks_off_costs_itself_only(new_drops: NewDrops) -> None:
    """Its footer is gone, so nothing of it can be read; the hour's other file goes on."""
    drops = new_drops({"format": "parquet"})
    columns = {"no": pa.array([1, 2]), "article": pa.array(["a", "b"]), "price": pa.array([1.5, 2])}
    parquet(drops.path(), **columns)
    parquet(drops.path(0, "_2"), **columns)
    whole = drops.path(0, "_2").read_bytes()
    drops.path(0, "_2").write_bytes(whole[: len(whole) // 2])
    drops.mark()
    drops.load()
    assert [no for no, _, _ in drops.rows()] == [1, 2]
    (refused,) = drops.refused()
    assert refused["place"] == f"{drops.path(0, '_2').name} line 1"
    assert "no Parquet file" in refused["reasons"]
    drops.path(0, "_2").write_bytes(whole + b"")
    parquet(drops.path(0, "_2"), **{**columns, "no": pa.array([3, 4])})
    drops.load()
    assert [no for no, _, _ in drops.rows()] == [1, 2, 3, 4]


def test_a_damaged_row_group_costs_its_rows_only(new_drops: NewDrops) -> None:
    drops = new_drops({"format": "parquet"})
    parquet(
        drops.path(),
        no=pa.array([1, 2, 3, 4, 5]),
        article=pa.array(list("abcde")),
        price=pa.array([1.5] * 5),
    )
    place = pq.ParquetFile(drops.path()).metadata.row_group(1).column(0).dictionary_page_offset
    content = bytearray(drops.path().read_bytes())
    content[place : place + 8] = b"\xff" * 8
    drops.path().write_bytes(content)
    drops.mark()
    drops.load()
    assert [no for no, _, _ in drops.rows()] == [1, 2, 5]
    (refused,) = drops.refused()
    assert refused["place"] == f"{drops.path().name} line 3"
    assert "rows 3 to 4 cannot be read" in refused["reasons"]


def test_a_parquet_file_without_a_declared_column_says_which(new_drops: NewDrops) -> None:
    drops = new_drops({"format": "parquet"})
    parquet(drops.path(), no=pa.array([1]), article=pa.array(["a"]))
    drops.mark()
    with pytest.raises(PermanentFailure, match=r"no column price; found no, article, expected"):
        drops.load()


@pytest.mark.parametrize(
    ("content", "reasons"),
    [
        (f"{HEADER}1,a,1.5\n2,b,2.5\n", ["its last line is no trailer"]),
        (f"{HEADER}1,a,1.5\n2,b,2", ["breaks off in this record", "its last line is no trailer"]),
        (f"{HEADER}1,a,1.5\nTRAILER,2\n", ["its trailer says 2 records, found 1"]),
        ("no,art", ["its last line is no trailer"]),
        ("", ["its last line is no trailer"]),
        (f"{HEADER}1,a,1.5\nTRAILER,1\n2,b,2.5\nTRAILER,2\n", ["before the end of the file"]),
    ],
)
def test_a_file_is_measured_by_its_trailer(
    new_drops: NewDrops, content: str, reasons: list[str]
) -> None:
    """Missing, cut and contradicted trailers are each a refused record; whole records go on."""
    drops = new_drops(COUNTED, columns={"_file": "file_path", "_line": "line_number"})
    drops.put(f"{HEADER}9,z,9\n9,z,9\nTRAILER,2\n", addition="_0")
    drops.put(content)
    drops.load()
    told = "; ".join(row["reasons"] for row in drops.refused())
    for reason in reasons:
        assert reason in told
    whole = [(1, "a", "1.5000")] if "1,a" in content else []
    assert drops.rows()[:1] == (whole or [(9, "z", "9.0000")])
    assert (2, "b", "2.0000") not in drops.rows(), "a record that is cut in its last field"


def test_a_file_that_breaks_off_can_hold_its_hour(new_drops: NewDrops) -> None:
    """Nothing reaches Silver until the sender has delivered the file again, whole."""
    drops = new_drops({**COUNTED, "incomplete": "hold"})
    drops.put(f"{HEADER}1,a,1.5\n2,b,2.5\n")
    with pytest.raises(HeldBack, match=r"files_whole: .*incomplete file: its last line is no tr"):
        drops.load()
    assert drops.rows() == []
    assert len(drops.box.stored_bronze(ENTITY)) == 3, "Bronze keeps what came"
    drops.put(f"{HEADER}1,a,1.5\n2,b,2.5\nTRAILER,2\n")
    drops.load()
    assert [no for no, _, _ in drops.rows()] == [1, 2]


def test_a_cut_last_field_is_found_by_the_final_line_break(new_drops: NewDrops) -> None:
    drops = new_drops({**CSV, "final_newline": True})
    name = drops.put(f"{HEADER}1,a,1.5\n2,b,25")
    drops.load()
    assert drops.rows() == [(1, "a", "1.5000")]
    (refused,) = drops.refused()
    assert refused["place"] == f"{name} line 3"
    assert "incomplete file: it breaks off in this record" in refused["reasons"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_marks_and_wide_characters(new_drops: NewDrops, encoding: str) -> None:
    """Byte order marks, CRLF, line breaks in quotes, and encodings of two bytes a character."""
    files = CSV if encoding == "utf-8-sig" else {**CSV, "encoding": encoding}
    drops = new_drops(files)
    drops.put('no,article,price\r\n1,"Käse\r\n㈊ 日本",1.5\r\n2,b,2.5\r\n'.encode(encoding))
    drops.load()
    assert drops.rows() == [(1, "Käse\r\n㈊ 日本", "1.5000"), (2, "b", "2.5000")]


def test_bytes_that_are_no_text_cost_their_line_only(new_drops: NewDrops) -> None:
    narrow = new_drops(CSV)
    name = narrow.put(f"{HEADER}1,a,1.5\n2,".encode() + b"caf\xe9,2.5\n3,c,3.5\n")
    narrow.load()
    assert [no for no, _, _ in narrow.rows()] == [1, 3]
    (refused,) = narrow.refused()
    assert refused["place"] == f"{name} line 3"
    assert "text in no declared encoding" in refused["reasons"]
    assert "caf\\xe9" in refused["payload"] or "caf\\\\xe9" in refused["payload"]


def test_half_a_character_in_wide_text_costs_its_line_only(new_drops: NewDrops) -> None:
    drops = new_drops({**CSV, "encoding": "utf-16-le"})
    lines = [HEADER.encode("utf-16-le"), "1,a".encode("utf-16-le") + b"\x00\xdc"]
    drops.put(b"".join([*lines, ",1.5\n2,b,2.5\n".encode("utf-16-le")]))
    drops.load()
    assert [no for no, _, _ in drops.rows()] == [2]
    assert "text in no declared encoding" in drops.refused()[0]["reasons"]


@pytest.mark.parametrize("text", ["CafÃ©", "\u00e2\u201a\u00ac 5", "CafÃ© 日本", "Caf\ufffd"])
def test_mojibake_is_refused_and_explained(new_drops: NewDrops, text: str) -> None:
    drops = new_drops(CSV)
    drops.put(f"{HEADER}1,Café € Ägypten,1.5\n2,{text},2.5\n")
    drops.load()
    assert drops.rows() == [(1, "Café € Ägypten", "1.5000")]
    assert "before delivery" in drops.refused()[0]["reasons"]


def test_mojibake_can_be_kept(new_drops: NewDrops) -> None:
    drops = new_drops({**CSV, "mojibake": "keep"})
    drops.put(f"{HEADER}1,CafÃ©,1.5\n")
    drops.load()
    assert drops.rows() == [(1, "CafÃ©", "1.5000")]


@pytest.mark.parametrize("files", [CSV, PIPES, FIXED, {"format": "jsonl"}])
def test_an_empty_file_is_no_row_and_no_failure(new_drops: NewDrops, files: dict) -> None:
    drops = new_drops({name: part for name, part in files.items() if name != "trailer"})
    drops.put(b"")
    assert drops.load().counts.read == 0
    assert drops.rows() == []


@pytest.mark.parametrize("files", [CSV, {"format": "jsonl"}, {"format": "parquet"}])
def test_a_table_may_begin_with_an_hour_without_files(new_drops: NewDrops, files: dict) -> None:
    """What columns there are is not known yet, and nothing is held for that."""
    drops = new_drops(files, columns={"_file": "file_path", "_line": "line_number"})
    drops.mark()
    assert drops.load().counts.read == 0
    if files["format"] == "parquet":
        columns = {"no": pa.array([7]), "article": pa.array(["a"]), "price": pa.array([1.5])}
        parquet(drops.path(1), **columns)
        drops.mark(1)
        drops.load(1)
        assert drops.rows() == [(7, "a", "1.5000")]
        assert drops.box.lake.schema("bronze", "drops__receipts").field("no").type == pa.int64()


def test_an_empty_parquet_file_is_refused(new_drops: NewDrops) -> None:
    """Even without rows it has a footer: zero bytes are a delivery that failed."""
    drops = new_drops(
        {"format": "parquet"},
        max_quarantined=100,
    )
    drops.put(b"")
    drops.load()
    assert "no Parquet file" in drops.refused()[0]["reasons"]


@pytest.mark.parametrize(
    ("files", "content", "correction"),
    [
        (PIPES, "x\nx\n1|a|1,5\nEND 1\n", "x\nx\n1|a|2,5\nEND 1\n"),
        (FIXED, "0001a       |    1.50\n", "0001a       |    2.50\n"),
        ({"format": "jsonl"}, '{"no":1,"article":"a","price":1.5}\n', '{"no":1,"price":2.5}\n'),
    ],
)
def test_one_content_under_two_names_is_taken_once_and_a_new_one_replaces(
    new_drops: NewDrops, files: dict, content: str, correction: str
) -> None:
    drops = new_drops(files)
    drops.put(content)
    drops.put(content, addition="_1")
    drops.load()
    assert drops.rows() == [(1, "a", "1.5000")]
    drops.path(0, "_1").unlink()
    drops.put(correction)
    drops.load()
    assert [price for _, _, price in drops.rows()] == ["2.5000"]
