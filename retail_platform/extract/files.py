"""Landing files: an hour's CSV files in, Arrow record batches out, every column as text.

Belongs here: names of hours, done markers, columns and messages. Not here: the form of a line
(`csv_records`), and which file was loaded before (`control.files`).
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa

from retail_platform.extract.csv_records import Record, read_records
from retail_platform.extract.local_time import local_hour
from retail_platform.failures import PermanentFailure, TransientFailure

_BATCH_ROWS = 10_000

META = pa.schema(
    [
        ("_file", pa.string()),
        ("_line", pa.int64()),
        ("_parse_error", pa.string()),
        ("_raw", pa.string()),
    ]
)


@dataclass(frozen=True, kw_only=True)
class FileContent:
    """What identifies a delivered file: path below the root, content hash, size in bytes."""

    path: str
    sha256: str
    bytes: int


class FileSource:
    """A landing folder with a file and a done marker for each hour of local time."""

    def __init__(
        self,
        root: Path | str,
        pattern: str,
        timezone: str,
        *,
        columns: Sequence[str] = (),
        name: str = "files",
        delimiter: str = ",",
        encoding: str = "utf-8",
        fallback_encoding: str | None = "cp1252",
    ) -> None:
        """Name the folder.

        Args:
            root: The landing folder.
            pattern: ``strftime`` pattern of an hour's path below the root, in local time, with or
                without ``.csv``; the marker has the same name with ``.done``. The second pass of a
                doubled hour has ``b`` before the extension.
            timezone: IANA zone of the hours in the names.
            columns: Columns that each file must have; others are kept beside them.
            name: Source and table in messages.
            delimiter: Between fields.
            encoding: Of the text; a byte order mark is understood.
            fallback_encoding: Of lines that are not in `encoding`; None has none.
        """
        self._root = Path(root)
        self._pattern = pattern.removesuffix(".csv")
        self._zone = ZoneInfo(timezone)
        self._columns = list(columns)
        self._name = name
        self._delimiter = delimiter
        self._encoding = encoding
        self._fallback = fallback_encoding

    def hour_files(self, hour: datetime) -> list[Path]:
        """The files of an hour, once its marker says that they are whole.

        A file belongs to the hour when its name is the hour's name, also with an addition such as
        ``_2`` or `` (1)``.

        Args:
            hour: Start of the partition hour, aware UTC.

        Returns:
            Paths in order of their names; none for an hour without trade.

        Raises:
            TransientFailure: The hour's marker is not there yet.
        """
        stem = self._stem(hour)
        marker = stem.with_name(f"{stem.name}.done")
        if not marker.is_file():
            raise TransientFailure(
                f"{self._name}, hour {hour.isoformat()}: waiting for marker "
                f"{self._relative(marker)}, which the sender writes when the hour's files are "
                "whole; it is tried again; if it stays away, ask the sender, or create the empty "
                "marker when nothing more will come"
            )
        return sorted(
            path
            for path in stem.parent.glob("*.csv")
            if path.name.startswith(stem.name) and not path.name[len(stem.name)].isalnum()
        )

    def content(self, path: Path) -> FileContent:
        """The identity of a file's present content.

        Raises:
            TransientFailure: The file cannot be read.
        """
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                size = file.tell()
        except OSError as error:
            raise self._unreadable(path, error) from error
        return FileContent(path=self._relative(path), sha256=digest, bytes=size)

    def read(self, paths: Sequence[Path]) -> pa.RecordBatchReader:
        """The rows of files, in order of file and line; no line is left out.

        Returns:
            A stream whose columns are the declared ones, then those that only files have, all
            strings (an empty field is an empty string), then ``_file`` (path below the root),
            ``_line`` (physical line from 1 on which the record begins), ``_parse_error`` (None when
            well-formed) and ``_raw`` (the record's text, only with an error). An ill-formed record
            has the fields that could be told apart; those missing are NULL.

        Raises:
            PermanentFailure: A declared column is missing, or a header cannot be used.
            TransientFailure: A file cannot be read (also while the stream is read).
        """
        headers = {path: self._header(path) for path in paths}
        names = dict.fromkeys(self._columns)
        for header in headers.values():
            names.update(dict.fromkeys(header))
        fields = [pa.field(name, pa.string()) for name in names]
        schema = pa.schema([*fields, *META])
        return pa.RecordBatchReader.from_batches(schema, self._batches(headers, schema))

    def _batches(
        self, headers: dict[Path, list[str]], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        for path, header in headers.items():
            rows: list[dict[str, str | int | None]] = []
            for record in _after_header(self._records(path)):
                rows.append(self._row(path, header, record))
                if len(rows) == _BATCH_ROWS:
                    yield pa.RecordBatch.from_pylist(rows, schema=schema)
                    rows = []
            if rows:
                yield pa.RecordBatch.from_pylist(rows, schema=schema)

    def _row(self, path: Path, header: list[str], record: Record) -> dict[str, str | int | None]:
        file = self._relative(path)
        row: dict[str, str | int | None] = dict(zip(header, record.values, strict=False))
        row |= {"_file": file, "_line": record.line, "_parse_error": None, "_raw": None}
        if record.error is not None:
            row["_parse_error"] = f"{file}, line {record.line}: {record.error}"
            row["_raw"] = record.raw
        return row

    def _header(self, path: Path) -> list[str]:
        first = next(self._records(path), None)
        if first is None:
            return []
        header = [name or f"column_{place}" for place, name in enumerate(first.values, start=1)]
        unusable = {name for name in header if header.count(name) > 1 or name in META.names}
        if first.error is not None or unusable:
            found = first.error or f"columns {', '.join(sorted(unusable))} twice or reserved"
            raise PermanentFailure(
                f"{self._name}, file {self._relative(path)}, line 1: the header cannot be used "
                f"({found}); have the sender deliver it with one name for each column"
            )
        missing = [name for name in self._columns if name not in header]
        if missing:
            raise PermanentFailure(
                f"{self._name}, file {self._relative(path)}: no column {', '.join(missing)}; found "
                f"{', '.join(header)}, expected {', '.join(self._columns)}; have the sender "
                "mend the header, or change the table's contract"
            )
        return header

    def _records(self, path: Path) -> Iterator[Record]:
        try:
            yield from read_records(
                path,
                delimiter=self._delimiter,
                encoding=self._encoding,
                fallback=self._fallback,
            )
        except OSError as error:
            raise self._unreadable(path, error) from error

    def _stem(self, hour: datetime) -> Path:
        local, suffix = local_hour(hour, self._zone)
        return self._root / (local.strftime(self._pattern) + suffix)

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _unreadable(self, path: Path, error: OSError) -> TransientFailure:
        return TransientFailure(
            f"{self._name}, file {self._relative(path)}: cannot be read ({error.strerror}); check "
            "that the file is still there and that the platform may read it"
        )


def _after_header(records: Iterator[Record]) -> Iterator[Record]:
    """The records that follow the first one."""
    next(records, None)
    return records
