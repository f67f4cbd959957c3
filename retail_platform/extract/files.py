"""Landing files: an hour's files in, Arrow record batches out, each row with its file and line.

Belongs here: names of hours, done markers, columns and messages. Not here: where files are
(`file_store`), how they come here (`landed`), how a file is written (`text_rows`, `parquet_rows`),
and which file was loaded before (`control.files`).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import pyarrow as pa

from retail_platform.extract.file_store import FileStore, FoundFile
from retail_platform.extract.fitting import LINE_META, fit_batch
from retail_platform.extract.landed import LandedFile, Spool, changed
from retail_platform.extract.local_time import local_hour
from retail_platform.extract.nested import Flattener
from retail_platform.extract.parquet_rows import parquet_batches, parquet_schema
from retail_platform.extract.text_rows import HeaderFault, column_names, text_batches
from retail_platform.failures import AwaitedFailure, PermanentFailure, TransientFailure
from retail_platform.metadata.file_delivery import Archive
from retail_platform.metadata.file_formats import (
    CSV,
    RESERVED_COLUMNS,
    FileFormat,
    JsonLinesFormat,
    ParquetFormat,
)

_BATCH_ROWS = 10_000
_TEMPORARY = (".part", ".partial", ".filepart", ".tmp", ".temp", ".uploading")
"""Endings of names under which senders write what is not whole yet."""

META = pa.schema([("_file", pa.string()), *LINE_META])


class FileSource:
    """A landing place with the files of each hour of local time."""

    def __init__(
        self,
        store: FileStore,
        pattern: str,
        timezone: str,
        *,
        columns: Sequence[str] = (),
        name: str = "files",
        form: FileFormat = CSV,
        archive: Archive | None = None,
        flattener: Flattener | None = None,
    ) -> None:
        """Name the place.

        Args:
            store: The place; closed with the source.
            pattern: ``strftime`` pattern of an hour's path below the root, in local time, with or
                without its ending; the marker has the same name with ``.done``. The second pass of
                a doubled hour has ``b`` before the ending.
            timezone: IANA zone of the hours in the names.
            columns: Columns that each file must have; others are kept beside them.
            name: Source and table in messages.
            form: How the files are written.
            archive: How they are packed; None where they are not.
            flattener: What becomes of nested records, in JSON lines.
        """
        self._flattener = flattener
        self._store = store
        inner = f".{form.extension}"
        self._ending = archive.ending(form.extension) if archive else inner
        self._pattern = pattern.removesuffix(self._ending).removesuffix(inner)
        self._zone = ZoneInfo(timezone)
        self._columns = list(columns)
        self._name = name
        self._form = form
        self._spool = Spool(store, archive=archive, pattern=f"*{inner}", name=name)

    def marked_files(self, hour: datetime) -> list[FoundFile]:
        """The files of an hour, once its marker says that they are whole.

        A file belongs to the hour when its name is the hour's name, also with an addition such as
        ``_2`` or `` (1)``. Names of files that are still written are none.

        Args:
            hour: Start of the partition hour, aware UTC.

        Returns:
            Files, the one without addition first; none for an hour without trade.

        Raises:
            AwaitedFailure: The hour's marker is not there yet.
        """
        marker = f"{self._stem(hour)}.done"
        # Before the files: what is listed after it was seen is whole.
        if self._store.stat(marker) is None:
            raise AwaitedFailure(
                f"{self._name}, hour {hour.isoformat()}: waiting for marker {marker}, which the "
                "sender writes when the hour's files are whole; it is tried again; if it stays "
                "away, ask the sender, or create the empty marker when nothing more will come"
            )
        return self.present_files(hour)[0]

    def present_files(self, hour: datetime) -> tuple[list[FoundFile], list[FoundFile]]:
        """The files of an hour as they are now, whole or not, and those under temporary names."""
        stem = self._stem(hour)
        name = stem.rpartition("/")[2]
        own = [
            file
            for file in self._store.starting_with(stem)
            if not file.name[len(name) : len(name) + 1].isalnum()
        ]
        under_way = [file for file in own if self._is_temporary(file.name)]
        files = [f for f in own if f.name.endswith(self._ending) and f not in under_way]
        # The hour's own name before those with an addition: of two alike that one is the original.
        return sorted(files, key=lambda file: (len(file.name), file.path)), under_way

    def fetch(self, found: FoundFile) -> list[LandedFile]:
        """A file brought here, with its hash; an archive's members.

        Raises:
            TransientFailure: The file cannot be read, changes meanwhile, or breaks off.
            PermanentFailure: It is an archive that cannot be unpacked.
        """
        try:
            return self._spool.fetch(found)
        except OSError as error:
            raise self._unreadable(found.path, error) from error

    def read(self, files: Sequence[LandedFile]) -> pa.RecordBatchReader:
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
        found = [(file, self._columns_of(file)) for file in files]
        fields: dict[str, pa.Field] = {}
        unreadable = bool(found) and not any(columns for _, columns in found)
        if unreadable or not isinstance(self._form, ParquetFormat):
            fields = {name: pa.field(name, pa.string()) for name in self._columns}
        for _, columns in found:
            for field in columns or ():
                # A column without any value has no type yet: what it is, a later file says.
                if not pa.types.is_null(field.type):
                    fields.setdefault(field.name, field)
        schema = pa.schema([*fields.values(), *META])
        return pa.RecordBatchReader.from_batches(schema, self._batches(found, schema))

    def close(self) -> None:
        """Ends the connection and deletes what was fetched."""
        self._spool.close()
        self._store.close()

    def _batches(
        self, files: Sequence[tuple[LandedFile, pa.Schema | None]], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        for file, columns in files:
            try:
                for batch in self._rows(file, columns):
                    yield fit_batch(self._placed(file, batch), schema)
                if self._is_in_place(file) and self._store.stat(file.path) != file.found:
                    raise changed(self._name, file.path)
            except OSError as error:
                raise self._unreadable(file.path, error) from error
            self._spool.drop(file)

    def _is_in_place(self, file: LandedFile) -> bool:
        """Whether it is read where the sender may still write."""
        return file.local == self._store.local(file.path)

    def _rows(self, file: LandedFile, columns: pa.Schema | None) -> Iterator[pa.RecordBatch]:
        if isinstance(self._form, ParquetFormat):
            return parquet_batches(file.local, _BATCH_ROWS)
        names = columns.names if columns else []
        return text_batches(file.local, self._form, names, _BATCH_ROWS, self._flattener)

    def _placed(self, file: LandedFile, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with its file, which also begins every message."""
        lines, errors = batch.column("_line"), batch.column("_parse_error")
        if errors.null_count < len(errors):
            told = [
                error and f"{file.path}, line {line}: {error}"
                for line, error in zip(lines.to_pylist(), errors.to_pylist(), strict=True)
            ]
            place = batch.schema.get_field_index("_parse_error")
            batch = batch.set_column(place, "_parse_error", pa.array(told, pa.string()))
        return batch.append_column("_file", pa.array([file.path] * batch.num_rows, pa.string()))

    def _columns_of(self, file: LandedFile) -> pa.Schema | None:
        """The columns of a file; None where it is cut before it has any."""
        if self._flattener is not None:
            return self._flattener.schema
        try:
            if isinstance(self._form, ParquetFormat):
                schema = parquet_schema(file.local)
            else:
                names = column_names(file.local, self._form)
                schema = None if names is None else pa.schema([(n, pa.string()) for n in names])
        except OSError as error:
            raise self._unreadable(file.path, error) from error
        except HeaderFault as fault:
            raise PermanentFailure(
                f"{self._name}, file {file.path}, {fault}; have the sender deliver it "
                "with one name for each column"
            ) from fault
        if schema is not None:
            self._check_columns(file.path, schema.names)
        return schema

    def _check_columns(self, path: str, names: Sequence[str]) -> None:
        own = sorted(RESERVED_COLUMNS.intersection(names))
        missing = [name for name in self._columns if name not in names]
        if own:
            raise PermanentFailure(
                f"{self._name}, file {path}: columns {', '.join(own)} are names of "
                "the platform's own; have the sender rename them"
            )
        if missing and not isinstance(self._form, JsonLinesFormat):
            raise PermanentFailure(
                f"{self._name}, file {path}: no column {', '.join(missing)}; found "
                f"{', '.join(names)}, expected {', '.join(self._columns)}; have the sender "
                "mend the header, or change the table's contract"
            )

    def _stem(self, hour: datetime) -> str:
        local, suffix = local_hour(hour, self._zone)
        return local.strftime(self._pattern) + suffix

    def _is_temporary(self, name: str) -> bool:
        return name.removesuffix(self._ending).endswith(_TEMPORARY)

    def _unreadable(self, path: str, error: OSError) -> TransientFailure:
        return TransientFailure(
            f"{self._name}, file {path}: cannot be read ({error.strerror}); check "
            "that the file is still there and that the platform may read it"
        )
