"""What every asset's step has in common: retries, how failures reach Dagster, and previews.

Assets only; nothing here knows a layer.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg
import pyarrow as pa

from retail_platform.failures import BlockedFailure, PermanentFailure, TransientFailure
from retail_platform.lakehouse.maintenance import compact_after_load
from retail_platform.lakehouse.places import Layer
from retail_platform.metadata.upkeep import Upkeep

if TYPE_CHECKING:
    # Its engine's client costs a process a second that has no use for it.
    from retail_platform.lakehouse.tables import Lakehouse

RETRIES = dg.RetryPolicy(
    max_retries=3, delay=2, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
)
"""For transient failures; a permanent one says that it must not be retried."""

ONE_HOUR_A_RUN = dg.BackfillPolicy.multi_run(max_partitions_per_run=1)
"""How backfills are cut; a job wants one policy for all of its assets."""

PREVIEW_ROWS = 5


@contextmanager
def dagster_failures() -> Generator[None, None, None]:
    """Turns the platform's failures into Dagster's, whose retry policy then knows what to do."""
    try:
        yield
    except TransientFailure as failure:
        raise dg.Failure(description=str(failure), allow_retries=True) from failure
    except (PermanentFailure, BlockedFailure) as failure:
        raise dg.Failure(description=str(failure), allow_retries=False) from failure


def preview(rows: pa.Table, hidden: frozenset[str] = frozenset()) -> dg.MarkdownMetadataValue:
    """A Markdown table of the first rows, without technical and hidden columns."""
    names = [name for name in rows.column_names if not name.startswith("_") and name not in hidden]
    if not rows.num_rows or not names:
        return dg.MetadataValue.md("*no rows*")
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    for row in rows.slice(0, PREVIEW_ROWS).select(names).to_pylist():
        cells = ("" if row[name] is None else str(row[name])[:40] for name in names)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return dg.MetadataValue.md("\n".join(lines))


def compacted_after_load(
    context: dg.AssetExecutionContext, lake: "Lakehouse", layer: Layer, name: str, upkeep: Upkeep
) -> int:
    """Compacts a table that a load has left with too many small files.

    The load is done: where other commits come first again and again, the night has it.

    Returns:
        Number of files that were rewritten.
    """
    try:
        with lake.alone(layer, name):
            delta = lake.delta(layer, name)
            return compact_after_load(delta, table=f"{layer}.{name}", upkeep=upkeep)
    except TransientFailure as failure:
        context.log.warning(f"left for the nightly maintenance: {failure}")
        return 0
