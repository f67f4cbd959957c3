"""Loads by the positions of a database's changes: nothing lost, nothing doubled.

The positions are a real PostgreSQL's (``xid8`` and its snapshot). SQL Server's own, Change Tracking
among them, are not proved here: `Tracked` is a table in memory that answers as its documentation
says, and shows what loads make of such answers.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import permutations
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
import sqlalchemy as sa

from retail_platform.bronze.load import BronzeLoad, BronzeLoader
from retail_platform.control.models import RequestStatus
from retail_platform.control.requests import RequestKind
from retail_platform.extract.changes_reader import ChangesReader
from retail_platform.extract.offsets import OffsetRange
from retail_platform.extract.sql import SqlSource
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.metadata.loader import Table, load_catalog
from retail_platform.quality.verdicts import HeldBack
from retail_platform_tests.extract.postgres import run
from retail_platform_tests.platform.box import Box, Row, hour_at
from retail_platform_tests.platform.catalogs import Tree, contract, sql_source, write_catalog
from retail_platform_tests.platform.dagster_runs import checks, location, materialised
from retail_platform_tests.platform.fixtures import Opener

pytestmark = pytest.mark.postgres
POSITIONS = "rowversion of things.version"


def put(id_: int, label: str) -> str:
    return (
        f"insert into things values ({id_}, '{label}')"
        " on conflict (id) do update set label = excluded.label"
    )


class Source:
    """A PostgreSQL table whose rows carry the transaction that changed them last."""

    def __init__(self, url: str) -> None:
        self.url = url
        run(
            url,
            "drop table if exists things, clock cascade",
            "create table clock as select timestamp '2026-01-20' as now",
            "create table things (id bigint primary key, label text, version xid8)",
            "create or replace function stamp() returns trigger language plpgsql as"
            " 'begin new.version := pg_current_xact_id(); return new; end'",
            "create trigger stamp before insert or update on things"
            " for each row execute function stamp()",
        )

    def put(self, id_: int, label: str) -> None:
        """Inserts or changes a row, committed."""
        run(self.url, put(id_, label))

    def rows(self) -> dict[int, str]:
        """What is committed."""
        return dict(run(self.url, "select id, label from things"))

    def transaction(self, stack: ExitStack) -> psycopg.Connection:
        """A transaction that stays open until it is committed."""
        connection = stack.enter_context(psycopg.connect(self.url.replace("+psycopg", "")))
        connection.execute("select pg_current_xact_id()")
        return connection

    def reader(self, table: Table) -> ChangesReader:
        """The reader of its table."""
        return ChangesReader(SqlSource(self.url, "UTC", "select now from clock", name="erp"), table)


@pytest.fixture
def source(postgres_url: str) -> Source:
    return Source(postgres_url)


def row_of(**more: Any) -> Tree:
    return {
        "table": "things",
        "load": "changes",
        "key": ["id"],
        "changes": {"by": "rowversion", "column": "version"},
        "silver": {"entity": "things", "merge": "upsert"},
        **more,
    }


def opened(new_box: Opener, folder: Path, row: Tree, columns: dict[str, str]) -> Box:
    tree = sql_source("erp", [row])
    return new_box(
        load_catalog(write_catalog(folder, [tree], [contract("things", columns, ["id"])]))
    )


@pytest.fixture
def box(tmp_path: Path, new_box: Opener) -> Box:
    columns = {"id": "bigint", "label": "string", "version": "bigint"}
    return opened(new_box, tmp_path / "catalog", row_of(), columns)


def load(box: Box, source: Source, number: int) -> BronzeLoad:
    """Loads an hour into Bronze and Silver."""
    loaded = box.bronze("things", number, {"ERP_URL": source.url})
    box.silver("things", number)
    return loaded


def live(box: Box) -> dict[int, str]:
    return {row["id"]: row["label"] for row in box.live("things")}


def bronze(box: Box, number: int) -> list[tuple[int, str]]:
    rows = [row for row in box.stored_bronze("things") if row["_hour"] == hour_at(number)]
    return sorted((row["id"], row["label"]) for row in rows)


def ranges(box: Box, *numbers: int) -> list[tuple[int, int]]:
    found = [
        box.ledger.offsets.of_hour("erp__things", POSITIONS, hour_at(number)) for number in numbers
    ]
    return [(one.start, one.end) for (one,) in found]


def test_hours_part_the_changes(box: Box, source: Source) -> None:
    """The first load has the whole table, each one after it what has changed since the last."""
    source.put(1, "a")
    run(
        source.url, "alter table things disable trigger stamp", "insert into things values (9, 'z')"
    )
    run(source.url, "alter table things enable trigger stamp")
    source.put(2, "b")
    assert load(box, source, 0).initial
    source.put(2, "c")
    source.put(3, "d")
    second = load(box, source, 1)
    assert (bronze(box, 0), bronze(box, 1)) == (
        [(1, "a"), (2, "b"), (9, "z")],
        [(2, "c"), (3, "d")],
    )
    assert live(box) == source.rows()
    assert second.stream is not None
    assert second.stream.lost == 0
    again = load(box, source, 1)
    assert (again.counts.read, again.counts.applied) == (2, 0)
    assert load(box, source, 2).counts.read == 0


def test_a_transaction_that_commits_late_is_not_passed_over(box: Box, source: Source) -> None:
    """Its changes have older versions than those that were committed and could be read before."""
    source.put(1, "a")
    load(box, source, 0)
    with ExitStack() as stack:
        early = source.transaction(stack)
        early.execute(put(1, "changed early").encode())
        source.put(2, "committed first")
        load(box, source, 1)
        assert live(box) == {1: "a"}, "what is beside an open transaction waits for it"
        early.execute(put(3, "still early").encode())
        early.commit()
    load(box, source, 2)
    assert (
        live(box) == source.rows() == {1: "changed early", 2: "committed first", 3: "still early"}
    )
    ((first,), (second,)) = run(
        source.url, "select version::text::bigint from things where id in (1, 2) order by id"
    )
    assert first < second, "the late one has the older version"


def test_a_transaction_that_is_rolled_back_leaves_nothing(box: Box, source: Source) -> None:
    source.put(1, "a")
    load(box, source, 0)
    with ExitStack() as stack:
        given_up = source.transaction(stack)
        given_up.execute(put(1, "never").encode())
        source.put(2, "b")
        load(box, source, 1)
        given_up.rollback()
    load(box, source, 2)
    assert live(box) == source.rows() == {1: "a", 2: "b"}
    assert [label for _, label in bronze(box, 1) + bronze(box, 2)] == ["b"]


def test_hours_in_any_order_leave_no_gap_and_no_overlap(box: Box, source: Source) -> None:
    """What nobody has read comes with the next load, whichever hour that is."""
    for number in (1, 4, 2, 3, 0):
        source.put(number, f"before the load of {number}")
        load(box, source, number)
    source.put(5, "last")
    load(box, source, 5)
    assert live(box) == source.rows()
    assert len(box.stored_bronze("things")) == 6
    recorded = ranges(box, 1, 4, 5)
    assert recorded[0][0] == 0
    assert [start for start, _ in recorded[1:]] == [end for _, end in recorded[:-1]]
    assert [bronze(box, number) for number in (2, 3, 0)] == [[], [], []]


class Ended(ChangesReader):
    """The real reader, whose connection ends before the first batch."""

    def read_ranges(
        self, table: Table, ranges: Sequence[OffsetRange]
    ) -> tuple[pa.RecordBatchReader, list[OffsetRange]]:
        received, found = super().read_ranges(table, ranges)

        def batches() -> Iterator[pa.RecordBatch]:
            raise TransientFailure("the line went dead")
            yield

        return pa.RecordBatchReader.from_batches(received.schema, batches()), found


def test_a_load_that_broke_off_reads_its_recorded_range(box: Box, source: Source) -> None:
    """What has changed since the first attempt is of the next hour, and nothing is of both."""
    source.put(1, "a")
    load(box, source, 0)
    source.put(1, "b")
    source.put(2, "b")
    table = box.catalog.by_entity["things"]
    plain = source.reader(table)
    with (
        closing(Ended(plain.source, table)) as reader,
        pytest.raises(TransientFailure, match="the line went dead"),
    ):
        box.bronze_from("things", 1, reader)
    source.put(2, "c")
    source.put(3, "c")
    load(box, source, 1)
    assert bronze(box, 1) == [(1, "b")], "row 2 has moved on"
    load(box, source, 2)
    assert bronze(box, 2) == [(2, "c"), (3, "c")]
    assert live(box) == source.rows()


def test_a_repeated_hour_changes_nothing_that_later_ones_brought(box: Box, source: Source) -> None:
    """Silver processes hours in any order: a row's later change stays in force."""
    for label in ("a", "b", "c"):
        source.put(1, label)
        source.put(2, label)
        load(box, source, "abc".index(label))
    source.put(2, "d")
    for number in (0, 2, 1, 0):
        load(box, source, number)
    assert live(box) == {1: "c", 2: "c"}
    load(box, source, 3)
    assert live(box) == source.rows()


