"""Tables beside the hours: kept current by micro-batches of a topic, with the rows and checks.

A live table has no Bronze and no hours: its newest event by key is its row. No engine judges it, so
its contract can only say what is required and of which type. Reading and merging belong to
``retail_platform.live``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pyarrow as pa
from pydantic import Field

from retail_platform.failures import PermanentFailure
from retail_platform.metadata.connections import Connection, KafkaConnection
from retail_platform.metadata.contract import Contract
from retail_platform.metadata.streams import Stream
from retail_platform.metadata.upkeep import Upkeep
from retail_platform.metadata.values import Duration, Frozen, Name
from retail_platform.metadata.yaml_files import Place

PLACE = pa.schema(
    [
        ("_partition", pa.int32()),
        ("_offset", pa.int64()),
        ("_arrived_at", pa.timestamp("us", "UTC")),
    ]
)
"""Where the event of a row stood in its topic, and when it arrived there."""


class LiveRow(Frozen):
    """One live table.

    Attributes:
        table: Name of the table in Silver, and of its contract.
        topic: Topic whose events are its rows.
        key: Columns that identify a row.
        sequence: Column that orders the events of a key; equal ones by their place in the topic.
        columns: Member to column, where they differ; ``_arrived_at`` and the like are members too.
        group: Consumer group, of this table alone; None: ``retail_platform.<table>``.
        max_lag: How long events may wait before the check ``consumer_lag`` warns.
        most_messages: Messages of one partition that one micro-batch reads at most; what is left
            is the next one's.
        maintenance: How its files are kept in shape.
        description: What the table holds, for people.
    """

    table: Name
    topic: str = Field(min_length=1)
    key: tuple[Name, ...] = Field(min_length=1)
    sequence: Name
    columns: dict[str, Name] = Field(default_factory=dict)
    group: str | None = Field(default=None, min_length=1)
    max_lag: Duration = timedelta(minutes=5)
    most_messages: int = Field(default=100_000, ge=1)
    maintenance: Upkeep = Upkeep()
    description: str = ""

    @property
    def consumer_group(self) -> str:
        """The consumer group that keeps its offsets."""
        return self.group or f"retail_platform.{self.table}"

    @property
    def stream(self) -> Stream:
        """How its messages become rows: what the contract does not know stays in the event."""
        return Stream(topic=self.topic, columns="declared")


@dataclass(frozen=True, kw_only=True)
class LiveTable:
    """A live row together with all that it refers to.

    Attributes:
        source: Name of its source.
        connection: The source's connection.
        owners: The source's owners.
        row: The row itself.
        contract: Its contract.
    """

    source: str
    connection: KafkaConnection
    owners: tuple[str, ...]
    row: LiveRow
    contract: Contract

    @property
    def entity(self) -> str:
        """Name of the Silver table."""
        return self.row.table

    @property
    def pool(self) -> str:
        """Pool of Dagster that keeps two runs from loading or maintaining it at once."""
        return f"silver_{self.entity}"

    @property
    def schema(self) -> pa.Schema:
        """The stored columns: the contract's, and the place of the event."""
        return pa.schema(
            [*((column.name, column.arrow) for column in self.contract.columns), *PLACE]
        )

    @property
    def members(self) -> dict[str, str]:
        """Member of the event to column, for every column of the contract."""
        renamed = {column: member for member, column in self.row.columns.items()}
        return {renamed.get(c.name, c.name): c.name for c in self.contract.columns}


def live_table(
    where: Place,
    row: LiveRow,
    *,
    source: str,
    connection: Connection,
    owners: tuple[str, ...],
    contract: Contract | None,
) -> LiveTable:
    """A live row checked against its connection and its contract.

    Raises:
        PermanentFailure: they contradict each other; the message names file, line and field.
    """
    if not isinstance(connection, KafkaConnection):
        raise PermanentFailure(
            f"{where}: live tables are read from topics, and the connection is of kind "
            f"{connection.kind!r}."
        )
    if contract is None:
        raise PermanentFailure(
            f"{where.at('table')}: live table {row.table!r} has no contract; write "
            f"contracts/silver/{row.table}.yaml."
        )
    if contract.key != row.key:
        raise PermanentFailure(
            f"{where.at('key')}: key {list(row.key)} differs from the primary key "
            f"{list(contract.key)} of contract {contract.name}: the columns with primaryKey: true."
        )
    known = {column.name: column for column in contract.columns}
    for field, names in (("sequence", [row.sequence]), ("columns", list(row.columns.values()))):
        for name in names:
            if name not in known:
                raise PermanentFailure(
                    f"{where.at(field)}: {field} names column {name!r}, which contract "
                    f"{contract.name} does not have. Its columns: {list(known)}."
                )
    optional = [name for name in (*row.key, row.sequence) if not known[name].required]
    if optional:
        raise PermanentFailure(
            f"{where}: {', '.join(optional)} of contract {contract.name} must be required: they "
            "say which row an event replaces."
        )
    written = [str(rule.name or rule.metric) for _, rule in contract.rules]
    if written or any(column.unique for column in contract.columns):
        raise PermanentFailure(
            f"{where}: contract {contract.name} has rules ({', '.join(written) or 'unique'}), and "
            "no micro-batch judges them: it starts no engine. Leave required and types."
        )
    return LiveTable(
        source=source, connection=connection, owners=owners, row=row, contract=contract
    )


def refuse_filled_twice(live: Sequence[LiveTable], filled: Mapping[str, str]) -> None:
    """Refuses live tables whose names others have.

    Args:
        live: All live tables.
        filled: What fills each Silver entity.

    Raises:
        PermanentFailure: two would write to one table.
    """
    taken = dict(filled)
    for table in live:
        if table.entity in taken:
            raise PermanentFailure(
                f"source {table.source}: live table {table.entity!r} has the name of a table that "
                f"{taken[table.entity]} fills; give one of them another name."
            )
        taken[table.entity] = f"source {table.source} by micro-batches"
