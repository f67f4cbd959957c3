"""The control database's schema history (Alembic) and the one function that applies it.

Revisions are in `versions`; the newest one's name is repeated here as `HEAD`, so that a database
that is current is recognised by one query, without importing Alembic.
"""

from pathlib import Path

import sqlalchemy as sa

from retail_platform.failures import PermanentFailure

HEAD = "0008"

_VERSION = sa.table("alembic_version", sa.column("version_num"))

# Any number will do as long as nobody else takes it: it names the lock, not a row.
_POSTGRES_LOCK = 7_213_001


def upgrade(engine: sa.Engine) -> None:
    """Bring the database to `HEAD`; nothing happens when it is there already.

    Safe when several processes start at once: the whole upgrade is one transaction behind a lock,
    and whoever gets the lock second finds the work done.

    Args:
        engine: Engine of `retail_platform.control.database.create_control_engine`.

    Raises:
        PermanentFailure: The database carries a revision that this code does not know.
    """
    with engine.connect().execution_options(read_only=True) as connection:
        if current_revision(connection) == HEAD:
            return
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_POSTGRES_LOCK)))
        if current_revision(connection) != HEAD:
            _apply(connection)


def current_revision(connection: sa.Connection) -> str | None:
    """The revision that the database is on; None when it is empty."""
    if not sa.inspect(connection).has_table(_VERSION.name):
        return None
    return connection.scalar(sa.select(_VERSION.c.version_num))


def _apply(connection: sa.Connection) -> None:
    # Imported here because only the first start after an upgrade needs it, and it takes 0.2 s.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, HEAD)
    except CommandError as error:
        raise PermanentFailure(
            f"control database: revision {current_revision(connection)!r} is unknown to this "
            f"version of the platform, which knows up to {HEAD!r}; install the newer version"
        ) from error