@pytest.mark.parametrize("seed", range(3))
def test_any_interleaving_ends_in_what_the_source_has(box: Box, source: Source, seed: int) -> None:
    """Transactions that overlap each other and the loads, on a few rows; each read once."""
    chance = random.Random(seed)
    with ExitStack() as stack:
        open_ones: list[tuple[psycopg.Connection, set[int]]] = []
        for step in range(36):
            held = {id_ for _, ids in open_ones for id_ in ids}
            free = [id_ for id_ in range(12) if id_ not in held]
            action = chance.choice(["begin", "write", "write", "end", "end", "load"])
            if action == "begin" and len(open_ones) < 3:
                open_ones.append((source.transaction(stack), set()))
            elif action == "write" and open_ones and free:
                connection, ids = chance.choice(open_ones)
                ids.add(chance.choice(free))
                connection.execute(put(max(ids), f"step {step}").encode())
            elif action == "end" and open_ones:
                connection, _ = open_ones.pop(chance.randrange(len(open_ones)))
                connection.commit() if chance.random() < 0.8 else connection.rollback()
            elif action == "load":
                load(box, source, step)
        for connection, _ in open_ones:
            connection.commit()
    load(box, source, 36)
    assert live(box) == source.rows()
    versions = [(row["id"], row["version"]) for row in box.stored_bronze("things")]
    assert len(set(versions)) == len(versions)


