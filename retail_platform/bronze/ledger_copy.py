"""The copy of the load ledger in the lake: `bronze.platform__loads`, a row for each attempt.

The ledger is operational state in a control database; what Gold tells of the platform itself is
made from this copy. Belongs here: what is copied and how. Not here: when (`operations.ledger_copy`)
and what figures are made of it (the dbt project).
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from retail_platform.control.ledger import Ledger
from retail_platform.control.loads import Counts, LoadRow
from retail_platform.lakehouse.commits import Commit
from retail_platform.lakehouse.merges import Matched
from retail_platform.lakehouse.tables import Lakehouse

NAME = "platform__loads"
ASSET = f"bronze/{NAME}"
LONGEST_LOAD = timedelta(days=2)
"""Loads that began so long before the newest one copied are over: no copy looks at them again."""

_AT = pa.timestamp("us", tz="UTC")
_WHOLE_NUMBERS = (
    *("read", "rejected", "quarantined", "duplicates", "stale", "unchanged", "applied", "swept"),
    *("inferred", "target_rows_before", "target_rows_after", "target_version_before"),
    *("target_version_after", "bytes", "request_id"),
)
LEDGER_SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        *(pa.field(name, pa.string()) for name in ("asset", "layer", "run_id", "engine", "status")),
        pa.field("hour", _AT),
        pa.field("attempt", pa.int32()),
        pa.field("initial", pa.bool_()),
        pa.field("reprocess", pa.bool_()),
        *(pa.field(name, pa.int64()) for name in _WHOLE_NUMBERS),
        *(pa.field(name, _AT) for name in ("window_start", "window_end", "source_clock")),
        *(pa.field(name, _AT) for name in ("started_at", "finished_at", "watermark_max")),
        *(pa.field(name, _AT) for name in ("extracted_min", "extracted_max")),
        pa.field("schema_version", pa.int32()),
        *(pa.field(name, pa.float64()) for name in ("seconds", "cost_usd")),
        *(pa.field(name, pa.string()) for name in ("error", "reason", "causes", "cluster")),
        pa.field("_extracted_at", _AT),
        pa.field("_hour", _AT),
    ]
)
"""The ledger's columns, and when and by which hour's copy the row was last written."""


def ensure_ledger_copy(lake: Lakehouse) -> None:
    """Creates the copy where it is missing and makes it known to SQL."""
    lake.ensure("bronze", NAME, LEDGER_SCHEMA)
    lake.register("bronze", NAME)


def copy_ledger(
    lake: Lakehouse, ledger: Ledger, *, hour: datetime, now: datetime
) -> tuple[Counts, Commit | None]:
    """Brings the copy up to the ledger as it stands.

    Attempts that the copy lacks are added; one that was still running is replaced once it is over.
    Nothing else of the ledger ever changes.

    Args:
        lake: The lake.
        ledger: The load ledger.
        hour: Hour of the copy, aware UTC: rows that it writes carry it.
        now: When the ledger is read, aware UTC.

    Returns:
        Where the rows went, and the commit; None where nothing had changed.
    """
    ensure_ledger_copy(lake)
    with lake.alone("bronze", NAME):
        stored = lake.delta("bronze", NAME).to_pyarrow_dataset()
        newest = pc.max(stored.scanner(columns=["started_at"]).to_table()["started_at"]).as_py()
        since = newest - LONGEST_LOAD if newest else None
        rows = ledger.loads(since=since)
        known = _known(stored, since)
        changed = [row for row in rows if known.get(row.id) != row.status]
        counts = Counts(read=len(rows), applied=len(changed), unchanged=len(rows) - len(changed))
        if not changed:
            return counts, None
        names = LEDGER_SCHEMA.names
        commit = lake.merge(
            "bronze",
            NAME,
            lake.spark.createDataFrame(_table(changed, hour=hour, now=now)),
            on=["id"],
            matched=[Matched.replaced([name for name in names if name != "id"])],
            insert=names,
            rows=len(changed),
        )
        return counts, commit


def _known(stored: ds.Dataset, since: datetime | None) -> dict[int, str]:
    """Status by id of the rows that the copy holds already."""
    if since is None:
        return {}
    rows = stored.scanner(
        columns=["id", "status"], filter=ds.field("started_at") >= pa.scalar(since, _AT)
    ).to_table()
    return dict(zip(rows["id"].to_pylist(), rows["status"].to_pylist(), strict=True))


def _table(rows: Sequence[LoadRow], *, hour: datetime, now: datetime) -> pa.Table:
    written = [
        {**asdict(row), "status": f"{row.status}", "_extracted_at": now, "_hour": hour}
        for row in rows
    ]
    return pa.Table.from_pylist(written, schema=LEDGER_SCHEMA)
