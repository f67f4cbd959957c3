"""The connection to the control database: engine settings per dialect, and the start-up upgrade.

Tables are in `models`, their history in `migrations`; what is asked of them is in `ledger`,
`files` and `schemas`.
"""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from retail_platform.control.migrations import HEAD, current_revision, upgrade
from retail_platform.failures import PermanentFailure, TransientFailure

_LOCK_WAIT_SECONDS = 30
_SUPPORTED = ("sqlite", "postgresql")


def create_control_engine(url: str) -> sa.Engine:
    """An engine for the control database; connects to nothing yet.

    On SQLite every transaction that may write takes the write lock when it begins: two processes
    then wait for each other, where a lock taken half-way would fail at once. Transactions marked
    with the execution option ``read_only`` do not take it.

    Args:
        url: SQLAlchemy URL, for instance ``sqlite:////data/control.db`` or
            ``postgresql+psycopg://user:password@host/control``.

    Returns:
        The engine.

    Raises:
        PermanentFailure: The URL is of a database that the platform does not support.
    """
    parsed = sa.make_url(url)
    dialect = parsed.get_backend_name()
    if dialect not in _SUPPORTED:
        raise PermanentFailure(
            f"control database: dialect {dialect!r} is not supported; "
            f"set the URL to one of {', '.join(_SUPPORTED)}"
        )
    if dialect == "postgresql":
        return sa.create_engine(parsed, pool_pre_ping=True)
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(parsed, connect_args={"timeout": _LOCK_WAIT_SECONDS})
    event.listen(engine, "connect", _leave_transactions_to_sqlalchemy)
    event.listen(engine, "begin", _begin_with_the_lock_it_needs)
    return engine


def open_control(url: str) -> sa.Engine:
    """The engine of a control database that is on the current schema version.

    Args:
        url: SQLAlchemy URL of the control database.

    Returns:
        The engine, ready for `Ledger`, `FileRegistry` and `SchemaVersions`.

    Raises:
        TransientFailure: The database cannot be reached, or stays locked.
        PermanentFailure: The database is newer than this code, or of an unknown kind.
    """
    engine = create_control_engine(url)
    try:
        upgrade(engine)
    except OperationalError as error:
        raise _unreachable(engine, error) from error
    return engine


def open_control_read_only(url: str) -> sa.Engine | None:
    """An engine that cannot write; None where there is no control database yet.

    Args:
        url: SQLAlchemy URL of the control database.

    Raises:
        TransientFailure: The database cannot be reached.
        PermanentFailure: The database is not on this code's schema version.
    """
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if not Path(parsed.database or "").is_file():
            return None
        file = f"file:{quote(str(Path(parsed.database or '').absolute()))}"
        engine = sa.create_engine(parsed.set(database=file, query={"mode": "ro", "uri": "true"}))
    else:
        engine = sa.create_engine(parsed, execution_options={"postgresql_readonly": True})
    try:
        with engine.connect() as connection:
            revision = current_revision(connection)
    except OperationalError as error:
        raise _unreachable(engine, error) from error
    if revision not in (None, HEAD):
        raise PermanentFailure(
            f"control database: it is on revision {revision}, this version expects {HEAD}; "
            "`retail-platform audit` brings an older one up to date"
        )
    return engine if revision else None


def _unreachable(engine: sa.Engine, error: OperationalError) -> TransientFailure:
    # The driver's text can name the URL's parts: only the redacted URL and its class are shown.
    return TransientFailure(
        f"control database {engine.url.render_as_string(hide_password=True)}: "
        f"not reachable ({type(error.orig).__name__}); check that the server runs and that "
        "the setting names the right host and database"
    )


def _leave_transactions_to_sqlalchemy(connection: Any, _record: object) -> None:  # noqa: ANN401
    connection.isolation_level = None


def _begin_with_the_lock_it_needs(connection: sa.Connection) -> None:
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
