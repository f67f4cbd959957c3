"""Maintenance of one Delta table: compaction, clustering, vacuum, checkpoint, cleanup of its log.

No row changes here, and no engine is needed. When it runs, and for which tables, is decided in
``operations.maintenance``; loads that meet it are ``tables``' concern. Deletion vectors are never
written: Synapse serverless does not read them.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError
from deltalake.fs import DeltaStorageHandler
from pyarrow import fs

from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform.lakehouse.parquet import rewritten
from retail_platform.metadata.upkeep import Upkeep

Result = TypeVar("Result")
Rewrite = Literal["", "compacted", "clustered"]

ATTEMPTS = 5
FIRST_WAIT = 0.2
"""Seconds before a compaction that lost against another commit is tried again; then doubled."""
CHECKPOINT_AFTER = 10
"""Commits without a checkpoint from which on one is written: readers open each of them."""
LOG = "_delta_log"


@dataclass(frozen=True, kw_only=True)
class Maintained:
    """What maintenance did to a table, or would do.

    Attributes:
        table: Layer and name.
        dry_run: Whether nothing was written.
        rewrite: How files were rewritten; empty where it was not needed.
        files_before: Data files of the version before.
        files_after: Data files of the version afterwards; equal in a dry run.
        files_rewritten: Data files that were, or would be, rewritten.
        files_removed: Files that no kept version needs, deleted or to be deleted.
        bytes_removed: Their bytes.
        checkpoint: Whether a checkpoint was, or would be, written.
        log_files_removed: Expired files of the log that were deleted.
    """

    table: str
    dry_run: bool
    rewrite: Rewrite
    files_before: int
    files_after: int
    files_rewritten: int
    files_removed: int
    bytes_removed: int
    checkpoint: bool
    log_files_removed: int

    @property
    def figures(self) -> dict[str, Any]:
        """The same as plain values, for JSON and metadata."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class _File:
    """A data file of the present version, as the log names it."""

    partition: tuple[tuple[str, str | None], ...]
    bytes: int
    written: int


def maintain(
    location: str,
    *,
    table: str,
    upkeep: Upkeep,
    cluster_by: Sequence[str] = (),
    dry_run: bool = False,
) -> Maintained:
    """Brings a table into shape. A second call right after the first one changes nothing.

    Args:
        location: Where the table lives.
        table: Layer and name, for messages.
        upkeep: What to do with it.
        cluster_by: Columns by which rows that are read together lie together; none: only compact.
        dry_run: Only say what would be done.

    Raises:
        TransientFailure: other commits came first again and again.
        PermanentFailure: the table has deletion vectors.
    """
    delta = DeltaTable(location)
    _refuse_deletion_vectors(delta, table)
    files = _files(delta)
    clustered = bool(cluster_by) and _needs_clustering(delta, files, upkeep)
    rewritten = len(files) if clustered else _compactable(files, upkeep)
    if rewritten and not dry_run:
        columns = list(cluster_by) if clustered else []
        _after_others(location, table, lambda found: _rewrite(found, upkeep, columns))
    delta = DeltaTable(location)
    removed, freed = _vacuumed(location, table, upkeep, dry_run=dry_run)
    checkpoint = _commits_since_checkpoint(delta, location) >= CHECKPOINT_AFTER
    expired = 0
    if not dry_run:
        if checkpoint:
            DeltaTable(location).create_checkpoint()
        expired = _cleaned_log(location)
    return Maintained(
        table=table,
        dry_run=dry_run,
        rewrite="" if not rewritten else "clustered" if clustered else "compacted",
        files_before=len(files),
        files_after=len(_files(DeltaTable(location))),
        files_rewritten=rewritten,
        files_removed=removed,
        bytes_removed=freed,
        checkpoint=checkpoint,
        log_files_removed=expired,
    )


