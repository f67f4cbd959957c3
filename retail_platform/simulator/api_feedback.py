"""Feedback in public: product reviews of the shop, and mentions on social networks.

SIMULATED: when, where, by whom and about which product. The reviews' words and ratings are from the
data pack, see ``data/ATTRIBUTION.md``; mentions are made of them.
"""

import re
from datetime import date, datetime, timedelta
from typing import Any

import retail_platform.simulator.pack as pack
from retail_platform.simulator.api_book import Book, told
from retail_platform.simulator.chance import days, dice, shop_second
from retail_platform.simulator.changes import ChangeLog
from retail_platform.simulator.shifts import from_micros, local_micros

REVIEWS_A_DAY = 60
MENTIONS_A_DAY = 60
NETWORKS = ("instagram", "mastodon", "youtube")
_FIRST_ID = 500_000
_WORD = re.compile(r"[a-z]{5,}")


def reviews(log: ChangeLog, *, seed: int, first: date, last: date) -> Book:
    """Every review through time; a vote for a review changes it.

    Args:
        log: The ERP's change log; a garment of the data is always the same product of it.
        seed: Seed of every draw.
        first: First local day with reviews.
        last: Last local day with reviews.
    """
    products = sorted(
        key for (key,), row in log.initial["products"].items() if row["subcategory_id"] is not None
    )
    texts = pack.clothing_reviews()
    lives: list[tuple[datetime, str, dict[str, Any]]] = []
    for day in days(first, last):
        for number in range(REVIEWS_A_DAY):
            rng = dice(seed, "reviews", day, number)
            key = _FIRST_ID + day.toordinal() % 10_000 * REVIEWS_A_DAY + number
            at = from_micros(local_micros(day, shop_second(rng)))
            row = rng.choice(texts)
            review: dict[str, Any] = {
                "review_id": key,
                "product": {
                    "id": products[int(row["Clothing ID"]) % len(products)],
                    "class": row["Class Name"] or None,
                },
                "reviewer": {"age": int(row["Age"])},
                "title": row["Title"] or None,
                "text": row["Review Text"] or None,
                "rating": int(row["Rating"]),
                "recommended": row["Recommended IND"] == "1",
                "helpful_votes": 0,
                "created_at": told(at),
            }
            lives.append((at, str(key), review))
            for vote in range(min(int(row["Positive Feedback Count"]), 2)):
                at += timedelta(minutes=rng.uniform(10, 600))
                lives.append((at, str(key), {**review, "helpful_votes": vote + 1}))
    return _written("reviews", lives)


def mentions(*, seed: int, first: date, last: date) -> Book:
    """Every mention through time; likes change it once.

    Args:
        seed: Seed of every draw.
        first: First local day with mentions.
        last: Last local day with mentions.
    """
    texts = [row for row in pack.clothing_reviews() if row["Title"]]
    lives: list[tuple[datetime, str, dict[str, Any]]] = []
    for day in days(first, last):
        for number in range(MENTIONS_A_DAY):
            rng = dice(seed, "social", day, number)
            key = f"{day:%y%m%d}{number:04d}"
            at = from_micros(local_micros(day, shop_second(rng)))
            row = rng.choice(texts)
            words = _WORD.findall(row["Title"].lower())
            likes = int(rng.expovariate(1 / 20))
            mention: dict[str, Any] = {
                "id": key,
                "network": rng.choice(NETWORKS),
                "author": {
                    "handle": f"@shopper{rng.randrange(10_000):04d}",
                    "followers": int(rng.expovariate(1 / 800)),
                },
                "text": f"{row['Title']} @retailcorp",
                "hashtags": [*words[:2], "retailcorp"],
                "metrics": {"likes": likes, "shares": likes // 7},
                "language": "en",
                "created_at": told(at),
            }
            lives.append((at, key, mention))
            if rng.random() < 0.5:
                more = {"likes": likes + rng.randrange(1, 60), "shares": likes // 7 + 1}
                lives.append((at + timedelta(hours=2), key, {**mention, "metrics": more}))
    return _written("mentions", lives)


def _written(name: str, lives: list[tuple[datetime, str, dict[str, Any]]]) -> Book:
    book = Book(name)
    for at, key, record in sorted(lives, key=lambda life: life[:2]):
        book.put(key, at, record)
    return book
