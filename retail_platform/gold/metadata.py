"""What the Dagster UI shows of a Gold table: rows, columns and a preview.

Read from the Delta log and one small file with delta-rs: no engine, a few milliseconds a table.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import pyarrow as pa
from deltalake import DeltaTable

PREVIEW_ROWS = 5


def table_metadata(location: str, columns: Mapping[str, Any]) -> dict[str, dg.MetadataValue]:
    """The metadata of one table as it is now.

    Args:
        location: Folder or URL of the Delta table.
        columns: dbt's documented columns: name to properties with `description`.

    Returns:
        Row count, Delta version, column schema with types and a Markdown preview of five rows
        without the technical columns.
    """
    table = DeltaTable(location)
    fields = table.schema().fields
    shown = [field.name for field in fields if not field.name.startswith("_")]
    preview = table.to_pyarrow_dataset().head(PREVIEW_ROWS, columns=shown)
    return {
        "dagster/row_count": dg.MetadataValue.int(table.count()),
        "delta_version": dg.MetadataValue.int(table.version()),
        "dagster/column_schema": dg.MetadataValue.table_schema(
            dg.TableSchema(
                columns=[
                    dg.TableColumn(
                        name=field.name,
                        type=_type_name(field.type),
                        description=columns.get(field.name, {}).get("description"),
                    )
                    for field in fields
                ]
            )
        ),
        "preview": dg.MetadataValue.md(_markdown(preview)),
    }


def _type_name(kind: object) -> str:
    name = getattr(kind, "type", None)
    return name if isinstance(name, str) else str(kind)


def _markdown(rows: pa.Table) -> str:
    names = rows.column_names
    lines = [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]
    lines += [f"| {' | '.join(_cell(row[name]) for name in names)} |" for row in rows.to_pylist()]
    return "\n".join(lines)


def _cell(value: object) -> str:
    text = "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")
    return text if len(text) <= 24 else f"{text[:12]}…"
