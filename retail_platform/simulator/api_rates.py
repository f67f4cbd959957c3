"""Daily exchange rates of a third party: one record a day with a rate for each currency.

The rates are those of the data pack, day by day; only the days are moved.
"""

from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any

import retail_platform.simulator.pack as pack
from retail_platform.simulator.api_book import Book
from retail_platform.simulator.chance import days

HISTORY_DAYS = 400
PUBLISHED = time(15, 0, tzinfo=UTC)


def rates(*, first: date, last: date) -> Book:
    """Every day's rates; a day is published once, in the afternoon.

    Args:
        first: First day on which the other APIs live; rates reach further back.
        last: Last day.
    """
    book = Book("rates")
    for day in days(first - timedelta(days=HISTORY_DAYS), last):
        record = {"date": day.isoformat(), "base": "USD", "rates": _of_data(day)}
        book.put(day.isoformat(), datetime.combine(day, PUBLISHED), record)
    return book


def _of_data(day: date) -> list[dict[str, Any]]:
    known = _by_day()
    return known[day.toordinal() % len(known)]


@cache
def _by_day() -> list[list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in pack.oltp_rows("CurrencyRate"):
        found[row["CurrencyRateDate"]].append(
            {
                "currency": row["ToCurrencyCode"],
                "average": row["AverageRate"],
                "close": row["EndOfDayRate"],
            }
        )
    return [found[day] for day in sorted(found)]
