"""The simulated APIs and JSON feeds: what they show is what the oracle says, page for page."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import requests

from retail_platform.control.database import open_control
from retail_platform.control.files import FileRegistry
from retail_platform.extract.opening import open_reader
from retail_platform.extract.window import Window
from retail_platform.metadata.loader import load_catalog
from retail_platform.settings import PACKAGE
from retail_platform.simulator import Simulator
from retail_platform.simulator.api_book import Book
from retail_platform.simulator.api_server import SUPPORT_TOKEN
from retail_platform.simulator.expected_feeds import FED, received
from retail_platform.simulator.expected_reads import Read
from retail_platform_tests.simulator.conftest import HOUR, NOW

CATALOG = load_catalog(PACKAGE / "catalog")


@pytest.fixture(scope="module")
def served(
    simulator: Simulator, hours: list[datetime]
) -> Iterator[tuple[Simulator, dict[str, str]]]:
    simulator.advance_to(hours[0] + HOUR)
    with simulator.serve_ads() as ads_url, simulator.serve_apis() as apis_url:
        yield simulator, simulator.environment(ads_url, apis_url, None)


@pytest.mark.parametrize("initial", [True, False])
@pytest.mark.parametrize("name", sorted(FED))
def test_the_platform_reads_what_the_oracle_says(
    served: tuple[Simulator, dict[str, str]],
    hours: list[datetime],
    tmp_path: Path,
    name: str,
    initial: bool,
) -> None:
    simulator, environ = served
    table = CATALOG.by_bronze[name]
    window = Window.of_hour(hours[0], buffer=timedelta(minutes=1), initial=initial)
    registry = FileRegistry(open_control(f"sqlite:///{tmp_path / 'control.db'}"))
    with open_reader(table, registry, environ) as reader:
        clock = reader.clock() if FED[name].book else simulator.clock
        rows = reader.read(table, window).read_all()
    assert clock == simulator.clock
    load = Read(table=name, hour=hours[0], start=window.start, end=window.end, clock=clock)
    assert rows.num_rows == len(received(simulator, load))
    assert rows.num_rows > 0 or not initial
    assert set(rows.column("_extra").to_pylist() if "_extra" in rows.column_names else ()) <= {None}


def test_a_book_shows_the_past_as_it_was() -> None:
    book = Book("things")
    moments = [NOW, NOW + HOUR, NOW + 2 * HOUR]
    for number, at in enumerate(moments):
        book.put("a", at, {"number": number})
    book.put("b", moments[1], {"number": 9})
    assert book.listed(NOW) == []
    assert [row["number"] for row in book.listed(moments[1])] == [0]
    assert [row["number"] for row in book.listed(moments[2])] == [1, 9]
    late = book.listed(moments[2] + HOUR, since=moments[2])
    assert [row["number"] for row in late] == [2]
    assert [row["number"] for row in book.listed(moments[2] + HOUR, until=moments[2])] == [9]


def test_the_apis_say_the_same_after_another_start(
    simulator: Simulator, hours: list[datetime], tmp_path: Path
) -> None:
    other = Simulator.open(tmp_path, now=NOW, start=hours[0])
    at = hours[-1]
    for name, book in simulator.books.items():
        assert json.dumps(book.listed(at)) == json.dumps(other.books[name].listed(at)), name


def test_tickets_are_answered_and_solved_and_contacts_change(
    simulator: Simulator, hours: list[datetime]
) -> None:
    tickets = simulator.books["tickets"]
    later = simulator.start + timedelta(days=2)
    before = {row["id"]: row for row in tickets.listed(simulator.start)}
    after = {row["id"]: row for row in tickets.listed(later)}
    grown = [i for i, row in before.items() if len(after[i]["comments"]) > len(row["comments"])]
    assert grown
    assert all(after[i]["comments"][0] == before[i]["comments"][0] for i in grown)
    states = Counter(row["status"] for row in after.values())
    assert states["solved"] > 50
    changed = simulator.books["contacts"].listed(later, since=simulator.start)
    assert len(changed) > 50
    assert len({row["email"] for row in changed}) == len(changed)


def test_contacts_have_the_e_mail_addresses_of_the_erp(simulator: Simulator) -> None:
    at = simulator.start + timedelta(days=1)
    erp = {row["email"] for row in simulator.log.state("customers", at).values()}
    contacts = simulator.books["contacts"].listed(at)
    known = sum(contact["email"] in erp for contact in contacts)
    # A new address reaches the CRM some minutes after the ERP.
    assert known >= len(contacts) - 2 > 500


def test_reviews_are_of_products_and_a_garment_is_always_the_same(simulator: Simulator) -> None:
    products = {key for (key,) in simulator.log.initial["products"]}
    reviews = simulator.books["reviews"].listed(simulator.ends_at)
    assert {review["product"]["id"] for review in reviews} <= products


def test_who_has_no_token_sees_nothing(served: tuple[Simulator, dict[str, str]]) -> None:
    _, environ = served
    url = f"{environ['SUPPORT_URL']}/api/v2/tickets"
    assert requests.get(url, timeout=10).status_code == 401
    wrong = {"Authorization": "Bearer wrong"}
    assert (
        requests.get(f"{environ['CRM_URL']}/v1/contacts", headers=wrong, timeout=10).status_code
        == 401
    )
    right = {"Authorization": f"Bearer {SUPPORT_TOKEN}"}
    parameters = {"page[after]": "%%"}
    refused = requests.get(url, headers=right, params=parameters, timeout=10)
    assert refused.status_code == 400
