"""A wrong ``files:`` block fails when the catalog is loaded, with file, table, field and cure."""

import re
from pathlib import Path
from typing import Any

import pytest

from retail_platform.failures import PermanentFailure
from retail_platform_tests.platform.drops import ENTITY, drops_catalog

FIELD = {"name": "no", "start": 1, "width": 4}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"format": "excel"}, r"receipts\.files: .*'csv', 'delimited', 'fixed_width'"),
        ({"delimiter": ";"}, "files: Unable to extract tag using discriminator 'format'"),
        ({"format": "csv", "delimeter": ";"}, r"files\.csv\.delimeter: Extra inputs"),
        ({"format": "delimited"}, "format: delimited needs delimiter"),
        ({"format": "csv", "delimiter": "||"}, "'||' is not one character".replace("|", r"\|")),
        ({"format": "csv", "delimiter": '"'}, "must be different characters"),
        ({"format": "csv", "encoding": "utf-9"}, "'utf-9' is no encoding"),
        ({"format": "csv", "header": False}, "names goes with header: false"),
        ({"format": "csv", "names": ["a"]}, "names goes with header: false"),
        ({"format": "csv", "header": False, "names": ["a", "A"]}, "column names twice"),
        ({"format": "csv", "header": False, "names": ["_line"]}, "or the platform's own"),
        ({"format": "csv", "decimal": ",", "thousands": ","}, "decimal and thousands are both"),
        ({"format": "csv", "trailer": {"pattern": "("}}, "is no regular expression"),
        ({"format": "csv", "trailer": {"pattern": r"END (\d+)"}}, r"\(\?P<count>"),
        ({"format": "csv", "incomplete": "hold"}, "hold needs trailer or final_newline"),
        ({"format": "fixed_width", "fields": []}, r"files\.fixed_width\.fields"),
        (
            {"format": "fixed_width", "fields": [FIELD, {"name": "b", "start": 4, "width": 2}]},
            "field b begins at 4, inside of no, which ends at 4",
        ),
        ({"format": "parquet", "delimiter": ","}, r"files\.parquet\.delimiter: Extra inputs"),
    ],
)
def test_a_wrong_format_is_refused(tmp_path: Path, files: dict[str, Any], message: str) -> None:
    with pytest.raises(PermanentFailure, match=message) as raised:
        drops_catalog(tmp_path, files)
    assert re.match(r"drops\.yaml line \d+: tables\.receipts", str(raised.value))


def test_only_files_have_a_format(tmp_path: Path) -> None:
    with pytest.raises(PermanentFailure, match="files goes with load: files, and only there"):
        drops_catalog(tmp_path, {"format": "csv"}, load="full", path=None)


def test_a_held_file_must_be_replaceable(tmp_path: Path) -> None:
    files = {"format": "csv", "final_newline": True, "incomplete": "hold"}
    with pytest.raises(PermanentFailure, match=r"needs columns: \{_file: x\}"):
        drops_catalog(tmp_path, files, silver={"entity": ENTITY, "merge": "append"})
