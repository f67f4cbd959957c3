"""A large table over several connections, from a real PostgreSQL."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from retail_platform.extract.sql import SqlSource
from retail_platform.extract.sql_partitioned import Partitioning
from retail_platform.extract.window import Window
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform_tests.extract.postgres import run
from retail_platform_tests.extract.things import Interrupted, box_of_things
from retail_platform_tests.platform.box import Box, hour_at
from retail_platform_tests.platform.fixtures import Opener

pytestmark = pytest.mark.postgres
ROWS = 60_000
SECONDS = 30
EVERYTHING = Window(hour=hour_at(0), start=None, end=hour_at(1), initial=True)
BY_NUMBER = Partitioning(column="number", connections=3, ranges=12)


@pytest.fixture
def url(postgres_url: str) -> str:
    """Rows of 400 bytes, whose numbers lie unevenly; every hundredth has none."""
    run(
        postgres_url,
        # What a failed test has left open would keep the table from being made anew.
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where pid <> pg_backend_pid() and backend_type = 'client backend'",
        "drop table if exists things, clock cascade",
        "create table clock as select timestamp '2026-01-05 13:00' as now",
        "create table things as select g as id,"
        " case when g % 100 > 0 then g * g / 20000 - 50000 end as number,"
        " timestamp '2025-12-01' + g * interval '7 seconds' as modified_at,"
        " case when g % 7 = 0 then 'infinity'::timestamp end as ends_at,"
        " gen_random_uuid() as code, jsonb_build_object('g', g) as more, g / 7.0 as amount,"
        " repeat('x', 400) as label"
        f" from generate_series(1, {ROWS}::bigint) g",
        "create index on things (number)",
    )
    return postgres_url


def read(source: SqlSource, partitioned: Partitioning | None, **more: Any) -> pa.RecordBatchReader:
    return source.read(
        table="things",
        columns=list(source.columns("things")),
        watermark="modified_at",
        window=EVERYTHING,
        partitioned=partitioned,
        **more,
    )


def by_id(table: pa.Table) -> pa.Table:
    return table.sort_by("id").combine_chunks()


@contextmanager
def opened(url: str, **more: Any) -> Iterator[SqlSource]:
    with closing(SqlSource(url, "UTC", name="erp", **more)) as source:
        yield source


# Not the one that asks, and not those that asked before and are about to end.
READERS = "backend_type = 'client backend' and query not like '%pg_stat_activity%'"


def backends(url: str) -> int:
    """Connections of readers to the server."""
    ((count,),) = run(url, f"select count(*) from pg_stat_activity where {READERS}")
    return count


def until(condition: Callable[[], bool], said: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, said
        time.sleep(0.02)


@pytest.mark.parametrize("column", ["number", "id", "modified_at", "ends_at"])
@pytest.mark.parametrize("connections", [1, 2, 4])
def test_parts_are_the_whole(url: str, column: str, connections: int) -> None:
    """The same rows with the same values as over one connection, those without a number once."""
    with opened(url) as source:
        whole = by_id(read(source, None).read_all())
        parts = Partitioning(column=column, connections=connections, ranges=9)
        assert whole.num_rows == ROWS
        assert by_id(read(source, parts).read_all()).equals(whole)


def test_a_window_bounds_all_parts(url: str) -> None:
    """What the window leaves out, no range brings back."""
    window = Window(hour=hour_at(0), start=hour_at(-24 * 35), end=hour_at(-24 * 34), initial=False)
    with opened(url) as source:
        rows = source.read(
            table="things",
            columns=["id"],
            watermark="modified_at",
            window=window,
            partitioned=BY_NUMBER,
        ).read_all()
        assert 0 < rows.num_rows < ROWS
        assert rows.num_rows == source.count("things", "modified_at", window)


def test_an_empty_table_gives_no_rows(url: str) -> None:
    run(url, "truncate things")
    with opened(url) as source:
        assert read(source, BY_NUMBER).read_all().num_rows == 0


def test_all_parts_see_one_state(url: str) -> None:
    """What commits while the first batches are taken is in none of the ranges that come later."""
    with opened(url) as source:
        before = by_id(read(source, None).read_all())
        stream = read(source, BY_NUMBER)
        batches = [stream.read_next_batch()]
        run(
            url,
            "delete from things where id % 3 = 0",
            "update things set number = -number, label = 'moved to another range'",
            "insert into things (id, number, modified_at) select -g, g, timestamp '2026-01-01'"
            " from generate_series(1, 1000) g",
        )
        batches += stream
        assert by_id(pa.Table.from_batches(batches)).equals(before)
        assert read(source, BY_NUMBER).read_all().num_rows == ROWS - ROWS // 3 + 1000


def test_transfers_between_ranges_are_seen_whole(url: str) -> None:
    """A writer moves amounts between rows all the while: every read's sum is the same."""
    ended = threading.Event()
    moved: list[int] = []

    def move() -> None:
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            while not ended.is_set():
                with connection.transaction():
                    taken, given = 1 + len(moved) % 1000, ROWS - len(moved) % 1000
                    for sign, id_ in (("-", taken), ("+", given)):
                        connection.execute(
                            f"update things set amount = amount {sign} 1 where id = {id_}".encode()
                        )
                moved.append(1)

    run(url, "create unique index on things (id)", "update things set amount = 100")
    writer = threading.Thread(target=move)
    writer.start()
    try:
        until(lambda: bool(moved), "nothing was moved")
        with opened(url) as source:
            for _ in range(3):
                before = len(moved)
                amounts = read(source, BY_NUMBER).read_all()["amount"].to_pylist()
                assert sum(map(float, amounts)) == 100 * ROWS
                assert len(moved) > before, "nobody wrote meanwhile"
    finally:
        ended.set()
        writer.join()


