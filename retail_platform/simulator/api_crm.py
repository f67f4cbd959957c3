"""Contacts of the CRM: who joined the loyalty club, what they agreed to, and how that changes.

SIMULATED: members, segments, points and consents are drawn; e-mail addresses are those of the
ERP's customers, in the ERP's own versions, so that the two join.
"""

from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from retail_platform.simulator.api_book import Book, told
from retail_platform.simulator.chance import days, dice, shop_second
from retail_platform.simulator.changes import ChangeLog, Row
from retail_platform.simulator.shifts import from_micros, local_micros

MEMBER_SHARE = 0.04
CHANGES_A_DAY = 70
TIERS = ("bronze", "silver", "gold", "platinum")
SEGMENTS = ("road", "mountain", "touring", "family", "commuter")
CHANNELS = ("email", "sms", "post")
_POINTS_OF_TIER = 2_500


def contacts(log: ChangeLog, *, seed: int, start: datetime, first: date, last: date) -> Book:
    """Every contact through time.

    Args:
        log: The ERP's change log.
        seed: Seed of every draw.
        start: The first clock; members are older than it.
        first: First local day with changes.
        last: Last local day with changes.
    """
    book = Book("contacts")
    for (customer_id,), row in log.initial["customers"].items():
        rng = dice(seed, "crm", customer_id)
        if row["email"] and rng.random() < MEMBER_SHARE:
            joined = start - timedelta(days=1 + rng.random() * 600)
            book.put(_key(customer_id), joined, _member(row, joined, rng))
    members = book.keys()
    events: list[tuple[datetime, Row | None, float]] = [
        (from_micros(local_micros(day, shop_second(rng))), None, rng.random())
        for day in days(first, last)
        for rng in [dice(seed, "crm", day)]
        for _ in range(CHANGES_A_DAY)
    ]
    known = set(members)
    for change in log.changes:
        if change.table == "customers" and _key(change.key[0]) in known:
            delay = dice(seed, "crm", "email", change.key[0], change.at).uniform(2, 40)
            events.append((change.at + timedelta(minutes=delay), change.row, 0.0))
    for at, row, number in sorted(events, key=lambda event: event[0]):
        if at < start:
            continue
        if row is None:
            rng = dice(seed, "crm", at, number)
            key = rng.choice(members)
            book.put(key, at, _changed(dict(book.last(key)), at, rng))
        elif book.last(key := _key(row["customer_id"]))["email"] != row["email"]:
            book.put(key, at, {**book.last(key), "email": row["email"]})
    return book


def _key(customer_id: object) -> str:
    return f"C-{int(str(customer_id)):06d}"


def _member(row: Row, joined: datetime, rng: Random) -> dict[str, Any]:
    given, _, family = str(row["full_name"] or "").partition(" ")
    points = rng.randrange(0, 9_000)
    return {
        "id": _key(row["customer_id"]),
        "email": row["email"],
        "name": {"given": given or None, "family": family or None},
        "segment": rng.choice(SEGMENTS),
        "loyalty": _loyalty(points),
        "consents": [
            {
                "channel": channel,
                "granted": rng.random() < 0.7,
                "changed_at": told(joined),
                "source": {"form": "sign-up"},
            }
            for channel in CHANNELS
        ],
        "created_at": told(joined),
    }


def _loyalty(points: int) -> dict[str, Any]:
    return {"tier": TIERS[min(points // _POINTS_OF_TIER, 3)], "points": points}


def _changed(contact: dict[str, Any], at: datetime, rng: Random) -> dict[str, Any]:
    kind = rng.choices(("points", "segment", "consent"), (6, 2, 2))[0]
    if kind == "points":
        points = max(0, contact["loyalty"]["points"] + rng.randrange(-800, 1_200))
        return {**contact, "loyalty": _loyalty(points)}
    if kind == "segment":
        return {**contact, "segment": rng.choice(SEGMENTS)}
    place = rng.randrange(len(contact["consents"]))
    consents = list(contact["consents"])
    granted = not consents[place]["granted"]
    consents[place] = {
        **consents[place],
        "granted": granted,
        "changed_at": told(at),
        "source": {"form": "preferences"},
    }
    return {**contact, "consents": consents}
