"""The control database comes up: fresh, current, newer than the code, and twice at once."""

import multiprocessing
from pathlib import Path

import pytest
import sqlalchemy as sa

from retail_platform.control.database import create_control_engine, open_control
from retail_platform.control.migrations import HEAD, current_revision, upgrade
from retail_platform.control.models import UtcDateTime, metadata
from retail_platform.failures import PermanentFailure, TransientFailure


def _open_and_count_tables(url: str) -> int:
    return len(sa.inspect(open_control(url)).get_table_names())


def test_a_fresh_database_reaches_head_and_matches_the_models(tmp_path: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    engine = open_control(f"sqlite:///{tmp_path}/state/control.db")
    with engine.connect() as connection:
        assert current_revision(connection) == HEAD
        context = MigrationContext.configure(connection, opts={"compare_type": _same_type})
        assert compare_metadata(context, metadata) == []


def _same_type(*arguments: object) -> bool | None:
    return False if isinstance(arguments[4], UtcDateTime) else None


def test_head_is_the_newest_revision() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    from retail_platform.control import migrations

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_a_current_database_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/control.db"
    open_control(url).dispose()
    before = (tmp_path / "control.db").stat().st_mtime_ns
    upgrade(create_control_engine(url))
    assert (tmp_path / "control.db").stat().st_mtime_ns == before


def test_processes_that_start_at_once_both_find_it_ready(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/control.db"
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        counts = pool.map(_open_and_count_tables, [url, url], chunksize=1)
    assert counts == [len(metadata.tables) + 1] * 2


def test_a_newer_database_says_what_to_do(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/control.db"
    with open_control(url).begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(PermanentFailure, match=r"'9999' is unknown.*install the newer"):
        open_control(url)


def test_an_unsupported_database_is_refused() -> None:
    with pytest.raises(PermanentFailure, match="'oracle' is not supported"):
        create_control_engine("oracle://user:secret@host/db")


def test_an_unreachable_database_is_transient_and_hides_the_password() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(TransientFailure) as failure:
        open_control("postgresql+psycopg://loader:s3cret@127.0.0.1:1/control")
    assert "127.0.0.1:1/control" in str(failure.value)
    assert "s3cret" not in str(failure.value)
