"""The ledger of micro-batches over a real Kafka: a row for each that read something or failed."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from retail_platform.control.ledger import ABANDONED
from retail_platform.control.loads import LIVE_LAYER, LoadRow
from retail_platform.extract.kafka_group import GroupOffsets
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.live.assets import build_live_defs
from retail_platform.live.micro_batch import MicroBatchLoader
from retail_platform.live.record import MicroBatchRecord
from retail_platform_tests.events.live_tables import Killed, Live, event, killed
from retail_platform_tests.kafka import Cluster

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]


def parts(row: LoadRow) -> dict[str, int]:
    """Where the rows of a load went, parts without rows left out."""
    names = ("read", "quarantined", "duplicates", "stale", "unchanged", "rejected", "applied")
    return {name: getattr(row, name) for name in names if getattr(row, name)}


def test_each_micro_batch_that_read_something_has_a_row_that_balances(live: Live) -> None:
    """Under the hour in which it ran; one that found nothing leaves no row."""
    began = datetime.now(UTC)
    live.put(event(1, 5, 3), event(1, 4, 1), event(2, 7), b"no json")
    live.load()
    live.load()
    live.put(event(1, 3, 2), event(2, 8, 9), event(3, 1))
    live.load()
    live.load()
    first, second = live.ledger.loads()
    assert parts(first) == {"read": 4, "quarantined": 1, "duplicates": 1, "applied": 2}
    assert parts(second) == {"read": 3, "stale": 1, "applied": 2}
    assert [(row.target_rows_before, row.target_rows_after) for row in (first, second)] == [
        (0, 2),
        (2, 3),
    ]
    assert second.target_version_before == first.target_version_after
    assert second.target_version_after == live.version()
    for row in (first, second):
        assert (row.asset, row.layer, row.status) == ("silver/stock", LIVE_LAYER, "SUCCESS")
        assert (row.run_id, row.engine, row.schema_version) == ("run", "delta-rs", 1)
        assert row.seconds is not None
        # Chosen before the row is stamped, so that it may be the hour that has just ended.
        assert began - timedelta(hours=1) < row.hour <= row.started_at
        assert (row.hour.minute, row.hour.second, row.hour.microsecond) == (0, 0, 0)
    assert (first.error, first.reason) == (None, None)


def test_a_micro_batch_that_fails_says_why_and_what_it_had_merged(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one reads the same events, of which nothing is applied twice."""
    live.put(event(1, 5), event(2, 6))
    with monkeypatch.context() as patch:
        patch.setattr(GroupOffsets, "commit", killed)
        with pytest.raises(Killed):
            live.load()
    live.load()
    failed, again = live.ledger.loads()
    assert (failed.status, failed.error) == ("FAILURE", "Killed: ")
    assert (again.status, again.error) == ("SUCCESS", None)
    assert parts(failed) == {"read": 2, "applied": 2}
    assert parts(again) == {"read": 2, "stale": 2}


def test_a_broker_that_stays_away_is_a_failure_in_the_ledger(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was read, but somebody has to know."""
    with monkeypatch.context() as patch:
        patch.setattr(Cluster, "configuration", {"bootstrap.servers": "127.0.0.1:9"})
        patch.setattr("retail_platform.extract.kafka_client.REQUEST_SECONDS", 1.0)
        with pytest.raises(TransientFailure):
            live.load()
    (row,) = live.ledger.loads()
    assert (row.status, parts(row)) == ("FAILURE", {})
    assert "the cluster does not answer" in (row.error or "")


def test_a_killed_micro_batch_is_closed_by_the_next_one(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is gone closes nothing itself."""
    live.put(event(1, 5))
    with monkeypatch.context() as patch:
        patch.setattr(MicroBatchLoader, "_newer", killed)
        patch.setattr(MicroBatchRecord, "fail", lambda *_: None)
        with pytest.raises(Killed):
            live.load()
    assert [row.status for row in live.ledger.loads()] == ["RUNNING"]
    live.load()
    gone, done = live.ledger.loads()
    assert (gone.status, gone.error) == ("FAILURE", ABANDONED)
    assert (done.status, parts(done)) == ("SUCCESS", {"read": 1, "applied": 1})


def test_a_merge_that_changes_more_rows_than_it_was_given_is_refused(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit's count against the events'; the group does not move on."""
    live.put(event(1, 5), event(1, 6, 1))
    merge = MicroBatchLoader._merge
    with monkeypatch.context() as patch:
        patch.setattr(MicroBatchLoader, "_merge", lambda *given: merge(*given) + 1)
        with pytest.raises(
            PermanentFailure, match=r"read 2, .*duplicates 1, stale -1, .*applied 2"
        ):
            live.load()
    (row,) = live.ledger.loads()
    assert row.status == "FAILURE"
    assert "does not balance" in (row.error or "")
    assert live.committed() == {}


def test_lost_offsets_are_the_reason_on_the_row(live: Live) -> None:
    """They were never read, so they are outside of the balance."""
    live.put(*(event(n, n) for n in range(6)))
    with live.loader() as loader:
        loader.group.commit({0: 0})
    live.kafka.expire(live.topic, 4)
    live.load()
    (row,) = live.ledger.loads()
    assert parts(row) == {"read": 2, "applied": 2}
    assert row.reason is not None
    assert row.reason.startswith(f"topic {live.topic}, partition 0, up to offset 6: 4 offsets")


def test_the_asset_writes_the_ledger_of_the_deployment(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its run is the one that the row names."""
    for name, value in live.kafka.environ.items():
        monkeypatch.setenv(name, value)
    defs = build_live_defs(
        tables=[live.table], lake_url=live.lake, control_url=live.control_url, schedule_on=False
    )
    live.put(event(1, 5), event(2, 6), b"poison")
    with dg.DagsterInstance.ephemeral() as instance:
        job = defs.resolve_job_def("stock_micro_batch")
        result = job.execute_in_process(instance=instance)
        job.execute_in_process(instance=instance)
    (row,) = live.ledger.loads()
    assert row.run_id == result.run_id
    assert parts(row) == {"read": 3, "quarantined": 1, "applied": 2}


QUIET = """
import sys
from pathlib import Path

from retail_platform.metadata.loader import load_catalog
from retail_platform.extract.kafka_client import KafkaSettings
from retail_platform.extract.kafka_topic import KafkaTopic
from retail_platform.live.micro_batch import MicroBatchLoader

catalog, topic_name, servers, lake = sys.argv[1:]
(table,) = load_catalog(Path(catalog)).live
settings = KafkaSettings(
    configuration={"bootstrap.servers": servers}, appended=False, group=table.row.consumer_group
)
topic = KafkaTopic(settings, topic_name, name="silver.stock")
loader = MicroBatchLoader(
    table=table, topic=topic, lake_url=lake, open_ledger=lambda: sys.exit("opened"), run_id="run"
)
assert loader.load().read == 0
topic.close()
print(*sys.modules)
"""


def test_a_quiet_minute_does_without_the_control_database(live: Live) -> None:
    """Neither it nor its client is opened."""
    live.put(event(1, 5))
    live.load()
    servers = live.kafka.configuration["bootstrap.servers"]
    told = subprocess.run(
        [sys.executable, "-c", QUIET, str(live.catalog_folder), live.topic, servers, live.lake],
        capture_output=True,
        text=True,
        check=True,
    )
    assert {"sqlalchemy", "alembic", "pandas", "pyspark"}.isdisjoint(told.stdout.split())
