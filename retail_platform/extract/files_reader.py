"""The files of an hour as Bronze reads them: whole ones only, and each content once."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pyarrow as pa

from retail_platform.control.files import FileRegistry, Sighting
from retail_platform.extract.file_store import FileStore, FoundFile
from retail_platform.extract.files import FileSource
from retail_platform.extract.landed import LandedFile
from retail_platform.extract.nested import Flattener
from retail_platform.extract.reader import Expected
from retail_platform.extract.window import HOUR, Window
from retail_platform.failures import AwaitedFailure
from retail_platform.metadata.loader import Table


class FilesReader:
    """The files of an hour; a content that is in the lake under another name is left out."""

    def __init__(
        self, source: FileSource, files: FileRegistry, flattener: Flattener | None = None
    ) -> None:
        self.source = source
        self.flattener = flattener
        self.files = files
        self.table = ""
        self.hour = datetime.now(UTC)
        self.taken: list[LandedFile] = []
        self.repeated: list[tuple[LandedFile, str]] = []

    def clock(self) -> datetime:
        """The source's present, aware UTC."""
        # A folder has no clock: its marker or its quiet says that the hour is closed, see `read`.
        return datetime.now(UTC)

    def read(self, table: Table, window: Window) -> pa.RecordBatchReader:
        """Streams the rows of a window as received."""
        self.table, self.hour = table.bronze, window.hour
        found = self._whole_files(table, window.hour, remember=True)
        self._sort(table, [landed for file in found for landed in self.source.fetch(file)])
        return self.source.read(self.taken)

    def expect(self, table: Table, window: Window) -> Expected:
        """What `read` of the same window would give."""
        found = self._whole_files(table, window.hour, remember=False)
        landed = [landed for file in found for landed in self.source.fetch(file)]
        known = [self.files.by_hash(table.bronze, file.sha256) for file in landed]
        size = sum(file.bytes for file in landed)
        return Expected(
            rows=None,
            text=f"{len(landed)} files, {size:,} bytes, {len(known) - known.count(None)} known",
            columns={
                field.name: str(field.type)
                for field in self.source.read(landed).schema
                if field.name not in ("_parse_error", "_raw")
            }
            if landed
            else None,
        )

    def unknown_members(self) -> list[str]:
        """Members of nested records of the last read that no column takes."""
        return self.flattener.unknown if self.flattener else []

    def committed(self) -> None:
        """Remembers which files the lake now has, and which repeat them."""
        for landed in self.taken:
            self._register(landed, None)
        for landed, original in self.repeated:
            self._register(landed, original)

    def _register(self, landed: LandedFile, duplicate_of: str | None) -> None:
        self.files.register(
            table=self.table,
            path=landed.path,
            sha256=landed.sha256,
            size=landed.bytes,
            hour=self.hour,
            rows=0,
            duplicate_of=duplicate_of,
        )

    def _sort(self, table: Table, delivered: Sequence[LandedFile]) -> None:
        """Parts the files that are taken from those that repeat one of them, or one in the lake."""
        first: dict[str, str] = {}
        # A table that is replaced is its newest file, also where an older one was the same.
        replaces = table.row.silver.merge == "replace"
        for landed in delivered:
            original = first.get(landed.sha256)
            if original is None and not replaces:
                original = self._original(landed)
            if original is None:
                self.taken.append(landed)
                first[landed.sha256] = landed.path
            else:
                self.repeated.append((landed, original))

    def _original(self, landed: LandedFile) -> str | None:
        """The path whose content this file repeats, as far as the registry knows."""
        own = self.files.by_path(self.table, landed.path)
        if own is None or own.sha256 != landed.sha256:
            known = self.files.by_hash(self.table, landed.sha256)
            return None if known is None or known.path == landed.path else known.path
        if own.duplicate_of is None:
            return None
        original = self.files.by_path(self.table, own.duplicate_of)
        if original is None:
            return None
        # Beside its corrected twin of the same hour it is what the correction took back; in another
        # hour it is the content that the twin should never have had.
        repeats = original.sha256 == landed.sha256 or original.hour == self.hour
        return original.path if repeats else None

    def _whole_files(self, table: Table, hour: datetime, *, remember: bool) -> list[FoundFile]:
        if table.row.complete.by == "marker":
            return self.source.marked_files(hour)
        return self._stable_files(table, hour, remember=remember)

    def _stable_files(self, table: Table, hour: datetime, *, remember: bool) -> list[FoundFile]:
        """The files of an hour, all of which earlier looks have found as they are now."""
        complete, now = table.row.complete, datetime.now(UTC)
        place = f"bronze.{table.bronze}, hour {hour.isoformat()}"
        found, under_way = self.source.present_files(hour)
        if under_way:
            raise AwaitedFailure(
                f"{place}: waiting for {under_way[0].path}, which the sender still writes; it is "
                "tried again; if nothing is sent any more, have the sender remove it"
            )
        if not found:
            if now >= hour + HOUR + complete.empty_after:
                return []
            raise AwaitedFailure(
                f"{place}: waiting for a file; without any it counts as an hour without trade "
                f"from {hour + HOUR + complete.empty_after:%Y-%m-%d %H:%M} UTC on (complete: "
                "{empty_after: ...} in the row)"
            )
        seen = [Sighting(path=f.path, bytes=f.bytes, stamp=f.stamp) for f in found]
        look = self.files.look(table.bronze, seen, now) if remember else None
        since = look if look is not None else self.files.looked(table.bronze, seen)
        fresh = [f for f in found if now - since.get(f.path, now) < complete.unchanged]
        if fresh:
            first = min(since.get(file.path, now) for file in fresh)
            raise AwaitedFailure(
                f"{place}: waiting for {fresh[0].path} to stay as it is for {complete.unchanged}; "
                f"it has {fresh[0].bytes:,} bytes since {first:%Y-%m-%d %H:%M:%S} UTC; it is "
                "looked at again by the next attempt"
            )
        return found


def file_source(table: Table, store: FileStore, flattener: Flattener | None = None) -> FileSource:
    """The files of a table, below the root of its source's connection.

    Args:
        table: The table.
        store: The place.
        flattener: What becomes of nested records; None: they are not taken apart.
    """
    declared = [name for name in table.row.columns if not name.startswith("_")]
    return FileSource(
        store,
        table.row.path or "",
        table.connection.timezone,
        columns=[] if flattener else declared,
        name=f"bronze.{table.bronze}",
        form=table.row.file_format,
        archive=table.row.archive,
        flattener=flattener,
    )
