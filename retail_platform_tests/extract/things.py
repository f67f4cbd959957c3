"""A table ``things`` of a real PostgreSQL, and a platform that reads it into Bronze."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from retail_platform.extract.sql import SqlSource
from retail_platform.extract.sql_reader import SqlReader
from retail_platform.extract.window import Window
from retail_platform.metadata.loader import Table, load_catalog
from retail_platform_tests.platform.box import Box
from retail_platform_tests.platform.catalogs import contract, sql_source, write_catalog
from retail_platform_tests.platform.fixtures import Opener


def box_of_things(new_box: Opener, folder: Path, **row: Any) -> Box:
    """A platform with the table, hour by hour by ``modified_at``; ``clock`` tells the time.

    Args:
        new_box: Opens it.
        folder: Where its catalog is written.
        row: What the table's row says beside the rest.
    """
    columns = {"id": "bigint", "label": "string", "modified_at": "timestamp"}
    table = {
        "table": "things",
        "load": "incremental",
        "key": ["id"],
        "watermark": {"column": "modified_at"},
        "silver": {"entity": "things", "merge": "upsert"},
        **row,
    }
    source = sql_source("erp", [table])
    source["connection"]["clock_query"] = "select now from clock"
    return new_box(
        load_catalog(write_catalog(folder, [source], [contract("things", columns, ["id"])]))
    )


class Interrupted(SqlReader):
    """The real reader; ``fault`` strikes after the first batch."""

    def __init__(self, source: SqlSource, fault: Callable[[], None]) -> None:
        super().__init__(source)
        self.fault = fault

    def read(self, table: Table, window: Window) -> pa.RecordBatchReader:
        """The same rows, with the fault between the first and the second batch."""
        reader = super().read(table, window)

        def batches() -> Iterator[pa.RecordBatch]:
            yield reader.read_next_batch()
            self.fault()
            yield from reader

        return pa.RecordBatchReader.from_batches(reader.schema, batches())
