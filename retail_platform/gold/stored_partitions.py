"""By what the stored Gold tables are partitioned, told to dbt: no SQL of Sail says it.

A table that was made before its model named a partition, or another one, gives right results and
reads more each hour; the materialization refuses it. Not here: that refusal (`scoped_merge.sql`).
"""

import json

from deltalake import DeltaTable

from retail_platform.lakehouse.places import stored_tables, table_location

STORED_PARTITIONS = "RETAIL_STORED_PARTITIONS"
"""Variable of a dbt process; without it no table is refused."""


def stored_partitions(gold_root: str) -> str:
    """Tables of a local lake to the columns that part them, as JSON; none of a remote lake.

    Args:
        gold_root: Folder or URL below which the Gold tables lie.
    """
    root = gold_root.rstrip("/").rpartition("/")[0]
    return json.dumps(
        {
            name: DeltaTable(table_location(root, "gold", name)).metadata().partition_columns
            for name in stored_tables(root, "gold")
        }
    )
