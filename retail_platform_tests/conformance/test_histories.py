"""One eventful life of a table for each way of reading, on every engine, against plain Python.

What random lives do on the embedded engine (`silver.test_histories`), in few steps: each costs
seconds on Spark.
"""

from pathlib import Path

import pytest

from retail_platform_tests.silver.histories import Cut, Life, Step, live_through
from retail_platform_tests.silver.modes import modes_catalog
from retail_platform_tests.silver.test_replay import WIDER

OLD, H12, H13, H14 = (
    "2026-01-02 08:00:00",
    "2026-01-05 12:10:00",
    "2026-01-05 13:00:00",
    "2026-01-05 14:30:00",
)
BEFORE_COMMIT, AFTER_COMMIT = Cut(write=2, before=True), Cut(write=2, before=False)


def plain(hour: int, *rows: tuple[str | None, str, str], **step: Cut | bool | None) -> Step:
    """A read of ids, amounts and moments."""
    named = (tuple(zip(("id", "amount", "modified_at"), row, strict=True)) for row in rows)
    return Step(hour, tuple(named), **step)  # pyright: ignore[reportArgumentType]


def spend(hour: int, *rows: tuple[str, str, str]) -> Step:
    """A read of days, campaigns and amounts."""
    named = (tuple(zip(("day", "campaign", "amount"), row, strict=True)) for row in rows)
    return Step(hour, tuple(named))


LIVES = {
    # A late row, a NULL key, a tie, drift, a cut load, hours out of order, a refused row let in.
    "contacts": Life(
        (
            plain(0, ("1", "1", OLD), ("2", "-1", H12)),
            plain(1, ("1", "3", H13), (None, "1", H13), ("1", "2", H13), drifted=True),
            plain(2, ("2", "5", H14), ("1", "9", H12), ("3", "many", H14), cut=AFTER_COMMIT),
            Step(2, cut=BEFORE_COMMIT),
            Step(2),
            Step(0),
            Step(1),
        ),
        relaxed=True,
        again=(0,),
    ),
    # A key that ends, returns and is refused.
    "shelf": Life(
        (
            plain(0, ("1", "1", OLD), ("2", "2", OLD), ("9", "1", OLD)),
            plain(1, ("2", "-1", H13), ("9", "1", OLD)),
            Step(1),
            plain(2, ("1", "1", OLD), ("2", "4", H14), ("9", "1", OLD)),
            Step(0, cut=AFTER_COMMIT),
            Step(0),
            Step(2),
        ),
        relaxed=False,
        again=(1,),
    ),
    # A day read twice in an hour: the second read refuses one campaign and lacks another.
    "spend": Life(
        (
            spend(0, ("d1", "a", "1"), ("d1", "b", "2"), ("d1", "c", "3"), ("d2", "a", "1")),
            Step(0),
            spend(0, ("d1", "a", "-1"), ("d1", "b", "4")),
            spend(1, ("d1", "b", "-1"), ("d1", "c", "1")),
            Step(1),
            Step(0),
        ),
        relaxed=True,
        again=(1, 0),
    ),
}


@pytest.mark.parametrize("entity", LIVES)
def test_bronze_silver_quarantine_and_ledger_agree_with_plain_python(
    address: str, tmp_path: Path, entity: str
) -> None:
    """The same in all four places on each engine."""
    live_through(
        tmp_path / "box",
        entity,
        LIVES[entity],
        strict=modes_catalog(tmp_path / "strict"),
        relaxed=modes_catalog(tmp_path / "relaxed", rules=WIDER, version="1.1.0"),
        address=address,
    )
