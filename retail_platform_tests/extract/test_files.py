"""Landing files as senders really deliver them: every line arrives, well-formed or explained."""

import hashlib
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from retail_platform.extract.csv_records import read_delimited
from retail_platform.extract.file_store import FoundFile, LocalFolder
from retail_platform.extract.files import FileSource
from retail_platform.extract.landed import LandedFile
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.metadata.file_formats import CSV, DelimitedFormat, FileFormat

PATTERN = "pos/%Y-%m-%d/transactions_%Y%m%dT%H"
HOUR = datetime(2026, 11, 20, 9, tzinfo=UTC)
FIELDS = [{"name": "no", "start": 1, "width": 5}, {"name": "text", "start": 6, "width": 5}]
NAME = "pos/2026-11-20/transactions_20261120T09"


@pytest.fixture
def source(tmp_path: Path) -> FileSource:
    return FileSource(
        LocalFolder(tmp_path),
        PATTERN,
        "Europe/London",
        columns=["no", "text"],
        name="pos.transactions",
        form=DelimitedFormat(format="csv", fallback_encoding="cp1252"),
    )


def deliver(root: Path, content: bytes | str, name: str = f"{NAME}.csv") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def landed(source: FileSource, *paths: Path) -> list[LandedFile]:
    """Delivered files as the source brings them here."""
    return [one for path in paths for one in source.fetch(found(source, path))]


def found(source: FileSource, path: Path) -> FoundFile:
    """A file as its folder lists it."""
    store = source._store
    assert isinstance(store, LocalFolder)
    (file,) = [one for one in store.walk() if store.local(one.path) == path]
    return file


def rows(source: FileSource, *paths: Path) -> list[dict]:
    return source.read(landed(source, *paths)).read_all().to_pylist()


def brief(source: FileSource, *paths: Path) -> list[tuple]:
    return [
        (row["no"], row["text"], row["_line"], row["_parse_error"]) for row in rows(source, *paths)
    ]


def test_rows_carry_their_place(source: FileSource, tmp_path: Path) -> None:
    table = source.read(landed(source, deliver(tmp_path, "no,text\n17850.0,nan\n,\n"))).read_all()
    assert table.schema.names == ["no", "text", "_file", "_line", "_parse_error", "_raw"]
    place = {"_file": f"{NAME}.csv", "_parse_error": None, "_raw": None}
    assert table.to_pylist() == [
        {"no": "17850.0", "text": "nan", "_line": 2, **place},
        {"no": "", "text": "", "_line": 3, **place},
    ]


def test_byte_order_mark_crlf_and_quoted_line_breaks(source: FileSource, tmp_path: Path) -> None:
    content = b'\xef\xbb\xbfno,text\r\n1,"two\r\nlines, ""quoted"""\r\n\r\n2,x\r\n'
    assert brief(source, deliver(tmp_path, content)) == [
        ("1", 'two\r\nlines, "quoted"', 2, None),
        ("2", "x", 5, None),
    ]


def test_a_truncated_last_line_is_kept_and_explained(source: FileSource, tmp_path: Path) -> None:
    (_, last) = rows(source, deliver(tmp_path, "no,text\n1,a\n53"))
    assert (last["no"], last["text"], last["_line"], last["_raw"]) == ("53", None, 3, "53")
    assert last["_parse_error"] == (
        f"{NAME}.csv, line 3: 1 fields, expected 2 (the file breaks off here: truncated)"
    )


def test_a_last_line_without_line_break_is_fine_when_whole(
    source: FileSource, tmp_path: Path
) -> None:
    assert brief(source, deliver(tmp_path, "no,text\n1,a")) == [("1", "a", 2, None)]