def test_all_reads_together_keep_to_the_cap(url: str) -> None:
    """Two reads that would take four connections each have five between them."""
    wide = Partitioning(column="number", connections=4, ranges=40)
    with opened(url, max_connections=5) as one, opened(url, max_connections=5) as other:
        first, second = read(one, wide), read(other, wide)
        first.read_next_batch()
        until(lambda: backends(url) == 4, "the first read has not opened its connections")
        second.read_next_batch()
        # Both stand still now, with all of their connections open.
        until(lambda: backends(url) == 5, "the second read has not opened its connection")
        time.sleep(0.5)
        assert backends(url) == 5
        assert first.read_all().num_rows > 0
        assert second.read_all().num_rows > 0
    until(lambda: backends(url) == 0, "connections stay open")


def test_who_gets_no_connection_says_so(url: str) -> None:
    """It is tried again, and the message names the settings."""
    wide = Partitioning(column="number", connections=2, ranges=40)
    with opened(url, max_connections=2) as one:
        read(one, wide).read_next_batch()
        with (
            opened(url, max_connections=2, timeout=timedelta(milliseconds=200)) as other,
            pytest.raises(
                TransientFailure, match=r"of its 2 connections was free .*max_connections"
            ),
        ):
            other.clock()
        one.close()
        assert one.clock()


READING = (
    "select pid from pg_stat_activity"
    " where query like '%waited%' and state = 'active' and pid <> pg_backend_pid()"
)


def test_closing_ends_threads_and_connections(url: str) -> None:
    """Whatever the server is doing: no query goes on, and no thread."""
    run(
        url,
        # Said to be stable, so that it is not asked for where only ids are.
        "create or replace function slowly() returns boolean language plpgsql stable as"
        " 'begin perform pg_sleep(0.02); return true; end'",
        "create or replace view slow as select id, slowly() as waited from things",
    )
    with opened(url) as source:
        stream = source.read(
            table="slow",
            columns=["id", "waited"],
            watermark=None,
            window=EVERYTHING,
            partitioned=Partitioning(column="id", connections=2, ranges=2),
        )
        taking = threading.Thread(target=lambda: _ended(stream))
        taking.start()
        until(lambda: len(run(url, READING)) == 2, "nothing is read")
        run(url, f"select pg_cancel_backend({run(url, READING)[0][0]})")
        taking.join(SECONDS)
        assert not taking.is_alive()
    until(lambda: backends(url) == 0, "connections stay open")
    assert [t.name for t in threading.enumerate() if t.name.startswith("read ")] == []


def _ended(stream: pa.RecordBatchReader) -> None:
    with pytest.raises(TransientFailure, match="canceling statement"):
        stream.read_all()


def test_a_read_that_is_left_ends(url: str) -> None:
    """Closed after its first batch, it leaves neither threads nor connections."""
    with opened(url) as source:
        read(source, BY_NUMBER).read_next_batch()
        until(lambda: backends(url) == 3, "the connections are not open")
    assert [t.name for t in threading.enumerate() if t.name.startswith("read ")] == []
    until(lambda: backends(url) == 0, "connections stay open")


def test_a_range_that_fails_gives_its_own_failure(url: str) -> None:
    """A value of one range that the query cannot read: the others stop, and the reason is told."""
    run(url, "create or replace view odd as select id, 1 / (id - 40000) as one from things")
    with opened(url) as source, pytest.raises(TransientFailure, match="division by zero"):
        source.read(
            table="odd",
            columns=["id", "one"],
            watermark=None,
            window=EVERYTHING,
            partitioned=Partitioning(column="id", connections=3, ranges=9),
        ).read_all()
    until(lambda: backends(url) == 0, "connections stay open")


@pytest.mark.parametrize(
    ("column", "said"),
    [("label", "whole numbers and timestamps"), ("missing", "no column missing")],
)
def test_a_column_without_ranges_is_refused(url: str, column: str, said: str) -> None:
    partitioned = Partitioning(column=column, connections=2, ranges=4)
    with opened(url) as source, pytest.raises(PermanentFailure, match=said):
        read(source, partitioned)


@pytest.fixture
def box(tmp_path: Path, new_box: Opener) -> Box:
    """A platform whose table is read over three connections.

    The ranges are many more than batches may wait: no connection is done before a test ends it.
    """
    read_by = {"partition_by": "id", "connections": 3, "ranges": 60}
    return box_of_things(new_box, tmp_path / "catalog", read=read_by)


@pytest.mark.parametrize("which", ["asc", "desc"], ids=["snapshot_holder", "other_part"])
def test_a_connection_lost_half_way_loses_and_doubles_nothing(
    url: str, box: Box, which: str
) -> None:
    """One of three: transient, nothing stored, nothing left open; the retry has all of it.

    A part that was about to begin finds the snapshot of the one that held it gone.
    """

    def end_one() -> None:
        until(lambda: backends(url) == 3, "the connections are not open")
        run(
            url,
            f"select pg_terminate_backend(pid) from pg_stat_activity where {READERS}"
            f" order by backend_start {which} limit 1",
        )

    reader = Interrupted(SqlSource(url, "UTC", "select now from clock", name="erp"), end_one)
    told = r"table things: .* (broke off|does not have the snapshot any more)"
    with closing(reader), pytest.raises(TransientFailure, match=told):
        box.bronze_from("things", 0, reader)
    assert box.stored_bronze("things") == []
    until(lambda: backends(url) == 0, "connections stay open")
    load = box.bronze("things", 0, {"ERP_URL": url})
    assert load.counts.applied == ROWS
    assert len({row["id"] for row in box.stored_bronze("things")}) == ROWS