def full_reload(box: Box, source: Source, number: int) -> None:
    """Loads an hour into Bronze and Silver as a request for the whole table does."""
    request = box.ledger.requests.open(
        table="things",
        kind=RequestKind.FULL_RELOAD,
        first_hour=hour_at(number),
        last_hour=hour_at(number),
        hours=1,
        reason="restored on Monday",
        requester="Ada",
    )
    table = box.catalog.by_entity["things"]
    with closing(source.reader(table)) as reader:
        BronzeLoader(
            table=table,
            reader=reader,
            lakehouse=box.lake,
            ledger=box.ledger,
            run_id="run",
            engine="embedded",
            request=request,
        ).load(hour_at(number))
    box.silver("things", number)


def test_a_database_that_was_restored_stops_the_table_until_it_is_told(
    box: Box, source: Source
) -> None:
    """Its positions mean other changes; read anew, its rows win over those read before."""
    source.put(1, "a")
    source.put(2, "a")
    load(box, source, 0)
    beyond = OffsetRange(partition=0, start=0, end=10**12)
    box.ledger.offsets.record("erp__things", hour_at(0), POSITIONS, [beyond], anew=True)
    source.put(2, "b")
    with pytest.raises(PermanentFailure, match=r"restored from a copy .* --full --reason WHY"):
        load(box, source, 1)
    full_reload(box, source, 1)
    source.put(2, "c")
    load(box, source, 2)
    assert bronze(box, 2) == [(2, "c")]
    assert live(box) == source.rows()