def test_too_few_and_too_many_fields_keep_their_text(source: FileSource, tmp_path: Path) -> None:
    found = rows(source, deliver(tmp_path, "no,text\n1\n2,a,b\n3,c\n"))
    assert [row["_raw"] for row in found] == ["1\n", "2,a,b\n", None]
    assert [row["no"] for row in found] == ["1", "2", "3"]
    assert "line 3: 3 fields, expected 2" in found[1]["_parse_error"]


def test_a_stray_quote_costs_its_own_line_only(source: FileSource, tmp_path: Path) -> None:
    found = rows(source, deliver(tmp_path, 'no,text\n1,"12 inch\n2,b\n3,c\n'))
    assert [(row["no"], row["_line"]) for row in found] == [(None, 2), ("2", 3), ("3", 4)]
    assert found[0]["_raw"] == '1,"12 inch\n'
    assert found[0]["_parse_error"].startswith(f"{NAME}.csv, line 2: ")


def test_other_encodings_are_read_line_by_line(source: FileSource, tmp_path: Path) -> None:
    content = "no,text\n1,é\n".encode() + b"2,caf\xe9 \x80\n" + b"3,\x81\n"
    assert brief(source, deliver(tmp_path, content)) == [
        ("1", "é", 2, None),
        ("2", "café €", 3, None),
        (
            "3",
            "\\x81",
            4,
            f"{NAME}.csv, line 4: bytes that are text in no declared encoding",
        ),
    ]


def test_an_unknown_column_is_kept(source: FileSource, tmp_path: Path) -> None:
    first = deliver(tmp_path, "no,text\n1,a\n")
    second = deliver(tmp_path, "till,text,no\nT1,b,2\n", f"{NAME}_2.csv")
    table = source.read(landed(source, first, second)).read_all()
    assert table.schema.names[:3] == ["no", "text", "till"]
    assert table["till"].to_pylist() == [None, "T1"]
    assert table["no"].to_pylist() == ["1", "2"]


def test_a_missing_column_names_file_and_columns(source: FileSource, tmp_path: Path) -> None:
    with pytest.raises(
        PermanentFailure, match=rf"file {NAME}\.csv: no column text; found no, Text"
    ):
        source.read(landed(source, deliver(tmp_path, "no,Text\n1,a\n")))


@pytest.mark.parametrize("header", ["no,no,text\n", "no,text,_line\n", 'no,"text\n'])
def test_a_header_that_cannot_be_used_is_refused(
    source: FileSource, tmp_path: Path, header: str
) -> None:
    with pytest.raises(PermanentFailure, match="line 1: the header cannot be used"):
        source.read(landed(source, deliver(tmp_path, header)))


@pytest.mark.parametrize("content", ["", "no,text\n", "no,text", "\n"])
def test_no_rows_still_have_the_declared_columns(
    source: FileSource, tmp_path: Path, content: str
) -> None:
    table = source.read(landed(source, deliver(tmp_path, content))).read_all()
    assert table.num_rows == 0
    assert table.schema.names[:2] == ["no", "text"]
    assert source.read([]).schema == table.schema


def test_an_hour_waits_for_its_marker(source: FileSource, tmp_path: Path) -> None:
    deliver(tmp_path, "no,text\n")
    with pytest.raises(
        TransientFailure, match=rf"09:00:00\+00:00: waiting for marker {NAME}\.done"
    ):
        source.marked_files(HOUR)
    deliver(tmp_path, "", f"{NAME}.done")
    assert [file.path for file in source.marked_files(HOUR)] == [f"{NAME}.csv"]


def test_an_hour_without_trade_has_a_marker_only(source: FileSource, tmp_path: Path) -> None:
    deliver(tmp_path, "", f"{NAME}.done")
    assert source.marked_files(HOUR) == []


