"""The one interface of every kind of source, as Bronze sees it."""

from datetime import datetime
from typing import Protocol

import pyarrow as pa

from retail_platform.extract.window import Window
from retail_platform.metadata.loader import Table


class SourceReader(Protocol):
    """Reads the tables of one source."""

    def clock(self) -> datetime:
        """The source's present, aware UTC: an hour that it has not closed is not read."""
        ...

    def read(self, table: Table, window: Window) -> pa.RecordBatchReader:
        """Streams the rows of a window as received; the schema is known before the first batch.

        Raises:
            TransientFailure: the source cannot be reached or has not finished the hour.
            PermanentFailure: the table, a column or a file is not what the metadata says.
        """
        ...

    def committed(self) -> None:
        """Called once the rows of the last read are in Bronze."""
        ...
