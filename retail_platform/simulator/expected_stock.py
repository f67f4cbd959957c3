"""The oracle's stock: which stock rows stood at the end of an hour, told from hourly snapshots.

Here belongs only that question. A row's version begins at its ``modified_at``; it ends when a newer
version begins or at the first later snapshot that lacks the row.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from retail_platform.simulator.changes import Key, Row, State
from retail_platform.simulator.expected_reads import watermark
from retail_platform.simulator.shifts import ONE_HOUR


@dataclass(frozen=True)
class _Version:
    begins: datetime
    row: Row
    missing_from: datetime | None


def stock_at_ends_of(snapshots: Mapping[datetime, State], hours: Sequence[datetime]) -> list[Row]:
    """Rows that stood at the end of each of ``hours``, one entry per row and hour.

    Args:
        snapshots: Rows by key of each snapshot, by the start of its hour (aware UTC).
        hours: Starts of the hours asked for (aware UTC).
    """
    versions = _versions(snapshots)
    return [
        row
        for hour in hours
        for history in versions.values()
        if (row := _standing(history, hour)) is not None
    ]


def _standing(history: list[_Version], hour: datetime) -> Row | None:
    begun = [version for version in history if version.begins < hour + ONE_HOUR]
    if not begun:
        return None
    newest = max(begun, key=lambda version: version.begins)
    is_gone = newest.missing_from is not None and newest.missing_from <= hour
    return None if is_gone else newest.row


def _versions(snapshots: Mapping[datetime, State]) -> dict[Key, list[_Version]]:
    in_order = sorted(snapshots)
    seen: dict[Key, dict[str, datetime]] = defaultdict(dict)
    rows: dict[tuple[Key, str], Row] = {}
    for hour in in_order:
        for key, row in snapshots[hour].items():
            text = str(row["modified_at"])
            seen[key].setdefault(text, hour)
            rows[key, text] = row
    return {
        key: [
            _Version(
                begins=watermark(text),
                row=rows[key, text],
                missing_from=next(
                    (later for later in in_order if later > first and key not in snapshots[later]),
                    None,
                ),
            )
            for text, first in texts.items()
        ]
        for key, texts in seen.items()
    }
