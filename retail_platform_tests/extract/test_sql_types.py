"""Types of a real PostgreSQL as they arrive: exact, and one that changes between two loads."""

from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from retail_platform.bronze.watermarks import greatest_watermark
from retail_platform.extract.sql import SqlSource
from retail_platform.extract.window import Window
from retail_platform.metadata.loader import Catalog, load_catalog
from retail_platform_tests.extract.postgres import run
from retail_platform_tests.platform.box import hour_at
from retail_platform_tests.platform.catalogs import contract, sql_source, write_catalog
from retail_platform_tests.platform.fixtures import Opener

EVERYTHING = Window(hour=hour_at(0), start=None, end=hour_at(1), initial=True)


def read(url: str, table: str) -> pa.Table:
    source = SqlSource(url, "UTC", name="erp")
    columns = list(source.columns(table))
    return source.read(table=table, columns=columns, watermark=None, window=EVERYTHING).read_all()


@pytest.mark.postgres
def test_each_type_arrives_exactly(postgres_url: str) -> None:
    """Numbers and moments as such, what Arrow would round or cannot hold as the server's text."""
    run(
        postgres_url,
        "drop table if exists kinds",
        """create table kinds (small smallint, big bigint, ok boolean, precise double precision,
        shortest real, exact numeric, day date, local timestamp, moment timestamptz, clock time,
        span interval, price money, letter "char", padded char(3), bytes bytea, flags bit(3))""",
        """insert into kinds values (1, 9223372036854775807, true, 0.1, 1.1,
        12345678901234567890.123456789012345, '2026-01-05', '2026-01-05 10:00:00.000001',
        '2026-01-05 10:00:00+02', '24:00', '1 day', 12.5, 'x', 'a', '\\x01ff', B'101')""",
        "insert into kinds (exact) values ('NaN')",
    )
    table = read(postgres_url, "kinds")
    assert table.to_pylist()[0] == {
        "small": 1,
        "big": 2**63 - 1,
        "ok": True,
        "precise": 0.1,
        "shortest": "1.1",
        "exact": "12345678901234567890.123456789012345",
        "day": date(2026, 1, 5),
        "local": datetime.fromisoformat("2026-01-05 10:00:00.000001"),
        "moment": datetime(2026, 1, 5, 8, tzinfo=UTC),
        "clock": "24:00:00",
        "span": "1 day",
        "price": "$12.50",
        "letter": "x",
        "padded": "a  ",
        "bytes": "\\x01ff",
        "flags": "101",
    }
    assert table["exact"][1].as_py() == "NaN"
    assert table.schema.field("small").type == pa.int64()


@pytest.mark.postgres
def test_infinity_is_the_end_of_the_calendar(postgres_url: str) -> None:
    """PostgreSQL's infinities, which no date can hold, are the last and the first moment."""
    run(
        postgres_url,
        "drop table if exists ends",
        "create table ends (day date, local timestamp, moment timestamptz)",
        "insert into ends values (null, null, null), ('infinity', 'infinity', 'infinity'),"
        " ('-infinity', '-infinity', '-infinity'), ('2026-01-05', '2026-01-05', '2026-01-05Z')",
    )
    rows = read(postgres_url, "ends").to_pylist()
    texts = ("9999-12-31 23:59:59.999999", "0001-01-01", "2026-01-05")
    last, first, usual = map(datetime.fromisoformat, texts)
    assert [row["day"] for row in rows] == [None, last.date(), first.date(), usual.date()]
    assert [row["local"] for row in rows] == [None, last, first, usual]
    assert [row["moment"] for row in rows] == [
        None,
        *(m.replace(tzinfo=UTC) for m in (last, first, usual)),
    ]


def things(tmp_path: Path) -> Catalog:
    columns = {"id": "bigint", "number": "int", "label": "string", "modified_at": "timestamp"}
    row = {
        "table": "things",
        "load": "incremental",
        "key": ["id"],
        "watermark": {"column": "modified_at"},
        "silver": {"entity": "things", "merge": "upsert"},
    }
    return load_catalog(
        write_catalog(
            tmp_path / "catalog", [sql_source("erp", [row])], [contract("things", columns, ["id"])]
        )
    )


@pytest.mark.postgres
def test_a_column_that_changes_type_costs_only_the_rows_that_do_not_fit(
    postgres_url: str, tmp_path: Path, new_box: Opener
) -> None:
    """The hour completes; a refused row keeps its values and says which one is at fault."""
    run(
        postgres_url,
        "drop table if exists things, clock cascade",
        "create table clock as select timestamp '2026-01-05 14:00' as now",
        "create table things (id int, number int, label int, modified_at timestamp)",
        "insert into things values (1, 10, 7, '2026-01-05 12:10')",
    )
    box = new_box(things(tmp_path))
    environ = {"ERP_URL": postgres_url}
    assert box.both("things", 0, environ).counts.applied == 1
    run(
        postgres_url,
        "alter table things alter number type text, alter label type text, alter id type bigint",
        "insert into things values (2, '20', 'seven', '2026-01-05 13:10'),"
        " (3, '2O', 'eight', '2026-01-05 13:20'), (4, '40', null, '2026-01-05 13:30'),"
        " (5, '50', '9', '2026-01-05 13:40'), (6, null, null, '2026-01-05 13:50')",
    )
    counts = box.both("things", 1, environ).counts
    assert (counts.read, counts.applied, counts.quarantined) == (5, 3, 2)
    assert {(row["id"], row["number"], row["label"]) for row in box.live("things")} == {
        (1, 10, "7"),
        (4, 40, None),
        (5, 50, "9"),
        (6, None, None),
    }
    (refused,) = [row for row in box.stored_bronze("things") if row["id"] == 3]
    assert refused["number"] is None
    assert "column number: '2O' is string, stored as int64" in refused["_parse_error"]
    assert '"number": "2O"' in refused["_raw"]


@pytest.mark.parametrize("zone", ["UTC", "Europe/London", "America/Los_Angeles", "Asia/Kolkata"])
@pytest.mark.parametrize("present", [datetime(2026, 10, 25, 1, 30, tzinfo=UTC), hour_at(0)])
def test_the_greatest_watermark_of_moments_is_that_of_their_text(
    zone: str, present: datetime
) -> None:
    """Also where the clocks go back, and with values of the future among them."""
    around = pa.array(
        [int(present.timestamp() * 1e6) + minutes * 60_000_001 for minutes in range(-900, 900, 7)]
    )
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        column = around.cast(kind)
        text = column.cast(pa.string())
        found = greatest_watermark(column, zone, present)
        assert found == greatest_watermark(text, zone, present)
        assert found is not None
    assert greatest_watermark(pa.array([None], pa.timestamp("us")), zone, present) is None