class Forgetful(ChangesReader):
    """The real reader of a database that keeps changes from ``kept`` on only."""

    def __init__(self, source: SqlSource, table: Table, kept: int) -> None:
        super().__init__(source, table)
        self.kept = kept

    def _gone(self, range_: OffsetRange) -> int:
        return max(0, min(self.kept, range_.end) - range_.start) if range_.start else 0


def reload(box: Box, source: Source, number: int) -> None:
    """Loads an hour into Bronze whose changes have expired."""
    table = box.catalog.by_entity["things"]
    with closing(Forgetful(source.reader(table).source, table, 10**12)) as reader:
        box.bronze_from("things", number, reader)


def test_expired_changes_are_told_and_the_table_is_read_anew(box: Box, source: Source) -> None:
    """A request is on record, the check has what to say, and Silver has what the source has."""
    source.put(1, "a")
    source.put(2, "a")
    load(box, source, 0)
    source.put(2, "expired")
    source.put(3, "expired")
    ((end,),) = ((end,) for _, end in ranges(box, 0))
    table = box.catalog.by_entity["things"]
    with closing(Forgetful(source.reader(table).source, table, end + 1)) as reader:
        loaded = box.bronze_from("things", 1, reader)
        box.silver("things", 1)
        assert loaded.stream is not None
        assert loaded.stream.lost == 1
        assert live(box) == source.rows()
        row = box.ledger.loads(asset="bronze/erp__things", hour=hour_at(1))[-1]
        assert f"1 positions from {end} to " in str(row.reason)
        assert row.request_id is not None
        request = box.ledger.requests.get(row.request_id)
        assert (request.kind, request.status) == (RequestKind.FULL_RELOAD, RequestStatus.SUCCESS)
        again = box.bronze_from("things", 1, reader)
        assert again.stream is not None
        assert (again.counts.applied, again.stream.lost) == (0, 1), "told again, read not"
    source.put(4, "b")
    load(box, source, 2)
    assert bronze(box, 2) == [(4, "b")]
    assert live(box) == source.rows()


def test_a_row_that_an_expired_change_deleted_ends_with_the_reload(
    box: Box, source: Source
) -> None:
    """In any order of Silver's hours, and from Bronze alone; one that came back is there."""
    source.put(1, "a")
    source.put(2, "a")
    source.put(3, "a")
    load(box, source, 0)
    source.put(1, "b")
    load(box, source, 1)
    run(source.url, "delete from things where id in (1, 2)")
    source.put(4, "b")
    reload(box, source, 2)
    box.silver("things", 2)
    assert live(box) == source.rows() == {3: "a", 4: "b"}
    ended = [row for row in box.stored_silver("things") if row["_deleted"]]
    assert sorted(row["id"] for row in ended) == [1, 2]
    source.put(2, "a")
    load(box, source, 3)
    for order in permutations(range(4)):
        for number in order:
            box.silver("things", number)
        assert live(box) == source.rows() == {2: "a", 3: "a", 4: "b"}, order


def test_silver_made_anew_from_reloads_is_the_same(box: Box, source: Source) -> None:
    """A reload into an hour that had brought changes: these are older, what it lacks is gone."""
    source.put(1, "a")
    source.put(2, "a")
    load(box, source, 0)
    source.put(1, "b")
    source.put(3, "b")
    load(box, source, 1)
    run(source.url, "delete from things where id in (1, 2)")
    full_reload(box, source, 1)
    assert live(box) == source.rows() == {3: "b"}
    for order in permutations(range(2)):
        box.lake.delta("silver", "things").delete()
        forget = sa.text("delete from loads where asset = 'silver/things'")
        with box.control.begin() as connection:
            connection.execute(forget)
        for number in order:
            box.silver("things", number)
        assert live(box) == {3: "b"}, order


