"""Hours of a REST API: whatever the API does, an hour is whole or fails and is whole on retry."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from retail_platform.control.database import open_control
from retail_platform.control.files import FileRegistry
from retail_platform.extract.opening import open_reader
from retail_platform.extract.window import Window
from retail_platform.failures import PermanentFailure, PlatformFailure, TransientFailure
from retail_platform.quality.verdicts import HeldBack
from retail_platform_tests.extract.faulty import Fault
from retail_platform_tests.extract.rest_server import (
    RestServer,
    serving_rest,
)
from retail_platform_tests.platform.box import Box, hour_at
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.platform.rest_catalogs import Tickets, desk

FIVE = range(1, 6)


@pytest.fixture
def tickets() -> Iterator[Tickets]:
    with serving_rest(RestServer()) as server:
        yield Tickets(server)


@pytest.fixture
def box(new_box: Opener, tmp_path: Path) -> Box:
    return new_box(desk(tmp_path / "catalog"))


def fill(tickets: Tickets, at: str = "12:30") -> None:
    for ticket in FIVE:
        tickets.put(ticket, at, comments=[ticket * 10, ticket * 10 + 1])


def ids(box: Box, entity: str = "tickets", column: str = "ticket_id") -> list[int]:
    return sorted(row[column] for row in box.live(entity))


FAULTS = {
    "line lost half-way": Fault(cut="length"),
    "malformed JSON": Fault(cut="json"),
    "no JSON at all": Fault(body=b"<html>Bad gateway</html>"),
    "slow server": Fault(silent=1.4),
    "429": Fault(status=429, headers={"Retry-After": "0"}),
    "429, an hour": Fault(status=429, headers={"Retry-After": "3600"}),
    "500": Fault(status=500),
    "503": Fault(status=503),
    "cursor expired": Fault(status=410),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_in_the_middle_fails_the_hour_which_is_whole_on_retry(
    box: Box, tickets: Tickets, fault: Fault
) -> None:
    fill(tickets)
    # The clock, the first page, and then the second one.
    tickets.server.faults.extend([None, None, fault])
    with pytest.raises(TransientFailure, match=r"source desk, GET /tickets"):
        box.bronze("tickets", 0, tickets.environ())
    assert box.stored_bronze("tickets") == []
    assert box.ledger.loads(asset="bronze/desk__tickets")[-1].status == "FAILURE"
    box.both("tickets", 0, tickets.environ())
    assert sorted(int(row["id"]) for row in box.stored_bronze("tickets")) == list(FIVE)
    assert ids(box) == list(FIVE)


def test_a_page_repeated_is_no_page_missing(box: Box, tickets: Tickets) -> None:
    fill(tickets)
    answer, calls = tickets.server.answer, []

    def repeating(path: str, query: dict[str, str]) -> tuple[int, Any]:
        calls.append(query)
        return answer(path, query | {"cursor": "2"}) if len(calls) == 4 else answer(path, query)

    tickets.server.answer = repeating
    with pytest.raises(TransientFailure, match="page 3 is page 2 once more"):
        box.bronze("tickets", 0, tickets.environ())
    box.both("tickets", 0, tickets.environ())
    assert ids(box) == list(FIVE)


def test_a_token_that_expires_between_pages_is_renewed_in_the_same_read(
    box: Box, tickets: Tickets
) -> None:
    fill(tickets)
    answer = tickets.server.answer

    def expiring(path: str, query: dict[str, str]) -> tuple[int, Any]:
        if query.get("cursor") == "2":
            tickets.server.tokens.clear()
        return answer(path, query)

    tickets.server.answer = expiring
    box.both("tickets", 0, tickets.environ())
    assert ids(box) == list(FIVE)
    assert len(tickets.server.token_requests) == 2


def test_the_api_s_clock_counts_and_not_ours(box: Box, tickets: Tickets) -> None:
    fill(tickets)
    tickets.server.source_clock = "2026-01-05T12:59:59+00:00"
    with pytest.raises(TransientFailure, match="the hour is not closed yet"):
        box.bronze("tickets", 0, tickets.environ())
    # An API that is ahead of the platform has records from the platform's future: no fault.
    tickets.close(1)
    tickets.put(9, "13:59")
    box.both("tickets", 0, tickets.environ())
    box.both("tickets", 1, tickets.environ())
    assert ids(box) == [*FIVE, 9]
    assert box.quarantined("tickets") == []


def test_a_record_from_the_api_s_own_future_is_refused_with_the_reason(
    box: Box, tickets: Tickets
) -> None:
    fill(tickets)
    tickets.put(9, "23:00")
    box.both("tickets", 0, tickets.environ())
    assert ids(box) == list(FIVE)
    (row,) = box.refused("tickets")
    assert "updated_at is in the future" in str(row.reasons)


def test_a_member_that_changes_type_between_two_batches_is_judged_row_by_row(
    box: Box, tickets: Tickets
) -> None:
    for ticket, cost in enumerate([1, 2, "3", "many", {"amount": 5}, None], start=1):
        tickets.put(ticket, "12:30", cost=cost)
    loaded = box.both("tickets", 0, tickets.environ())
    assert loaded.counts.quarantined == 2
    assert {row["ticket_id"]: row["cost"] for row in box.live("tickets")} == {
        1: 1,
        2: 2,
        3: 3,
        6: None,
    }
    costs = {row["id"]: row["cost"] for row in box.stored_bronze("tickets")}
    assert costs["5"] == '{"amount": 5}'


def test_a_moment_that_changes_type_is_never_left_out(box: Box, tickets: Tickets) -> None:
    fill(tickets)
    box.both("tickets", 0, tickets.environ())
    tickets.close(3)
    tickets.put(7, "13:30", updated_at=1767619800, changed="2026-01-05T13:30:00Z")
    loaded = box.both("tickets", 1, tickets.environ())
    assert (loaded.counts.read, loaded.counts.quarantined) == (1, 1)


def test_an_hour_reads_its_window_and_again_adds_only_what_is_new(
    box: Box, tickets: Tickets
) -> None:
    fill(tickets)
    box.both("tickets", 0, tickets.environ())
    tickets.close(1)
    tickets.put(2, "13:10", cost=22)
    tickets.put(6, "13:20")
    loaded = box.both("tickets", 1, tickets.environ())
    assert loaded.counts.read == 2
    asked = tickets.server.requests[-1][1]
    assert asked["updated_since"] == "2026-01-05T12:59:00Z"
    assert box.bronze("tickets", 1, tickets.environ()).counts.applied == 0
    assert {row["ticket_id"]: row["cost"] for row in box.live("tickets")}[2] == 22
    assert ids(box) == [*FIVE, 6]


def test_a_list_is_a_table_whose_rows_know_their_record(box: Box, tickets: Tickets) -> None:
    fill(tickets)
    box.both("comments", 0, tickets.environ())
    assert len(ids(box, "comments", "comment_id")) == 10
    tickets.close(1)
    tickets.put(1, "13:10", comments=[10, 11, 12])
    box.both("comments", 1, tickets.environ())
    assert sorted(r["comment_id"] for r in box.live("comments") if r["ticket_id"] == 1) == [
        10,
        11,
        12,
    ]


def comments(box: Box) -> dict[int, list[int]]:
    """Live comments by ticket."""
    found: dict[int, list[int]] = {}
    for row in sorted(box.live("comments"), key=lambda row: row["comment_id"]):
        found.setdefault(row["ticket_id"], []).append(row["comment_id"])
    return found


def test_a_list_that_loses_elements_or_all_of_them_loses_their_rows(
    box: Box, tickets: Tickets
) -> None:
    """A list that is not in the answer says nothing; other records keep theirs."""
    for ticket in range(1, 5):
        tickets.put(ticket, "12:30", comments=[ticket * 10, ticket * 10 + 1])
    box.both("comments", 0, tickets.environ())
    tickets.close(1)
    tickets.put(1, "13:10", comments=[])
    tickets.put(2, "13:11", comments=[21])
    tickets.put(3, "13:12")
    del tickets.rows[3]["comments"]
    loaded = box.both("comments", 1, tickets.environ())
    assert comments(box) == {2: [21], 3: [30, 31], 4: [40, 41]}
    counts = loaded.counts
    assert (counts.read, counts.rejected, counts.applied, counts.swept) == (2, 1, 1, 3)
    assert box.quarantined("comments") == []
    again = box.both("comments", 1, tickets.environ())
    assert (again.counts.applied, again.counts.swept) == (0, 0)
    tickets.close(2)
    tickets.put(1, "14:10", comments=[11])
    box.both("comments", 2, tickets.environ())
    assert comments(box) == {1: [11], 2: [21], 3: [30, 31], 4: [40, 41]}


def test_an_emptied_list_is_told_whatever_the_order_in_which_hours_reach_silver(
    box: Box, tickets: Tickets
) -> None:
    """An older hour brings nothing back that a later read of the record lacks."""
    tickets.put(1, "12:30", comments=[10, 11])
    tickets.put(2, "12:31", comments=[20])
    box.bronze("comments", 0, tickets.environ())
    tickets.close(1)
    tickets.put(1, "13:10", comments=[])
    box.bronze("comments", 1, tickets.environ())
    for number in (1, 0, 1):
        box.silver("comments", number)
        assert 1 not in comments(box)
    assert comments(box) == {2: [20]}


def test_members_that_no_column_takes_are_kept_told_and_counted_as_another_schema(
    box: Box, tickets: Tickets
) -> None:
    fill(tickets)
    assert box.bronze("tickets", 0, tickets.environ()).unknown_columns == []
    tickets.close(1)
    tickets.put(6, "13:20", via={"channel": "web", "app": "ios"}, mood=0.50)
    assert box.bronze("tickets", 1, tickets.environ()).unknown_columns == ["mood", "via.app"]
    (row,) = [row for row in box.stored_bronze("tickets") if row["id"] == "6"]
    assert row["_extra"] == '{"mood": 0.5, "via": {"app": "ios"}}'
    versions = [load.schema_version for load in box.ledger.loads(asset="bronze/desk__tickets")]
    assert versions == [1, 2]


def test_frozen_columns_hold_an_hour_with_members_that_no_column_takes(
    new_box: Opener, tmp_path: Path, tickets: Tickets
) -> None:
    box = new_box(desk(tmp_path / "catalog", schema={"columns": "freeze"}))
    fill(tickets)
    box.both("tickets", 0, tickets.environ())
    tickets.close(1)
    tickets.put(6, "13:20", mood="fine")
    box.bronze("tickets", 1, tickets.environ())
    with pytest.raises(HeldBack, match="new at the source: mood"):
        box.silver("tickets", 1)


def test_a_wrong_secret_stops_the_load_for_people(box: Box, tickets: Tickets) -> None:
    with pytest.raises(PermanentFailure, match="client secret") as failure:
        box.bronze("tickets", 0, tickets.environ("wr0ng-secret-of-a-person"))
    assert "wr0ng-secret-of-a-person" not in str(failure.value)


def test_a_missing_variable_is_named(box: Box, tickets: Tickets) -> None:
    environ = tickets.environ()
    del environ["DESK_CLIENT_ID"]
    with pytest.raises(PermanentFailure, match="DESK_CLIENT_ID, which is not set"):
        box.bronze("tickets", 0, environ)


def test_pages_are_asked_for_as_they_are_used(tmp_path: Path, tickets: Tickets) -> None:
    for ticket in range(1, 101):
        tickets.put(ticket, "12:30")
    table = desk(tmp_path / "catalog").by_entity["tickets"]
    window = Window.of_hour(hour_at(0), buffer=timedelta(0), initial=True)
    registry = FileRegistry(open_control(f"sqlite:///{tmp_path / 'control.db'}"))
    with open_reader(table, registry, tickets.environ()) as reader:
        reader.clock()
        stream = reader.read(table, window)
        assert stream.read_next_batch().num_rows == 2
        assert len(tickets.server.requests) <= 3
        assert sum(batch.num_rows for batch in stream) == 98
    assert len(tickets.server.requests) == 51


def test_every_failure_of_an_api_is_the_platform_s_own(box: Box, tickets: Tickets) -> None:
    tickets.server.answer = lambda *_: (200, {"tickets": {"not": "a list"}})
    with pytest.raises(PlatformFailure, match="no list of records at tickets"):
        box.bronze("tickets", 0, tickets.environ())
