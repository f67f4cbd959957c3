"""The row hash: equal for equal rows only, whatever separators, NULLs and column orders."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from retail_platform.bronze.row_hash import row_hashes

# Few and nasty letters, so that texts collide when they are joined carelessly.
texts = st.one_of(
    st.none(),
    st.text(alphabet="a1\x1f|0", max_size=4),
    # Around the ends of words, and of what enters word by word.
    st.builds(
        lambda letter, length: letter * length + "b",
        st.sampled_from(["\0", "a"]),
        st.sampled_from([6, 7, 8, 15, 62, 63, 64, 200, 5000]),
    ),
)
rows = st.fixed_dictionaries({"a": texts, "aa": texts, "b": texts})


def hash_of(row: dict[str, str | None], *others: dict[str, str | None]) -> str:
    names = list(row)
    schema = pa.schema([(name, pa.string()) for name in names])
    batch = pa.RecordBatch.from_pylist([row, *others], schema=schema)
    return row_hashes(batch)[0].as_py()


@given(first=rows, second=rows)
def test_different_rows_have_different_hashes(
    first: dict[str, str | None], second: dict[str, str | None]
) -> None:
    """Neither moving text between columns nor separators nor NULL for '' makes rows equal."""
    assert (hash_of(first) == hash_of(second)) == (first == second)


@given(row=rows, order=st.permutations(["a", "aa", "b"]))
def test_the_order_of_columns_does_not_matter(row: dict[str, str | None], order: list[str]) -> None:
    """A source that reorders its columns delivers the same rows."""
    assert hash_of({name: row[name] for name in order}) == hash_of(row)


@given(row=rows, other=rows)
def test_rows_beside_it_and_added_empty_columns_do_not_matter(
    row: dict[str, str | None], other: dict[str, str | None]
) -> None:
    """A hash depends on its row alone; a new column that is NULL leaves it as it was."""
    assert hash_of(row, other) == hash_of(row)
    assert hash_of({**row, "new": None}, {**other, "new": "x"}) == hash_of(row)


def test_null_differs_from_the_empty_text_in_a_row_of_nothing_else() -> None:
    """The smallest rows of all keep apart as well."""
    assert hash_of({"a": None}) != hash_of({"a": ""})
    assert row_hashes(pa.RecordBatch.from_pylist([], schema=pa.schema([("a", pa.string())]))) == (
        pa.array([], pa.string())
    )


NUMBERS = st.one_of(st.none(), st.sampled_from([0, 1, -1, 2, 2**31, -(2**63), 2**63 - 1]))
MOMENTS = st.one_of(
    st.none(),
    st.sampled_from([datetime(year, 1, 1, 1, tzinfo=UTC) for year in (1, 1970, 2025)]),
)
DAYS = st.one_of(st.none(), st.sampled_from([date(1970, 1, 1), date(9999, 1, 2)]))
TYPED = {
    "number": (pa.int64(), NUMBERS),
    "other_number": (pa.int64(), NUMBERS),
    "flag": (pa.bool_(), st.one_of(st.none(), st.booleans())),
    "day": (
        pa.date32(),
        st.one_of(st.none(), st.sampled_from([date(1970, 1, 1), date(9999, 1, 2)])),
    ),
    "moment": (pa.timestamp("us", "UTC"), MOMENTS),
    "price": (
        pa.decimal128(38, 4),
        st.one_of(st.none(), st.sampled_from([Decimal(n) for n in (0, 1, -1, 2**64, "0.0001")])),
    ),
    "rate": (pa.float64(), st.one_of(st.none(), st.sampled_from([0.0, 1.0, 0.1, 1e300]))),
    "text": (pa.string(), texts),
}
typed_rows = st.fixed_dictionaries({name: values for name, (_, values) in TYPED.items()})
SCHEMA = pa.schema([(name, type_) for name, (type_, _) in TYPED.items()])


@given(written=st.lists(typed_rows, min_size=2, max_size=6))
def test_different_typed_rows_have_different_hashes(written: list[dict[str, Any]]) -> None:
    """Numbers, moments, days and truth values enter by value: zero is no NULL, and stays put."""
    hashes = row_hashes(pa.RecordBatch.from_pylist(written, schema=SCHEMA)).to_pylist()
    alone = [
        row_hashes(pa.RecordBatch.from_pylist([row], schema=SCHEMA))[0].as_py() for row in written
    ]
    assert hashes == alone
    for first, first_hash in zip(written, hashes, strict=True):
        for second, second_hash in zip(written, hashes, strict=True):
            assert (first_hash == second_hash) == (first == second)


@given(written=st.lists(typed_rows, min_size=2, max_size=6))
def test_a_part_of_a_batch_has_the_hashes_of_its_rows(written: list[dict[str, Any]]) -> None:
    """Arrow hands out parts of a batch that share its memory."""
    batch = pa.RecordBatch.from_pylist(written, schema=SCHEMA)
    assert row_hashes(batch.slice(1)) == row_hashes(batch).slice(1)


def test_many_numbers_of_few_columns_keep_apart() -> None:
    """A sum of badly mixed values would give rows such as (1, 2) and (2, 1) one hash."""
    few = range(-40, 41)
    pairs = [{"a": a, "b": b} for a in few for b in few]
    hashes = row_hashes(pa.RecordBatch.from_pylist(pairs))
    assert len(set(hashes.to_pylist())) == len(pairs)


def test_a_number_has_one_hash_whatever_its_width() -> None:
    """A column that is widened keeps the hashes of its rows."""
    narrow, wide = (
        row_hashes(pa.RecordBatch.from_pydict({"n": pa.array([7, None, -1], type_)}))
        for type_ in (pa.int16(), pa.int64())
    )
    assert narrow == wide


def test_moments_of_a_zone_and_of_none_are_read_by_the_microsecond() -> None:
    """Finer moments go by their text, in which no digit is lost."""
    moment = datetime(2025, 3, 30, 1, 30, 0, 1, tzinfo=UTC)
    micro = pa.array([moment], pa.timestamp("us", "UTC"))
    nano = pa.array([1_743_298_200_000_001_000, 1_743_298_200_000_001_001], pa.timestamp("ns"))
    hashes = row_hashes(pa.RecordBatch.from_pydict({"m": nano})).to_pylist()
    assert len(set(hashes)) == 2
    assert row_hashes(pa.RecordBatch.from_pydict({"m": micro}))[0].as_py() not in hashes
