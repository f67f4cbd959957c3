"""Simulated advertising: campaigns and their figures per account-local hour, as believed at a time.

THE FIGURES ARE INVENTED (the account ids and the first campaign ids come from the ad folders of the
data pack, see ``data/ATTRIBUTION.md``). Here belongs their arithmetic: a value depends on the seed,
on campaign, day and hour, and on how old the day is when it is asked for. No HTTP here.

Restatement: spend moves during the first three days, conversions grow for 28 days. Only hours
closed at the asking hour exist; paused days and dead hours have no row; about one row in 400 is a
credit with negative spend.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from zoneinfo import ZoneInfo

from retail_platform.simulator.shifts import ONE_HOUR

SPEND_SETTLES_AFTER_DAYS = 3
CONVERSIONS_GROW_DAYS = 28
CREDIT_EVERY = 400
_HOUR_SHAPE = (3, 2, 1, 1, 1, 2, 4, 6, 8, 9, 10, 10, 11, 11, 10, 10, 11, 12, 14, 16, 17, 15, 10, 6)
_ONE = 2**64


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """One campaign as its platform knows it at some time; the budget is in cents a day."""

    campaign_id: str
    name: str
    kind: str
    status: str
    daily_budget_cents: int


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one campaign did in one account-local hour; money in cents."""

    campaign: Campaign
    day: date
    hour: int
    impressions: int
    clicks: int
    spend_cents: int
    conversions: int
    conversion_value_cents: int


@dataclass(frozen=True, kw_only=True)
class Account:
    """One advertising account.

    Attributes:
        zone: The account's local time; its dates and hours are given in it.
        campaigns: (id, name, kind, daily budget in cents) of every campaign.
    """

    platform: str
    account_id: str
    name: str
    currency: str
    zone: ZoneInfo
    campaigns: tuple[tuple[str, str, str, int], ...]

    def campaigns_at(self, clock: datetime, *, seed: int) -> list[Campaign]:
        """All campaigns as they are at ``clock``: names, states and budgets change now and then."""
        return [
            Campaign(
                campaign_id=campaign_id,
                name=f"{name} (v{1 + _version(self, campaign_id, clock, 11, seed)})",
                kind=kind,
                status="PAUSED"
                if self._paused(campaign_id, self.local_day(clock), seed)
                else "ACTIVE",
                daily_budget_cents=budget + 500 * (_version(self, campaign_id, clock, 5, seed) % 4),
            )
            for campaign_id, name, kind, budget in self.campaigns
        ]

    def local_day(self, clock: datetime) -> date:
        """The account's calendar day at ``clock``."""
        return clock.astimezone(self.zone).date()

    def figures(
        self, since: date, until: date, *, clock: datetime, seed: int
    ) -> tuple[Figures, ...]:
        """Rows of the local days ``since`` to ``until`` (both included) as believed at ``clock``.

        The clock counts in whole hours, so an answer does not change while it is being paged.
        """
        return _figures(self, since, until, clock.replace(minute=0, second=0, microsecond=0), seed)

    def recount(self, since: date, until: date, clock: datetime, seed: int) -> Iterator[Figures]:
        """The same rows, computed; the clock is a whole hour."""
        today = self.local_day(clock)
        campaigns = self.campaigns_at(clock, seed=seed)
        for offset in range((min(until, today) - since).days + 1):
            day = since + timedelta(days=offset)
            hours = self._closed_hours(day, clock)
            for campaign in campaigns:
                if self._paused(campaign.campaign_id, day, seed):
                    continue
                for hour in hours:
                    found = self._hour(campaign, day, hour, (today - day).days, seed)
                    if found is not None:
                        yield found

    def _closed_hours(self, day: date, clock: datetime) -> list[int]:
        starts = (
            datetime(day.year, day.month, day.day, hour, tzinfo=self.zone) for hour in range(24)
        )
        return [start.hour for start in starts if start.astimezone(UTC) + ONE_HOUR <= clock]

    def _paused(self, campaign_id: str, day: date, seed: int) -> bool:
        return _draw(seed, self.platform, campaign_id, day, "paused") < 1 / 14

    def _hour(
        self, campaign: Campaign, day: date, hour: int, age: int, seed: int
    ) -> Figures | None:
        name = (seed, self.platform, campaign.campaign_id, day, hour)
        if _draw(*name, "dead") < 0.35 / _HOUR_SHAPE[hour]:
            return None
        base = next(budget for id_, _, _, budget in self.campaigns if id_ == campaign.campaign_id)
        final = base * _HOUR_SHAPE[hour] / sum(_HOUR_SHAPE) * (0.6 + 0.8 * _draw(*name, "spend"))
        spend = max(1, round(final * self._settled(name, age)))
        clicks = max(1, round(final / (55 + 60 * _draw(*name, "cpc"))))
        conversions = round(clicks * (0.02 + 0.1 * _draw(*name, "rate")) + _draw(*name, "luck"))
        grown = int(
            conversions * (0.5 + 0.5 * min(age, CONVERSIONS_GROW_DAYS) / CONVERSIONS_GROW_DAYS)
            + 0.5
        )
        value = sum(2_500 + int(20_000 * _draw(*name, "value", number)) for number in range(grown))
        is_credit = _draw(*name, "credit") < 1 / CREDIT_EVERY
        return Figures(
            campaign=campaign,
            day=day,
            hour=hour,
            impressions=clicks * (25 + int(60 * _draw(*name, "ctr"))),
            clicks=clicks,
            spend_cents=-spend if is_credit else spend,
            conversions=grown,
            conversion_value_cents=value,
        )

    def _settled(self, name: tuple[object, ...], age: int) -> float:
        """Share of the final spend that is believed when the day is ``age`` days old."""
        if age >= SPEND_SETTLES_AFTER_DAYS:
            return 1.0
        return 0.9 + 0.2 * _draw(*name, "restated", age)


