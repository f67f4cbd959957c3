"""Exact money of the sources: whole ten-thousandths of a currency unit, and text of them.

Here belongs rounding and writing of amounts. A float never survives past :func:`ticks`.
"""

from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

TICK = Decimal("0.0001")


@lru_cache(maxsize=65_536)
def ticks(amount: str | float) -> int:
    """Ten-thousandths of an amount, halves rounded away from zero; a float by its shortest text."""
    text = amount if isinstance(amount, str) else repr(amount)
    return int((Decimal(text) / TICK).quantize(Decimal(1), ROUND_HALF_UP))


def text(amount: int) -> str:
    """An amount in ten-thousandths as decimal text with four places."""
    sign = "-" if amount < 0 else ""
    whole, part = divmod(abs(amount), 10_000)
    return f"{sign}{whole}.{part:04d}"


def share(amount: int, numerator: int, denominator: int) -> int:
    """``amount * numerator / denominator``, halves rounded away from zero."""
    if denominator == 0:
        return 0
    return int((Decimal(amount) * numerator / denominator).quantize(Decimal(1), ROUND_HALF_UP))
