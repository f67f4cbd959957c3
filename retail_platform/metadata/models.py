"""A table is one row of metadata: the frozen, validated models of ``catalog/sources/*.yaml``.

Only shapes and their own validity live here. Reading files and checking rows against each other
and against contracts belongs in ``loader``.
"""

import re
from datetime import timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from retail_platform.metadata.file_formats import CSV, FileFormat
from retail_platform.metadata.upkeep import Upkeep

NAME = re.compile(r"[a-z][a-z0-9_]*")
DURATION = re.compile(r"(\d+)([smhd])")
PARENT_WAIT = timedelta(minutes=15)
"""How long a running parent is waited for where metadata does not say otherwise."""
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ValueError(f"{text!r} is not a name: lower-case letters, digits and underscores")
    return text


def duration_of(text: str) -> timedelta:
    """The duration that a text such as ``30s``, ``5m``, ``3h`` or ``2d`` says.

    Raises:
        ValueError: it is no such text.
    """
    match = DURATION.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a duration such as 30s, 5m, 3h or 2d")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


def _duration(value: object) -> object:
    return value if isinstance(value, timedelta) else duration_of(str(value))


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"{text!r} is not an IANA time zone such as Europe/London") from error
    return text


Name = Annotated[str, AfterValidator(_name)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Zone = Annotated[str, AfterValidator(_zone)]
OutOfOrder = Literal["flag", "exclude", "default"]
"""What becomes of a row whose watermark cannot order it."""


class Frozen(BaseModel):
    """Base of every metadata model: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FromEnvironment(Frozen):
    """A value that the environment holds, named here so that no secret enters the catalog."""

    env: str


class SqlConnection(Frozen):
    """A SQL database.

    Attributes:
        url: SQLAlchemy URL.
        timezone: IANA zone of the naive timestamps that it stores.
        clock_query: Query that returns the source's present; None asks for CURRENT_TIMESTAMP.
    """

    kind: Literal["sql"]
    url: FromEnvironment
    timezone: Zone
    clock_query: str | None = None


class FilesConnection(Frozen):
    """A landing folder.

    Attributes:
        root: Folder that the tables' patterns are relative to.
        timezone: IANA zone of the hour in file names and of naive timestamps in the files.
    """

    kind: Literal["files"]
    root: FromEnvironment
    timezone: Zone


class FacebookAdsConnection(Frozen):
    """The insights edge of the Facebook Marketing API, for one ad account."""

    kind: Literal["facebook_ads"]
    url: FromEnvironment
    token: FromEnvironment
    account: FromEnvironment
    timezone: Zone


class GoogleAdsConnection(Frozen):
    """The search method of the Google Ads API, for one customer."""

    kind: Literal["google_ads"]
    url: FromEnvironment
    token: FromEnvironment
    developer_token: FromEnvironment
    customer: FromEnvironment
    timezone: Zone


Connection = Annotated[
    SqlConnection | FilesConnection | FacebookAdsConnection | GoogleAdsConnection,
    Field(discriminator="kind"),
]


class Gap(Frozen):
    """What becomes of hours that no run has loaded.

    Attributes:
        mode: ``chunk`` loads them one by one, the newest first, some with each run of the job
            ``fill_gaps``, while current hours go on; ``full`` reads all of their rows into the
            hour that is loaded next.
        hours: How many a run of the job loads of the table.
    """

    mode: Literal["chunk", "full"] = "chunk"
    hours: int = Field(default=24, ge=1)


class Watermark(Frozen):
    """The column that says when a row last changed.

    Attributes:
        column: Silver name of the column.
        buffer: How far before the hour a window reaches back, for rows committed out of order.
        null: What becomes of rows without a watermark: ``flag`` quarantines, ``exclude`` leaves
            them in Bronze only, ``default`` dates them by the source's clock when their content
            was first read.
        future: The same for rows whose watermark lies beyond the source's clock and buffer.
        max_lag: How far the source's greatest watermark of the loaded hours may lie beyond the
            greatest that is stored: more means that rows came after their hour was read. None
            allows any lag; the nightly re-read of the late window finds such rows.
        on_lag: Whether more ``warn``s by a check or asks for a ``full`` reload by itself.
        gap: What becomes of hours that no run has loaded.
    """

    column: Name
    buffer: Duration = timedelta(minutes=1)
    null: OutOfOrder = "flag"
    future: OutOfOrder = "flag"
    max_lag: Duration | None = None
    on_lag: Literal["warn", "full"] = "warn"
    gap: Gap = Gap()

    @model_validator(mode="after")
    def _full_needs_a_limit(self) -> "Watermark":
        if self.on_lag == "full" and self.max_lag is None:
            raise ValueError("on_lag: full needs max_lag, such as 3h: beyond which lag?")
        return self

    @property
    def dates_rows(self) -> bool:
        """Whether some rows are dated by the clock in place of their watermark."""
        return "default" in (self.null, self.future)


class Reference(Frozen):
    """A foreign key: unknown members get an inferred row in ``entity``.

    Attributes:
        column: Column of this table.
        entity: Silver entity whose single-column key it refers to.
    """

    column: Name
    entity: Name


class RemovedDefault(Frozen):
    """The value of a column that the source no longer has."""

    default: str | int | float | bool


class Removed(Frozen):
    """What stands in for a column of the contract that the source no longer has.

    Attributes:
        policy: ``keep``: the last known value of the row's key; ``drop``: NULL.
        columns: The same by Silver column, or ``{default: value}``.
    """

    policy: Literal["keep", "drop"] = "keep"
    columns: dict[Name, Literal["keep", "drop"] | RemovedDefault] = Field(default_factory=dict)

    def of(self, column: str) -> Literal["keep", "drop"] | RemovedDefault:
        """The policy of one column."""
        return self.columns.get(column, self.policy)

    def said(self, column: str) -> str:
        """What happens to one column, for people."""
        policy = self.of(column)
        if isinstance(policy, RemovedDefault):
            return f"{column} (is {policy.default!r})"
        return f"{column} (keeps its last value)" if policy == "keep" else f"{column} (is NULL)"


def _removed(value: object) -> object:
    return {"policy": value} if isinstance(value, str) else value


class SchemaModes(Frozen):
    """What a change of the source's schema does.

    Attributes:
        columns: A new column: ``evolve`` keeps it in Bronze and warns, ``freeze`` holds the hour,
            ``discard_value`` keeps it in Bronze and says nothing.
        types: A value that cannot be read as the contract's type: ``freeze`` and ``discard_row``
            quarantine its row, ``discard_value`` makes it NULL, counted by a warning. Types do not
            evolve: another type is another contract, and the table is rewritten for it.
    """

    columns: Literal["evolve", "freeze", "discard_value"] = "evolve"
    types: Literal["freeze", "discard_row", "discard_value"] = "freeze"

    @model_validator(mode="before")
    @classmethod
    def _types_do_not_evolve(cls, value: object) -> object:
        if isinstance(value, dict) and value.get("types") == "evolve":
            raise ValueError(
                "types: evolve would change the table's type under its readers; write the new type "
                "into the contract, or use freeze, discard_row or discard_value"
            )
        return value


def _text(value: object) -> object:
    return str(value).lower() if isinstance(value, bool | int) else value


class SoftDelete(Frozen):
    """How the source marks a row as deleted; such a row becomes a tombstone with its sequence.

    Attributes:
        column: Silver name of the column that says so.
        values: Its values that mean deleted, compared as text without case; none: any value does,
            as in a column ``deleted_at``.
    """

    column: Name
    values: tuple[Annotated[str, BeforeValidator(_text)], ...] = ()


class Pii(Frozen):
    """How a personal text column is protected; ``hash`` alone is short for ``{method: hash}``.

    Attributes:
        method: ``hash`` masks it in Silver by an HMAC over its normal form.
        kind: What it is, which says its normal form: e-mail address, telephone number, any text.
        keep_clear: Whether the normal form is kept in clear in the restricted ``<entity>__pii``.
    """

    method: Literal["hash"]
    kind: Literal["email", "phone", "text"] = "text"
    keep_clear: bool = False


def _pii(value: object) -> object:
    return {"method": value} if isinstance(value, str) else value


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
        warn_quarantined: Share of quarantined rows (0 to 1) beyond which ``row_rules`` warns.
        max_quarantined: Share of quarantined rows (0 to 1) beyond which the hour is held.
        warn_open_quarantined: Open quarantined rows of the whole table beyond which
            ``open_quarantined`` warns. These three are all thresholds of the quarantine.
        max_shrink: Fall of the row count of a swept table (0 to 1) beyond which it is held.
    """

    entity: Name
    merge: Literal["upsert", "scd2", "append", "replace"]
    sweep: tuple[Name, ...] = ()
    deletes: Literal["soft", "hard"] = "soft"
    partition_by: tuple[Name, ...] = ()
    cluster_by: tuple[Name, ...] = ()
    warn_quarantined: float = Field(default=0.0, ge=0, le=1)
    max_quarantined: float = Field(default=0.5, ge=0, le=1)
    warn_open_quarantined: int = Field(default=0, ge=0)
    max_shrink: float = Field(default=0.2, ge=0, le=1)


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
            ``files`` reads the files of the hour, ``restated`` reads trailing days again.
        key: Silver columns that identify a row.
        watermark: Required by incremental loads; orders versions in every load.
        deleted: Column by which the source marks deleted rows.
        columns: Source name to target name, where they differ.
        null_tokens: Texts that mean NULL, for text sources.
        trim: Whether text values lose surrounding white space in Silver.
        case: Silver text columns that are turned to lower or upper case.
        removed: What stands in for columns that the source no longer has.
        drift: What new columns and unreadable values do; ``schema`` in the file.
        restate_days: Trailing days that each fetch of a ``restated`` table reads again.
        path: For files: path pattern below the root, a ``strftime`` pattern of the local hour.
        files: For files: how they are written; plain CSV where it is left out.
        maintenance: How its tables are compacted and how long their older versions are kept.
        pii: Personal Silver columns and how each is protected.
        depends_on: Order and blocking between Silver tables.
        references: Foreign keys with inferred members.
        description: What the table holds, for people.
        freshness: How old the newest materialised hour may get before it counts as stale.
    """

    table: Name
    load: Literal["incremental", "full", "snapshot", "files", "restated"]
    key: tuple[Name, ...] = Field(min_length=1)
    silver: SilverTarget
    source_name: str | None = None
    watermark: Watermark | None = None
    deleted: SoftDelete | None = None
    columns: dict[str, Name] = Field(default_factory=dict)
    null_tokens: tuple[str, ...] = ()
    trim: bool = True
    case: dict[Name, Literal["lower", "upper"]] = Field(default_factory=dict)
    removed: Annotated[Removed, BeforeValidator(_removed)] = Removed()
    drift: SchemaModes = Field(default=SchemaModes(), alias="schema")
    restate_days: int = Field(default=3, ge=0, le=90)
    path: str | None = None
    files: FileFormat | None = None
    maintenance: Upkeep = Upkeep()
    pii: dict[Name, Annotated[Pii, BeforeValidator(_pii)]] = Field(default_factory=dict)
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
        if self.files is not None and self.load != "files":
            raise ValueError("files goes with load: files, and only there")
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

    @property
    def file_format(self) -> FileFormat:
        """How the table's files are written."""
        return self.files or CSV

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
    def keeps_whole_reads(self) -> bool:
        """Whether a changed re-read of an hour is stored whole: so is it known what it lacks."""
        return bool(self.silver.sweep) or self.silver.merge == "replace"


class Source(Frozen):
    """A file of ``catalog/sources``: one connection and its tables.

    Attributes:
        source: Name of the source.
        description: What it is, for people.
        owners: Dagster owners: e-mail addresses or ``team:name``.
        connection: How to reach it.
        tables: One row per table.
    """

    source: Name
    description: str = ""
    owners: tuple[str, ...] = ()
    connection: Connection
    tables: tuple[TableRow, ...] = Field(min_length=1)
