"""Takes files of a lake's tables away for a while: what is built then cannot have read them.

Not here: which models are built, and what they must have made of what was left (the tests).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable

from retail_platform_tests.gold.silver_lake import SilverLake


@contextmanager
def files_away(
    lake: SilverLake, times: Mapping[str, str], is_away: Callable[[Any, Any], bool]
) -> Iterator[dict[str, int]]:
    """Renames data files; their tables' logs name them still, so that reading one fails.

    Args:
        lake: The lake; its engine is started again on both ends, so that it remembers no file.
        times: Table, such as ``silver/orders``, to the column whose least and greatest value in a
            file decide about it.
        is_away: Whether a file with these two, moments or dates, is taken away.

    Yields:
        How many files of each table are away.
    """
    away: dict[Path, Path] = {}
    counts = dict.fromkeys(times, 0)
    for table, column in times.items():
        for file in _files(lake.root / table):
            ends = file[f"min.{column}"], file[f"max.{column}"]
            if all(ends) and is_away(*ends):
                path = lake.root / table / file["path"]
                away[path] = path.with_name(f"{path.name}.away")
                counts[table] += 1
    for path, other in away.items():
        path.rename(other)
    lake.open_again()
    try:
        yield counts
    finally:
        for path, other in away.items():
            other.rename(path)
        lake.open_again()


def _files(table: Path) -> list[dict[str, Any]]:
    return pa.table(DeltaTable(table).get_add_actions(flatten=True)).to_pylist()