@lru_cache(maxsize=4)
def _figures(
    account: Account, since: date, until: date, clock: datetime, seed: int
) -> tuple[Figures, ...]:
    # Kept for the pages of a listing, which are asked for one after the other.
    return tuple(account.recount(since, until, clock, seed))


def _draw(*name: object) -> float:
    """A number in [0, 1) that depends on nothing but its name."""
    digest = blake2b("/".join(map(str, name)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / _ONE


def _version(account: Account, campaign_id: str, clock: datetime, period: int, seed: int) -> int:
    """How many periods of days a campaign has lived through at ``clock``, from a seeded phase."""
    phase = int(_draw(seed, account.platform, campaign_id, "phase", period) * period)
    return (account.local_day(clock).toordinal() + phase) // period % 97


FACEBOOK = Account(
    platform="facebook",
    account_id="1700252260223815",
    name="RetailCorp Social",
    currency="USD",
    zone=ZoneInfo("America/New_York"),
    campaigns=(
        ("6215293444271", "Prospecting | Road bikes", "OUTCOME_SALES", 24_000),
        ("6215304559271", "Prospecting | Mountain bikes", "OUTCOME_SALES", 21_000),
        ("6229007982271", "Retargeting | Cart", "OUTCOME_SALES", 9_000),
        ("6215762731271", "Brand | Touring stories", "OUTCOME_AWARENESS", 6_000),
        ("6215762731272", "Catalogue | Accessories", "OUTCOME_SALES", 7_500),
        ("6215762731273", "Traffic | Spring service", "OUTCOME_TRAFFIC", 4_000),
    ),
)
GOOGLE = Account(
    platform="google",
    account_id="2121450128",
    name="RetailCorp Search",
    currency="USD",
    zone=ZoneInfo("America/Los_Angeles"),
    campaigns=(
        ("9935249409", "Search | Brand", "SEARCH", 12_000),
        ("9935249410", "Search | Bikes generic", "SEARCH", 30_000),
        ("9935249411", "Shopping | Accessories", "SHOPPING", 15_000),
        ("9935249412", "Display | Remarketing", "DISPLAY", 5_000),
    ),
)
