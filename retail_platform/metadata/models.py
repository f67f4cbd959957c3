"""A table is one row of metadata: the frozen, validated models of a table of a source.

Only shapes and their own validity live here. What a row has to do with its source's connection is
in ``source``; reading files and checking rows against each other belongs in ``loader``, checking
them against their contracts in ``row_checks``.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from retail_platform.metadata.ads import GaqlReport, InsightsReport
from retail_platform.metadata.column_policies import (
    Pii,
    Removed,
    SchemaModes,
    SoftDelete,
    pii_from,
    removed_from,
)
from retail_platform.metadata.file_delivery import (
    Archive,
    Completeness,
    archive_from,
    completeness_from,
)
from retail_platform.metadata.file_formats import CSV, FileFormat, JsonLinesFormat
from retail_platform.metadata.rest import Endpoint, MemberPath
from retail_platform.metadata.sql_reads import CHANGE_OPERATION, Changes, PartitionedRead
from retail_platform.metadata.streams import Stream
from retail_platform.metadata.upkeep import Upkeep
from retail_platform.metadata.values import Duration, Frozen, Name
from retail_platform.metadata.watermark import Watermark

PARENT_WAIT = timedelta(minutes=15)
"""How long a running parent is waited for where metadata does not say otherwise."""


class Reference(Frozen):
    """A foreign key: unknown members get an inferred row in ``entity``.

    Attributes:
        column: Column of this table.
        entity: Silver entity whose single-column key it refers to.
    """

    column: Name
    entity: Name


class SilverTarget(Frozen):
    """Where and how a table arrives in Silver.

    Attributes:
        entity: Silver table name; its contract has the same name.
        merge: How new rows meet stored ones. ``upsert`` keeps one row a key, ``scd2`` its versions.
            ``append`` keeps keys that a whole read lacks. ``replace`` makes the table the newest
            whole read: keys without a good row in it become tombstones, an older hour changes
            nothing.
        sweep: Columns that name a slice which every read delivers whole: stored keys of a slice
            that the newest read lacks become tombstones. Snapshot and full loads sweep the table.
        deletes: ``soft`` keeps tombstones; ``hard`` purges them once they are older than the late
            window, after which the lake has forgotten the key.
        partition_by: Columns whose values part the table into folders, for large tables; fixed
            once the table exists. A key may move between them.
        cluster_by: Columns by which maintenance sorts rows into files, the key's as a rule: loads
            and lookups then skip the files that cannot hold their keys.
        max_shrink: Fall of the row count of a swept table (0 to 1) beyond which it is held.
    """

    entity: Name
    merge: Literal["upsert", "scd2", "append", "replace"]
    sweep: tuple[Name, ...] = ()
    deletes: Literal["soft", "hard"] = "soft"
    partition_by: tuple[Name, ...] = ()
    cluster_by: tuple[Name, ...] = ()
    max_shrink: float = Field(default=0.2, ge=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _leaves_the_quarantine_to_the_contract(cls, value: object) -> object:
        names = [str(name) for name in value] if isinstance(value, Mapping) else []
        names = [name for name in names if "quarantined" in name]
        if names:
            raise ValueError(
                f"{', '.join(names)}: thresholds of the quarantine belong to the contract; write "
                "at its table's quality {type: custom, engine: retail_platform, implementation: "
                "{measure: quarantinedRows}, unit: percent, mustBeLessOrEqualTo: 50}"
            )
        return value


class Dependency(Frozen):
    """Silver waits for another table's Silver of the same hour.

    Attributes:
        table: Table of the same source, or ``source.table``.
        required: A failed required parent blocks this table; a soft one only goes first.
        wait: How long a parent that another run still loads is waited for.
    """

    table: str
    required: bool = True
    wait: Duration = PARENT_WAIT


def _dependency(value: object) -> object:
    return {"table": value} if isinstance(value, str) else value


class TableRow(Frozen):
    """One table of one source.

    Attributes:
        table: Name of the table; ``<source>__<table>`` in Bronze.
        source_name: Name in the database where it differs: other case, spaces, ``schema.name``.
        load: ``incremental`` reads by watermark, ``full`` and ``snapshot`` read the whole table,
            ``files`` reads the files of the hour, ``restated`` reads trailing days again,
            ``stream`` reads the messages of a topic that arrived in the hour, ``changes`` what has
            changed since the last read by the positions that the database gives to changes.
        key: Silver columns that identify a row.
        watermark: Required by incremental loads; orders versions in every load.
        changes: For ``changes``: which positions.
        read: How a large table of a SQL database is read over several connections where more than
            a day of it is read at once; None: over one.
        deleted: Column by which the source marks deleted rows.
        columns: Source name to target name, where they differ.
        null_tokens: Texts that mean NULL, for text sources.
        trim: Whether text values lose surrounding white space in Silver.
        case: Silver text columns that are turned to lower or upper case.
        removed: What stands in for columns that the source no longer has.
        drift: What new columns and unreadable values do; ``schema`` in the file.
        restate_days: Trailing days that each fetch of a ``restated`` table reads again.
        restate_daily_days: The same for the first fetch of each day of the source, for what changes
            long after; None: no more than ``restate_days``.
        insights: For Facebook Ads: which report.
        gaql: For Google Ads: which report.
        path: For files: path pattern below the root, a ``strftime`` pattern of the local hour.
        files: For files: how they are written; plain CSV where it is left out.
        complete: For files: how a whole delivery is told from one under way.
        archive: For files: how they are packed; None where they are not.
        stream: For streams: the topic and how its messages become rows.
        rest: For REST: how the list is asked for.
        child_of: Table of the same source in whose records the rows lie. Load, path, files,
            complete, archive, rest and stream are that table's where they are left out here.
        elements: Path of the list whose elements are the rows, one row for each; None: each record
            is a row. Columns are then paths in the element, ``_record.`` before a path begins at
            the record, ``_parent.`` at what holds the list, ``_position`` is the place in the list
            (from 0) and ``_element`` a hash of the element, for lists without ids. ``silver:
            {sweep: [x]}`` of a column ``_record.y: x`` makes tombstones of the rows that a record
            has lost, also where its list is empty now.
        lists: Paths in the row that tables of their own hold; found from those tables.
        maintenance: How its tables are compacted and how long their older versions are kept.
        pii: Personal Silver columns and how each is protected.
        depends_on: Order and blocking between Silver tables.
        references: Foreign keys with inferred members.
        description: What the table holds, for people.
        freshness: How old the newest materialised hour may get before it counts as stale.
    """

    table: Name
    load: Literal["incremental", "full", "snapshot", "files", "restated", "stream", "changes"]
    key: tuple[Name, ...] = Field(min_length=1)
    silver: SilverTarget
    source_name: str | None = None
    watermark: Watermark | None = None
    changes: Changes | None = None
    read: PartitionedRead | None = None
    deleted: SoftDelete | None = None
    columns: dict[str, Name] = Field(default_factory=dict)
    null_tokens: tuple[str, ...] = ()
    trim: bool = True
    case: dict[Name, Literal["lower", "upper"]] = Field(default_factory=dict)
    removed: Annotated[Removed, BeforeValidator(removed_from)] = Removed()
    drift: SchemaModes = Field(default=SchemaModes(), alias="schema")
    restate_days: int = Field(default=3, ge=0, le=90)
    restate_daily_days: int | None = Field(default=None, ge=0, le=90)
    insights: InsightsReport | None = None
    gaql: GaqlReport | None = None
    path: str | None = None
    files: FileFormat | None = None
    complete: Annotated[Completeness, BeforeValidator(completeness_from)] = Completeness()
    archive: Annotated[Archive | None, BeforeValidator(archive_from)] = None
    stream: Stream | None = None
    rest: Endpoint | None = None
    child_of: Name | None = None
    elements: MemberPath | None = None
    lists: tuple[MemberPath, ...] = ()
    maintenance: Upkeep = Upkeep()
    pii: dict[Name, Annotated[Pii, BeforeValidator(pii_from)]] = Field(default_factory=dict)
    depends_on: tuple[Annotated[Dependency, BeforeValidator(_dependency)], ...] = ()
    references: tuple[Reference, ...] = ()
    description: str = ""
    freshness: Duration = timedelta(hours=3)

    @model_validator(mode="after")
    def _loads_are_complete(self) -> "TableRow":
        if self.load == "incremental" and self.watermark is None:
            raise ValueError("an incremental load needs watermark: {column: ...}")
        if (self.load == "files") != (self.path is not None):
            raise ValueError("path goes with load: files, and only there")
        for name in ("files", "complete", "archive"):
            if name in self.model_fields_set and self.load != "files":
                raise ValueError(f"{name} goes with load: files, and only there")
        if (self.load == "stream") != (self.stream is not None):
            raise ValueError("stream: {topic: ...} goes with load: stream, and only there")
        if (self.load == "changes") != (self.changes is not None):
            raise ValueError("changes: {by: ...} goes with load: changes, and only there")
        if self.file_format.incomplete == "hold" and not self._swept_by_file:
            raise ValueError(
                "files: {incomplete: hold} needs columns: {_file: x} and silver: {sweep: [x]}, so "
                "that the file that is delivered again takes the place of the one held"
            )
        if self.silver.merge == "scd2" and self.watermark is None:
            raise ValueError("merge: scd2 needs watermark: {column: ...}, its valid_from")
        if self.silver.merge == "scd2" and self.silver.sweep:
            raise ValueError("merge: scd2 sweeps whole tables only; leave sweep out")
        return self

    @model_validator(mode="after")
    def _deletes_of_change_tracking_are_seen(self) -> "TableRow":
        if self.changes is None or self.changes.by != "change_tracking":
            return self
        marked = self.columns.get(CHANGE_OPERATION)
        values = [value.lower() for value in self.deleted.values] if self.deleted else []
        if self.deleted is None or self.deleted.column != marked or values != ["d"]:
            raise ValueError(
                "by: change_tracking needs columns: {_change_operation: change} and deleted: "
                "{column: change, values: [D]}: a deleted row has no more than its key, and would "
                "pass for a row without values"
            )
        return self

    @model_validator(mode="after")
    def _apis_are_asked_in_full(self) -> "TableRow":
        if self.rest is not None and self.load not in ("incremental", "full", "snapshot"):
            raise ValueError(f"rest goes with load: incremental, full or snapshot, not {self.load}")
        if self.rest is not None and self.load == "incremental" and self.rest.since is None:
            raise ValueError("an incremental load of an API needs rest: {since: {member: ...}}")
        nested = self.rest is not None or self.stream is not None or self._nested_lines
        if (self.elements or self.lists) and not nested:
            raise ValueError(
                "elements and lists go with rest, stream, or files: {format: jsonl, nested: true}"
            )
        return self

    @model_validator(mode="after")
    def _slices_are_told(self) -> "TableRow":
        if self.silver.sweep and self.load == "stream":
            raise ValueError(
                "silver.sweep goes with reads that bring a slice once; an hour of a topic may hold "
                "several states of it: leave sweep out"
            )
        if self.silver.sweep and self.elements and not self._swept_by_file:
            if self.is_swept_by_record:
                return self
            raise ValueError(
                "silver.sweep of elements names columns of their record, such as columns: "
                "{_record.id: x} and sweep: [x]: only it tells that its list is empty"
            )
        return self

    @model_validator(mode="after")
    def _merge_fits_load(self) -> "TableRow":
        merge, sweep = self.silver.merge, self.silver.sweep
        whole = self.load in ("full", "snapshot")
        if merge == "replace" and not whole and self.load != "files":
            raise ValueError(
                f"silver.merge: replace goes with whole reads (full, snapshot, files); load: "
                f"{self.load} reads a part of the table, and the rest would be lost. Use upsert"
            )
        if sweep and (whole or merge == "replace"):
            raise ValueError(
                "silver.sweep names slices of partial reads; here every read is the whole table, "
                "which is swept as a whole: leave sweep out"
            )
        if merge == "scd2" and self.silver.deletes == "hard":
            raise ValueError(
                "silver.deletes: hard would leave the deleted key's last version open; merge: scd2 "
                "keeps history and goes with deletes: soft"
            )
        if self.load == "restated" and not sweep:
            raise ValueError(
                "a restated load replaces slices: name their columns in silver.sweep, such as "
                "sweep: [account_id, day], with merge: upsert or append"
            )
        return self

    @property
    def name_in_source(self) -> str:
        """What the database calls the table, with its schema where it is not the default one."""
        return self.source_name or self.table

    def in_source(self, column: str) -> str:
        """What the source calls a column of Silver."""
        spelled = {target: source for source, target in self.columns.items()}
        return spelled.get(column, column)

    @property
    def positions(self) -> str | None:
        """What its recorded positions are of: with another topic or column they begin anew."""
        if self.stream is not None:
            return self.stream.topic
        if self.changes is not None:
            column = f".{self.changes.column}" if self.changes.column else ""
            return f"{self.changes.by} of {self.name_in_source}{column}"
        return None

    @property
    def file_format(self) -> FileFormat:
        """How the table's files are written."""
        return self.files or CSV

    @property
    def is_nested(self) -> bool:
        """Whether its columns are paths in nested records."""
        return self.rest is not None or self._nested_lines

    @property
    def _nested_lines(self) -> bool:
        return isinstance(self.files, JsonLinesFormat) and self.files.nested

    @property
    def is_swept_by_record(self) -> bool:
        """Whether its rows are elements of a list that each record brings whole."""
        found = [self.in_source(name) for name in self.silver.sweep]
        return bool(self.elements and found) and all(p.startswith("_record.") for p in found)

    @property
    def _swept_by_file(self) -> bool:
        return self.silver.sweep == (self.columns.get("_file"),)

    @property
    def kept_clear(self) -> tuple[str, ...]:
        """Personal columns whose clear values the restricted table keeps, in order."""
        return tuple(name for name, pii in self.pii.items() if pii.keep_clear)

    @property
    def swept_by(self) -> tuple[str, ...] | None:
        """The slice columns of a table whose reads are whole; None where reads are partial."""
        if self.silver.merge == "replace":
            return ()
        if self.load in ("full", "snapshot"):
            return None if self.silver.merge == "append" else ()
        return self.silver.sweep or None

    @property
    def ends_what_a_reload_lacks(self) -> bool:
        """Whether a full reload among hours of changes makes tombstones of keys that it lacks."""
        return self.load == "changes" and self.silver.merge != "append"

    @property
    def keeps_whole_reads(self) -> bool:
        """Whether a changed re-read of an hour is stored whole: so is it known what it lacks."""
        return bool(self.silver.sweep) or self.silver.merge == "replace"
