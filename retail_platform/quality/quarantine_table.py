"""What a quarantine table is: its columns, and how refused rows meet those that are in it.

Known without an engine. Which rows are refused is in ``quarantine`` for the hours, and in
``live/micro_batch`` beside them.
"""

import pyarrow as pa

from retail_platform.lakehouse.merges import Matched, Merge

TIMESTAMP = pa.timestamp("us", "UTC")
QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("row_hash", pa.string()),
        pa.field("hour", TIMESTAMP),
        pa.field("reasons", pa.string()),
        pa.field("payload", pa.string()),
        pa.field("place", pa.string()),
        pa.field("contract_version", pa.string()),
        pa.field("first_seen", TIMESTAMP),
        pa.field("last_seen", TIMESTAMP),
        pa.field("run_id", pa.string()),
        pa.field("reason_list", pa.string()),
        pa.field("accepted_run", pa.string()),
    ]
)
"""``reasons`` is text for people, ``reason_list`` the same as a JSON array. ``run_id`` is the run
that refused the row last, ``accepted_run`` the one that let it in; NULL while it is refused."""

_SEEN = Matched(
    when="(s.first_seen < t.first_seen OR s.last_seen > t.last_seen "
    "OR s.contract_version <> t.contract_version OR s.reasons <> t.reasons "
    "OR t.accepted_run IS NOT NULL)",
    set={
        "first_seen": "least(s.first_seen, t.first_seen)",
        "last_seen": "greatest(s.last_seen, t.last_seen)",
        "hour": "least(s.hour, t.hour)",
        **{
            name: f"s.{name}"
            for name in ("reasons", "reason_list", "contract_version", "run_id", "accepted_run")
        },
    },
)
REFUSED = Merge(on=["row_hash"], matched=[_SEEN], insert=QUARANTINE_SCHEMA.names)
"""Merges refused rows: a row that is there is seen again, one that was let in is open again."""