def compact_after_load(delta: DeltaTable, *, table: str, upkeep: Upkeep) -> int:
    """Compacts the partitions that have too many small files, as the log says.

    Args:
        delta: The table's present version.
        table: Layer and name, for messages.
        upkeep: How many small files are too many.

    Returns:
        Number of files that were rewritten; most often 0, for the price of reading the log.

    Raises:
        TransientFailure: other commits came first again and again.
    """
    added = pa.table(delta.get_add_actions(flatten=True))
    columns = [f"partition.{name}" for name in delta.metadata().partition_columns]
    small = added.filter(pc.less(added["size_bytes"], upkeep.target_bytes // 2))
    counted = small.select([*columns, "path"]).group_by(columns).aggregate([("path", "count")])
    rewritten = 0
    for row in counted.filter(
        pc.greater_equal(counted["path_count"], upkeep.small_files)
    ).to_pylist():
        values = [(name.removeprefix("partition."), _partition_text(row[name])) for name in columns]
        only = [(name, "=", value) for name, value in values if value is not None]
        metrics = _after_others(
            delta.table_uri, table, lambda found, only=only: _rewrite(found, upkeep, [], only)
        )
        rewritten += int(metrics["numFilesRemoved"])
    return rewritten


def _rewrite(
    delta: DeltaTable,
    upkeep: Upkeep,
    cluster_by: Sequence[str],
    only: Sequence[tuple[str, str, str]] = (),
) -> dict[str, Any]:
    partitions = list(only) or None
    if cluster_by:
        return delta.optimize.z_order(
            list(cluster_by),
            partition_filters=partitions,
            target_size=upkeep.target_bytes,
            writer_properties=rewritten(),
        )
    return delta.optimize.compact(
        partition_filters=partitions,
        target_size=upkeep.target_bytes,
        writer_properties=rewritten(),
    )


def _after_others(location: str, table: str, rewrite: Callable[[DeltaTable], Result]) -> Result:
    """Runs a rewrite, again from the present version when another commit came first."""
    for attempt in range(ATTEMPTS):
        try:
            return rewrite(DeltaTable(location))
        except CommitFailedError as error:
            if attempt == ATTEMPTS - 1:
                raise TransientFailure(
                    f"{table}: {ATTEMPTS} attempts to compact it lost against other commits; "
                    "nothing was changed. Run `retail-platform maintain` when nothing loads it"
                ) from error
            time.sleep(FIRST_WAIT * 2**attempt)
    raise AssertionError("the last attempt returns or raises")


def _files(delta: DeltaTable) -> list[_File]:
    columns = delta.metadata().partition_columns
    return [
        _File(
            partition=tuple((name, _partition_text(row[f"partition.{name}"])) for name in columns),
            bytes=row["size_bytes"],
            written=row["modification_time"],
        )
        for row in pa.table(delta.get_add_actions(flatten=True)).to_pylist()
    ]


def _partition_text(value: object) -> str | None:
    """A partition's value as the log spells it."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S.%f}"
    return None if value is None else str(value)


def _is_small(file: _File, upkeep: Upkeep) -> bool:
    return file.bytes < upkeep.target_bytes / 2


def _compactable(files: Sequence[_File], upkeep: Upkeep) -> int:
    """Small files that have another one beside them in their partition."""
    small: defaultdict[tuple[tuple[str, str | None], ...], int] = defaultdict(int)
    for file in files:
        small[file.partition] += _is_small(file, upkeep)
    return sum(count for count in small.values() if count > 1)


def _needs_clustering(delta: DeltaTable, files: Sequence[_File], upkeep: Upkeep) -> bool:
    """Whether much of the table came since it was last clustered."""
    if len(files) < 2:
        return False
    last = next(
        (
            commit["timestamp"]
            for commit in delta.history()
            if (commit.get("operationMetrics") or {}).get("plannerStrategy") == "zOrder"
        ),
        None,
    )
    if last is None:
        return True
    since = sum(file.bytes for file in files if file.written > last)
    return since >= upkeep.cluster_after * sum(file.bytes for file in files)


def _vacuumed(location: str, table: str, upkeep: Upkeep, *, dry_run: bool) -> tuple[int, int]:
    """Deletes what no kept version needs, also files of writes that never committed."""
    hours = int(upkeep.retention.total_seconds() // 3600)

    def vacuum(delta: DeltaTable, *, dry: bool) -> list[str]:
        # The platform's own lower bound stands in the metadata; Delta's is seven days, whatever.
        return delta.vacuum(hours, dry_run=dry, enforce_retention_duration=False, full=True)

    expired = vacuum(DeltaTable(location), dry=True)
    if not expired:
        return 0, 0
    sizes = fs.PyFileSystem(DeltaStorageHandler(location)).get_file_info(expired)
    if not dry_run:
        _after_others(location, table, lambda delta: vacuum(delta, dry=False))
    return len(expired), sum(info.size or 0 for info in sizes)


def _commits_since_checkpoint(delta: DeltaTable, location: str) -> int:
    names = [path.rpartition("/")[2] for path in _log_files(location)]
    checkpoints = [int(name.split(".")[0]) for name in names if ".checkpoint." in name]
    return delta.version() - max(checkpoints, default=-1)


def _cleaned_log(location: str) -> int:
    """Deletes log files older than Delta's own time for them, as far as a checkpoint has them."""
    before = len(_log_files(location))
    DeltaTable(location).cleanup_metadata()
    return before - len(_log_files(location))


def _log_files(location: str) -> list[str]:
    files = fs.PyFileSystem(DeltaStorageHandler(location)).get_file_info(fs.FileSelector(LOG))
    return [info.path for info in files if info.base_name[:1].isdigit()]


def _refuse_deletion_vectors(delta: DeltaTable, table: str) -> None:
    enabled = delta.metadata().configuration.get("delta.enableDeletionVectors") == "true"
    if enabled or delta.deletion_vectors().read_all().num_rows:
        raise PermanentFailure(
            f"{table}: it has deletion vectors, which Synapse serverless does not read, so that "
            "deleted rows would come back there. On the engine that wrote them run ALTER TABLE ... "
            "SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'false') and REORG TABLE ... APPLY "
            "(PURGE), then maintain it again"
        )
