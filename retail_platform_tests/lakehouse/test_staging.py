"""Staged tables: gone after use, and swept up when their process was killed."""

import os
from datetime import timedelta
from pathlib import Path

from retail_platform.lakehouse.engine import open_engine
from retail_platform.lakehouse.places import STAGING
from retail_platform.lakehouse.tables import Lakehouse
from retail_platform.settings import Engine


def test_a_staged_table_is_gone_after_use_and_an_old_leftover_is_removed(tmp_path: Path) -> None:
    """Nothing stays in the staging folder but what is younger than the given age."""
    with open_engine(Engine.EMBEDDED) as session:
        lake = Lakehouse(session.spark, str(tmp_path))
        with lake.staged(session.spark.range(3)) as rows:
            assert rows.count() == 3
        assert list((tmp_path / STAGING).iterdir()) == []

        old, young = tmp_path / STAGING / "old", tmp_path / STAGING / "young"
        old.mkdir()
        young.mkdir()
        os.utime(old, (0, 0))
        assert lake.remove_abandoned_staging(older_than=timedelta(days=2)) == 1
        assert list((tmp_path / STAGING).iterdir()) == [young]