def test_the_doubled_hour_has_two_names(source: FileSource, tmp_path: Path) -> None:
    day = "pos/2026-10-25/transactions_20261025T01"
    for name in (day, f"{day}b"):
        deliver(tmp_path, "", f"{name}.done")
        deliver(tmp_path, "no,text\n", f"{name}.csv")
    deliver(tmp_path, "no,text\n", f"{day} (1).csv")
    first = datetime(2026, 10, 25, 0, tzinfo=UTC)
    names = [
        [path.name for path in source.marked_files(first + n * timedelta(hours=1))] for n in (0, 1)
    ]
    assert names == [
        ["transactions_20261025T01.csv", "transactions_20261025T01 (1).csv"],
        ["transactions_20261025T01b.csv"],
    ]


def test_equal_contents_have_equal_hashes(source: FileSource, tmp_path: Path) -> None:
    (one,) = landed(source, deliver(tmp_path, "no,text\n1,a\n"))
    (two,) = landed(source, deliver(tmp_path, "no,text\n1,a\n", f"{NAME}_2.csv"))
    assert one.sha256 == two.sha256 == hashlib.sha256(b"no,text\n1,a\n").hexdigest()
    assert (one.path, one.bytes) == (f"{NAME}.csv", 12)


def test_a_file_that_vanished_is_transient(source: FileSource, tmp_path: Path) -> None:
    path = deliver(tmp_path, "no,text\n")
    listed, (fetched,) = found(source, path), landed(source, path)
    path.unlink()
    with pytest.raises(TransientFailure, match="No such file"):
        source.fetch(listed)
    with pytest.raises(TransientFailure, match="No such file"):
        source.read([fetched])


def test_large_files_come_in_bounded_batches(source: FileSource, tmp_path: Path) -> None:
    path = deliver(tmp_path, "no,text\n" + "".join(f"{n},x\n" for n in range(25_000)))
    sizes = [batch.num_rows for batch in source.read(landed(source, path))]
    assert sizes == [10_000, 10_000, 5_000]


def test_a_file_that_grows_while_it_is_read_is_tried_again(
    source: FileSource, tmp_path: Path
) -> None:
    """Its marker came too early: what was hashed is not what is read."""
    path = deliver(tmp_path, "no,text\n" + "".join(f"{n},x\n" for n in range(20_000)))
    batches = source.read(landed(source, path))
    batches.read_next_batch()
    with path.open("a") as file:
        file.write("20001,x\n")
    with pytest.raises(TransientFailure, match=rf"{NAME}\.csv: it changed while it was read"):
        batches.read_all()


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ({"format": "csv"}, '1,"a b"\n'),
        ({"format": "jsonl"}, '{"no": 1, "text": "a b"}\n'),
        ({"format": "fixed_width", "fields": FIELDS}, "1    a b  \n"),
    ],
)
def test_memory_does_not_grow_with_the_file(tmp_path: Path, files: dict, line: str) -> None:
    """Sixty thousand rows need no more than twenty thousand: one batch at a time."""
    form = TypeAdapter(FileFormat).validate_python(files)
    source = FileSource(LocalFolder(tmp_path), PATTERN, "UTC", form=form)
    peaks = []
    for count in (20_000, 60_000):
        head = "no,text\n" if files["format"] == "csv" else ""
        path = deliver(tmp_path, head + line * count, f"{NAME}.{form.extension}")
        tracemalloc.start()
        read = sum(batch.num_rows for batch in source.read(landed(source, path)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert read == count
    assert peaks[1] < peaks[0] * 1.2


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text('ab",\r\n é', max_size=12), max_size=12))
def test_no_text_is_ever_lost(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = tmp_path_factory.mktemp("lost") / "any.csv"
    content = "\n".join(lines)
    path.write_bytes(content.encode())
    records = list(read_delimited(path, CSV))
    kept = "".join(record.raw for record in records)
    assert kept.replace("\n", "").replace("\r", "") == content.replace("\n", "").replace("\r", "")
    physical = content.encode().split(b"\n")
    for record in records:
        assert record.raw.encode().split(b"\n")[0].rstrip(b"\r") == physical[
            record.line - 1
        ].rstrip(b"\r")
