"""Lists of an API: every kind of paging, what a page must not do, and windows as parameters."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from retail_platform.extract.http import JsonApi, Patience
from retail_platform.extract.rest import RestList
from retail_platform.extract.rest_window import Placing, asked
from retail_platform.extract.window import Window
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.metadata.rest import Endpoint, Since
from retail_platform_tests.extract.faulty import Fault
from retail_platform_tests.extract.rest_server import (
    TOKEN,
    RestServer,
    serving_rest,
)

ROWS = [{"id": number} for number in range(5)]
IDS = [str(row["id"]) for row in ROWS]


@pytest.fixture
def server() -> Iterator[RestServer]:
    with serving_rest(RestServer()) as state:
        yield state


def read(server: RestServer, **endpoint: Any) -> list[list[str]]:
    """The ids of each page."""
    api = JsonApi(
        base_url=server.url,
        name="shop",
        headers={"Authorization": f"Bearer {TOKEN}"},
        secrets=(TOKEN,),
        patience=Patience(attempts=2, backoff=0.01, longest_wait=1, read_timeout=1),
    )
    listed = RestList(api, Endpoint.model_validate({"path": "/items", **endpoint}))
    with api:
        return [[row["id"] for row in page] for page in listed.pages({})]  # pyright: ignore[reportIndexIssue]


def numbered(page: int, size: int) -> list[dict[str, int]]:
    return ROWS[(page - 1) * size : page * size]


def cursor_answer(_path: str, query: dict[str, str]) -> tuple[int, Any]:
    begin = int(query.get("after", "0"))
    return 200, {
        "items": ROWS[begin : begin + 2],
        "meta": {"next": str(begin + 2), "more": begin + 2 < len(ROWS)},
    }


CURSOR = {
    "records": "items",
    "paging": {"by": "cursor", "parameter": "after", "cursor": "meta.next", "more": "meta.more"},
}


def test_numbered_pages_end_with_an_empty_one_even_when_the_api_gives_fewer_than_asked(
    server: RestServer,
) -> None:
    server.answer = lambda _path, query: (200, numbered(int(query["page"]), 2))
    pages = read(server, paging={"by": "number", "size": "per_page", "rows": 100})
    assert pages == [["0", "1"], ["2", "3"], ["4"], []]


def test_a_total_ends_numbered_pages(server: RestServer) -> None:
    server.answer = lambda _path, query: (
        200,
        {"items": numbered(int(query["page"]), 2), "count": 5},
    )
    pages = read(server, records="items", paging={"by": "number", "total": "count"})
    assert pages == [["0", "1"], ["2", "3"], ["4"]]


def test_cursors_end_where_the_api_says_so(server: RestServer) -> None:
    server.answer = cursor_answer
    assert read(server, **CURSOR) == [["0", "1"], ["2", "3"], ["4"]]


def test_links_in_header_or_body_carry_their_own_parameters(server: RestServer) -> None:
    def following(query: dict[str, str]) -> str | None:
        begin = int(query.get("from", "0")) + 2
        return f"/items?from={begin}&key=x" if begin < len(ROWS) else None

    def answer(_path: str, query: dict[str, str]) -> tuple[int, Any]:
        begin = int(query.get("from", "0"))
        return 200, {"data": ROWS[begin : begin + 2], "links": {"next": following(query)}}

    server.answer = answer
    assert read(server, paging={"by": "link", "url": "links.next"}) == [
        ["0", "1"],
        ["2", "3"],
        ["4"],
    ]
    server.links = lambda _path, query: (
        f'<{link}>; rel="next"' if (link := following(query)) else None
    )
    assert read(server, paging={"by": "link"}, parameters={"key": "x"})[-1] == ["4"]
    assert server.requests[-1] == ("/items", {"from": "4", "key": "x"})


def test_one_answer_is_the_whole_list_where_there_is_no_paging(server: RestServer) -> None:
    server.answer = lambda *_: (200, {"result": {"rows": ROWS}})
    assert read(server, records="result.rows") == [IDS]
    server.answer = lambda *_: (200, {"result": {"rows": None}})
    assert read(server, records="result.rows") == [[]]


def test_a_page_that_comes_twice_is_not_taken_for_the_next_one(server: RestServer) -> None:
    server.answer = lambda _path, query: (200, numbered(min(int(query["page"]), 2), 2))
    with pytest.raises(TransientFailure, match="page 3 is page 2 once more"):
        read(server, paging={"by": "number"})


def test_a_page_that_names_itself_is_not_followed_for_ever(server: RestServer) -> None:
    server.answer = lambda *_: (200, {"items": [], "meta": {"next": "1", "more": True}})
    with pytest.raises(TransientFailure, match="page 2 names itself"):
        read(server, **CURSOR)


@pytest.mark.parametrize(
    "totals", [[5, 4, 4], [6, 6, 6, 6]], ids=["it changes", "records are missing"]
)
def test_records_that_move_between_the_pages_are_noticed(
    server: RestServer, totals: list[int]
) -> None:
    def answer(_path: str, query: dict[str, str]) -> tuple[int, Any]:
        page = int(query["page"])
        return 200, {"items": numbered(page, 2), "count": totals[page - 1]}

    server.answer = answer
    with pytest.raises(TransientFailure, match="moved between the pages"):
        read(server, records="items", paging={"by": "number", "total": "count"})


@pytest.mark.parametrize("status", [400, 404, 410, 422])
def test_an_expired_cursor_begins_the_read_anew(server: RestServer, status: int) -> None:
    server.answer = cursor_answer
    server.faults.extend([None, Fault(status=status)])
    with pytest.raises(TransientFailure, match=r"page 2.*own cursor.*first page"):
        read(server, **CURSOR)
    assert [found for page in read(server, **CURSOR) for found in page] == IDS


def test_a_refused_first_page_is_for_people(server: RestServer) -> None:
    server.faults.append(Fault(status=400))
    with pytest.raises(PermanentFailure, match="status 400"):
        read(server, **CURSOR)


def test_a_page_without_list_says_what_was_found(server: RestServer) -> None:
    server.answer = lambda *_: (200, {"results": [], "status": "ok"})
    with pytest.raises(PermanentFailure, match=r"no list of records at items; found results, st"):
        read(server, **CURSOR)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(cut="length"),
        Fault(cut="json"),
        Fault(status=500),
        Fault(status=503),
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(silent=1.3),
    ],
    ids=["line lost", "half json", "500", "503", "429", "silent"],
)
@pytest.mark.parametrize("page", [1, 2])
def test_faults_of_one_page_cost_nothing(server: RestServer, fault: Fault, page: int) -> None:
    server.answer = cursor_answer
    server.faults.extend([*[None] * (page - 1), fault])
    assert [found for page in read(server, **CURSOR) for found in page] == IDS


START = datetime(2026, 11, 20, 9, 59, tzinfo=UTC)
HOUR = datetime(2026, 11, 20, 10, tzinfo=UTC)
Windows = Callable[..., Window]


def window(*, start: datetime | None = START, latest: bool = False) -> Window:
    end = HOUR + timedelta(hours=1)
    return Window(hour=HOUR, start=start, end=end, initial=start is None, latest=latest)


def since(**settings: str) -> Since:
    return Since.model_validate(
        {"member": "at", "parameter": "since", "until": "until", **settings}
    )


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ("2026-11-20T09:59:00Z", "2026-11-20T11:00:00Z")),
        ({"timezone": "Asia/Kolkata"}, ("2026-11-20T15:29:00+05:30", "2026-11-20T16:30:00+05:30")),
        ({"format": "epoch_seconds"}, ("1795168740", "1795172400")),
        ({"format": "epoch_milliseconds"}, ("1795168740000", "1795172400000")),
        ({"format": "%Y-%m-%d %H:%M:%S"}, ("2026-11-20 09:59:00", "2026-11-20 11:00:00")),
        ({"format": "%Y-%m-%d"}, ("2026-11-20", "2026-11-21")),
    ],
    ids=str,
)
def test_windows_are_asked_for_in_the_api_s_own_way(
    settings: dict[str, str], expected: tuple[str, str]
) -> None:
    assert tuple(asked(since(**settings), window()).values()) == expected


def test_a_clock_time_that_comes_twice_is_asked_for_generously() -> None:
    # 2026-10-25 01:30 in London is 00:30 and 01:30 UTC.
    start = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    end = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    doubled = Window(hour=start, start=start, end=end, initial=False)
    local = since(format="%Y-%m-%dT%H:%M:%S", timezone="Europe/London")
    told = asked(local, doubled)
    assert told["since"] <= "2026-10-25T00:30:00"
    assert told["until"] >= "2026-10-25T02:00:00"


def test_the_first_hour_is_open_below_and_the_latest_above() -> None:
    assert list(asked(since(), window(start=None))) == ["until"]
    assert list(asked(since(), window(latest=True))) == ["since"]


@pytest.mark.parametrize(
    ("at", "held"),
    [
        ("2026-11-20T09:59:00Z", True),
        ("2026-11-20T09:58:59.999Z", False),
        ("2026-11-20T12:59:59.999+02:00", True),
        ("2026-11-20T11:00:00Z", False),
        ("2026-11-20 10:30:00", True),
        ("2026-11-20 11:30:00", False),
        ("2026-11-21T00:00:00Z", False),
        (None, True),
        ("soon", True),
        ("1795168740", True),
    ],
)
def test_what_an_api_delivers_beyond_the_window_is_left_out(at: str | None, held: bool) -> None:
    clock = HOUR + timedelta(hours=2)
    placing = Placing(since(), window(), "UTC", clock)
    assert placing.holds({"at": at}) is held


def test_a_record_dated_in_the_future_comes_with_the_latest_hour_alone() -> None:
    clock = HOUR + timedelta(hours=1, minutes=5)
    future, open_hour = {"at": "2026-11-21T00:00:00Z"}, {"at": "2026-11-20T11:03:00Z"}
    latest = Placing(since(), window(latest=True), "UTC", clock)
    assert (latest.holds(future), latest.holds(open_hour)) == (True, False)


def test_moments_without_zone_are_read_in_the_source_s_zone() -> None:
    placing = Placing(since(), window(), "America/New_York", HOUR + timedelta(hours=2))
    assert placing.holds({"at": "2026-11-20 05:30:00"})
    assert not placing.holds({"at": "2026-11-20 10:30:00"})
