"""How a table of a SQL database is read over several connections.

Only the shape and its own validity live here. How a database is reached is in `connections`,
what is asked of it in `retail_platform.extract`.
"""

from pydantic import Field

from retail_platform.metadata.values import Frozen, Name


class PartitionedRead(Frozen):
    """A large table, read by ranges of one column side by side.

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
