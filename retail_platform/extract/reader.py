"""The one interface of every kind of source, as Bronze sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

import pyarrow as pa

from retail_platform.extract.coverage import Bounds
from retail_platform.extract.offsets import OffsetRange, RecordedHours
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


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a read of a window would give, found without reading it.

    Attributes:
        rows: Number of rows; None where only reading would tell.
        text: What would be read, for people.
        columns: The source's columns with their declared types; None where it declares none.
        ranges: Least and greatest value in the window by source column, for whole numbers.
    """

    rows: int | None
    text: str
    columns: Mapping[str, str] | None = None
    ranges: Mapping[str, tuple[int, int]] = field(default_factory=dict)


class PlanningReader(SourceReader, Protocol):
    """A reader that can say what a read would give."""

    def expect(self, table: Table, window: Window) -> Expected:
        """What `read` of the same window would give.

        Raises:
            TransientFailure: as `read`.
            PermanentFailure: as `read`.
        """
        ...


@runtime_checkable
class RangeReader(Protocol):
    """A source whose reads bring ranges whole: what such a read lacks is gone."""

    def covered(self, table: Table, window: Window) -> Bounds:
        """The range that the last `read` of this window has brought whole.

        Called once its stream has ended.
        """
        ...


@runtime_checkable
class WatermarkReader(Protocol):
    """A source that can say what it holds by watermark, without giving the rows."""

    def hourly(
        self, table: Table, hours: Sequence[datetime]
    ) -> dict[datetime, tuple[int, datetime | None]]:
        """Rows and greatest watermark (aware UTC) of each of these hours.

        Raises:
            TransientFailure: the source cannot be reached.
            PermanentFailure: table or watermark column is not what the metadata says.
        """
        ...

    def greatest(self, table: Table, before: Sequence[datetime]) -> list[datetime | None]:
        """The greatest watermark (aware UTC) before each of these moments.

        Raises:
            TransientFailure: the source cannot be reached.
            PermanentFailure: table or watermark column is not what the metadata says.
        """
        ...

    def keys_since(self, table: Table, start: datetime) -> pa.Table:
        """Key columns and watermark, as received, of all rows stamped at or after ``start``.

        Rows whose watermark is missing or in the future are among them.

        Raises:
            TransientFailure: the source cannot be reached.
            PermanentFailure: table or columns are not what the metadata says.
        """
        ...


@runtime_checkable
class OffsetReader(Protocol):
    """A source whose hours are ranges of offsets, which are recorded before they are read."""

    def plan(
        self, table: Table, window: Window, recorded: RecordedHours, *, from_earliest: bool
    ) -> list[OffsetRange]:
        """The offsets of an hour, given what is recorded of those around it.

        Raises:
            TransientFailure: the source cannot be reached.
            PermanentFailure: the source lacks what was read of it before.
        """
        ...

    def read_ranges(
        self, table: Table, ranges: Sequence[OffsetRange]
    ) -> tuple[pa.RecordBatchReader, list[OffsetRange]]:
        """The rows of these ranges, and the ranges with what is lost of them.

        Raises:
            TransientFailure: the source cannot be reached.
            PermanentFailure: the source is not what the metadata says.
        """
        ...

    def waiting(self, ends: Sequence[OffsetRange]) -> int:
        """Offsets beyond the ends of these ranges: what is there and not yet read."""
        ...


@runtime_checkable
class NestedReader(Protocol):
    """A source of nested records, of which some members may be no columns."""

    def unknown_members(self) -> Sequence[str]:
        """Paths of members of the last read that no column takes, sorted; Bronze keeps them."""
        ...
