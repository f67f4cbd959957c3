"""What Silver must hold after Bronze was read: plain Python over Bronze rows, hour after hour.

Says the meaning of each merge mode in the simplest words; knows nothing of how it is computed.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from retail_platform.extract.coverage import Covered
from retail_platform_tests.platform.box import HOUR, Row

Sequence = tuple[Any, ...]
Chain = dict[datetime, tuple[Sequence, Row, datetime | None]]
"""Versions of a key: by their begin, sequence and row, and the end set by a read that lacked it."""
BUFFER = timedelta(minutes=1)
SMALLEST = 0
"""The smallest amount that the rules of the contract let pass."""
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)


def read(row: Row, columns: Iterable[str]) -> Row | None:
    """The typed row, or None where it breaks the contract."""
    typed: Row = {}
    gone = row.get("gone") == "yes"
    for name in columns:
        text = row[{"file_path": "_file", "line_number": "_line"}.get(name, name)]
        typed[name] = _typed(name, text)
        may_be_missing = name in ("seen_at", "gone") or (name == "amount" and gone)
        if typed[name] is None and not may_be_missing:
            return None
        if name == "modified_at" and typed[name] > row["_source_clock"] + BUFFER:
            return None
    return typed if gone or typed["amount"] >= SMALLEST else None


def _typed(name: str, text: Any) -> Any:
    if text is None or name in ("day", "campaign", "file_path", "line_number", "gone"):
        return text
    if name in ("modified_at", "seen_at"):
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    return int(text) if text.lstrip("-").isdigit() else None


def _hours(bronze: list[Row]) -> list[tuple[datetime, list[Row]]]:
    hours = sorted({row["_hour"] for row in bronze})
    return [(hour, [row for row in bronze if row["_hour"] == hour]) for hour in hours]


def by_sequence(bronze: list[Row], columns: list[str], key: list[str]) -> list[Row]:
    """Incremental upsert: of all good rows of a key, the one with the greatest sequence."""
    best: dict[tuple, tuple[Sequence, Row]] = {}
    for row, typed in _good(bronze, columns):
        place = tuple(typed[name] for name in key)
        candidate = (_sequence(row, typed), typed)
        best[place] = max(best.get(place, candidate), candidate, key=lambda pair: pair[0])
    return [typed for _, typed in best.values()]


def versions(bronze: list[Row], columns: list[str], key: list[str]) -> list[Row]:
    """Incremental SCD2: one version a watermark, each until the next one begins."""
    chains: dict[tuple, list[Row]] = {}
    for typed in by_sequence(bronze, columns, [*key, "modified_at"]):
        chains.setdefault(tuple(typed[name] for name in key), []).append(typed)
    return [
        version
        for chain in chains.values()
        for version in _chained({t["modified_at"]: (t, None) for t in chain})
    ]


def without_deleted(rows: list[Row]) -> list[Row]:
    """Live rows: a tombstone is none, and what it ends stays ended."""
    return [row for row in rows if row["gone"] != "yes"]


def dated(bronze: list[Row], columns: list[str]) -> list[tuple[Sequence, Row]]:
    """Good rows with their sequences, where the clock stands in for ``seen_at``.

    It does so where that is missing or in the future; the first of equal readings in a row counts.
    """
    read_in_order = sorted(
        (
            (row["_extracted_at"], _moment(row, typed), row["_row_hash"], typed)
            for row, typed in _good(bronze, columns)
        ),
        key=lambda reading: reading[:3],
    )
    newest: dict[int, tuple[str, datetime]] = {}
    known: dict[tuple[int, str], datetime] = {}
    result = []
    for extracted_at, moment, row_hash, typed in read_in_order:
        content = (typed["id"], row_hash)
        if moment != typed["seen_at"] or content not in known:
            last = newest.get(typed["id"])
            date = last[1] if last and last[0] == row_hash else moment
            newest[typed["id"]] = (row_hash, date)
            known[content] = max(date, known.get(content, date))
        result.append(((known[content], extracted_at, row_hash), typed))
    return result


def _moment(row: Row, typed: Row) -> datetime:
    seen_at, clock = typed["seen_at"], row["_source_clock"]
    return clock if seen_at is None or seen_at > clock + BUFFER else seen_at


def dated_versions(bronze: list[Row], columns: list[str]) -> list[Row]:
    """Incremental SCD2 of such rows."""
    chains: dict[int, dict[datetime, tuple[Row, datetime | None]]] = {}
    for sequence, typed in sorted(dated(bronze, columns), key=lambda pair: pair[0]):
        chains.setdefault(typed["id"], {})[sequence[0]] = (typed, None)
    return [version for chain in chains.values() for version in _chained(chain)]


def snapshot_versions(bronze: list[Row], columns: list[str], key: list[str]) -> list[Row]:
    """Snapshot SCD2: as above, and a key that a read lacks ends with that read's hour."""
    chains: dict[tuple, Chain] = {}
    for hour, rows in _hours(bronze):
        end = hour + HOUR
        present = {_raw_key(row, key) for row in rows}
        before = {place: dict(chain) for place, chain in chains.items()}
        for row, typed in _good(rows, columns):
            place = tuple(typed[name] for name in key)
            begins = _begins(before.get(place, {}), _sequence(row, typed), end)
            chain = chains.setdefault(place, {})
            sequence = _sequence(row, typed)
            if begins not in chain or chain[begins][0] < sequence:
                chain[begins] = (sequence, typed, chain[begins][2] if begins in chain else None)
        for place, chain in chains.items():
            last = max(chain)
            if tuple(map(str, place)) not in present and chain[last][2] is None:
                chain[last] = (*chain[last][:2], end)
    return [
        version
        for chain in chains.values()
        for version in _chained({begins: (typed, end) for begins, (_, typed, end) in chain.items()})
    ]


