"""Where the lake's tables live: their layers, their folders, and those of staged tables.

Nothing is read or written here; that belongs to ``tables``.
"""

import time
from datetime import timedelta
from pathlib import Path
from typing import Literal

from deltalake import DeltaTable

Layer = Literal["bronze", "silver", "quarantine", "gold", "pii"]
RESTRICTED: Layer = "pii"
"""The layer of clear personal values, to which fewer people have access."""
STAGING = "_staging"


def stored_tables(root: str, layer: Layer) -> list[str]:
    """Names of the tables of a layer that exist, sorted. Local lakes only see folders."""
    folder = Path(root) / layer
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if DeltaTable.is_deltatable(str(p)))


def abandoned_staging(root: str, *, older_than: timedelta) -> list[Path]:
    """Folders of staged tables that no load can still be using; none in lakes that are remote."""
    oldest = time.time() - older_than.total_seconds()
    return [
        path
        for restricted in (False, True)
        for path in Path(staging_root(root, restricted=restricted)).glob("*")
        if path.stat().st_mtime < oldest
    ]


def staging_root(root: str, *, restricted: bool) -> str:
    """Where staged tables live; those with clear personal values in the restricted layer."""
    return f"{root}/{RESTRICTED}/{STAGING}" if restricted else f"{root}/{STAGING}"


def table_location(root: str, layer: Layer, name: str) -> str:
    """Where a table of the lake below ``root`` lives."""
    return f"{root}/{layer}/{name}"
