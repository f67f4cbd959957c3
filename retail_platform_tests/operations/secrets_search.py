"""Looks for secrets in whatever a platform leaves behind, in every form in which they may stand.

Parquet is read, since its pages are compressed; everything else is searched byte by byte.
"""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


def forms(secret: str) -> set[str]:
    """A secret as it stands, in a URL, in JSON, in hexadecimal, and inside of a base64 text."""
    raw = secret.encode()
    found = {
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        raw.hex(),
    }
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            # Bits of the neighbours are left out on both sides.
            text = encode(b"\0" * before + raw).decode()
            found.add(text[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6])
    return found


def shown(
    secrets: Mapping[str, str], folder: Path, texts: Mapping[str, Iterable[str]]
) -> list[str]:
    """Where secrets are shown: their names with file or text; the secrets themselves are left out.

    Args:
        secrets: Secret by name.
        folder: Searched with all of its files.
        texts: Further texts by what they are.
    """
    wanted = {name: forms(secret) for name, secret in secrets.items()}
    places = [(str(path.relative_to(folder)), text) for path, text in _contents(folder)]
    places += [(place, text) for place, group in texts.items() for text in group]
    return sorted(
        {
            f"{name} in {place}"
            for place, text in places
            for name, written in wanted.items()
            if any(form in text for form in written)
        }
    )


def _contents(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".parquet":
            yield path, "\n".join(_texts(pq.read_table(path)))
        elif path.is_file():
            yield path, path.read_bytes().decode("utf-8", "replace")


def _texts(table: pa.Table) -> Iterator[str]:
    for column in table.columns:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            distinct = pc.unique(column).drop_null()
            yield "\n".join(distinct.to_pylist())
