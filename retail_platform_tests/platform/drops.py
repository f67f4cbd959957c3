"""A landing folder for files of any format, and the one-table catalog that reads them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retail_platform.metadata.loader import Catalog, load_catalog
from retail_platform.silver.load import SilverLoad
from retail_platform_tests.platform.box import Box, Row, hour_at
from retail_platform_tests.platform.catalogs import Tree, contract, write_catalog

ENTITY = "receipts"
COLUMNS = {"no": "bigint", "article": "string", "price": "decimal(19,4)"}


def drops_tree(
    files: Mapping[str, Any] | None, *, azure: Mapping[str, Any] | None = None, **row: Any
) -> Tree:
    """The source's YAML tree: a table ``receipts`` whose files are written as ``files`` says."""
    table: Tree = {
        "table": "receipts",
        "load": "files",
        "path": "receipts_%Y%m%dT%H",
        "key": ["file_path", "line_number"],
        "columns": {"_file": "file_path", "_line": "line_number", **{n: n for n in COLUMNS}},
        "silver": {
            "entity": ENTITY,
            "merge": "append",
            "sweep": ["file_path"],
        },
        **row,
    }
    if files is not None:
        table["files"] = dict(files)
    connection: Tree = {"kind": "files", "root": {"env": "LANDING"}, "timezone": "UTC"}
    connection |= {"azure": dict(azure)} if azure else {}
    return {"source": "drops", "connection": connection, "tables": [table]}


def drops_catalog(
    folder: Path, files: Mapping[str, Any], *, max_quarantined: float = 90, **row: Any
) -> Catalog:
    """The catalog of `drops_tree`; numbers and price are required."""
    columns = {"file_path": "string", "line_number": "bigint", **COLUMNS}
    promise = contract(
        ENTITY,
        columns,
        ["file_path", "line_number"],
        required=["no", "price"],
        max_quarantined=max_quarantined,
    )
    return load_catalog(write_catalog(folder, [drops_tree(files, **row)], [promise]))


class Drops:
    """A landing folder beside a box.

    Args:
        box: The platform that reads it.
        root: The folder.
        ending: Of the file names.
    """

    def __init__(self, box: Box, root: Path, ending: str) -> None:
        self.box = box
        self.root = root
        self.ending = ending
        root.mkdir(parents=True, exist_ok=True)

    def path(self, number: int = 0, addition: str = "") -> Path:
        """Where the file of an hour lies."""
        return self.root / f"receipts_{hour_at(number):%Y%m%dT%H}{addition}.{self.ending}"

    def mark(self, number: int = 0) -> None:
        """Says that the files of an hour are whole."""
        self.root.joinpath(f"receipts_{hour_at(number):%Y%m%dT%H}.done").touch()

    def put(self, content: bytes | str, number: int = 0, addition: str = "") -> str:
        """Writes a file and the hour's marker; returns the file's path below the root."""
        path = self.path(number, addition)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.mark(number)
        return path.name

    def load(self, number: int = 0) -> SilverLoad:
        """Loads an hour into Bronze and Silver."""
        return self.box.both(ENTITY, number, {"LANDING": str(self.root)})

    def rows(self) -> list[tuple]:
        """Number, article and price of the live rows, by file and line."""
        live = sorted(self.box.live(ENTITY), key=lambda r: (r["file_path"], r["line_number"]))
        return [(row["no"], row["article"], str(row["price"])) for row in live]

    def refused(self) -> list[Row]:
        """The quarantine, by place."""
        return sorted(self.box.quarantined(ENTITY), key=lambda row: row["place"])
