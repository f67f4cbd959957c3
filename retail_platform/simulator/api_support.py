"""Tickets of the customer service, in the shape of Zendesk's: asked, answered, solved.

SIMULATED: when, by whom and how it went on. What customers write is from the data pack, see
``data/ATTRIBUTION.md``.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

import retail_platform.simulator.pack as pack
from retail_platform.simulator.api_book import Book, told
from retail_platform.simulator.chance import days, dice, shop_second
from retail_platform.simulator.changes import ChangeLog
from retail_platform.simulator.shifts import from_micros, local_micros

TICKETS_A_DAY = 40
CHANNELS = ("web", "email", "chat", "phone")
AGENTS = ("Agent 11", "Agent 14", "Agent 23")
REPLIES = (
    "Thank you for your message, we are looking into it.",
    "Could you tell us the order number, please?",
    "We have passed it on to the warehouse and will be back today.",
)
_FIRST_ID = 100_000


def tickets(log: ChangeLog, *, seed: int, first: date, last: date) -> Book:
    """Every ticket through time.

    Args:
        log: The ERP's change log, for who asks.
        seed: Seed of every draw.
        first: First local day with tickets.
        last: Last local day with tickets.
    """
    people = [row for row in log.initial["customers"].values() if row["email"]]
    asked = pack.utterances()
    lives: list[tuple[datetime, str, dict[str, Any]]] = []
    for day in days(first, last):
        for number in range(TICKETS_A_DAY):
            rng = dice(seed, "support", day, number)
            key = _FIRST_ID + day.toordinal() % 10_000 * TICKETS_A_DAY + number
            at = from_micros(local_micros(day, shop_second(rng)))
            lives += _life(key, at, rng.choice(people), rng.choice(asked), asked, rng)
    book = Book("tickets")
    for at, key, record in sorted(lives, key=lambda life: life[:2]):
        book.put(key, at, record)
    return book


def _life(
    number: int,
    at: datetime,
    person: dict[str, Any],
    request: dict[str, str],
    asked: Sequence[dict[str, str]],
    rng: Random,
) -> list[tuple[datetime, str, dict[str, Any]]]:
    customer = {"role": "end-user", "name": person["full_name"], "email": person["email"]}
    comments = [_comment(number, 1, customer, request["utterance"], at)]
    ticket: dict[str, Any] = {
        "id": number,
        "subject": request["intent"].replace("_", " "),
        "description": request["utterance"],
        "type": "question" if request["category"] in ("CONTACT", "ACCOUNT") else "problem",
        "priority": rng.choices(("low", "normal", "high", "urgent"), (3, 8, 3, 1))[0],
        "status": "new",
        "category": request["category"].lower(),
        "requester": {"id": person["customer_id"], **customer},
        "via": {"channel": rng.choice(CHANNELS), "source": {"rel": None}},
        "tags": sorted({request["intent"], request["category"].lower()}),
        "satisfaction_rating": None,
        "created_at": told(at),
        "comments": comments,
    }
    life = [(at, str(number), ticket)]

    def goes_on(minutes: float, **changes: Any) -> None:
        nonlocal at, ticket
        at += timedelta(minutes=minutes)
        ticket = {**ticket, **changes}
        life.append((at, str(number), ticket))

    for turn in range(rng.randrange(1, 4)):
        agent = {"role": "agent", "name": rng.choice(AGENTS), "email": None}
        wait = rng.uniform(5, 200)
        comments = [
            *comments,
            _comment(
                number, 2 * turn + 2, agent, rng.choice(REPLIES), at + timedelta(minutes=wait)
            ),
        ]
        goes_on(wait, status="open", comments=comments)
        if rng.random() < 0.4:
            wait = rng.uniform(5, 120)
            text = rng.choice(asked)["utterance"]
            then = at + timedelta(minutes=wait)
            comments = [*comments, _comment(number, 2 * turn + 3, customer, text, then)]
            goes_on(wait, comments=comments)
    score = rng.choices(("good", "bad", None), (5, 2, 3))[0]
    goes_on(
        rng.uniform(5, 300),
        status="solved",
        satisfaction_rating={"score": score} if score else None,
    )
    return life


def _comment(
    ticket: int, number: int, author: dict[str, Any], body: str, at: datetime
) -> dict[str, Any]:
    return {
        "id": ticket * 100 + number,
        "author": author,
        "body": body,
        "public": True,
        "created_at": told(at),
    }
