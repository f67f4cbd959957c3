"""All lists of the simulated REST APIs, made once from the change log and the seed."""

from datetime import datetime, timedelta

from retail_platform.simulator.api_book import Book
from retail_platform.simulator.api_crm import contacts
from retail_platform.simulator.api_feedback import mentions, reviews
from retail_platform.simulator.api_rates import rates
from retail_platform.simulator.api_support import tickets
from retail_platform.simulator.changes import ChangeLog
from retail_platform.simulator.shifts import COMPANY_ZONE

HISTORY = timedelta(days=3)
"""How long before the first clock tickets, reviews and mentions begin."""


def api_books(log: ChangeLog, *, seed: int, start: datetime, end: datetime) -> dict[str, Book]:
    """The lists by name.

    Args:
        log: The ERP's change log.
        seed: Seed of every draw.
        start: The first clock, aware UTC.
        end: The end of the data, aware UTC.
    """
    first = (start - HISTORY).astimezone(COMPANY_ZONE).date()
    last = end.astimezone(COMPANY_ZONE).date()
    return {
        "contacts": contacts(log, seed=seed, start=start, first=first, last=last),
        "tickets": tickets(log, seed=seed, first=first, last=last),
        "reviews": reviews(log, seed=seed, first=first, last=last),
        "mentions": mentions(seed=seed, first=first, last=last),
        "rates": rates(first=first, last=last),
    }
