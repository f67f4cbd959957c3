"""Texts of events as typed values: what Silver's expressions read, Python reads, and no more."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from pyspark.sql.connect.session import SparkSession

from retail_platform.extract.event_values import reader_of
from retail_platform.lakehouse.engine import open_engine
from retail_platform.settings import Engine
from retail_platform.silver.casting import read_as, sql_text

TEXTS = {
    "int": ["1", "+2", "-3", "4.0", "1.5", "2147483647", "2147483648", "", "x", "1e3", "٣"],
    "bigint": ["9223372036854775807", "9223372036854775808", "-9223372036854775808", "7.00"],
    "decimal(6,2)": ["1", "1.005", "-0.01", ".5", "9999.99", "99999.99", "1e2", "1,5", "nan"],
    "double": ["1", "1.5", "-.5", "1e3", "inf", "x"],
    "boolean": ["true", "F", "yes", "0", "2", ""],
    "date": ["2026-01-05", "2026-01-05 12:00", "2026-02-30", "5.1.2026"],
    "timestamp": [
        "2026-01-05",
        "2026-01-05 12:00",
        "2026-07-05T12:00:01.25",
        "2026-01-05T12:00:00Z",
        "2026-01-05T12:00:00+02:00",
        "2026-01-05T12:00:00-0530",
        "2026-02-30T12:00:00Z",
        "2026-01-05T25:00:00Z",
        "yesterday",
    ],
    "string": ["", "text"],
}
ZONE = "Europe/London"
CASES = [(physical, text) for physical, texts in TEXTS.items() for text in texts]


def python_value(physical: str, text: str) -> object:
    try:
        return reader_of(physical, ZONE)(text)
    except ValueError:
        return None


def test_python_and_the_engine_read_the_same(engine_address: str) -> None:
    """Every text as every type that it is a case of."""
    with open_engine(Engine.EMBEDDED, engine_address) as session:
        spark: SparkSession = session.spark
        said = [
            f"{read_as(sql_text(text), pa.string(), physical, ZONE)} as c{number}"
            for number, (physical, text) in enumerate(CASES)
        ]
        row = spark.sql(f"select {', '.join(said)}").toArrow().to_pylist()[0]
    differing = {
        case: (row[f"c{number}"], python_value(*case))
        for number, case in enumerate(CASES)
        if row[f"c{number}"] != python_value(*case)
    }
    assert differing == {}


@pytest.mark.parametrize(
    ("physical", "text", "value"),
    [
        ("int", "4.0", 4),
        ("decimal(6,2)", "1.005", Decimal("1.01")),
        ("date", "2026-01-05 12:00", date(2026, 1, 5)),
        ("timestamp", "2026-07-05T12:00:00", datetime(2026, 7, 5, 11, tzinfo=UTC)),
    ],
)
def test_values_are_of_the_contracts_types(physical: str, text: str, value: object) -> None:
    """Not only equal on both sides, but right."""
    assert python_value(physical, text) == value
