"""The file registry: which file contents were loaded, from which path, into which hour.

Whether a file is skipped or supersedes another is decided by the load; this remembers.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from retail_platform.control.models import files
from retail_platform.failures import TransientFailure


@dataclass(frozen=True, kw_only=True)
class FileRow:
    """One content of one path, as registered; `superseded_at` is None while it is current."""

    id: int
    table: str
    path: str
    sha256: str
    bytes: int
    hour: datetime
    rows: int
    registered_at: datetime
    superseded_at: datetime | None


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
        self, *, table: str, path: str, sha256: str, size: int, hour: datetime, rows: int
    ) -> FileRow:
        """Remember that a file's content was loaded; the same content again changes nothing.

        Args:
            table: Bronze table, such as ``pos__transactions``.
            path: Path relative to the landing root, with forward slashes.
            sha256: Hash of the whole content, hexadecimal.
            size: Length in bytes.
            hour: Partition hour that holds the rows (aware UTC).
            rows: Rows that the file gave.

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
                if known is not None and known.sha256 == sha256:
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
                }
                added = sa.insert(files).values(values).returning(files.c.id)
                return FileRow(id=connection.execute(added).scalar_one(), **values)
        except IntegrityError as error:
            raise TransientFailure(
                f"{table}, file {path}: another process registered it at the same moment; "
                "let it finish, then run this load again"
            ) from error

    def by_hash(self, table: str, sha256: str) -> FileRow | None:
        """The first current registration of a content in a table, under whatever path."""
        return self._first(_current(table) & (files.c.sha256 == sha256))

    def by_path(self, table: str, path: str) -> FileRow | None:
        """The current registration of a path in a table."""
        return self._first(_current(table) & (files.c.path == path))

    def history(self, table: str, path: str) -> list[FileRow]:
        """Every content that a path has had, oldest first."""
        query = sa.select(files).where(files.c.table == table, files.c.path == path)
        with self._reader.connect() as connection:
            return [FileRow(**row._mapping) for row in connection.execute(query.order_by("id"))]

    def _first(self, condition: sa.ColumnElement[bool]) -> FileRow | None:
        query = sa.select(files).where(condition).order_by(files.c.id).limit(1)
        with self._reader.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else FileRow(**row._mapping)


def _current(table: str) -> sa.ColumnElement[bool]:
    return (files.c.table == table) & files.c.superseded_at.is_(None)
