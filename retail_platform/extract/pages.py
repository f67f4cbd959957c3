"""Pages of an API as one Arrow stream of text columns, and the guard against pages without end."""

from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from typing import Any

import pyarrow as pa

from retail_platform.extract.json_text import json_text
from retail_platform.failures import TransientFailure

Page = tuple[list[dict[str, Any]], str | None]


def all_pages(
    fetch: Callable[[str | None], Page], *, place: str, distinct: bool = False
) -> Iterator[list[dict[str, Any]]]:
    """The pages that `fetch` gives, beginning without a cursor, until it gives none.

    Args:
        fetch: Takes a cursor (None for the first page); gives rows and the next cursor or None.
        place: Source and request, for the message.
        distinct: Whether no two pages can be equal, because every row has a key.

    Raises:
        TransientFailure: A cursor came back a second time: the pages would never end. Or a page
            came back where another one was due.
    """
    cursor: str | None = None
    seen: set[str] = set()
    contents: set[bytes] = set()
    while True:
        rows, cursor = fetch(cursor)
        if distinct and rows and _known(rows, contents):
            raise TransientFailure(
                f"{place}: page {len(seen) + 1} came before, so another one is missing; nothing "
                "of this read is kept; it is tried again from the first page"
            )
        yield rows
        if cursor is None:
            return
        if cursor in seen:
            raise TransientFailure(
                f"{place}: the API gave the same page cursor twice, after {len(seen) + 1} pages; "
                "nothing of this read is kept; it is tried again from the first page"
            )
        seen.add(cursor)


def _known(rows: list[dict[str, Any]], contents: set[bytes]) -> bool:
    """Whether the same rows came before; remembers them."""
    content = blake2b(json_text(rows).encode(), digest_size=16).digest()
    known = content in contents
    contents.add(content)
    return known


def text_stream(
    pages: Iterator[list[dict[str, Any]]],
    columns: list[str],
    flatten: Callable[[Mapping[str, Any]], Mapping[str, str | None]],
) -> pa.RecordBatchReader:
    """One batch a page, every column a string; a column that a row lacks is NULL."""
    schema = pa.schema([(name, pa.string()) for name in columns])
    batches = (
        pa.RecordBatch.from_pylist([dict(flatten(row)) for row in rows], schema=schema)
        for rows in pages
        if rows
    )
    return pa.RecordBatchReader.from_batches(schema, batches)


def text(value: object) -> str | None:
    """A value of an answer as text; absent stays None."""
    return None if value is None else str(value)
