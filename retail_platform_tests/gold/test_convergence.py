"""Gold is the same whatever the order of hours, and a second build of an hour changes nothing.

The oracle of order is a full refresh of the same Silver; the oracle of meaning is `test_meaning`.
"""

from random import Random

import pytest

from retail_platform_tests.gold.scenario import BATCHES
from retail_platform_tests.gold.scenario import HOURS as FIVE_HOURS
from retail_platform_tests.gold.silver_lake import NewLake
from retail_platform_tests.gold.silver_model import SilverModel
from retail_platform_tests.gold.two_days import HOURS, two_days


def in_runs(order: list[int], random: Random) -> list[list[int]]:
    """The same order, cut into runs of one to sixteen hours."""
    runs = []
    while order:
        length = random.choice((1, 1, 4, 8, 16))
        runs.append(order[:length])
        order = order[length:]
    return runs


@pytest.mark.parametrize("seed", [1, 2])
def test_48_hours_in_any_order_give_what_a_full_refresh_gives(new_lake: NewLake, seed: int) -> None:
    """In runs of one hour and of several; then two runs again, which write no table.

    In the end every mart adds up to Silver.
    """
    random = Random(seed)
    batches = two_days(7)
    order = random.sample(range(len(HOURS)), len(HOURS))
    runs = in_runs(order, random)
    silver = SilverModel()
    with new_lake() as lake:
        for run in runs:
            for index in run:
                silver.process(HOURS[index], batches[index])
            silver.write_to(lake)
            lake.run(*(HOURS[index] for index in run))
        by_hours = lake.all_gold()
        of_the_ledger = {"mart_platform_kpi", "mart_platform_table"}
        assert {model for model, rows in by_hours.items() if not rows} == of_the_ledger

        versions = lake.versions()
        for run in (runs[0], [random.choice(order)]):
            lake.run(*(HOURS[index] for index in run))
        assert lake.versions() == versions

        lake.rebuild()
        assert by_hours == lake.all_gold()
        assert "WARN=0" in lake.dbt("test", "--select", "test_name:*_reconciles_with_silver")
    assert silver.content() == _in_order().content(), "so all orders have one full refresh"


def _in_order() -> SilverModel:
    silver = SilverModel()
    for hour, batch in zip(HOURS, two_days(7), strict=True):
        silver.process(hour, batch)
    return silver


def test_hand_made_hours_backwards_give_what_a_full_refresh_gives(new_lake: NewLake) -> None:
    """One hour a run, the last first: each finds the future already there."""
    silver = SilverModel()
    with new_lake() as lake:
        for hour, batch in reversed(list(zip(FIVE_HOURS, BATCHES, strict=True))):
            silver.process(hour, batch)
            silver.write_to(lake)
            lake.run(hour)
        by_hours = lake.all_gold()
        lake.rebuild()
        assert by_hours == lake.all_gold()