def test_a_reload_that_lost_its_rows_is_held(box: Box, source: Source) -> None:
    """A table that was emptied by mistake stays as it was until somebody approves."""
    source.put(1, "a")
    source.put(2, "a")
    load(box, source, 0)
    run(source.url, "delete from things")
    reload(box, source, 30)
    with pytest.raises(HeldBack, match="row_count: 0 keys read, 2 stored"):
        box.silver("things", 30)
    assert live(box) == {1: "a", 2: "a"}


def test_versions_end_with_the_reload_that_lacks_them(
    tmp_path: Path, new_box: Opener, source: Source
) -> None:
    run(source.url, "alter table things add column changed_at timestamp default '2026-01-05 12:30'")
    row = row_of(watermark={"column": "changed_at"}, silver={"entity": "things", "merge": "scd2"})
    columns = {"id": "bigint", "label": "string", "version": "bigint", "changed_at": "timestamp"}
    box = opened(new_box, tmp_path / "catalog", row, columns)
    source.put(1, "a")
    source.put(2, "a")
    load(box, source, 0)
    run(source.url, "delete from things where id = 1")
    reload(box, source, 1)
    box.silver("things", 1)
    assert {row["id"]: row["is_current"] for row in box.live("things")} == {1: False, 2: True}


@pytest.mark.parametrize("of", ["request", "expired changes"])
def test_a_reload_as_the_first_load_begins_its_positions_anew(
    box: Box, source: Source, of: str
) -> None:
    """What a failed load before it had recorded is not gone on from; the next hour goes on."""
    source.put(1, "a")
    table = box.catalog.by_entity["things"]
    for number in range(2):
        plain = source.reader(table)
        with (
            closing(Ended(plain.source, table)) as reader,
            pytest.raises(TransientFailure, match="the line went dead"),
        ):
            box.bronze_from("things", number, reader)
        source.put(2 + number, "b")
    full_reload(box, source, 1) if of == "request" else reload(box, source, 1)
    assert bronze(box, 1) == sorted(source.rows().items())
    source.put(4, "c")
    load(box, source, 2)
    assert bronze(box, 2) == [(4, "c")]
    ((start, _),) = ranges(box, 1)
    assert start == 0


