"""What ad platforms change long after: the last 28 days, and how often they are asked for."""

from datetime import date

import pytest

from retail_platform.failures import TransientFailure
from retail_platform.simulator.ads_faults import Faults
from retail_platform_tests.platform.box import Box, hour_at
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.silver.ads_platforms import (
    ACCOUNTS,
    FACEBOOK_TABLE,
    GOOGLE_TABLE,
    believed,
    catalog_of,
    conversions,
    money,
    platforms,
)

ENTITIES = (FACEBOOK_TABLE, GOOGLE_TABLE)
SPEND_SETTLES = 3
"""Days after which the simulated platforms change spend no more; conversions grow for 28."""
LATER = 20 * 24


@pytest.mark.parametrize("entity", ENTITIES)
def test_conversions_that_grow_for_28_days_are_read_again(new_box: Opener, entity: str) -> None:
    """20 days later the whole window is as the platform believes it then.

    Three days alone, which suffice for spend, would keep what was believed at first.
    """
    cured, short = (
        new_box(catalog_of(entity)),
        new_box(catalog_of(entity, row={"restate_daily_days": None})),
    )
    account = ACCOUNTS[entity]
    with platforms() as running:
        for box in (cured, short):
            running.both(box, entity, 0)
            running.both(box, entity, LATER)
        first_day = account.local_day(hour_at(0))
        last_day = account.local_day(hour_at(LATER))
        clock = running.now
        figures = account.figures(first_day, last_day, clock=clock, seed=7)
    expected = sum(row.conversions for row in figures if row.spend_cents >= 0)
    of_window = believed(entity, LATER, 28)
    live = money(cured, entity)
    assert {key: live[key] for key in of_window} == of_window
    assert _conversions_since(cured, entity, first_day) == expected
    assert _conversions_since(short, entity, first_day) < expected
    assert conversions(short, entity) < conversions(cured, entity)


def _conversions_since(box: Box, entity: str, day: date) -> int:
    name, of_day = (
        ("purchases", "date_start")
        if entity == FACEBOOK_TABLE
        else ("conversions", "segments_date")
    )
    return sum(int(row[name] or 0) for row in box.live(entity) if row[of_day] >= day)


def test_once_a_day_and_again_when_it_failed(new_box: Opener) -> None:
    """The first fetch of a day of the account reads 28 days; the hours after it three."""
    entity = FACEBOOK_TABLE
    box = new_box(catalog_of(entity))

    def days(number: int) -> list[int | None]:
        return [
            read.days
            for read in box.ledger.covered("bronze/facebook_ads__insights", [hour_at(number)])
        ]

    with platforms(Faults(fates=("fails", "fails", "fails"))) as running:
        # 12:00 UTC is 07:00 in New York.
        with pytest.raises(TransientFailure, match="3 runs"):
            running.bronze(box, entity, 0)
        for number in (1, 2, 16, 17, 18):
            running.bronze(box, entity, number)
    assert [days(number) for number in (0, 1, 2, 16, 17, 18)] == [[], [28], [3], [3], [28], [3]]


@pytest.mark.parametrize("entity", ENTITIES)
def test_days_that_a_platform_takes_back_are_gone(new_box: Opener, entity: str) -> None:
    """A whole account paused in retrospect: the fetch has no row, and Silver none of its days."""
    box = new_box(catalog_of(entity))
    account = ACCOUNTS[entity]
    with platforms() as running:
        running.both(box, entity, 0)
        assert money(box, entity)
        object.__setattr__(account, "campaigns", ())
        try:
            load = running.both(box, entity, 1)
        finally:
            object.__setattr__(account, "campaigns", CAMPAIGNS[entity])
    kept = believed(entity, 0, 28)
    day = account.local_day(hour_at(1))
    gone = {key for key in kept if (day - key[1]).days <= SPEND_SETTLES}
    assert load.counts.read == 0
    assert load.counts.swept == len(gone) > 0
    assert set(money(box, entity)) == set(kept) - gone


CAMPAIGNS = {entity: account.campaigns for entity, account in ACCOUNTS.items()}


def test_attribution_by_a_window_counts_by_it_and_says_so(new_box: Opener) -> None:
    """The row keeps the setting, so that two of them never add up to one."""
    entity = FACEBOOK_TABLE
    (own,) = catalog_of(entity).tables
    assert own.row.insights is not None
    narrow = own.row.insights.model_copy(update={"attribution": "1d_click"})
    unified, windowed = (
        new_box(catalog_of(entity)),
        new_box(catalog_of(entity, row={"insights": narrow})),
    )
    with platforms() as running:
        running.both(unified, entity, 0)
        running.both(windowed, entity, 0)
    settings = [
        {row["attribution_setting"] for row in box.live(entity)} for box in (unified, windowed)
    ]
    assert settings == [{"7d_click_1d_view"}, {"1d_click"}]
    assert 0 < conversions(windowed, entity) < conversions(unified, entity)
    reads = windowed.ledger.covered("bronze/facebook_ads__insights", [hour_at(0)])
    assert [read.bounds["attribution_setting"] for read in reads] == [("1d_click", "1d_click")]
