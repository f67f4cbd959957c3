"""The data pack: its files as rows of text, exactly as they are.

Here belongs reading bytes into rows. Nothing is trimmed, repaired, typed or dropped here; meaning
is given by the modules that build the sources.
"""

import csv
import gzip
import io
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from retail_platform.failures import PermanentFailure

DATA = Path(__file__).parent / "data"


def read_text(path: Path) -> str:
    """The text of one file of the pack, gzipped or not, with its own line ends."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    return content.decode("utf-8")


@cache
def _layouts() -> dict[str, dict[str, Any]]:
    return json.loads((DATA / "adventureworks_oltp" / "columns.json").read_text("utf-8"))


def oltp_rows(table: str) -> Iterator[dict[str, str]]:
    """Rows of one AdventureWorks OLTP table, column name -> text (empty text is NULL).

    Raises:
        PermanentFailure: The table is not in the pack, or a row has another number of fields
            than ``columns.json`` says.
    """
    folder = DATA / "adventureworks_oltp"
    path = next(
        (p for p in (folder / f"{table}.csv", folder / f"{table}.csv.gz") if p.exists()), None
    )
    if path is None:
        raise PermanentFailure(
            f"data pack: no file {table}.csv[.gz] in {folder.name}; reinstall the package"
        )
    layout = _layouts()[table]
    names = [column["name"] for column in layout["columns"]]
    delimiter, terminator = layout["delimiter"], layout["row_terminator"]
    for number, record in enumerate(read_text(path).split(terminator), start=1):
        if not record:
            continue
        fields = record.split(delimiter)
        if len(fields) != len(names):
            raise PermanentFailure(
                f"data pack: {path.name}, row {number}: {len(fields)} fields, "
                f"expected {len(names)}; reinstall the package"
            )
        yield dict(zip(names, fields, strict=True))


def web_order_lines() -> list[dict[str, str]]:
    """Order lines of the web shop in 2021, as text by column name of the CSV header."""
    text = read_text(DATA / "adventureworks_web_orders" / "2021.csv.gz")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def _delta_table(table: str) -> list[dict[str, Any]]:
    folder = DATA / "adventureworks_reseller_orders" / table
    (part,) = folder.glob("*.parquet")
    return pq.read_table(part).to_pylist()


def reseller_order_lines() -> list[dict[str, Any]]:
    """Order lines of resellers; header amounts are repeated on every line, money is float."""
    return _delta_table("adventureworks_orders")


def reseller_contacts() -> list[dict[str, Any]]:
    """Names of the resellers' contact persons."""
    return _delta_table("adventureworks_customers")


def pos_day(day: str) -> str | None:
    """The text of one day of point-of-sale rows (``YYYY-MM-DD``), None for a day without trade."""
    path = DATA / "online_retail" / "by-day" / f"{day}.csv.gz"
    return read_text(path) if path.exists() else None


def pos_days() -> list[str]:
    """The days with trade in the pack, ascending, as ``YYYY-MM-DD``."""
    folder = DATA / "online_retail" / "by-day"
    return sorted(path.name.removesuffix(".csv.gz") for path in folder.glob("*.csv.gz"))


@cache
def utterances() -> list[dict[str, str]]:
    """What customers ask the customer service, with intent and category."""
    (path,) = (DATA / "support_utterances").glob("*.csv.gz")
    return list(csv.DictReader(io.StringIO(read_text(path), newline="")))


@cache
def clothing_reviews() -> list[dict[str, str]]:
    """Reviews of garments, as text by column name of the CSV header."""
    (path,) = (DATA / "womens_clothing_reviews").glob("*.csv.gz")
    return list(csv.DictReader(io.StringIO(read_text(path), newline="")))


@cache
def shopper_sessions() -> list[dict[str, str]]:
    """Sessions of a web shop with their metrics, as text by column name of the CSV header."""
    (path,) = (DATA / "online_shoppers").glob("*.csv.gz")
    return list(csv.DictReader(io.StringIO(read_text(path), newline="")))


@cache
def survey_responses() -> list[dict[str, str]]:
    """Answers to a survey on product interest, column name -> text."""
    folder = DATA / "adventureworks_dw"
    layout = json.loads((folder / "columns.json").read_text("utf-8"))["FactSurveyResponse"]
    names = [column["name"] for column in layout["columns"]]
    text = read_text(folder / "FactSurveyResponse.csv.gz")
    return [
        dict(zip(names, line.split(layout["delimiter"]), strict=True))
        for line in text.split(layout["row_terminator"])
        if line
    ]
