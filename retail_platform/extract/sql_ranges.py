"""Ranges of a column that cut a table into parts, to be read side by side.

Pure arithmetic. The ranges cover every value there is, whatever the least and greatest were when
they were asked for, and NULL belongs to exactly one of them. Not here: asking and reading.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class ValueRange:
    """The values ``[low, high)`` of a column.

    Attributes:
        low: The least; None: without end below, and NULL is in it as well.
        high: The value after the greatest; None: without end above.
    """

    low: int | datetime | None
    high: int | datetime | None


def value_ranges(
    least: int | datetime | None, greatest: int | datetime | None, number: int
) -> list[ValueRange]:
    """Ranges of equal length; fewer than ``number`` where there are fewer values.

    Args:
        least: The column's least value, of whole numbers or timestamps; None where it has none.
        greatest: Its greatest value.
        number: How many ranges to make.
    """
    cuts: list[int | datetime] = []
    if isinstance(least, datetime) and isinstance(greatest, datetime):
        steps = _cuts((greatest - least) // _MICROSECOND, number)
        cuts = [least + step * _MICROSECOND for step in steps]
    elif isinstance(least, int) and isinstance(greatest, int):
        cuts = [least + step for step in _cuts(greatest - least, number)]
    ends: list[int | datetime | None] = [None, *cuts, None]
    return [ValueRange(low=low, high=high) for low, high in pairwise(ends)]


def _cuts(width: int, number: int) -> list[int]:
    """Where to cut ``width + 1`` values, ascending and without doubles."""
    return sorted({(width + 1) * place // number for place in range(1, number)} - {0})
