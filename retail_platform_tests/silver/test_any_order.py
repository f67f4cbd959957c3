"""Processing Bronze hours in any order, with repeats, gives one table: the one in plain Python."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from retail_platform.metadata.loader import Catalog
from retail_platform_tests.platform.box import Box, Row, in_order, open_box
from retail_platform_tests.platform.sources import ArrowReader
from retail_platform_tests.silver import oracle
from retail_platform_tests.silver.modes import MARKED, PLAIN, RECEIPTS, SEEN, SPEND, modes_catalog

Read = tuple[int, list[Row]]
MOMENTS = [
    "2026-01-02 08:00:00",  # long before the first hour
    "2026-01-05 12:10:00",
    "2026-01-05 12:59:59.999999",
    "2026-01-05 13:00:00",  # the tie at a boundary
    "2026-01-05 14:30:00",
    "2026-01-05 15:30:00",
]
MARKED_ONES = dict.fromkeys(("members", "fees", "bins"), MARKED)
FEW = settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

amounts = st.sampled_from(["1", "1", "2", "3", "-1", "many"])
moments = st.sampled_from(MOMENTS)
keys = st.sampled_from(["1", "2", "3", "4"])


@dataclass(frozen=True)
class History:
    """Reads of a source in the order in which they happened, and an order for Silver."""

    reads: list[Read]
    order: list[int]


def _orders(draw: st.DrawFn, hours: int) -> list[int]:
    order = draw(st.permutations(range(hours)))
    return [*order, *draw(st.lists(st.integers(0, hours - 1), max_size=2))]


def _history(*reads: list[tuple[str, str, int]], order: list[int]) -> History:
    """A history of whole reads, written as (id, amount, index of the moment)."""
    always = ("9", "1", 0)
    return History(
        [
            (
                hour,
                [
                    {"id": i, "amount": amount, "modified_at": MOMENTS[at]}
                    for i, amount, at in [*rows, always]
                ],
            )
            for hour, rows in enumerate(reads)
        ],
        order,
    )


@st.composite
def partial_reads(draw: st.DrawFn) -> History:
    """Incremental reads: any rows, late and equal ones too, and a re-run of an older hour."""
    row = st.fixed_dictionaries(
        {"id": st.one_of(keys, st.none()), "amount": amounts, "modified_at": moments}
    )
    hours = draw(st.integers(3, 4))
    reads = [(hour, draw(st.lists(row, max_size=6))) for hour in range(hours)]
    if draw(st.booleans()):
        reads.append((draw(st.integers(0, hours - 1)), draw(st.lists(row, max_size=3))))
    return History(reads, _orders(draw, hours))


@st.composite
def whole_reads(draw: st.DrawFn, *, again: bool = False) -> History:
    """Whole reads: keys disappear and come back; key 9 stays, so that no read is empty.

    With ``again``, an hour may be read twice while it is the latest one.
    """
    hours = draw(st.integers(3, 5))
    reads = []
    for hour in range(hours):
        # What was read at the end of an hour has changed before it.
        past = st.sampled_from(MOMENTS[: hour + 3])
        present = st.dictionaries(keys, st.tuples(amounts, past), max_size=4)
        for _ in range(draw(st.sampled_from([1, 1, 2])) if again else 1):
            rows = draw(present) | {"9": ("1", MOMENTS[0])}
            reads.append(
                (hour, [{"id": k, "amount": a, "modified_at": m} for k, (a, m) in rows.items()])
            )
    return History(reads, _orders(draw, hours))


@st.composite
def slice_reads(draw: st.DrawFn) -> History:
    """Reads of whole days; an hour may be read twice while it is the latest one."""
    day = st.dictionaries(st.sampled_from(["a", "b", "c"]), amounts, min_size=1, max_size=3)
    days = st.dictionaries(st.sampled_from(["d1", "d2"]), day, max_size=2)
    hours = draw(st.integers(3, 4))
    reads = []
    for hour in range(hours):
        for _ in range(draw(st.sampled_from([1, 1, 2]))):
            rows = [
                {"day": d, "campaign": c, "amount": a}
                for d, campaigns in draw(days).items()
                for c, a in campaigns.items()
            ]
            reads.append((hour, rows))
    return History(reads, _orders(draw, hours))


@st.composite
def file_reads(draw: st.DrawFn) -> History:
    """Files by hour, some delivered again with another content (shorter, longer, changed)."""
    hours = draw(st.integers(3, 4))

    def content(hour: int) -> list[Row]:
        lines = draw(st.lists(amounts, min_size=1, max_size=4))
        return [
            {"_file": f"f{hour}.csv", "_line": line, "amount": amount}
            for line, amount in enumerate(lines, start=2)
        ]

    reads = [(hour, content(hour)) for hour in range(hours)]
    again = draw(st.lists(st.integers(0, hours - 1), max_size=2))
    reads += [(hour, content(hour)) for hour in again]
    return History(reads, _orders(draw, hours))


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return modes_catalog(tmp_path_factory.mktemp("catalog"))


@contextmanager
def _only(home: Path, catalog: Catalog, entity: str, address: str) -> Iterator[Box]:
    with open_box(home, Catalog(tables=(catalog.by_entity[entity],)), address) as box:
        yield box


def _processed(box: Box, entity: str, order: Sequence[int]) -> list[Row]:
    for hour in order:
        load = box.silver(entity, hour)
        assert load.counts.balanced
        assert not load.missed
    return box.live(entity)


def _converges(
    catalog: Catalog, entity: str, address: str, history: History, expected: oracle.Oracle
) -> None:
    columns = {"spend": SPEND, "receipts": RECEIPTS, "guests": SEEN, **MARKED_ONES}.get(
        entity, PLAIN
    )
    names = ["_file", "_line", "amount"] if entity == "receipts" else list(columns)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with _only(home / "a", catalog, entity, address) as box:
            for hour, rows in history.reads:
                box.bronze_from(entity, hour, ArrowReader.at(hour, rows, names))
            shutil.copytree(home / "a", home / "b")
            straight = _processed(box, entity, sorted(set(history.order)))
            wanted = in_order(expected(box.stored_bronze(entity)))
        assert straight == wanted, "hour after hour"
        with _only(home / "b", catalog, entity, address) as box:
            assert _processed(box, entity, history.order) == wanted, f"order {history.order}"
            for load in box.loads(entity):
                assert load.read == sum(
                    row["_hour"] == load.hour for row in box.stored_bronze(entity)
                )


@FEW
@given(history=partial_reads())
def test_upsert_of_partial_reads(catalog: Catalog, engine_address: str, history: History) -> None:
    """Each key holds its greatest (watermark, read, hash), whatever order hours came in."""
    _converges(
        catalog,
        "contacts",
        engine_address,
        history,
        lambda bronze: oracle.by_sequence(bronze, list(PLAIN), ["id"]),
    )


@FEW
@given(history=partial_reads())
def test_versions_of_partial_reads(catalog: Catalog, engine_address: str, history: History) -> None:
    """SCD2 chains are those of all good rows sorted by watermark, whatever order hours came in."""
    _converges(
        catalog,
        "prices",
        engine_address,
        history,
        lambda bronze: oracle.versions(bronze, list(PLAIN), ["id"]),
    )


@st.composite
def with_deletions(draw: st.DrawFn, histories: st.SearchStrategy[History]) -> History:
    """A history some of whose rows the source marks as deleted."""
    history = draw(histories)
    mark = st.sampled_from(["yes", "no", None])
    reads = [(hour, [{**row, "gone": draw(mark)} for row in rows]) for hour, rows in history.reads]
    return History(reads, history.order)


@FEW
@given(history=with_deletions(partial_reads()))
def test_upsert_of_deleted_rows(catalog: Catalog, engine_address: str, history: History) -> None:
    """A deletion is a row in the sequence: what is older loses to it, what is newer revives."""
    _converges(
        catalog,
        "members",
        engine_address,
        history,
        lambda bronze: oracle.without_deleted(oracle.by_sequence(bronze, list(MARKED), ["id"])),
    )


@FEW
@given(history=with_deletions(partial_reads()))
def test_versions_of_deleted_rows(catalog: Catalog, engine_address: str, history: History) -> None:
    """A deletion ends the version before it; a later row begins a new one."""
    _converges(
        catalog,
        "fees",
        engine_address,
        history,
        lambda bronze: oracle.without_deleted(oracle.versions(bronze, list(MARKED), ["id"])),
    )


@FEW
@given(history=with_deletions(whole_reads()))
def test_whole_versions_of_deleted_rows(
    catalog: Catalog, engine_address: str, history: History
) -> None:
    """Also where keys disappear, before their deletion or after it."""
    _converges(
        catalog,
        "bins",
        engine_address,
        history,
        lambda bronze: oracle.without_deleted(
            oracle.snapshot_versions(bronze, list(MARKED), ["id"])
        ),
    )


@st.composite
def undated_reads(draw: st.DrawFn) -> History:
    """Reads of a table some of whose rows have no watermark, or one from the future."""
    moment = st.one_of(st.none(), st.none(), st.just(MOMENTS[-1]), moments)
    hours = draw(st.integers(3, 5))
    reads = []
    for hour in range(hours):
        present = draw(st.dictionaries(st.sampled_from(["1", "2"]), st.tuples(amounts, moment)))
        reads.append(
            (hour, [{"id": k, "amount": a, "seen_at": m} for k, (a, m) in present.items()])
        )
    return History(reads, _orders(draw, hours))


def _undated(*amounts: str, order: list[int]) -> History:
    """One key, read in every hour without a watermark."""
    return History(
        [(n, [{"id": "1", "amount": a, "seen_at": None}]) for n, a in enumerate(amounts)], order
    )


@FEW
@example(history=_undated("1", "1", "2", "1", order=[3, 0, 2, 1, 2]))
@example(history=_undated("1", "2", "1", "1", order=[0, 2, 3, 1]))
@given(history=undated_reads())
def test_versions_dated_by_the_clock(
    catalog: Catalog, engine_address: str, history: History
) -> None:
    """One version for each change of content, from the clock of the read that first had it."""
    _converges(
        catalog,
        "guests",
        engine_address,
        history,
        lambda bronze: oracle.dated_versions(bronze, list(SEEN)),
    )


@FEW
@example(
    history=_history(
        [("1", "1", 0), ("2", "1", 0), ("3", "1", 0)],
        [("1", "1", 0), ("2", "-1", 0), ("3", "2", 2)],
        [("2", "1", 0), ("3", "2", 2)],
        [("1", "2", 2), ("2", "1", 0), ("3", "1", 0)],
        [("1", "2", 2), ("2", "2", 4), ("3", "1", 0)],
        order=[4, 1, 0, 3, 2, 0],
    )
)
@given(history=whole_reads())
def test_versions_of_whole_reads(catalog: Catalog, engine_address: str, history: History) -> None:
    """Keys that disappear end, keys that return begin anew, whatever order hours came in."""
    _converges(
        catalog,
        "shelf",
        engine_address,
        history,
        lambda bronze: oracle.snapshot_versions(bronze, list(PLAIN), ["id"]),
    )


@FEW
@given(history=whole_reads())
def test_upsert_of_whole_reads(catalog: Catalog, engine_address: str, history: History) -> None:
    """A full table is what its newest read says, whatever order hours came in."""
    _converges(
        catalog,
        "regions",
        engine_address,
        history,
        lambda bronze: oracle.whole_slices(bronze, list(PLAIN), ["id"], [], read_by_read=False),
    )


@FEW
@given(history=whole_reads(again=True))
def test_replace(catalog: Catalog, engine_address: str, history: History) -> None:
    """The table is the newest hour's newest read, and holds nothing else."""
    _converges(
        catalog,
        "rates",
        engine_address,
        history,
        lambda bronze: oracle.replaced(bronze, list(PLAIN), ["id"]),
    )


@FEW
@given(history=whole_reads())
def test_append_of_whole_reads(catalog: Catalog, engine_address: str, history: History) -> None:
    """Keys that the source forgets stay; of each the greatest sequence."""
    _converges(
        catalog,
        "archive",
        engine_address,
        history,
        lambda bronze: oracle.by_sequence(bronze, list(PLAIN), ["id"]),
    )


@FEW
@given(history=slice_reads())
def test_restated_slices(catalog: Catalog, engine_address: str, history: History) -> None:
    """A day is what its newest fetch says, rows that the fetch lacks are gone."""
    _converges(
        catalog,
        "spend",
        engine_address,
        history,
        lambda bronze: oracle.whole_slices(
            bronze, list(SPEND), ["day", "campaign"], ["day"], read_by_read=True
        ),
    )


@FEW
@given(history=file_reads())
def test_superseded_files(catalog: Catalog, engine_address: str, history: History) -> None:
    """A file delivered again replaces its former lines, also those that it no longer has."""
    _converges(
        catalog,
        "receipts",
        engine_address,
        history,
        lambda bronze: oracle.whole_slices(
            bronze, list(RECEIPTS), ["file_path", "line_number"], ["file_path"], read_by_read=True
        ),
    )
