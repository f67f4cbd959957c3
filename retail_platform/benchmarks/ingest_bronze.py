"""The platform's side of `ingest`: one Bronze load of a PostgreSQL table, timed and weighed.

Run as a process of its own with a folder as argument and the database's URL on standard input;
prints rows, seconds and growth as JSON. A small table is loaded first: what the process takes after
it is what it takes when idle.
"""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import yaml
from deltalake import DeltaTable

from retail_platform.benchmarks.ingest import FEW, MANY
from retail_platform.bronze.load import BronzeLoader
from retail_platform.control.database import open_control
from retail_platform.control.files import FileRegistry
from retail_platform.control.ledger import Ledger
from retail_platform.demo.memory import PeakMemory
from retail_platform.extract.opening import open_reader
from retail_platform.lakehouse.engine import open_engine
from retail_platform.lakehouse.tables import Lakehouse
from retail_platform.metadata.loader import Catalog, load_catalog
from retail_platform.settings import Engine

HOUR = datetime(2026, 1, 5, 12, tzinfo=UTC)
VARIABLE = "INGEST_URL"
COLUMNS = {
    "order_id": ("integer", "bigint"),
    "customer_id": ("integer", "int"),
    "store_id": ("integer", "int"),
    "quantity": ("integer", "int"),
    "unit_price": ("number", "decimal(12,4)"),
    "amount": ("number", "decimal(19,4)"),
    "status": ("string", "string"),
    "note": ("string", "string"),
    "is_gift": ("boolean", "boolean"),
    "modified_at": ("timestamp", "timestamp"),
}


def load(url: str, folder: Path) -> dict[str, float]:
    """Loads the large table and says how many rows, in which time, with how much more memory."""
    catalog = write_catalog(folder / "catalog")
    control = open_control(f"sqlite:///{folder / 'control.db'}")
    with open_engine(Engine.EMBEDDED) as session:
        lake = Lakehouse(session.spark, str(folder / "lake"))

        def loaded(entity: str) -> int:
            table = catalog.by_entity[entity]
            with open_reader(table, FileRegistry(control), {VARIABLE: url}) as reader:
                loader = BronzeLoader(
                    table=table,
                    reader=reader,
                    lakehouse=lake,
                    ledger=Ledger(control),
                    run_id="bench",
                    engine=Engine.EMBEDDED.value,
                )
                return loader.load(HOUR).counts.applied

        loaded(FEW)
        with PeakMemory() as idle:
            time.sleep(1)
        with PeakMemory() as busy:
            started = time.perf_counter()
            loaded(MANY)
            seconds = time.perf_counter() - started
        rows = DeltaTable(lake.location("bronze", f"bench__{MANY}")).count()
    return {"rows": rows, "seconds": seconds, "growth": max(busy.peak - idle.peak, 0)}


def write_catalog(folder: Path) -> Catalog:
    """Writes and reads the metadata of the two tables."""
    tables = [
        {
            "table": name,
            "load": "incremental",
            "key": ["order_id"],
            "watermark": {"column": "modified_at"},
            "silver": {"entity": name, "merge": "upsert"},
        }
        for name in (FEW, MANY)
    ]
    source = {
        "source": "bench",
        "connection": {"kind": "sql", "url": {"env": VARIABLE}, "timezone": "UTC"},
        "tables": tables,
    }
    (folder / "sources").mkdir(parents=True)
    (folder / "contracts" / "silver").mkdir(parents=True)
    (folder / "sources" / "bench.yaml").write_text(yaml.safe_dump(source), "utf-8")
    for name in (FEW, MANY):
        path = folder / "contracts" / "silver" / f"{name}.yaml"
        path.write_text(yaml.safe_dump(_contract(name)), "utf-8")
    return load_catalog(folder)


def _contract(name: str) -> dict[str, object]:
    properties: list[dict[str, object]] = [
        {"name": column, "logicalType": logical, "physicalType": physical, "description": column}
        for column, (logical, physical) in COLUMNS.items()
    ]
    properties[0] |= {"required": True, "primaryKey": True, "primaryKeyPosition": 1}
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": name,
        "name": name,
        "version": "1.0.0",
        "status": "active",
        "schema": [
            {"name": name, "physicalName": name, "description": name, "properties": properties}
        ],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(load(sys.stdin.read().strip(), Path(sys.argv[1]))) + "\n")
