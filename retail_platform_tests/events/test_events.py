"""What a message becomes: columns as events bring them, and quarantine for poison."""

import json
from pathlib import Path
from typing import Any

import pytest

from retail_platform.metadata.loader import load_catalog
from retail_platform_tests.events.conftest import Maker
from retail_platform_tests.kafka import Cluster, kafka_source
from retail_platform_tests.platform.box import hour_at
from retail_platform_tests.platform.catalogs import contract, write_catalog
from retail_platform_tests.platform.fixtures import Opener

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]

POISON = {
    b"no json": "no JSON object: Expecting '{' at character 1",
    b"[1, 2]": "no JSON object: Expecting '{' at character 1",
    b"\xff\xfe{": "not UTF-8: invalid start byte at byte 1",
    b"\x00\x00\x00\x00\x05\x80": "Avro or Protobuf of a schema registry is not read",
    b'{"id": 7, "id": 8}': "member id twice",
    b'{"id": 7, "Page": "a", "page": "b"}': "differ in case or signs only",
    None: "a tombstone, which the table does not take",
}


def test_poison_goes_to_quarantine_with_its_place_and_stops_nothing(new_stream: Maker) -> None:
    """Bronze has it as it came; Silver has the others."""
    good = [{"id": number} for number in range(9)]
    stream = new_stream(partitions=2)
    stream.put(0, *POISON, *good, partition=1)
    load = stream.load(0)
    assert (load.counts.quarantined, load.counts.applied) == (len(POISON), len(good))
    found = {row["place"]: row["reasons"] for row in stream.box.quarantined("events")}
    for offset, said in enumerate(POISON.values()):
        place = f"topic {stream.topic}, partition 1, offset {offset}"
        assert said in found[place]
    raw = [row["_raw"] for row in stream.stored()]
    assert raw[:4] == ["no json", "[1, 2]", "0xfffe7b", "0x000000000580"]
    (first,) = [row for row in stream.box.quarantined("events") if "offset 0" in row["place"]]
    assert json.loads(first["payload"])["_raw"] == "no json"


def test_members_become_columns_as_they_appear(new_stream: Maker) -> None:
    """A new member is a new column and a new schema version; what lacks it has NULL."""
    stream = new_stream()
    stream.put(0, {"id": 1, "page": "a"})
    before = stream.load(0)
    stream.put(1, {"id": 2, "page": "b", "campaign": {"source": "g", "ids": [1]}}, {"ID": 3})
    bronze = stream.bronze(1)
    assert bronze.unknown_columns == ["campaign"]
    after = stream.box.silver("events", 1)
    rows = {row["id"]: row for row in stream.stored()}
    assert rows["1"]["campaign"] is None
    assert rows["2"]["campaign"] == '{"source": "g", "ids": [1]}', "as it stood"
    assert rows["3"]["_raw"] == '{"ID": 3}', "another case is no other column"
    loads = stream.box.ledger.loads(asset="bronze/web__events")
    assert loads[0].schema_version != loads[1].schema_version
    assert (before.counts.applied, after.counts.applied) == (1, 2)
    stream.put(2, {"id": 4})
    stream.load(2)
    assert [row["page"] for row in stream.box.live("events") if row["id"] == 4] == [None]


def test_values_keep_every_digit(new_stream: Maker) -> None:
    """Numbers are text until the contract reads them."""
    stream = new_stream()
    stream.put(0, b'{"id": 12345678901234567, "amount": 10.10, "page": "\\u00e9\\n"}')
    stream.load(0)
    (row,) = stream.stored()
    assert (row["id"], row["amount"]) == ("12345678901234567", "10.10")
    assert stream.box.live("events")[0]["page"] == "é\n"


def test_a_contract_may_be_all_that_becomes_columns(new_stream: Maker) -> None:
    """For names that are data: what it does not know stays in the raw event."""
    stream = new_stream(stream={"columns": "declared"})
    stream.put(0, {"id": 1, "noise-17": "x"})
    stream.bronze(0)
    (row,) = stream.stored()
    assert "noise-17" not in row
    assert json.loads(row["_raw"]) == {"id": 1, "noise-17": "x"}


