"""The oracle against what is served: SQLite by SQL, landing files by csv, the APIs by HTTP."""

import csv
import sqlite3
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import requests

from retail_platform.failures import PermanentFailure
from retail_platform.simulator import Simulator, ads_facebook
from retail_platform.simulator.ads_server import Faults
from retail_platform.simulator.databases import TABLES
from retail_platform.simulator.expected import (
    Expected,
    Read,
    expected_facts,
    expected_reads,
    expected_silver,
)
from retail_platform.simulator.expected_reads import SNAPSHOTS
from retail_platform.simulator.expected_stock import stock_at_ends_of
from retail_platform.simulator.pos import relative_path
from retail_platform.simulator.shifts import COMPANY_ZONE
from retail_platform_tests.simulator.conftest import HOUR

BUFFER = timedelta(minutes=1)
BRONZE = [f"{table.database}__{table.name}" for table in TABLES] + [
    "pos__transactions",
    "facebook_ads__insights",
    "google_ads__campaign_performance",
]
Served = dict[tuple[str, datetime], int]


def _query(simulator: Simulator, database: str, sql: str, *values: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(simulator.folder / f"{database}.db")
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


def _local(at: datetime) -> str:
    return at.astimezone(COMPANY_ZONE).strftime("%Y-%m-%d %H:%M:%S.%f")


def _served(simulator: Simulator, read: Read) -> int:
    source, _, name = read.table.partition("__")
    if source == "pos":
        path = simulator.landing / relative_path(read.hour)
        if not path.exists():
            return 0
        with path.open(encoding="utf-8", newline="") as file:
            return len(list(csv.DictReader(file)))
    where = "modified_at < ? AND modified_at >= ?"
    bounds = _local(read.end), _local(read.start) if read.start else ""
    if name in SNAPSHOTS:
        where, bounds = "1", ()
    ((count,),) = _query(simulator, source, f"SELECT count(*) FROM {name} WHERE {where}", *bounds)
    return int(str(count))


@pytest.fixture(scope="module")
def loads(simulator: Simulator, hours: list[datetime]) -> tuple[list[Read], Served]:
    """Six hours loaded one after the other, and what the sources gave by their own means."""
    reads: list[Read] = []
    served: Served = {}
    for number, hour in enumerate(hours):
        simulator.advance_to(hour + HOUR)
        for table in BRONZE:
            start = hour - BUFFER if number else None
            read = Read(table=table, hour=hour, start=start, end=hour + HOUR, clock=simulator.clock)
            reads.append(read)
            if "ads" not in table:
                served[table, hour] = _served(simulator, read)
    return reads, served


def test_reads_are_what_sql_and_files_give(
    simulator: Simulator, loads: tuple[list[Read], Served]
) -> None:
    reads, served = loads
    expected = expected_reads(simulator, reads)
    assert {key: expected[key] for key in served} == served
    assert len(expected) == len(BRONZE) * 6


def test_silver_is_the_sources_state_when_every_change_was_read(
    simulator: Simulator, loads: tuple[list[Read], Served]
) -> None:
    silver = expected_silver(simulator, loads[0])
    for table in TABLES:
        amounts = list(silver[table.name].money)
        columns = ", ".join(["count(*)", *(f"group_concat({name})" for name in amounts)])
        ((rows, *texts),) = _query(
            simulator,
            table.database,
            f"SELECT {columns} FROM {table.name}",
        )
        assert silver[table.name].rows == rows, table.name
        for name, text in zip(amounts, texts, strict=True):
            found = sum(map(Decimal, str(text).split(",")), Decimal(0))
            assert silver[table.name].money[name] == found, (table.name, name)
    assert silver["stock_levels"].versions > silver["stock_levels"].rows


def test_the_order_of_loads_does_not_matter(
    simulator: Simulator, loads: tuple[list[Read], Served]
) -> None:
    reads = loads[0]
    assert expected_silver(simulator, reads[::-1]) == expected_silver(simulator, reads)
    assert expected_facts(simulator, reads[::-1]) == expected_facts(simulator, reads)


def test_pos_money_is_that_of_the_files(
    simulator: Simulator, loads: tuple[list[Read], Served], hours: list[datetime]
) -> None:
    amount, quantity, rows = Decimal(0), 0, 0
    for hour in hours:
        path = simulator.landing / relative_path(hour)
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                amount += int(row["Quantity"]) * Decimal(row["UnitPrice"])
                quantity += int(row["Quantity"])
                rows += 1
    reads = [read for read in loads[0] if read.table.startswith("pos")]
    assert expected_facts(simulator, reads)["fct_sales"] == Expected(
        rows=rows,
        money={
            "net_amount": amount,
            "net_amount_live": amount,
            "quantity": Decimal(quantity),
        },
        versions=rows,
    )
    assert expected_silver(simulator, reads)["pos_transactions"].rows == rows


def test_order_facts_are_the_joined_lines(
    simulator: Simulator, loads: tuple[list[Read], Served]
) -> None:
    reads = [read for read in loads[0] if read.table in ("sales__orders", "sales__order_lines")]
    facts = expected_facts(simulator, reads)["fct_sales"]
    found = _query(
        simulator,
        "sales",
        "SELECT status, line_total FROM order_lines JOIN orders USING (order_id)",
    )
    assert facts.rows == len(found)
    assert facts.money["net_amount"] == sum(Decimal(str(total)) for _, total in found)
    live = sum(Decimal(str(total)) for status, total in found if status != "cancelled")
    assert facts.money["net_amount_live"] == live < facts.money["net_amount"]
    only_lines = [read for read in reads if read.table == "sales__order_lines"]
    assert expected_facts(simulator, only_lines)["fct_sales"].rows == 0


def test_ads_are_what_the_server_gives_at_the_last_clock(
    simulator: Simulator, loads: tuple[list[Read], Served], hours: list[datetime]
) -> None:
    last = next(
        read
        for read in loads[0]
        if read.table == "facebook_ads__insights" and read.hour == hours[-1]
    )
    until = hours[-1].astimezone(ads_facebook.FACEBOOK.zone).date()
    since = until - timedelta(days=3)
    with simulator.serve_ads(faults=Faults(rate_limit_every=0)) as url:
        answer = requests.get(
            f"{url}/v21.0/{ads_facebook.ACCOUNT}/insights",
            params={
                "level": "campaign",
                "fields": "campaign_id,spend",
                "time_range": f'{{"since": "{since}", "until": "{until}"}}',
                "time_increment": "1",
                "breakdowns": ads_facebook.HOURLY,
                "limit": "500",
            },
            headers={"Authorization": f"Bearer {ads_facebook.TOKEN}"},
            timeout=10,
        ).json()["data"]
    assert expected_reads(simulator, [last])[last.table, last.hour] == len(answer)
    expected = expected_silver(simulator, [last])["facebook_insights"]
    spends = [Decimal(row["spend"]) for row in answer]
    assert expected.rows == sum(spend >= 0 for spend in spends)
    assert expected.quarantined == sum(spend < 0 for spend in spends)
    assert expected.money["spend"] == sum(spend for spend in spends if spend >= 0)
    everything = expected_silver(simulator, loads[0])["facebook_insights"]
    assert everything.rows == expected.rows
    assert everything.money == expected.money


def test_a_line_typed_as_zero_is_quarantined_and_the_older_row_stays(simulator: Simulator) -> None:
    change = next(
        change
        for change in simulator.log.changes
        if change.table == "order_lines" and change.row["quantity"] == 0
    )
    hour = change.at.replace(minute=0, second=0, microsecond=0)
    clock = change.at + timedelta(microseconds=1)

    def read(start: datetime | None, end: datetime, clock: datetime) -> Read:
        return Read(table="sales__order_lines", hour=hour, start=start, end=end, clock=clock)

    before = expected_silver(simulator, [read(None, hour, change.at)])["order_lines"]
    reads = [read(None, hour, change.at), read(change.at, hour + HOUR, clock)]
    after = expected_silver(simulator, reads)["order_lines"]
    assert after.quarantined == before.quarantined + 1
    assert after.rows == before.rows
    assert after.money == before.money


def test_stock_at_the_end_of_an_hour_is_told_from_versions() -> None:
    base = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def row(quantity: int, at: datetime) -> dict[str, str | int | None]:
        return {"quantity": quantity, "modified_at": _local(at)}

    old = row(5, base - 9 * HOUR)
    snapshots = {
        base: {(1, 1): old, (2, 1): old},
        base + 2 * HOUR: {(1, 1): row(3, base + 90 * BUFFER)},
        base + 3 * HOUR: {(1, 1): row(3, base + 90 * BUFFER), (2, 1): row(4, base + 200 * BUFFER)},
    }
    hours = [base + number * HOUR for number in range(4)]
    found = [[row["quantity"] for row in stock_at_ends_of(snapshots, [hour])] for hour in hours]
    assert found == [[5, 5], [3, 5], [3], [3, 4]]


def test_an_unknown_table_is_refused(simulator: Simulator) -> None:
    now = simulator.clock
    read = Read(table="crm__deals", hour=now, start=None, end=now, clock=now)
    with pytest.raises(PermanentFailure, match="crm__deals"):
        expected_silver(simulator, [read])
