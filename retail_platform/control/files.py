"""The file registry: which file contents were loaded, from which path, into which hour.

Whether a file is skipped or supersedes another is decided by the load; this remembers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from retail_platform.control.models import file_sightings, files
from retail_platform.failures import TransientFailure


@dataclass(frozen=True, kw_only=True)
class FileRow:
    """One content of one path, as registered.

    Attributes:
        id: Number of the registration.
        table: Bronze table.
        path: Path below the root.
        sha256: Hash of the content, hexadecimal.
        bytes: Size of the content.
        hour: Partition hour that holds the rows, aware UTC.
        rows: Rows that the file gave.
        registered_at: When it was loaded, or found to repeat another path.
        superseded_at: When the path got another content; None while this one is current.
        duplicate_of: Path that had delivered this content before; None where it was loaded.
    """

    id: int
    table: str
    path: str
    sha256: str
    bytes: int
    hour: datetime
    rows: int
    registered_at: datetime
    superseded_at: datetime | None
    duplicate_of: str | None = None


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """A file as a look at its folder found it: path, size, and a stamp that changes with it."""

    path: str
    bytes: int
    stamp: str


class FileRegistry:
    """The registry in one control database.

    A path has one current content; registering another one supersedes it. Only current contents
    are found: a content that was superseded is no longer in the lake, so the same bytes delivered
    again are new.
    """

    def __init__(self, engine: sa.Engine) -> None:
        """Use the database behind an engine of `open_control`."""
        self._engine = engine
        self._reader = engine.execution_options(read_only=True)

    def register(
        self,
        *,
        table: str,
        path: str,
        sha256: str,
        size: int,
        hour: datetime,
        rows: int,
        duplicate_of: str | None = None,
    ) -> FileRow:
        """Remember that a file's content was loaded; the same content again changes nothing.

        Args:
            table: Bronze table, such as ``pos__transactions``.
            path: Path relative to the landing root, with forward slashes.
            sha256: Hash of the whole content, hexadecimal.
            size: Length in bytes.
            hour: Partition hour that holds the rows (aware UTC).
            rows: Rows that the file gave.
            duplicate_of: Path that has the same content, for one that was not loaded for it.

        Returns:
            The current registration of the path.

        Raises:
            TransientFailure: Another process registered the same path at the same moment.
        """
        now = datetime.now(UTC)
        current = _current(table) & (files.c.path == path)
        try:
            with self._engine.begin() as connection:
                known = connection.execute(sa.select(files).where(current)).one_or_none()
                if known is not None and (known.sha256, known.duplicate_of) == (
                    sha256,
                    duplicate_of,
                ):
                    return FileRow(**known._mapping)
                connection.execute(sa.update(files).where(current).values(superseded_at=now))
                values: dict[str, Any] = {
                    "table": table,
                    "path": path,
                    "sha256": sha256,
                    "bytes": size,
                    "hour": hour.astimezone(UTC),
                    "rows": rows,
                    "registered_at": now,
                    "superseded_at": None,
                    "duplicate_of": duplicate_of,
                }
                added = sa.insert(files).values(values).returning(files.c.id)
                return FileRow(id=connection.execute(added).scalar_one(), **values)
        except IntegrityError as error:
            raise TransientFailure(
                f"{table}, file {path}: another process registered it at the same moment; "
                "let it finish, then run this load again"
            ) from error

    def by_hash(self, table: str, sha256: str) -> FileRow | None:
        """The first current registration of a loaded content in a table, under whatever path."""
        loaded = files.c.duplicate_of.is_(None)
        return self._first(_current(table) & loaded & (files.c.sha256 == sha256))

    def by_path(self, table: str, path: str) -> FileRow | None:
        """The current registration of a path in a table."""
        return self._first(_current(table) & (files.c.path == path))

    def history(self, table: str, path: str) -> list[FileRow]:
        """Every content that a path has had, oldest first."""
        query = sa.select(files).where(files.c.table == table, files.c.path == path)
        with self._reader.connect() as connection:
            return [FileRow(**row._mapping) for row in connection.execute(query.order_by("id"))]

    def look(self, table: str, seen: Sequence[Sighting], now: datetime) -> dict[str, datetime]:
        """Remembers how files look, and says since when they have looked so.

        Args:
            table: Bronze table.
            seen: The files as they are.
            now: When they were seen, aware UTC.

        Returns:
            The moment of the first look that found a path as it is now, by path.
        """
        since = self.looked(table, seen)
        new = [sighting for sighting in seen if sighting.path not in since]
        if new:
            with self._engine.begin() as connection:
                paths = [sighting.path for sighting in new]
                connection.execute(
                    sa.delete(file_sightings).where(
                        file_sightings.c.table == table, file_sightings.c.path.in_(paths)
                    )
                )
                connection.execute(
                    sa.insert(file_sightings),
                    [
                        {
                            "table": table,
                            "path": sighting.path,
                            "bytes": sighting.bytes,
                            "stamp": sighting.stamp,
                            "first_seen_at": now,
                        }
                        for sighting in new
                    ],
                )
        return since | {sighting.path: now for sighting in new}

    def looked(self, table: str, seen: Sequence[Sighting]) -> dict[str, datetime]:
        """What `look` would say of the files that earlier looks found as they are now."""
        alike = {(sighting.path, sighting.bytes, sighting.stamp) for sighting in seen}
        query = sa.select(file_sightings).where(
            file_sightings.c.table == table,
            file_sightings.c.path.in_([sighting.path for sighting in seen]),
        )
        with self._reader.connect() as connection:
            return {
                row.path: row.first_seen_at
                for row in connection.execute(query)
                if (row.path, row.bytes, row.stamp) in alike
            }

    def _first(self, condition: sa.ColumnElement[bool]) -> FileRow | None:
        query = sa.select(files).where(condition).order_by(files.c.id).limit(1)
        with self._reader.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else FileRow(**row._mapping)


def _current(table: str) -> sa.ColumnElement[bool]:
    return (files.c.table == table) & files.c.superseded_at.is_(None)
