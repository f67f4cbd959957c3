"""Feeds of JSON lines: web sessions and survey answers, one file an hour with a done marker.

SIMULATED: ids and times. What the lines say is from the data pack, see ``data/ATTRIBUTION.md``.
Here belongs what is in an hour and where its file lies; dropping goes on beside the tills' files.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

import retail_platform.simulator.pack as pack
from retail_platform.simulator.api_book import told
from retail_platform.simulator.chance import dice, shop_second
from retail_platform.simulator.pos import hours_ended

SESSIONS_A_DAY = 240
ANSWERS_A_DAY = 60
_PAGES = ("Administrative", "Informational", "ProductRelated")


@dataclass(frozen=True)
class JsonFeed:
    """One feed.

    Attributes:
        name: First part of its files' names.
        folder: Where they lie below the landing folder.
        a_day: Lines a day.
        line: Makes a line from its id, its instant and its dice.
    """

    name: str
    folder: str
    a_day: int
    line: Callable[[str, datetime, Random], dict[str, Any]]

    def lines(self, hour: datetime, *, seed: int) -> list[str]:
        """The lines of the hour that starts at ``hour`` (UTC)."""
        return _day(self, hour.astimezone(UTC).date(), seed).get(hour.astimezone(UTC).hour, [])

    def path(self, hour: datetime) -> Path:
        """Where the file of an hour lies below the landing folder; hours are UTC."""
        return Path(f"{self.folder}/{hour:%Y-%m-%d}/{self.name}_{hour:%Y%m%dT%H}.jsonl")

    def drop(self, landing: Path, *, after: datetime, until: datetime, seed: int) -> None:
        """Write files and markers of all hours that ended in ``(after, until]``."""
        for hour in hours_ended(after=after, until=until):
            target = landing / self.path(hour.astimezone(UTC))
            target.parent.mkdir(parents=True, exist_ok=True)
            lines = self.lines(hour, seed=seed)
            if lines:
                part = target.with_suffix(".part")
                part.write_text("\n".join(lines) + "\n", "utf-8")
                part.replace(target)
            target.with_suffix(".done").touch()


def _session(key: str, at: datetime, rng: Random) -> dict[str, Any]:
    row = rng.choice(pack.shopper_sessions())
    return {
        "session_id": key,
        "started_at": told(at),
        "visitor": {"type": row["VisitorType"], "region": int(row["Region"])},
        "device": {"os": int(row["OperatingSystems"]), "browser": int(row["Browser"])},
        "traffic": {"type": int(row["TrafficType"])},
        "pages": {
            kind.lower(): {"views": int(row[kind]), "seconds": float(row[f"{kind}_Duration"])}
            for kind in _PAGES
        },
        "metrics": {
            "bounce_rate": float(row["BounceRates"]),
            "exit_rate": float(row["ExitRates"]),
            "page_value": float(row["PageValues"]),
        },
        "converted": row["Revenue"] == "TRUE",
    }


def _answer(key: str, at: datetime, rng: Random) -> dict[str, Any]:
    row = rng.choice(pack.survey_responses())
    return {
        "response_id": key,
        "answered_at": told(at),
        "respondent": {"customer_id": int(row["CustomerKey"])},
        "interest": {
            "category": row["EnglishProductCategoryName"],
            "subcategory": row["EnglishProductSubcategoryName"],
        },
    }


SESSIONS = JsonFeed("sessions", "web_analytics/sessions", SESSIONS_A_DAY, _session)
ANSWERS = JsonFeed("responses", "surveys/responses", ANSWERS_A_DAY, _answer)
FEEDS = {"web_sessions": SESSIONS, "survey_responses": ANSWERS}
"""Feeds by the Silver entity that they fill."""


@lru_cache(maxsize=64)
def _day(feed: JsonFeed, day: date, seed: int) -> dict[int, list[str]]:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    found: dict[int, list[tuple[datetime, str]]] = {}
    for number in range(feed.a_day):
        rng = dice(seed, feed.name, day, number)
        at = midnight + timedelta(seconds=int(shop_second(rng)))
        line = feed.line(f"{day:%y%m%d}-{number:05d}", at, rng)
        found.setdefault(at.hour, []).append((at, json.dumps(line)))
    return {hour: [line for _, line in sorted(lines)] for hour, lines in found.items()}
