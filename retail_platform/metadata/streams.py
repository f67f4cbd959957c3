"""A table that is read from a topic: which messages, and how they become rows.

Only the shape and its own validity live here. How a cluster is reached is in `connections`, what an
hour of a topic is in `retail_platform.extract.offsets`.
"""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from retail_platform.metadata.values import Duration, Frozen


class Stream(Frozen):
    """The topic of a table.

    Bronze has the members of the JSON object that a message is as columns of text, and beside them
    ``_topic``, ``_partition``, ``_offset``, ``_key``, ``_arrived_at``, ``_tombstone`` (a key
    without a payload), ``_raw`` (the payload as it came) and ``_parse_error``. ``columns`` of the
    row may name any of them. A list inside the event is a table of its own, see ``child_of``: its
    rows have ``_position``, and ``_raw`` only where the event cannot be read.

    Attributes:
        topic: Its name.
        start: What the first loaded hour of the table reads: ``earliest`` all that the broker still
            holds up to its end, ``hour`` what arrived in it.
        columns: ``observed`` makes every member a column as it appears, but for lists that are
            tables of their own; ``declared`` only those of the contract, the others stay in
            ``_raw``. The elements of a list have the contract's, the others are in ``_extra``.
        max_lag: How far the end of the last read hour may lie behind the source's clock while
            messages wait, before the check ``consumer_lag`` warns.
    """

    topic: str = Field(min_length=1)
    start: Literal["earliest", "hour"] = "earliest"
    columns: Literal["observed", "declared"] = "observed"
    max_lag: Duration = timedelta(hours=3)
