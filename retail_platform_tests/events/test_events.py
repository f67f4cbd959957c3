"""What a message becomes: columns as events bring them, and quarantine for poison."""

import json
from typing import Any

import pytest

from retail_platform_tests.events.conftest import Maker

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


def test_a_list_inside_the_event_gives_the_rows(new_stream: Maker) -> None:
    """Each with its place in the list and what it keeps of the event."""
    stream = new_stream(
        columns={"order_no": "string", "line": "bigint", "sku": "string"},
        key=["order_no", "line"],
        stream={"explode": {"list": "lines", "keep": {"no": "order_no"}}},
    )
    stream.put(
        0,
        {"no": "A", "lines": [{"line": 1, "sku": "x"}, {"line": 2, "sku": 'a,]"}'}]},
        {"no": "B", "lines": []},
        {"no": "C", "lines": 5},
        {"no": "D"},
        {"no": "E", "lines": [3, {"line": 1, "sku": "z"}]},
    )
    load = stream.load(0)
    rows = stream.box.live("events")
    assert sorted((row["order_no"], row["line"], row["sku"]) for row in rows) == [
        ("A", 1, "x"),
        ("A", 2, 'a,]"}'),
        ("E", 1, "z"),
    ]
    refused = {row["place"]: row["reasons"] for row in stream.box.quarantined("events")}
    assert load.counts.quarantined == 3
    assert "expected a list" in refused[f"topic {stream.topic}, partition 0, offset 2"]
    assert "missing" in refused[f"topic {stream.topic}, partition 0, offset 3"]
    assert "lines[0]" in refused[f"topic {stream.topic}, partition 0, offset 4, element 0"]
    assert stream.bronze(0).counts.applied == 0


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
