"""The same merge by dlt, for comparison: every table of a SQLite file into one Delta layer.

Run as a process of its own in an environment with the dependency group `peers`; prints the seconds
of dlt's run as JSON. Nothing else of the platform imports dlt.
"""

import json
import os
import sqlite3
import sys
import time
from pathlib import Path


def merge_all(database: Path, folder: Path) -> float:
    """Merges what is new in every table by key, and returns the seconds that dlt took.

    dlt remembers between calls, in ``folder``, up to which ``modified_at`` it has read.

    Args:
        database: SQLite file.
        folder: Where layer and state are.
    """
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    import dlt  # pyright: ignore[reportMissingImports]
    from dlt.destinations import filesystem  # pyright: ignore[reportMissingImports]
    from dlt.sources.sql_database import sql_table  # pyright: ignore[reportMissingImports]

    connection = sqlite3.connect(database)
    query = "select name from sqlite_master where type = 'table' and name <> 'clock'"
    names = [name for (name,) in connection.execute(query)]
    connection.close()
    tables = []
    for name in names:
        table = sql_table(
            credentials=f"sqlite:///{database}",
            table=name,
            backend="pyarrow",
            incremental=dlt.sources.incremental("modified_at"),
        )
        table.apply_hints(
            primary_key="id",
            table_format="delta",
            write_disposition={"disposition": "merge", "strategy": "upsert"},
        )
        tables.append(table)
    pipeline = dlt.pipeline(
        "peer",
        pipelines_dir=str(folder / "state"),
        destination=filesystem(bucket_url=str(folder / "lake")),
        dataset_name="silver",
    )
    started = time.perf_counter()
    pipeline.run(tables).raise_on_failed_jobs()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.stdout.write(
        json.dumps({"seconds": merge_all(Path(sys.argv[1]), Path(sys.argv[2]))}) + "\n"
    )
