"""The row of metadata that a proposal writes: how a table is read, and how it arrives in Silver."""

import re
from collections.abc import Mapping, Sequence

from retail_platform.metadata.onboarding_tables import SourceTable
from retail_platform.metadata.onboarding_values import null_tokens
from retail_platform.metadata.sql_reads import CHANGE_OPERATION

FULL_ROWS = 1_000_000
"""Up to so many rows a table without a watermark is read in full every hour without a warning."""
SMALL_ROWS = 100_000
"""Up to so many rows the history of a table costs little."""

Row = dict[str, object]


def metadata_row(
    table: SourceTable,
    name: str,
    names: Mapping[str, str],
    key: tuple[str, ...],
    watermark: Row | None,
    entity: str,
    personal: Sequence[str],
    notes: list[str],
) -> Row:
    """The row of a table, in the order in which rows are written.

    Args:
        table: The table.
        name: Its name on the platform.
        names: Platform name by name in the source.
        key: Its key.
        watermark: Its watermark; None where it has none.
        entity: Its Silver entity.
        personal: Columns to mask.
        notes: Takes what was guessed.
    """
    row: Row = {"table": name}
    if name != table.name and not table.path:
        row["source_name"] = table.name
    if table.comment:
        row["description"] = table.comment
    row |= _read(table, watermark, names, notes)
    row["key"] = list(key)
    if table.tracked:
        row["deleted"] = {"column": names[CHANGE_OPERATION], "values": ["D"]}
    if watermark is not None:
        row["watermark"] = watermark
    # Files declare all of their columns: a header that lacks one is found at once.
    renamed = {source: target for source, target in names.items() if table.path or source != target}
    if renamed:
        row["columns"] = renamed
    tokens = _tokens(table) if table.path else set()
    if tokens:
        row["null_tokens"] = sorted(tokens)
    silver: Row = {"entity": entity, "merge": "append" if table.path else "upsert"}
    if table.path:
        silver["sweep"] = ["file_path"]
    elif watermark is not None and table.rows is not None and table.rows <= SMALL_ROWS:
        notes.append("merge: scd2 would keep the history of this small table")
    row["silver"] = silver
    if personal:
        row["pii"] = {name: masking_of(name) for name in personal}
    return row


def masking_of(column: str) -> object:
    """How a personal column is protected: by its normal form, as far as its name tells that."""
    if re.search(r"e_?mail", column):
        return {"method": "hash", "kind": "email"}
    if re.search(r"phone|mobile|fax", column):
        return {"method": "hash", "kind": "phone"}
    return "hash"


def _read(
    table: SourceTable, watermark: Row | None, names: Mapping[str, str], notes: list[str]
) -> Row:
    if not table.path:
        return _load(table, watermark, names, notes)
    read: Row = {"load": "files", "path": table.path}
    if table.archive:
        read["archive"] = table.archive
    return read | {"files": dict(table.files)} if table.files else read


def _tokens(table: SourceTable) -> set[str]:
    return {text for column in table.columns for text in null_tokens(table.values(column.name))}


def _load(
    table: SourceTable, watermark: Row | None, names: Mapping[str, str], notes: list[str]
) -> Row:
    if table.tracked:
        notes.append(
            "Change Tracking is on: each hour reads what has changed since the last, deletes too; "
            "the account needs VIEW CHANGE TRACKING on the table"
        )
        return {"load": "changes", "changes": {"by": "change_tracking"}}
    version = table.rowversion
    if version is not None:
        changes = {"by": "rowversion", "column": names[version]}
        if watermark is None:
            notes.append(f"read by the positions of {version}: deletes are not seen")
            if version not in table.indexed:
                notes.append(f"no index on {version}: every hour scans the whole table")
            return {"load": "changes", "changes": changes}
        notes.append(
            f"load: changes with changes: {{by: rowversion, column: {names[version]}}} would see "
            f"what commits late, too, in place of {watermark['column']}"
        )
    if watermark is not None:
        return {"load": "incremental"}
    if table.rows is not None and table.rows > FULL_ROWS:
        notes.append(
            f"no watermark: all of about {table.rows:,} rows are read every hour; a column that "
            "says when a row changed would spare that"
        )
        return {"load": "snapshot"}
    notes.append("no watermark: the whole table is read every hour")
    return {"load": "full"}
