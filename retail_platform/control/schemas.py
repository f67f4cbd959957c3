"""Schema versions: a number for each shape that a table has had. Shapes are compared elsewhere."""

import hashlib
import json
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from retail_platform.control.models import schema_versions
from retail_platform.failures import TransientFailure


class SchemaVersions:
    """The schema versions in one control database."""

    def __init__(self, engine: sa.Engine) -> None:
        """Use the database behind an engine of `open_control`."""
        self._engine = engine
        self._reader = engine.execution_options(read_only=True)

    def schema_version(self, table: str, schema_json: str) -> int:
        """The number of a schema, given out when it is first seen.

        Args:
            table: Table or entity name.
            schema_json: The schema as JSON; the order of an object's keys does not matter, the
                order of a list (columns) does.

        Returns:
            1 for a table's first schema, then counting up; one that comes back keeps its number.

        Raises:
            TransientFailure: Another process gave out the same number to another schema just now.
        """
        text = json.dumps(json.loads(schema_json), sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).hexdigest()
        version = self._find(table, digest)
        return version if version is not None else self._add(table, digest, text)

    def schema(self, table: str, version: int) -> str:
        """The schema of a version, as JSON.

        Raises:
            KeyError: The table has no such version.
        """
        query = sa.select(schema_versions.c.schema_json).where(
            schema_versions.c.table == table, schema_versions.c.version == version
        )
        with self._reader.connect() as connection:
            text = connection.scalar(query)
        if text is None:
            raise KeyError(f"{table}: no schema version {version}")
        return text

    def _find(self, table: str, digest: str) -> int | None:
        query = sa.select(schema_versions.c.version).where(
            schema_versions.c.table == table, schema_versions.c.schema_hash == digest
        )
        with self._reader.connect() as connection:
            return connection.scalar(query)

    def _add(self, table: str, digest: str, text: str) -> int:
        last = sa.select(sa.func.max(schema_versions.c.version)).where(
            schema_versions.c.table == table
        )
        try:
            with self._engine.begin() as connection:
                version = (connection.scalar(last) or 0) + 1
                connection.execute(
                    sa.insert(schema_versions).values(
                        table=table,
                        version=version,
                        schema_hash=digest,
                        schema_json=text,
                        first_seen=datetime.now(UTC),
                    )
                )
        except IntegrityError as error:
            version = self._find(table, digest)
            if version is None:
                raise TransientFailure(
                    f"{table}: another process added a schema version at the same moment; "
                    "run this load again"
                ) from error
        return version
