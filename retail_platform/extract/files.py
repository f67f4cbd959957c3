"""Landing files: an hour's files in, Arrow record batches out, each row with its file and line.

Belongs here: names of hours, done markers, columns and messages. Not here: how a file is written
(`text_rows`, `parquet_rows`), and which file was loaded before (`control.files`).
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa

from retail_platform.extract.fitting import LINE_META, fit_batch
from retail_platform.extract.local_time import local_hour
from retail_platform.extract.parquet_rows import parquet_batches, parquet_schema
from retail_platform.extract.text_rows import HeaderFault, column_names, text_batches
from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.metadata.file_formats import (
    CSV,
    RESERVED_COLUMNS,
    FileFormat,
    JsonLinesFormat,
    ParquetFormat,
)

_BATCH_ROWS = 10_000

META = pa.schema([("_file", pa.string()), *LINE_META])


@dataclass(frozen=True, kw_only=True)
class FileContent:
    """What identifies a delivered file: path below the root, content hash, size in bytes."""

    path: str
    sha256: str
    bytes: int


_Stamp = tuple[int, int]
"""Size and time of change, by which a file that is still being written is told."""


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
        form: FileFormat = CSV,
    ) -> None:
        """Name the folder.

        Args:
            root: The landing folder.
            pattern: ``strftime`` pattern of an hour's path below the root, in local time, with or
                without its ending; the marker has the same name with ``.done``. The second pass of
                a doubled hour has ``b`` before the ending.
            timezone: IANA zone of the hours in the names.
            columns: Columns that each file must have; others are kept beside them.
            name: Source and table in messages.
            form: How the files are written.
        """
        self._root = Path(root)
        self._ending = f".{form.extension}"
        self._pattern = pattern.removesuffix(self._ending)
        self._zone = ZoneInfo(timezone)
        self._columns = list(columns)
        self._name = name
        self._form = form
        self._stamps: dict[Path, _Stamp] = {}

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
            for path in stem.parent.glob(f"*{self._ending}")
            if path.name.startswith(stem.name) and not path.name[len(stem.name)].isalnum()
        )

    def content(self, path: Path) -> FileContent:
        """The identity of a file's present content.

        Raises:
            TransientFailure: The file cannot be read.
        """
        try:
            self._stamps[path] = _stamp(path)
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                size = file.tell()
        except OSError as error:
            raise self._unreadable(path, error) from error
        return FileContent(path=self._relative(path), sha256=digest, bytes=size)

    def read(self, paths: Sequence[Path]) -> pa.RecordBatchReader:
        """The rows of files, in order of file and line; no line is left out.

        Returns:
            A stream whose columns are the declared ones, then those that only files have: strings
            (an empty field is an empty string), in Parquet files their own types, widened. Then
            ``_file`` (path below the root), ``_line`` (physical line from 1 on which the record
            begins), ``_parse_error`` (None when well-formed) and ``_raw`` (the record's text, only
            with an error). An ill-formed record has the fields that could be told apart; those
            missing are NULL.

        Raises:
            PermanentFailure: A declared column is missing, or a header cannot be used.
            TransientFailure: A file cannot be read, or changes while the stream is read.
        """
        stamps = {p: self._stamps.pop(p, None) or self._present_stamp(p) for p in paths}
        found = {path: self._columns_of(path) for path in paths}
        fields: dict[str, pa.Field] = {}
        unreadable = bool(found) and not any(found.values())
        if unreadable or not isinstance(self._form, ParquetFormat):
            fields = {name: pa.field(name, pa.string()) for name in self._columns}
        for columns in found.values():
            for field in columns or ():
                # A column without any value has no type yet: what it is, a later file says.
                if not pa.types.is_null(field.type):
                    fields.setdefault(field.name, field)
        schema = pa.schema([*fields.values(), *META])
        return pa.RecordBatchReader.from_batches(schema, self._batches(found, stamps, schema))

    def _batches(
        self, files: dict[Path, pa.Schema | None], stamps: dict[Path, _Stamp], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        for path, columns in files.items():
            try:
                for batch in self._rows(path, columns):
                    yield fit_batch(self._placed(path, batch), schema)
            except OSError as error:
                raise self._unreadable(path, error) from error
            if self._present_stamp(path) != stamps[path]:
                raise TransientFailure(
                    f"{self._name}, file {self._relative(path)}: it changed while it was read, "
                    "though its marker says that it is whole; it is tried again; have the sender "
                    "write the marker last"
                )

    def _rows(self, path: Path, columns: pa.Schema | None) -> Iterator[pa.RecordBatch]:
        if isinstance(self._form, ParquetFormat):
            return parquet_batches(path, _BATCH_ROWS)
        return text_batches(path, self._form, columns.names if columns else [], _BATCH_ROWS)

    def _placed(self, path: Path, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with its file, which also begins every message."""
        file = self._relative(path)
        lines, errors = batch.column("_line"), batch.column("_parse_error")
        if errors.null_count < len(errors):
            told = [
                error and f"{file}, line {line}: {error}"
                for line, error in zip(lines.to_pylist(), errors.to_pylist(), strict=True)
            ]
            place = batch.schema.get_field_index("_parse_error")
            batch = batch.set_column(place, "_parse_error", pa.array(told, pa.string()))
        return batch.append_column("_file", pa.array([file] * batch.num_rows, pa.string()))

    def _columns_of(self, path: Path) -> pa.Schema | None:
        """The columns of a file; None where it is cut before it has any."""
        try:
            if isinstance(self._form, ParquetFormat):
                schema = parquet_schema(path)
            else:
                names = column_names(path, self._form)
                schema = None if names is None else pa.schema([(n, pa.string()) for n in names])
        except OSError as error:
            raise self._unreadable(path, error) from error
        except HeaderFault as fault:
            raise PermanentFailure(
                f"{self._name}, file {self._relative(path)}, {fault}; have the sender deliver it "
                "with one name for each column"
            ) from fault
        if schema is not None:
            self._check_columns(path, schema.names)
        return schema

    def _check_columns(self, path: Path, names: Sequence[str]) -> None:
        own = sorted(RESERVED_COLUMNS.intersection(names))
        missing = [name for name in self._columns if name not in names]
        if own:
            raise PermanentFailure(
                f"{self._name}, file {self._relative(path)}: columns {', '.join(own)} are names of "
                "the platform's own; have the sender rename them"
            )
        if missing and not isinstance(self._form, JsonLinesFormat):
            raise PermanentFailure(
                f"{self._name}, file {self._relative(path)}: no column {', '.join(missing)}; found "
                f"{', '.join(names)}, expected {', '.join(self._columns)}; have the sender "
                "mend the header, or change the table's contract"
            )

    def _present_stamp(self, path: Path) -> _Stamp:
        try:
            return _stamp(path)
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


def _stamp(path: Path) -> _Stamp:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
