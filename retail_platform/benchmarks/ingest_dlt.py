"""dlt's side of `ingest`: the same PostgreSQL table into a Delta table, by its fastest backend.

Run as a process of its own in an environment with the dependency group `peers`, with a folder as
argument and the database's URL on standard input; prints rows, seconds and growth as JSON. Of dlt's
backends for SQL (sqlalchemy, pyarrow, pandas, connectorx) connectorx is the fastest.
"""

import json
import os
import sys
import time
from pathlib import Path

from deltalake import DeltaTable

from retail_platform.benchmarks.ingest import FEW, MANY
from retail_platform.demo.memory import PeakMemory


def load(url: str, folder: Path) -> dict[str, float]:
    """Loads the large table and says how many rows, in which time, with how much more memory."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    import dlt  # pyright: ignore[reportMissingImports]
    from dlt.destinations import filesystem  # pyright: ignore[reportMissingImports]
    from dlt.sources.sql_database import sql_table  # pyright: ignore[reportMissingImports]

    def loaded(name: str) -> None:
        table = sql_table(
            credentials=url.replace("postgresql://", "postgresql+psycopg://"),
            table=name,
            backend="connectorx",
            backend_kwargs={"conn": url},
        )
        table.apply_hints(write_disposition="append", table_format="delta")
        pipeline = dlt.pipeline(
            f"peer_{name}",
            pipelines_dir=str(folder / "state"),
            destination=filesystem(bucket_url=str(folder / "lake")),
            dataset_name="bronze",
        )
        pipeline.run(table, loader_file_format="parquet").raise_on_failed_jobs()

    loaded(FEW)
    with PeakMemory() as idle:
        time.sleep(1)
    with PeakMemory() as busy:
        started = time.perf_counter()
        loaded(MANY)
        seconds = time.perf_counter() - started
    rows = DeltaTable(str(folder / "lake" / "bronze" / MANY)).count()
    return {"rows": rows, "seconds": seconds, "growth": max(busy.peak - idle.peak, 0)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(load(sys.stdin.read().strip(), Path(sys.argv[1]))) + "\n")