def test_a_member_that_changes_type_between_two_batches_is_judged_row_by_row(
    new_stream: Maker,
) -> None:
    """Bronze has all of it as text; Silver takes what can be read as the contract's type."""
    stream = new_stream()
    stream.put(0, {"id": 1, "amount": 10.5})
    stream.load(0)
    stream.put(1, {"id": 2, "amount": "10.50"}, {"id": 3, "amount": {"value": 1}})
    stream.put(1, {"id": "4", "amount": None}, {"id": 5, "amount": "plenty"})
    load = stream.load(1)
    assert (load.counts.applied, load.counts.quarantined) == (2, 2)
    assert [str(row["amount"]) for row in stream.box.live("events")] == ["10.50", "10.50", "None"]
    assert sorted(row["reasons"] for row in stream.box.quarantined("events")) == [
        "amount: cannot read plenty as decimal(10,2)",
        'amount: cannot read {"value": 1} as decimal(10,2)',
    ]


LINES = {
    "table": "lines",
    "child_of": "events",
    "elements": "lines",
    "key": ["order_no", "line"],
    "columns": {"_record.no": "order_no"},
    "silver": {"entity": "lines", "merge": "upsert"},
}


def test_a_list_inside_the_event_is_a_table_of_its_own(
    kafka: Cluster, new_box: Opener, tmp_path: Path
) -> None:
    """As in every nested source: each element with its place, and what it takes of the event."""
    topic = kafka.topic()
    columns = {"order_no": "string", "line": "bigint", "sku": "string"}
    source = kafka_source(topic, {"key": ["id"], "columns": {"no": "id"}})
    source["tables"].append(LINES)
    catalog = load_catalog(
        write_catalog(
            tmp_path,
            [source],
            [
                contract("events", {"id": "string"}, ["id"]),
                contract("lines", columns, ["order_no", "line"]),
            ],
        )
    )
    box = new_box(catalog)
    kafka.put(
        topic,
        {"no": "A", "lines": [{"line": 1, "sku": "x"}, {"line": 2, "sku": 'a,]"}', "gift": 1}]},
        {"no": "B", "lines": []},
        {"no": "C", "lines": 5},
        {"no": "D"},
        {"no": "E", "lines": [3, {"line": 1, "sku": "z"}]},
        b"no json",
        at=hour_at(0),
    )
    bronze = box.bronze("lines", 0, kafka.environ)
    assert bronze.unknown_columns == ["gift", "value"]
    load = box.silver("lines", 0)
    found = sorted((row["order_no"], row["line"], row["sku"]) for row in box.live("lines"))
    assert found == [("A", 1, "x"), ("A", 2, 'a,]"}'), ("E", 1, "z")]
    refused = {row["place"]: row["reasons"] for row in box.quarantined("lines")}
    assert load.counts.quarantined == len(refused) == 3
    assert "line is missing" in refused[f"topic {topic}, partition 0, offset 2, element 0"]
    assert "line is missing" in refused[f"topic {topic}, partition 0, offset 4, element 0"]
    assert "no JSON object" in refused[f"topic {topic}, partition 0, offset 5"]
    assert box.bronze("lines", 0, kafka.environ).counts.applied == 0
    box.both("events", 0, kafka.environ)
    assert [row["id"] for row in box.live("events")] == list("ABCDE")
    assert "lines" not in box.stored_bronze("events")[0], "of its own table"


def test_a_tombstone_deletes_where_the_table_takes_it(new_stream: Maker) -> None:
    """The key of a compacted topic says which row."""
    stream = new_stream(
        columns={"id": "bigint", "page": "string", "gone": "boolean"},
        deleted={"column": "gone", "values": [True]},
        mapped={"_key": "id", "_tombstone": "gone"},
    )
    stream.put(0, {"page": "a"}, key="1")
    stream.put(0, {"page": "b"}, key="2")
    stream.load(0)
    stream.put(1, None, key="1")
    stream.load(1)
    assert [row["id"] for row in stream.box.live("events")] == [2]


def test_events_that_come_twice_late_and_out_of_order(new_stream: Maker) -> None:
    """The key and the event's own time decide, not the order of arrival."""
    stream = new_stream(
        columns={"id": "bigint", "page": "string", "seen_at": "timestamp"},
        watermark={"column": "seen_at"},
    )

    def event(number: int, page: str, minute: int) -> dict[str, Any]:
        return {"id": number, "page": page, "seen_at": f"2026-01-05T12:{minute:02}:00Z"}

    stream.put(0, event(1, "new", 20), event(1, "old", 10), event(2, "a", 5), event(2, "a", 5))
    stream.put(1, event(1, "older", 2), event(3, "late", 1))
    stream.load(0)
    stream.load(1)
    assert [(r["id"], r["page"]) for r in stream.box.live("events")] == [
        (1, "new"),
        (2, "a"),
        (3, "late"),
    ]
