"""Rewrites a table's files in the order of its clustering columns: a verb for maintenance.

Its rows stay what they are, so loads and readers see no new data. When it runs is decided there.
"""

from collections.abc import Sequence

from retail_platform.lakehouse.tables import Lakehouse, Layer

FILE_BYTES = 128 * 2**20
SPILL_BYTES = 512 * 2**20


def cluster(
    lakehouse: Lakehouse,
    layer: Layer,
    name: str,
    columns: Sequence[str],
    *,
    file_bytes: int = FILE_BYTES,
) -> int:
    """Sorts the rows of each partition along a Z-order curve over ``columns``.

    Args:
        lakehouse: The lake.
        layer: Layer of the table.
        name: Name of the table.
        columns: What queries and merges look for; none: small files are only joined.
        file_bytes: Size to which files are filled.

    Returns:
        Number of files that were rewritten.

    Raises:
        CommitFailedError: another writer changed the rewritten files meanwhile.
    """
    optimizer = lakehouse.delta(layer, name).optimize
    metrics = (
        optimizer.z_order(list(columns), target_size=file_bytes, max_spill_size=SPILL_BYTES)
        if columns
        else optimizer.compact(target_size=file_bytes)
    )
    return int(metrics["numFilesRemoved"])
