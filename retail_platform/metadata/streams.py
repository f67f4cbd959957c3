"""A table that is read from a topic: which messages, and how they become rows.

Only the shape and its own validity live here. How a cluster is reached is in `connections`, what an
hour of a topic is in `retail_platform.extract.offsets`.
"""

from datetime import timedelta
from typing import Literal

from pydantic import Field, model_validator

from retail_platform.metadata.values import Duration, Frozen


class Explode(Frozen):
    """One row for each element of a list inside the event, in place of one row an event.

    Attributes:
        list: Member of the event that holds the list; its elements are objects.
        keep: Members of the event that each of its rows repeats, to the names of their columns.
    """

    list: str
    keep: dict[str, str] = Field(default_factory=dict)


class Stream(Frozen):
    """The topic of a table.

    Bronze has the members of the JSON object that a message is as columns of text, and beside them
    ``_topic``, ``_partition``, ``_offset``, ``_element`` (place in an exploded list), ``_key``,
    ``_arrived_at``, ``_tombstone`` (a key without a payload), ``_raw`` (the payload as it came) and
    ``_parse_error``. ``columns`` of the row may name any of them.

    Attributes:
        topic: Its name.
        start: What the first loaded hour of the table reads: ``earliest`` all that the broker still
            holds up to its end, ``hour`` what arrived in it.
        columns: ``observed`` makes every member a column as it appears; ``declared`` only those of
            the contract, the others stay in ``_raw``.
        explode: A list whose elements are the rows.
        max_lag: How far the end of the last read hour may lie behind the source's clock while
            messages wait, before the check ``consumer_lag`` warns.
    """

    topic: str = Field(min_length=1)
    start: Literal["earliest", "hour"] = "earliest"
    columns: Literal["observed", "declared"] = "observed"
    explode: Explode | None = None
    max_lag: Duration = timedelta(hours=3)

    @model_validator(mode="after")
    def _keeps_once(self) -> "Stream":
        names = [name.lower() for name in self.explode.keep.values()] if self.explode else []
        if len(set(names)) < len(names):
            raise ValueError("explode.keep gives two members the same column")
        return self
