"""The file registry: delivered again, delivered under another name, replaced."""

from datetime import UTC, datetime

import sqlalchemy as sa

from retail_platform.control.files import FileRegistry, FileRow

HOUR = datetime(2026, 11, 20, 5, tzinfo=UTC)
TABLE = "pos__transactions"


def register(registry: FileRegistry, path: str, content: str) -> FileRow:
    return registry.register(table=TABLE, path=path, sha256=content, size=10, hour=HOUR, rows=2)


def test_a_content_is_found_under_its_first_name(engine: sa.Engine) -> None:
    registry = FileRegistry(engine)
    register(registry, "a.csv", "aa")
    register(registry, "copy of a.csv", "aa")
    found = registry.by_hash(TABLE, "aa")
    assert found is not None
    assert (found.path, found.hour, found.rows) == ("a.csv", HOUR, 2)
    assert registry.by_hash("other__table", "aa") is None


def test_registering_the_same_again_changes_nothing(engine: sa.Engine) -> None:
    registry = FileRegistry(engine)
    assert register(registry, "a.csv", "aa") == register(registry, "a.csv", "aa")


def test_new_content_supersedes_and_the_old_bytes_become_new_again(engine: sa.Engine) -> None:
    registry = FileRegistry(engine)
    register(registry, "a.csv", "aa")
    register(registry, "a.csv", "bb")
    current = registry.by_path(TABLE, "a.csv")
    assert current is not None
    assert current.sha256 == "bb"
    assert registry.by_hash(TABLE, "aa") is None
    register(registry, "a.csv", "aa")
    assert [row.sha256 for row in registry.history(TABLE, "a.csv")] == ["aa", "bb", "aa"]
    assert registry.by_path(TABLE, "b.csv") is None
