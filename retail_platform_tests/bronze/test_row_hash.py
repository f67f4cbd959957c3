"""The row hash: equal for equal rows only, whatever separators, NULLs and column orders."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from retail_platform.bronze.transforms import row_hashes

# Few and nasty letters, so that texts collide when they are joined carelessly.
texts = st.one_of(st.none(), st.text(alphabet="a1\x1f|0", max_size=4))
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
