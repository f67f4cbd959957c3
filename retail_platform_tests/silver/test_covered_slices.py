"""A fetch says which slices it asked for: one of which it found nothing is empty from then on.

In any order of processing, over re-reads and hours without rows, against plain Python.
"""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from retail_platform.metadata.loader import Catalog
from retail_platform_tests.platform.box import Box, Row, hour_at, in_order, open_box
from retail_platform_tests.platform.sources import CoveringReader
from retail_platform_tests.silver import oracle
from retail_platform_tests.silver.modes import SPEND, modes_catalog

ENTITY = "spend"
Fetch = tuple[int, tuple[str, str], dict[str, dict[str, str]]]
"""Hour, first and last day asked for, and amount by campaign by day."""
FEW = settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
amounts = st.sampled_from(["1", "2", "-1"])


@dataclass(frozen=True)
class History:
    """Fetches as they happened, and an order for Silver."""

    fetches: Sequence[Fetch]
    order: Sequence[int]


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Fetches of trailing days; an hour may be fetched twice while it is the latest one."""
    hours = draw(st.integers(3, 4))
    fetches: list[Fetch] = []
    campaigns = st.dictionaries(st.sampled_from(["a", "b"]), amounts, max_size=2)
    for hour in range(hours):
        first, last = draw(st.sampled_from([("d1", "d2"), ("d2", "d3"), ("d1", "d1")]))
        days = [day for day in ("d1", "d2", "d3") if first <= day <= last]
        fetches += [
            (hour, (first, last), {day: draw(campaigns) for day in days})
            for _ in range(draw(st.sampled_from([1, 1, 2, 3])))
        ]
    order = draw(st.permutations(range(hours)))
    return History(fetches, [*order, *draw(st.lists(st.integers(0, hours - 1), max_size=2))])


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    whole = modes_catalog(tmp_path_factory.mktemp("catalog"))
    return Catalog(tables=(whole.by_entity[ENTITY],))


def _rows(days: dict[str, dict[str, str]]) -> list[Row]:
    return [
        {"day": day, "campaign": campaign, "amount": amount}
        for day, campaigns in days.items()
        for campaign, amount in campaigns.items()
    ]


def _fetch(box: Box, fetch: Fetch) -> None:
    hour, days, found = fetch
    clock = hour_at(hour + 1)
    reader = CoveringReader(_rows(found), list(SPEND), clock=clock, bounds={"day": days})
    box.bronze_from(ENTITY, hour, reader)


def _expected(box: Box, hours: int) -> list[Row]:
    return in_order(
        oracle.whole_slices(
            box.stored_bronze(ENTITY),
            list(SPEND),
            ["day", "campaign"],
            ["day"],
            read_by_read=True,
            covered=box.ledger.covered("bronze/box__spend", [hour_at(n) for n in range(hours)]),
        )
    )


@FEW
@example(
    History(
        [
            (0, ("d1", "d2"), {"d1": {"a": "1"}, "d2": {"a": "1"}}),
            (1, ("d1", "d2"), {"d1": {}, "d2": {"a": "2"}}),
            (2, ("d2", "d3"), {"d2": {}, "d3": {}}),
        ],
        [0, 1, 2, 1, 0],
    )
)
@example(
    History(
        [
            (0, ("d1", "d2"), {"d1": {"a": "1"}, "d2": {"b": "1"}}),
            (1, ("d1", "d1"), {"d1": {"a": "1", "b": "2"}}),
            (1, ("d1", "d1"), {"d1": {}}),
            (1, ("d1", "d1"), {"d1": {}}),
            (2, ("d1", "d2"), {"d1": {"b": "2"}, "d2": {}}),
        ],
        [2, 0, 1, 2],
    )
)
@given(histories())
def test_a_slice_that_a_fetch_finds_empty_is_gone(
    catalog: Catalog, engine_address: str, history: History
) -> None:
    """Whatever order hours are processed in; the fetch's range is known where it has no row."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        hours = sorted(set(history.order))
        with open_box(home / "a", catalog, engine_address) as box:
            for fetch in history.fetches:
                _fetch(box, fetch)
            wanted = _expected(box, len(hours))
            shutil.copytree(home / "a", home / "b")
            for hour in hours:
                assert box.silver(ENTITY, hour).counts.balanced
            assert box.live(ENTITY) == wanted, "hour after hour"
        with open_box(home / "b", catalog, engine_address) as box:
            for hour in history.order:
                assert box.silver(ENTITY, hour).counts.balanced
            assert box.live(ENTITY) == wanted, f"order {history.order}"


def test_what_was_found_empty_comes_back(
    catalog: Catalog, engine_address: str, tmp_path: Path
) -> None:
    """Found, lost and found again within one hour: the same content as before is news then."""
    found = {"d1": {"a": "1"}}
    with open_box(tmp_path, catalog, engine_address) as box:
        for days, live in ((found, 1), ({"d1": {}}, 0), ({"d1": {}}, 0), (found, 1), (found, 1)):
            _fetch(box, (0, ("d1", "d1"), days))
            box.silver(ENTITY, 0)
            assert len(box.live(ENTITY)) == live
        reads = box.ledger.covered("bronze/box__spend", [hour_at(0)])
        assert len(reads) == 5
        assert len({read.read_at for read in reads}) == 3, "a fetch without news is no new one"


def test_only_what_was_asked_for_is_swept(
    catalog: Catalog, engine_address: str, tmp_path: Path
) -> None:
    """Days before the fetched ones stay as they are."""
    with open_box(tmp_path, catalog, engine_address) as box:
        _fetch(box, (0, ("d1", "d3"), {"d1": {"a": "1"}, "d2": {"a": "1"}, "d3": {"a": "1"}}))
        box.silver(ENTITY, 0)
        _fetch(box, (1, ("d2", "d3"), {}))
        assert box.silver(ENTITY, 1).counts.swept == 2
        assert [row["day"] for row in box.live(ENTITY)] == ["d1"]
