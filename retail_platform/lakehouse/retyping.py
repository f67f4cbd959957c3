"""Columns whose stored type is not the wanted one, and their values in a wider type.

Pure Arrow, so that a rewrite streams and is the same on every engine. Whether a rewrite may happen
is judged by the load.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from retail_platform.metadata.types import is_lossless, sql_type


@dataclass(frozen=True, kw_only=True)
class Retyped:
    """A column that has one type in the lake and another one in its contract.

    Attributes:
        name: The column.
        stored: Its stored Arrow type.
        wanted: The type that the contract gives it.
    """

    name: str
    stored: pa.DataType
    wanted: pa.DataType

    @property
    def lossless(self) -> bool:
        """Whether every stored value can be kept in the wanted type."""
        return is_lossless(sql_type(self.stored), sql_type(self.wanted))

    def __str__(self) -> str:
        """The column with both types, for messages."""
        return f"{self.name}: stored {sql_type(self.stored)}, now {sql_type(self.wanted)}"


def retyped_columns(stored: pa.Schema, wanted: pa.Schema) -> list[Retyped]:
    """The stored columns whose type differs from the wanted one."""
    return [
        Retyped(name=field.name, stored=stored.field(field.name).type, wanted=field.type)
        for field in wanted
        if field.name in stored.names
        and sql_type(stored.field(field.name).type) != sql_type(field.type)
    ]


def widened(
    rows: pa.RecordBatchReader, columns: Sequence[Retyped], *, zone: str
) -> pa.RecordBatchReader:
    """Rows with some columns in wider types; a value that does not fit raises.

    Args:
        rows: Rows as stored.
        columns: The columns to widen.
        zone: IANA zone in which a day began, where a day becomes a moment.
    """
    wanted = {column.name: column.wanted for column in columns}
    schema = pa.schema(
        [field.with_type(wanted.get(field.name, field.type)) for field in rows.schema]
    )

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in rows:
            yield pa.RecordBatch.from_arrays(
                [
                    _as(values, field.type, zone)
                    for values, field in zip(batch.columns, schema, strict=True)
                ],
                schema=schema,
            )

    return pa.RecordBatchReader.from_batches(schema, batches())


def _as(values: pa.Array, wanted: pa.DataType, zone: str) -> pa.Array:
    if pa.types.is_date(values.type) and pa.types.is_timestamp(wanted):
        midnight = values.cast(pa.timestamp("us"))
        # As Silver reads local times: the first pass of a doubled hour, a skipped one forward.
        moments = pc.assume_timezone(midnight, zone, ambiguous="earliest", nonexistent="latest")
        return moments.cast(wanted)
    return values if values.type == wanted else values.cast(wanted)
