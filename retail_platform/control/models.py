"""The control database's tables (SQLAlchemy Core). Migrations build them; no queries here."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Status(StrEnum):
    """How one attempt to load one asset's hour stands."""

    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    BLOCKED = "BLOCKED"
    MISSED = "MISSED"


class RequestStatus(StrEnum):
    """How a request over a range of hours stands; only a range can be a partial success."""

    OPEN = "OPEN"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    PARTIAL_SUCCESS = "PARTIAL_SUCCESS"
    FAILURE = "FAILURE"


class UtcDateTime(sa.TypeDecorator[datetime]):
    """Aware UTC in and out, on databases that store naive timestamps (SQLite) too."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Refuse naive values: their zone would be a guess."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive timestamp {value.isoformat()}: expected an aware one, in UTC")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ANN401
        """Return aware UTC."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# SQLite numbers rows by itself only for a primary key of the type INTEGER.
_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=sa.text("0"))


loads = sa.Table(
    "loads",
    metadata,
    sa.Column("id", _Id, primary_key=True, autoincrement=True),
    sa.Column("asset", sa.String(200), nullable=False),
    sa.Column("layer", sa.String(20), nullable=False),
    sa.Column("hour", UtcDateTime, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("run_id", sa.String(100), nullable=False),
    sa.Column("engine", sa.String(20), nullable=False),
    sa.Column("window_start", UtcDateTime),
    sa.Column("window_end", UtcDateTime),
    sa.Column("initial", sa.Boolean, nullable=False),
    sa.Column("source_clock", UtcDateTime),
    sa.Column("status", sa.String(20), nullable=False),
    _count("read"),
    _count("rejected"),
    _count("quarantined"),
    _count("duplicates"),
    _count("stale"),
    _count("unchanged"),
    _count("applied"),
    _count("swept"),
    _count("inferred"),
    sa.Column("target_rows_before", sa.BigInteger),
    sa.Column("target_rows_after", sa.BigInteger),
    sa.Column("target_version_before", sa.BigInteger),
    sa.Column("target_version_after", sa.BigInteger),
    sa.Column("bytes", sa.BigInteger),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("finished_at", UtcDateTime),
    sa.Column("seconds", sa.Float),
    sa.Column("watermark_max", UtcDateTime),
    sa.Column("extracted_min", UtcDateTime),
    sa.Column("extracted_max", UtcDateTime),
    sa.Column("schema_version", sa.Integer),
    sa.Column("error", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("reprocess", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("request_id", sa.BigInteger),
    sa.Column("causes", sa.Text),
    sa.Column("cluster", sa.String(100)),
    sa.Column("cost_usd", sa.Float),
    sa.Column("covered", sa.Text),
    sa.CheckConstraint(
        "status IN ('RUNNING', 'SUCCESS', 'FAILURE', 'BLOCKED', 'MISSED')", name="status"
    ),
    sa.UniqueConstraint("asset", "hour", "attempt"),
    sa.Index(None, "asset", "status"),
    sa.Index(None, "started_at"),
)

files = sa.Table(
    "files",
    metadata,
    sa.Column("id", _Id, primary_key=True, autoincrement=True),
    sa.Column("table", sa.String(200), nullable=False),
    sa.Column("path", sa.String(1000), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("hour", UtcDateTime, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("registered_at", UtcDateTime, nullable=False),
    sa.Column("superseded_at", UtcDateTime),
    sa.Column("duplicate_of", sa.String(1000)),
    sa.Index(None, "table", "sha256"),
    # One path has one current content; older contents stay as history.
    sa.Index(
        "uq_files_current_path",
        "table",
        "path",
        unique=True,
        sqlite_where=sa.text("superseded_at IS NULL"),
        postgresql_where=sa.text("superseded_at IS NULL"),
    ),
)

file_sightings = sa.Table(
    "file_sightings",
    metadata,
    sa.Column("table", sa.String(200), primary_key=True),
    sa.Column("path", sa.String(1000), primary_key=True),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("stamp", sa.String(100), nullable=False),
    sa.Column("first_seen_at", UtcDateTime, nullable=False),
)

schema_versions = sa.Table(
    "schema_versions",
    metadata,
    sa.Column("id", _Id, primary_key=True, autoincrement=True),
    sa.Column("table", sa.String(200), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("schema_hash", sa.String(64), nullable=False),
    sa.Column("schema_json", sa.Text, nullable=False),
    sa.Column("first_seen", UtcDateTime, nullable=False),
    sa.UniqueConstraint("table", "version"),
    sa.UniqueConstraint("table", "schema_hash"),
)

requests = sa.Table(
    "requests",
    metadata,
    sa.Column("id", _Id, primary_key=True, autoincrement=True),
    sa.Column("table", sa.String(200), nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("first_hour", UtcDateTime, nullable=False),
    sa.Column("last_hour", UtcDateTime, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("requester", sa.String(200), nullable=False),
    sa.Column("requested_at", UtcDateTime, nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("hours", sa.Integer, nullable=False),
    _count("hours_done"),
    _count("hours_failed"),
    sa.Column("finished_at", UtcDateTime),
    sa.Column("error", sa.Text),
    sa.Column("range_start", UtcDateTime),
    sa.Column("range_end", UtcDateTime),
    sa.Column("owner", sa.String(300)),
    sa.CheckConstraint(
        "status IN ('OPEN', 'RUNNING', 'SUCCESS', 'PARTIAL_SUCCESS', 'FAILURE')", name="status"
    ),
    sa.Index(None, "table", "status"),
)

approvals = sa.Table(
    "approvals",
    metadata,
    sa.Column("id", _Id, primary_key=True, autoincrement=True),
    sa.Column("asset", sa.String(200), nullable=False),
    sa.Column("hour", UtcDateTime, nullable=False),
    sa.Column("rule", sa.String(100), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("person", sa.String(200), nullable=False),
    sa.Column("approved_at", UtcDateTime, nullable=False),
    sa.Column("used_by_load", sa.BigInteger),
    sa.Index(None, "asset", "hour"),
)

quarantine_decisions = sa.Table(
    "quarantine_decisions",
    metadata,
    sa.Column("id", _Id, primary_key=True, autoincrement=True),
    sa.Column("entity", sa.String(200), nullable=False),
    sa.Column("row_hash", sa.String(64), nullable=False),
    sa.Column("decision", sa.String(20), nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("person", sa.String(200), nullable=False),
    sa.Column("decided_at", UtcDateTime, nullable=False),
    sa.Column("contract_version", sa.String(50)),
    sa.Column("load_id", sa.BigInteger),
    sa.CheckConstraint("decision IN ('REPLAYED', 'DISCARDED')", name="decision"),
    sa.Index(None, "entity", "row_hash"),
)

api_calls = sa.Table(
    "api_calls",
    metadata,
    sa.Column("api", sa.String(200), primary_key=True),
    sa.Column("minute", UtcDateTime, primary_key=True),
    sa.Column("calls", sa.BigInteger, nullable=False),
)

stream_offsets = sa.Table(
    "stream_offsets",
    metadata,
    sa.Column("id", _Id, primary_key=True, autoincrement=True),
    sa.Column("table", sa.String(200), nullable=False),
    sa.Column("hour", UtcDateTime, nullable=False),
    sa.Column("topic", sa.String(249), nullable=False),
    sa.Column("partition", sa.Integer, nullable=False),
    sa.Column("start_offset", sa.BigInteger, nullable=False),
    sa.Column("end_offset", sa.BigInteger, nullable=False),
    _count("lost"),
    sa.Column("planned_at", UtcDateTime, nullable=False),
    sa.UniqueConstraint("table", "topic", "hour", "partition"),
)
