"""Maintenance of real Delta tables: rows and recent versions stay, files go."""

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from retail_platform.failures import PermanentFailure
from retail_platform.lakehouse.maintenance import Maintained, compact_after_load, maintain
from retail_platform.lakehouse.statistics import statistics_configuration
from retail_platform.lakehouse.tables import Lakehouse
from retail_platform.metadata.upkeep import Upkeep

SCHEMA = pa.schema(
    [("id", pa.int64()), ("exact", pa.decimal128(38, 4)), ("_hour", pa.timestamp("us", "UTC"))]
)
UPKEEP = Upkeep(small_files=3)
FIRST = datetime(2026, 1, 5, 12, tzinfo=UTC)
EXACT = Decimal("1234567890123456789012.3456")
OLD = time.time() - timedelta(days=8).total_seconds()


def rows(number: int, hour: int = 0) -> pa.Table:
    return pa.Table.from_pylist(
        [{"id": number, "exact": EXACT, "_hour": FIRST + timedelta(hours=hour)}], schema=SCHEMA
    )


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Five commits of one row, in two partitions of three and two files."""
    path = tmp_path / "silver" / "orders"
    DeltaTable.create(
        str(path),
        schema=SCHEMA,
        partition_by=["_hour"],
        configuration=statistics_configuration(SCHEMA),
    )
    for number in range(5):
        write_deltalake(str(path), rows(number, number % 2), mode="append")
    return path


def keep(path: Path, *, dry_run: bool = False, upkeep: Upkeep = UPKEEP) -> Maintained:
    return maintain(str(path), table="silver.orders", upkeep=upkeep, dry_run=dry_run)


def ids(path: Path, version: int | None = None) -> list[int]:
    return sorted(DeltaTable(str(path), version=version).to_pyarrow_table()["id"].to_pylist())


def everything(path: Path) -> Iterator[tuple[str, int, int]]:
    for found in sorted(path.rglob("*")):
        yield str(found), found.stat().st_size, found.stat().st_mtime_ns


def age(path: Path) -> None:
    """Lets all that was removed so far have been removed eight days ago."""
    for log in path.joinpath("_delta_log").glob("*.json"):
        actions = [json.loads(line) for line in log.read_text().splitlines()]
        for action in actions:
            if "remove" in action:
                action["remove"]["deletionTimestamp"] = int(OLD * 1000)
        log.write_text("".join(f"{json.dumps(action)}\n" for action in actions))
    for file in path.rglob("*.parquet"):
        os.utime(file, (OLD, OLD))


def test_small_files_become_one_a_partition_and_no_row_changes(table: Path) -> None:
    result = keep(table)
    assert (result.files_before, result.files_after, result.rewrite) == (5, 2, "compacted")
    assert result.files_rewritten == 5
    assert ids(table) == [0, 1, 2, 3, 4]
    stored = DeltaTable(str(table)).to_pyarrow_table()["exact"].to_pylist()
    assert stored == [EXACT] * 5
    told = pa.table(DeltaTable(str(table)).get_add_actions(flatten=True)).column_names
    assert "min.id" in told
    assert "min.exact" not in told, "statistics that Sail would read decimals from, rounded"
    again = keep(table)
    assert (again.rewrite, again.files_rewritten, again.files_after) == ("", 0, 2)
    assert DeltaTable(str(table)).version() == 6


def test_compaction_says_that_no_row_is_new(table: Path) -> None:
    """Readers of changes skip its files; none has a codec or a feature that some reader lacks."""
    keep(table)
    log = table / "_delta_log" / "00000000000000000006.json"
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    added = [action["add"] for action in actions if "add" in action]
    assert len(added) == 2
    assert not any(action["dataChange"] for action in added)
    assert not any("deletionVector" in action for action in added)
    for uri in DeltaTable(str(table)).file_uris():
        assert pq.ParquetFile(uri).metadata.row_group(0).column(0).compression == "SNAPPY"


def test_versions_inside_the_retention_can_be_read_and_older_ones_go(table: Path) -> None:
    keep(table)
    assert [ids(table, version) for version in (1, 5)] == [[0], [0, 1, 2, 3, 4]]
    age(table)
    write_deltalake(str(table), rows(5), mode="append")
    write_deltalake(str(table), rows(6), mode="append")
    sizes = {path: path.stat().st_size for path in data_files(table)}
    result = keep(table)
    gone = sizes.keys() - set(data_files(table))
    assert result.files_removed == len(gone) == 5
    assert result.bytes_removed == sum(sizes[path] for path in gone)
    assert ids(table, 7) == [0, 1, 2, 3, 4, 5], "files that compaction removed just now are kept"
    with pytest.raises(FileNotFoundError):
        ids(table, 3)


def data_files(path: Path) -> list[Path]:
    return [file for file in path.rglob("*.parquet") if file.parent.name != "_delta_log"]


def test_files_of_writes_that_never_committed_go_once_they_are_old(table: Path) -> None:
    young, old = table / "young.parquet", table / "old.parquet"
    for path in (young, old):
        path.write_bytes(b"half")
    os.utime(old, (OLD, OLD))
    result = keep(table)
    assert (young.exists(), old.exists()) == (True, False)
    assert (result.files_removed, result.bytes_removed) == (1, 4)


def test_a_dry_run_says_the_same_and_writes_nothing(table: Path) -> None:
    for number in range(5, 12):
        write_deltalake(str(table), rows(number), mode="append")
    keep(table)
    age(table)
    write_deltalake(str(table), rows(12), mode="append")
    before = list(everything(table))
    told = keep(table, dry_run=True)
    assert list(everything(table)) == before
    done = keep(table)
    assert told.dry_run
    assert not done.dry_run
    assert (told.rewrite, told.files_rewritten, told.files_removed, told.bytes_removed) == (
        done.rewrite,
        done.files_rewritten,
        done.files_removed,
        done.bytes_removed,
    )


def test_a_checkpoint_spares_readers_the_commits(table: Path) -> None:
    assert not keep(table).checkpoint
    for number in range(5, 10):
        write_deltalake(str(table), rows(number), mode="append")
    assert keep(table, dry_run=True).checkpoint
    assert keep(table).checkpoint
    assert list(table.joinpath("_delta_log").glob("*.checkpoint.parquet"))
    assert not keep(table).checkpoint
    assert ids(table) == list(range(10))


def test_expired_commits_leave_the_log(table: Path) -> None:
    """Thirty days after a checkpoint has them; what is read now needs none of them."""
    for number in range(5, 10):
        write_deltalake(str(table), rows(number), mode="append")
    keep(table)
    ancient = time.time() - timedelta(days=40).total_seconds()
    for log in table.joinpath("_delta_log").glob("*"):
        os.utime(log, (ancient, ancient))
    assert keep(table, dry_run=True).log_files_removed == 0
    assert keep(table).log_files_removed == 11
    assert ids(table) == list(range(10))


def test_clustering_sorts_rows_and_is_not_repeated_for_a_few(tmp_path: Path) -> None:
    path = str(tmp_path / "clustered")
    for first in range(4):
        part = pa.table({"id": list(range(first, 4000, 4)), "text": ["x" * 50] * 1000})
        write_deltalake(path, part, mode="append")

    def clustered() -> str:
        return maintain(path, table="t", upkeep=UPKEEP, cluster_by=["id"]).rewrite

    assert clustered() == "clustered"
    (added,) = pa.table(DeltaTable(path).get_add_actions(flatten=True)).to_pylist()
    assert (added["min.id"], added["max.id"], added["num_records"]) == (0, 3999, 4000)
    assert DeltaTable(path).to_pyarrow_table()["id"].to_pylist() == list(range(4000))
    write_deltalake(path, pa.table({"id": [4000], "text": ["y"]}), mode="append")
    assert clustered() == "compacted"
    more = pa.table({"id": list(range(5000, 9000)), "text": [f"{n}" * 9 for n in range(4000)]})
    write_deltalake(path, more, mode="append")
    assert clustered() == "clustered"


def test_after_a_load_only_crowded_partitions_are_compacted(table: Path) -> None:
    """Three small files are too many here, two are not."""
    assert compact_after_load(DeltaTable(str(table)), table="t", upkeep=UPKEEP) == 3
    partitions = pa.table(DeltaTable(str(table)).get_add_actions(flatten=True))
    hours = partitions["partition._hour"].to_pylist()
    assert (hours.count(FIRST), len(hours)) == (1, 3)
    version = DeltaTable(str(table)).version()
    assert compact_after_load(DeltaTable(str(table)), table="t", upkeep=UPKEEP) == 0
    assert DeltaTable(str(table)).version() == version


def test_a_table_with_deletion_vectors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vectors"
    write_deltalake(str(path), rows(1))
    log = path / "_delta_log" / "00000000000000000000.json"
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    for action in actions:
        if "metaData" in action:
            action["metaData"]["configuration"]["delta.enableDeletionVectors"] = "true"
        if "protocol" in action:
            action["protocol"] = {
                "minReaderVersion": 3,
                "minWriterVersion": 7,
                "readerFeatures": ["deletionVectors"],
                "writerFeatures": ["deletionVectors"],
            }
    log.write_text("".join(f"{json.dumps(action)}\n" for action in actions))
    before = list(everything(path))
    with pytest.raises(PermanentFailure, match=r"silver\.orders: it has deletion vectors.*PURGE"):
        keep(path)
    assert list(everything(path)) == before


@pytest.mark.parametrize("days", [2, 31])
def test_retention_has_bounds(days: int) -> None:
    with pytest.raises(ValueError, match=r"are not between 3 .* and 30"):
        Upkeep(retention_days=days)


def test_a_write_is_told_from_the_maintenance_around_it(
    engine_address: str, tmp_path: Path
) -> None:
    """The counts of an append are its own, though a compaction commits right after it."""
    from retail_platform.lakehouse.engine import open_engine
    from retail_platform.settings import Engine

    with open_engine(Engine.EMBEDDED, engine_address) as session:
        lake = Lakehouse(session.spark, str(tmp_path))
        lake.ensure("bronze", "orders", SCHEMA)
        version = lake.version("bronze", "orders")
        write_deltalake(lake.location("bronze", "orders"), rows(1), mode="append")
        write_deltalake(lake.location("bronze", "orders"), rows(2), mode="append")
        DeltaTable(lake.location("bronze", "orders")).optimize.compact()
        commit = lake._commit("bronze", "orders", version)
        assert (commit.inserted, commit.version) == (1, version + 2)
        at_rest = lake.version("bronze", "orders")
        DeltaTable(lake.location("bronze", "orders")).vacuum(
            0, dry_run=False, enforce_retention_duration=False, full=True
        )
        assert lake._commit("bronze", "orders", at_rest).inserted == 0
