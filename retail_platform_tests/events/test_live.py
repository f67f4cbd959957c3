"""Micro-batches of a live table over a real Kafka: each event once, in any order, whatever breaks.

A killed process is an exception that nothing catches, thrown where it would end.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import dagster as dg
import pytest

from retail_platform.control.database import open_control
from retail_platform.control.decisions import QuarantineDecisions
from retail_platform.extract.kafka_group import GroupOffsets
from retail_platform.failures import TransientFailure
from retail_platform.lakehouse.maintenance import maintain
from retail_platform.live.assets import UNFINISHED, build_live_defs
from retail_platform.live.micro_batch import MicroBatchLoader
from retail_platform.operations.maintenance import keepable_tables
from retail_platform.operations.quarantine import discard_rows
from retail_platform.quality.quarantined import RowStatus, quarantined_rows
from retail_platform_tests.events.conftest import strike_at_first_message
from retail_platform_tests.events.live_tables import Killed, Live, event, killed
from retail_platform_tests.kafka import Cluster, kafka_cluster
from retail_platform_tests.platform.box import HOUR, hour_at

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]


def test_each_micro_batch_reads_what_came_since(live: Live) -> None:
    """New keys are rows, newer events replace them, and the group knows how far it has come."""
    live.put(event(1, 5), event(2, 7), event(1, 4, 1))
    first = live.load()
    assert (first.read, first.applied, first.duplicates, first.waiting) == (3, 2, 1, 0)
    assert live.rows() == {(1, 1): 4, (1, 2): 7}
    live.put(event(2, 0, 2), event(3, 9, 2), partition=1)
    second = live.load()
    assert (second.read, second.applied) == (2, 2)
    assert live.rows() == {(1, 1): 4, (1, 2): 0, (1, 3): 9}
    assert live.committed() == {0: 3, 1: 2}
    version = live.version()
    empty = live.load()
    assert (empty.read, empty.applied, empty.lost, empty.arrived) == (0, 0, 0, None)
    assert live.version() == version, "nothing came, nothing is committed"


def test_a_process_killed_between_the_tables_commit_and_the_offsets(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The events are read again, and neither table changes."""
    live.put(event(1, 5), event(1, 6, 1), b"no json", event(2, 7))
    with monkeypatch.context() as patch:
        patch.setattr(GroupOffsets, "commit", killed)
        with pytest.raises(Killed):
            live.load()
    assert live.committed() == {}
    before, refused = live.stored(), live.refused()
    assert live.rows() == {(1, 1): 6, (1, 2): 7}
    again = live.load()
    assert (again.read, again.stale, again.applied, again.quarantined) == (4, 2, 0, 1)
    assert (live.stored(), live.refused()) == (before, refused)
    assert live.committed() == {0: 4, 1: 0}


