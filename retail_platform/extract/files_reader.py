"""The files of an hour as Bronze reads them; a content that the lake has is left out."""

from datetime import UTC, datetime

import pyarrow as pa

from retail_platform.control.files import FileRegistry
from retail_platform.extract.files import FileContent, FileSource
from retail_platform.extract.reader import Expected
from retail_platform.extract.window import Window
from retail_platform.metadata.loader import Table


class FilesReader:
    """The files of an hour; a content that is in the lake under another name is left out."""

    def __init__(self, source: FileSource, files: FileRegistry) -> None:
        self.source = source
        self.files = files
        self.taken: list[tuple[str, FileContent, datetime]] = []

    def clock(self) -> datetime:
        """The source's present, aware UTC."""
        # A folder has no clock: the hour's done marker says that it is closed, see `read`.
        return datetime.now(UTC)

    def read(self, table: Table, window: Window) -> pa.RecordBatchReader:
        """Streams the rows of a window as received."""
        paths = []
        contents: dict[str, str] = {}
        for path in self.source.hour_files(window.hour):
            content = self.source.content(path)
            known = self.files.by_hash(table.bronze, content.sha256)
            first = contents.setdefault(content.sha256, content.path)
            # A table that is replaced is its newest file, also where an older one was the same.
            replaces = table.row.silver.merge == "replace"
            if first == content.path and (known is None or known.path == content.path or replaces):
                paths.append(path)
                self.taken.append((table.bronze, content, window.hour))
        return self.source.read(paths)

    def expect(self, table: Table, window: Window) -> Expected:
        """What `read` of the same window would give."""
        paths = self.source.hour_files(window.hour)
        contents = [self.source.content(path) for path in paths]
        known = [self.files.by_hash(table.bronze, content.sha256) for content in contents]
        size = sum(content.bytes for content in contents)
        return Expected(
            rows=None,
            text=f"{len(contents)} files, {size:,} bytes, {len(known) - known.count(None)} known",
            columns={
                field.name: str(field.type)
                for field in self.source.read(paths).schema
                if field.name not in ("_parse_error", "_raw")
            }
            if paths
            else None,
        )

    def committed(self) -> None:
        """Remembers which files the lake now has."""
        for table, content, hour in self.taken:
            self.files.register(
                table=table,
                path=content.path,
                sha256=content.sha256,
                size=content.bytes,
                hour=hour,
                rows=0,
            )


def file_source(table: Table, root: str, zone: str) -> FileSource:
    """The files of a table, below the root of its source's connection."""
    declared = [name for name in table.row.columns if not name.startswith("_")]
    return FileSource(
        root,
        table.row.path or "",
        zone,
        columns=declared,
        name=f"bronze.{table.bronze}",
        form=table.row.file_format,
    )
