"""Seeded chance: every draw depends on the seed and on the name of what is drawn, on nothing else.

Here belongs randomness. One generator per thing (an order, a day of moves) keeps each thing's fate
the same whatever else is generated before it.
"""

import random
from datetime import date, timedelta
from itertools import accumulate

_HOUR_WEIGHTS = (
    2,
    1,
    1,
    1,
    1,
    2,
    4,
    8,
    14,
    20,
    24,
    26,
    28,
    26,
    24,
    24,
    24,
    24,
    26,
    28,
    26,
    20,
    12,
    6,
)
_CUMULATED = tuple(accumulate(_HOUR_WEIGHTS))


def dice(seed: int, *name: object) -> random.Random:
    """The generator of one named thing."""
    return random.Random(f"{seed}/{'/'.join(map(str, name))}")  # noqa: S311 - a simulation, not a secret


def shop_second(rng: random.Random) -> float:
    """A second of the day with microseconds, dense in shop hours, thin at night."""
    (hour,) = rng.choices(range(24), cum_weights=_CUMULATED)
    return hour * 3600 + round(rng.random() * 3600, 6)


def days(first: date, last: date) -> list[date]:
    """Every day from ``first`` to ``last``, both included."""
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