def test_the_asset_tells_of_expired_changes(
    source: Source, tmp_path: Path, engine_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its check fails in the hour whose changes were gone, and in no other."""
    monkeypatch.setenv("ERP_URL", source.url)
    columns = {"id": "bigint", "label": "string", "version": "bigint"}
    tree = sql_source("erp", [row_of()])
    folder = write_catalog(tmp_path / "catalog", [tree], [contract("things", columns, ["id"])])
    with location(folder, tmp_path, engine_address) as hourly:
        told = []
        for number in range(3):
            source.put(number, "a")
            with monkeypatch.context() as patch:
                if number == 1:
                    patch.setattr(
                        ChangesReader, "_gone", lambda _, range_: 5 if range_.start else 0
                    )
                result = hourly.run(number)
            assert materialised(result) == {"bronze/erp__things", "silver/things"}
            told.append(checks(result)["bronze/erp__things", "offsets_complete"])
    assert told == [True, False, True]


def test_what_expires_after_it_was_read_is_no_loss(box: Box, source: Source) -> None:
    """Its rows are in Bronze, and stay there."""
    source.put(1, "a")
    load(box, source, 0)
    source.put(2, "b")
    load(box, source, 1)
    table = box.catalog.by_entity["things"]
    with closing(Forgetful(source.reader(table).source, table, 10**12)) as reader:
        again = box.bronze_from("things", 1, reader)
    assert again.stream is not None
    assert (again.counts.read, again.stream.lost) == (0, 0)
    assert bronze(box, 1) == [(2, "b")]
    assert box.ledger.requests.all() == []


class Tracked(ChangesReader):
    """A table in memory that tells its changes as CHANGETABLE does: each key's last one."""

    def __init__(self, source: SqlSource, table: Table) -> None:
        super().__init__(source, table)
        self.rows: dict[int, str] = {}
        self.changes: dict[int, tuple[int, str]] = {}
        self.version = 0

    def change(self, id_: int, label: str | None) -> None:
        """One committed change; None deletes."""
        self.version += 1
        operation = "D" if label is None else "U" if id_ in self.rows else "I"
        self.changes[id_] = (self.version, operation)
        if label is None:
            del self.rows[id_]
        else:
            self.rows[id_] = label

    def plan(self, *args: Any, **named: Any) -> list[OffsetRange]:
        self.source.positions = lambda _: (0, self.version + 1)  # type: ignore[method-assign]
        return super().plan(*args, **named)

    def read_ranges(
        self, table: Table, ranges: Sequence[OffsetRange]
    ) -> tuple[pa.RecordBatchReader, list[OffsetRange]]:
        (range_,) = ranges
        if range_.start == 0:
            found = [(range_.end - 1, "I", id_, label) for id_, label in self.rows.items()]
        else:
            found = [
                (version, operation, id_, self.rows.get(id_))
                for id_, (version, operation) in self.changes.items()
                if range_.start <= version < range_.end
            ]
        schema = pa.schema(
            {
                "_change_version": pa.int64(),
                "_change_operation": pa.string(),
                "id": pa.int64(),
                "label": pa.string(),
            }
        )
        rows = [dict(zip(schema.names, row, strict=True)) for row in found]
        return pa.Table.from_pylist(rows, schema=schema).to_reader(), list(ranges)


def test_deletes_of_change_tracking_become_tombstones(
    tmp_path: Path, new_box: Opener, source: Source
) -> None:
    """A deleted row comes with its key only; one that is there again is in force again."""
    row = row_of(
        changes={"by": "change_tracking"},
        columns={"_change_operation": "change", "_change_version": "version"},
        deleted={"column": "change", "values": ["D"]},
    )
    columns = {"id": "bigint", "label": "string", "change": "string", "version": "bigint"}
    box = opened(new_box, tmp_path / "catalog", row, columns)
    table = box.catalog.by_entity["things"]

    def loaded(number: int) -> dict[int, Row]:
        box.bronze_from("things", number, reader)
        box.silver("things", number)
        return {row["id"]: row for row in box.live("things")}

    with closing(Tracked(source.reader(table).source, table)) as reader:
        for id_ in (1, 2, 3):
            reader.change(id_, "a")
        assert {id_: row["version"] for id_, row in loaded(0).items()} == {1: 3, 2: 3, 3: 3}
        reader.change(1, "b")
        reader.change(2, None)
        reader.change(4, "b")
        reader.change(4, None)
        assert {id_: row["label"] for id_, row in loaded(1).items()} == {1: "b", 3: "a"}
        reader.change(2, "again")
        loaded(2)
        reader.change(3, None)
        for number in (1, 0, 2):
            after = loaded(number)
        assert {id_: row["label"] for id_, row in after.items()} == {1: "b", 2: "again", 3: "a"}
        assert {id_: row["label"] for id_, row in loaded(3).items()} == {1: "b", 2: "again"}
    tombstones = [row for row in box.stored_silver("things") if row["_deleted"]]
    assert sorted(row["id"] for row in tombstones) == [3, 4]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"changes": None}, "changes: {by: ...} goes with load: changes"),
        ({"changes": {"by": "rowversion"}}, "column goes with by: rowversion"),
        ({"changes": {"by": "change_tracking"}}, "needs columns: {_change_operation: change}"),
        ({"changes": {"by": "rowversion", "column": "nope"}}, "names column 'nope'"),
        ({"read": {"partition_by": "nope"}}, "names column 'nope'"),
    ],
)
def test_rows_of_metadata_that_say_too_little_are_refused(
    tmp_path: Path, change: Tree, said: str
) -> None:
    columns = {"id": "bigint", "label": "string", "version": "bigint"}
    row = {name: value for name, value in row_of(**change).items() if value is not None}
    with pytest.raises(PermanentFailure, match=said):
        load_catalog(
            write_catalog(
                tmp_path, [sql_source("erp", [row])], [contract("things", columns, ["id"])]
            )
        )