def whole_slices(
    bronze: list[Row],
    columns: list[str],
    key: list[str],
    by: list[str],
    *,
    read_by_read: bool,
    covered: Iterable[Covered] = (),
) -> list[Row]:
    """Full, restated and file tables: the newest read of a slice says which keys there are.

    A read in which a key is there but broke a rule leaves what was before in force.

    Args:
        bronze: Bronze rows.
        columns: Contract columns.
        key: Key columns.
        by: Columns that name a slice; none: the whole table.
        read_by_read: Whether each read within an hour counts as one; else they count as one read.
        covered: Reads that brought ranges whole: slices inside that they lack are empty.
    """
    live: dict[tuple, Row] = {}
    slices = {_raw_key(row, by) for row in bronze}
    with_rows = dict(_hours(bronze))
    for hour in sorted({*with_rows, *(read.hour for read in covered)}):
        rows = with_rows.get(hour, [])
        reads: dict[tuple, list[Row]] = {
            (read.read_at, name): []
            for read in covered
            if read.hour == hour
            for name in slices
            if all(
                read.bounds[column][0] <= value <= read.bounds[column][1]
                for column, value in zip(by, name, strict=True)
                if column in read.bounds
            )
        }
        for row in rows:
            moment = row["_extracted_at"] if read_by_read else EARLIEST
            reads.setdefault((moment, _raw_key(row, by)), []).append(row)
        for moment, name in sorted(reads, key=lambda read: read[0]):
            members = reads[moment, name]
            present = {_raw_key(row, key) for row in members}
            live = {
                place: typed
                for place, typed in live.items()
                if tuple(str(typed[column]) for column in by) != name
                or tuple(map(str, place)) in present
            }
            best: dict[tuple, tuple[Sequence, Row]] = {}
            for row, typed in _good(members, columns):
                place = tuple(typed[column] for column in key)
                candidate = (_newest_first(row, typed), typed)
                best[place] = max(best.get(place, candidate), candidate, key=lambda pair: pair[0])
            live |= {place: typed for place, (_, typed) in best.items()}
    return list(live.values())


def replaced(bronze: list[Row], columns: list[str], key: list[str]) -> list[Row]:
    """The good rows of the newest read of the newest hour, one a key."""
    _, rows = _hours(bronze)[-1]
    newest = max(row["_extracted_at"] for row in rows)
    return whole_slices(
        [row for row in rows if row["_extracted_at"] == newest], columns, key, [], read_by_read=True
    )


def _good(rows: list[Row], columns: list[str]) -> list[tuple[Row, Row]]:
    return [(row, typed) for row in rows if (typed := read(row, columns)) is not None]


def _sequence(row: Row, typed: Row) -> Sequence:
    return (typed.get("modified_at", EARLIEST), row["_extracted_at"], row["_row_hash"])


def _newest_first(row: Row, typed: Row) -> Sequence:
    return (row["_extracted_at"], typed.get("modified_at", EARLIEST), row["_row_hash"])


def _raw_key(row: Row, key: list[str]) -> tuple[str, ...]:
    names = {"file_path": "_file", "line_number": "_line"}
    return tuple(str(row[names.get(name, name)]) for name in key)


def _begins(chain: Chain, sequence: Sequence, end_of_hour: datetime) -> datetime:
    """Where a row's version begins, given the versions of its key before the hour."""
    watermark, _, row_hash = sequence
    ends = [end for _, _, end in chain.values() if end is not None]
    if not ends:
        return watermark
    if chain[max(chain)][2] is not None:
        return end_of_hour if watermark <= chain[max(chain)][2] else watermark
    since_return = [
        begins
        for begins, ((stored, _, stored_hash), _, _) in chain.items()
        if begins > max(ends) and (stored, stored_hash) == (watermark, row_hash)
    ]
    return max(since_return, default=watermark)


def _chained(chain: dict[datetime, tuple[Row, datetime | None]]) -> list[Row]:
    begins = sorted(chain)
    result = []
    for begin, following in zip(begins, [*begins[1:], None], strict=True):
        typed, closed = chain[begin]
        ends = [moment for moment in (following, closed) if moment is not None]
        end = min(ends) if ends else None
        result.append(typed | {"valid_from": begin, "valid_to": end, "is_current": end is None})
    return result


Oracle = Callable[[list[Row]], list[Row]]
