"""One hour of a small platform whose lake is a container: run as a process of its own.

The engine and delta-rs take the storage account from the variables of their process. Prints what
Silver holds as JSON. Arguments: root of the lake, a folder for all else.
"""

import json
import sys
from pathlib import Path

from retail_platform.lakehouse.engine import open_engine
from retail_platform.lakehouse.tables import Lakehouse
from retail_platform.settings import Engine
from retail_platform_tests.platform.box import Box
from retail_platform_tests.platform.drops import ENTITY, Drops, drops_catalog


def main(root: str, folder: Path) -> None:
    """Loads a file, then its correction, into Bronze and Silver."""
    catalog = drops_catalog(folder / "catalog", {"format": "csv"})
    with open_engine(Engine.EMBEDDED) as session:
        lake = Lakehouse(session.spark, root)
        box = Box(lake, catalog, f"sqlite:///{folder / 'control.db'}")
        drops = Drops(box, folder / "landing", "csv")
        drops.put("no,article,price\n1,Bread,1.5\n2,Milk,x\n3,Jam,3\n")
        first = drops.load().counts
        drops.put("no,article,price\n1,Bread,1.75\n2,Milk,2\n")
        second = drops.load().counts
        # As a merge too large to be held in memory: through the engine, from a staged table.
        frame = lake.read("silver", ENTITY)
        with lake.staged(frame) as staged:
            copied = staged.count()
        found = {
            "rows": drops.rows(),
            "quarantined": len(box.quarantined(ENTITY)),
            "applied": [first.applied, second.applied],
            "swept": second.swept,
            "bronze": len(box.stored_bronze(ENTITY)),
            "staged": copied,
        }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