def test_a_process_killed_before_the_tables_commit(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next micro-batch reads the same events."""
    live.put(event(1, 5), b"no json")
    with monkeypatch.context() as patch:
        patch.setattr(MicroBatchLoader, "_newer", killed)
        with pytest.raises(Killed):
            live.load()
    assert live.rows() == {}
    again = live.load()
    assert (again.applied, again.quarantined) == (1, 1)
    assert len(live.refused()) == 1


def test_events_delivered_again_change_nothing(live: Live) -> None:
    """A group that is set back to the beginning reads everything twice."""
    live.put(*(event(n % 3, n, n) for n in range(9)))
    live.load()
    before = live.stored()
    with live.loader() as loader:
        loader.group.commit({0: 0})
    again = live.load()
    assert (again.read, again.duplicates, again.stale, again.applied) == (9, 6, 3, 0)
    assert live.stored() == before


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_events_gives_the_newest(live: Live, seed: int) -> None:
    """The event's own time decides, within a micro-batch and between them, across partitions."""
    random = Random(seed)
    # A key stays in its partition, as producers with keys see to.
    events = [event(product, 10 * product + m, m) for product in range(4) for m in range(10)]
    random.shuffle(events)
    while events:
        some = [events.pop() for _ in range(min(len(events), random.randint(1, 9)))]
        for partition in (0, 1):
            own = [one for one in some if one["product"] % 2 == partition]
            live.put(*own, partition=partition)
        live.load()
    assert live.rows() == {(1, product): 10 * product + 9 for product in range(4)}


def test_events_of_the_same_time_are_ordered_by_their_place(live: Live) -> None:
    """The later one in the topic is the newer one, also when the earlier one is read again."""
    live.put(event(1, 5), event(1, 6))
    live.load()
    live.put(event(1, 7))
    live.load()
    with live.loader() as loader:
        loader.group.commit({0: 0})
    live.load()
    assert live.rows() == {(1, 1): 7}


POISON = {
    b"no json": "no JSON object",
    b"\xff\xfe": "not UTF-8",
    b'{"place": 1, "product": 1, "quantity": "many", "changed_at": "2026-01-05T12:00:00Z"}': (
        "quantity: cannot read many as int"
    ),
    b'{"place": 1, "product": 1, "quantity": 3000000000, "changed_at": "2026-01-05T12:00:00Z"}': (
        "quantity: cannot read 3000000000 as int"
    ),
    b'{"place": 1, "quantity": 2, "changed_at": "2026-02-30T12:00:00Z"}': (
        "changed_at: cannot read 2026-02-30T12:00:00Z as timestamp; product is missing"
    ),
    b'{"place": 1, "product": 1, "changed_at": "2026-01-05T12:00:00Z"}': "quantity is missing",
    None: "no payload: a tombstone",
}


def test_poison_goes_to_quarantine_with_its_place_and_stops_nothing(live: Live) -> None:
    """With every reason; people see it like any other refused row, and settle it."""
    live.put(*POISON, event(9, 1), partition=1)
    batch = live.load()
    assert (batch.read, batch.quarantined, batch.applied) == (len(POISON) + 1, len(POISON), 1)
    assert live.rows() == {(1, 9): 1}
    found = {row["place"]: row for row in live.refused()}
    for offset, said in enumerate(POISON.values()):
        row = found[f"topic {live.topic}, partition 1, offset {offset}"]
        assert said in row["reasons"]
        assert (row["hour"], row["run_id"]) == (hour_at(0), "run")
    first = found[f"topic {live.topic}, partition 1, offset 0"]
    assert json.loads(first["payload"])["_raw"] == "no json"
    decisions = QuarantineDecisions(open_control(live.control_url))
    closed = discard_rows(
        live.catalog,
        live.lake,
        decisions,
        entity="stock",
        person="Ada",
        because="a broken gateway",
        reason="no json",
    )
    rows = quarantined_rows(live.lake, "stock", decisions)
    assert closed == 1
    assert [row.place for row in rows if row.status is RowStatus.DISCARDED] == [first["place"]]


def test_offsets_that_expire_before_they_are_read(live: Live) -> None:
    """They are counted, and stay in the quarantine until somebody settles them."""
    live.put(event(1, 5))
    live.load()
    live.put(*(event(n, n, 1) for n in range(2, 8)), number=1)
    live.kafka.expire(live.topic, 4)
    batch = live.load()
    assert (batch.lost, batch.read) == (3, 3)
    assert live.rows() == {(1, 1): 5, (1, 5): 5, (1, 6): 6, (1, 7): 7}
    (row,) = live.refused()
    assert row["reasons"].startswith("3 offsets had expired before they were read")
    assert row["place"] == f"topic {live.topic}, partition 0, up to offset 7"
    assert live.load().lost == 0


def test_offsets_that_expire_while_they_are_read(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read and what is lost add up to what was there."""
    live.put(*(event(n, n, pad="x" * 10_000) for n in range(6_000)))
    strike_at_first_message(monkeypatch, lambda: live.kafka.expire(live.topic, 5_900))
    monkeypatch.setattr("retail_platform.extract.kafka_topic.BATCH", 100)
    batch = live.load()
    assert 0 < batch.lost < 5_900
    assert batch.read + batch.lost == 6_000
    assert live.committed()[0] == 6_000


def test_what_expires_before_the_first_micro_batch_is_no_loss(live: Live) -> None:
    """A new group begins with what the topic holds."""
    live.put(event(1, 5), event(2, 6))
    live.kafka.expire(live.topic, 1)
    batch = live.load()
    assert (batch.lost, live.rows()) == (0, {(1, 2): 6})


def test_a_topic_that_was_made_anew_is_read_from_its_beginning(live: Live) -> None:
    """Its events replace what is older; what happened waits for somebody in the quarantine."""
    live.put(event(1, 5), event(2, 6), event(3, 7))
    live.load()
    live.kafka.remove(live.topic)
    live.kafka.make(live.topic, partitions=2)
    live.put(event(1, 50, 9))
    with live.loader() as loader:
        # Not every cluster forgets what groups have read of a topic that is removed.
        loader.group.commit({0: 3})
    batch = live.load()
    assert (batch.restarted, batch.lost, batch.applied) == ((0,), 0, 1)
    assert live.rows() == {(1, 1): 50, (1, 2): 6, (1, 3): 7}
    (row,) = live.refused()
    assert "made anew" in row["reasons"]
    assert (live.committed(), live.load().restarted) == ({0: 1, 1: 0}, ())


def test_a_broker_that_restarts_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read goes on where it was, and the offsets are kept by the broker that came back."""
    with kafka_cluster() as own:
        live = Live(own, tmp_path, own.topic())
        live.put(*(event(n % 50, n, n % 60, pad="x" * 1_000) for n in range(20_000)))

        def restart() -> None:
            own.server.kill()
            own.server.start()

        strike_at_first_message(monkeypatch, restart)
        batch = live.load()
        assert (batch.read, batch.lost, batch.applied) == (20_000, 0, 50)
        assert live.committed() == {0: 20_000}


def test_a_broker_that_stays_away(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure that the next minute tries again; nothing was changed."""
    live.put(event(1, 5))
    with monkeypatch.context() as patch:
        patch.setattr(Cluster, "configuration", {"bootstrap.servers": "127.0.0.1:9"})
        patch.setattr("retail_platform.extract.kafka_client.REQUEST_SECONDS", 1.0)
        with pytest.raises(TransientFailure, match="the cluster does not answer"):
            live.load()
    assert live.load().applied == 1


def test_a_long_backlog_is_read_in_parts(kafka: Cluster, tmp_path: Path) -> None:
    """Memory is bounded; the lag says how much waits and for how long."""
    live = Live(kafka, tmp_path, kafka.topic(), {"most_messages": 4})
    live.put(*(event(n, n) for n in range(10)))
    first = live.load()
    assert (first.read, first.waiting) == (4, 6)
    assert first.behind > HOUR, "by the clock of this machine"
    assert [live.load().waiting for _ in range(2)] == [2, 0]
    assert len(live.rows()) == 10


def test_a_day_of_commits_is_kept_in_shape(live: Live) -> None:
    """Maintenance finds the table, and leaves one file of its many versions."""
    for minute in range(40):
        live.put(event(minute % 5, minute, minute))
        live.load()
    rows = live.rows()
    tables = {table.label: table for table in keepable_tables(live.catalog, live.lake)}
    kept = tables["silver.stock"]
    assert kept.pool == live.table.pool
    done = maintain(
        f"{live.lake}/silver/stock", table=kept.label, upkeep=kept.upkeep, cluster_by=()
    )
    assert done.files_after == 1
    assert maintain(f"{live.lake}/silver/stock", table=kept.label, upkeep=kept.upkeep).rewrite == ""
    assert live.rows() == rows
    live.put(event(1, 99, 59))
    assert live.load().applied == 1


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as opened:
        yield opened


def test_the_asset_tells_what_it_read_and_checks_it(
    live: Live, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows, offsets, lag and losses are metadata; losses fail a check for that micro-batch."""
    for name, value in live.kafka.environ.items():
        monkeypatch.setenv(name, value)
    job = build_live_defs(
        tables=[live.table], lake_url=live.lake, control_url=live.control_url, schedule_on=False
    ).resolve_job_def("stock_micro_batch")
    live.put(event(1, 5), event(2, 6), b"poison")
    assert checks(job, instance) == {"offsets_complete": True, "consumer_lag": True}
    told = instance.get_latest_materialization_event(dg.AssetKey(["silver", "stock"]))
    assert told is not None
    assert told.asset_materialization is not None
    figures = {k: v.value for k, v in told.asset_materialization.metadata.items()}
    assert figures["dagster/row_count"] == 2
    assert figures["events_read"] == 3
    assert figures["quarantined"] == 1
    assert figures["offsets"] == "0: 0-3, 1: 0-0"
    live.put(*(event(n, n, 1) for n in range(5)))
    live.kafka.expire(live.topic, 6)
    assert checks(job, instance) == {"offsets_complete": False, "consumer_lag": True}


def checks(job: dg.JobDefinition, instance: dg.DagsterInstance) -> dict[str, bool]:
    result = job.execute_in_process(instance=instance)
    return {one.check_name: one.passed for one in result.get_asset_check_evaluations()}


def test_the_schedule_is_off_unless_a_setting_says_otherwise_and_skips_a_slow_minute(
    live: Live, instance: dg.DagsterInstance
) -> None:
    """No micro-batch queues up behind one that has not ended."""
    for on, status in (
        (False, dg.DefaultScheduleStatus.STOPPED),
        (True, dg.DefaultScheduleStatus.RUNNING),
    ):
        defs = build_live_defs(
            tables=[live.table], lake_url=live.lake, control_url=live.control_url, schedule_on=on
        )
        schedule = defs.resolve_schedule_def("stock_micro_batch")
        assert (schedule.default_status, schedule.cron_schedule) == (status, "* * * * *")
    job = defs.resolve_job_def("stock_micro_batch")
    context = dg.build_schedule_context(instance=instance, repository_def=defs.get_repository_def())
    assert schedule.evaluate_tick(context).run_requests
    run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    assert run.status in UNFINISHED
    tick = schedule.evaluate_tick(context)
    assert not tick.run_requests
    assert run.run_id in str(tick.skip_message)
