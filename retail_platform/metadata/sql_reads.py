"""How a table of a SQL database is read: over several connections, or by the order of its changes.

Only the shapes and their own validity live here. How a database is reached is in `connections`,
what is asked of it in `retail_platform.extract`.
"""

from typing import Literal

from pydantic import Field, model_validator

from retail_platform.metadata.values import Frozen, Name

CHANGE_OPERATION = "_change_operation"
"""Column of Bronze: what became of a row, of Change Tracking: I, U or D."""


class PartitionedRead(Frozen):
    """A large table of a source that is slow to answer, read by ranges of a column side by side.

    Attributes:
        partition_by: Silver name of a column of whole numbers or timestamps that the source has an
            index on, its primary key as a rule: each range is a query of its own.
        connections: How many connections one read may use at once; the connection's own
            ``max_connections`` holds over all reads together, and a read begins with as many as
            are free. SQLite, a file, is read over one connection.
        ranges: Into how many ranges the values between the least and the greatest are cut; more of
            them even out values that lie unevenly. None: four for each connection.
    """

    partition_by: Name
    connections: int = Field(default=4, ge=2, le=64)
    ranges: int | None = Field(default=None, ge=2, le=1024)

    @property
    def ranges_wanted(self) -> int:
        """Into how many ranges to cut."""
        return self.ranges or 4 * self.connections


class Changes(Frozen):
    """The positions by which a source orders its changes, in place of a time of change.

    An hour's load reads the positions from where the last one ended to where the source stands:
    what commits late, or under an older time, is not passed over. A row has one position, that of
    its last change, so the later of two reads has what is true later: without a ``watermark`` reads
    order the rows in Silver, with one its time does.

    Attributes:
        by: ``rowversion``: a column that every change of a row sets anew, SQL Server's
            ``rowversion`` or PostgreSQL's ``xid8`` (set to ``pg_current_xact_id()`` by default and
            trigger); read below the oldest transaction that is still open. Deletes are not seen.
            ``change_tracking``: SQL Server Change Tracking, which the database keeps for some days:
            each row comes with ``_change_version`` and ``_change_operation`` (I, U or D), deleted
            ones with their key only.
        column: Silver name of the column, for ``rowversion``.
    """

    by: Literal["rowversion", "change_tracking"]
    column: Name | None = None

    @model_validator(mode="after")
    def _names_its_column(self) -> "Changes":
        if (self.by == "rowversion") != (self.column is not None):
            raise ValueError("column goes with by: rowversion, which needs it, and only there")
        return self
