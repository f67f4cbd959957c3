"""Facts that change days later: the bucket that they leave and the one that they enter are right.

Three hours are built: 9 March 10:00 brings the facts, 10 March 09:00 nothing, and 10 March 10:00
changes them all. Each changed sale has a currency of its own, so that its buckets are its own. The
numbers are by hand; that nothing else changed is shown by a full refresh.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from retail_platform_tests.gold.scenario import (
    LONG_AGO,
    customer,
    facebook,
    product,
    purchase,
    purchase_line,
    received,
    stock,
    supplier,
)
from retail_platform_tests.gold.silver_lake import NewLake, utc
from retail_platform_tests.gold.silver_model import Batch, Row, SilverModel

pytestmark = pytest.mark.xdist_group("gold_late")

FIRST = utc("2026-03-09T10:00:00")
QUIET = utc("2026-03-10T09:00:00")
CHANGE = utc("2026-03-10T10:00:00")
AMOUNT = Decimal("10.0000")


def day(text: str, hour: int = 8) -> datetime:
    """An instant of 2026 in UTC."""
    return utc(f"2026-{text}T{hour:02d}:15:00")


def sale(number: int, at: datetime, currency: str, modified: datetime, **header: Any) -> Row:
    """The header of an order of a customer in the Northwest."""
    return {
        "order_id": number,
        "order_number": f"SO{number}",
        "channel": "online",
        "customer_id": 1,
        "ordered_at": at,
        "status": "placed",
        "currency_code": currency,
        "modified_at": modified,
    } | header


def goods(number: int, modified: datetime, pieces: int = 1, product_id: int = 10) -> Row:
    """The one line of an order, at 10.0000 a piece."""
    return {
        "order_id": number,
        "line_number": 1,
        "product_id": product_id,
        "quantity": pieces,
        "unit_price": AMOUNT,
        "line_total": AMOUNT * pieces,
        "modified_at": modified,
    }


# Number of the order, with its time, currency, and product.
BOUGHT = {
    1: (day("03-03"), "AAA", 10),  # corrected
    2: (day("03-02"), "BBB", 10),  # moved to another day
    12: (day("03-09"), "BBB", 10),  # looks back a week on the day that order 2 leaves
    22: (day("03-08"), "BBB", 10),  # and on the one that it enters
    3: (day("03-03"), "CCC", 10),  # moved to a customer of another region
    4: (day("03-03"), "DDD", 10),  # cancelled
    5: (day("03-03"), "EEE", 10),  # its line is deleted
    6: (day("03-03"), "FFF", 10),  # its currency is corrected
    7: (day("03-10", 8) - timedelta(days=364), "GGG", 10),  # of last year, moved by an hour
    17: (day("03-10", 8), "GGG", 10),
    8: (day("03-09"), "USD", 40),  # moved out of the 30 days of 10 March, not of 9 March
    9: (day("03-09"), "USD", 50),  # cancelled: no demand any more
    10: (day("03-09"), "HHH", 10),  # its customer was of another region all along
}


def _before() -> Batch:
    at = FIRST
    customers = {7: 8, 17: 8, 8: 3, 9: 8, 10: 9}
    return {
        "territories": [
            {"territory_id": 1, "name": "Northwest", "modified_at": LONG_AGO},
            {"territory_id": 2, "name": "Germany", "modified_at": LONG_AGO},
        ],
        "categories": [{"subcategory_id": 1, "category": "Bikes", "modified_at": LONG_AGO}],
        "customers": [customer(n, 2 if n == 2 else 1, LONG_AGO) for n in (1, 2, 3, 4, 8, 9)],
        "products": [product(number, 1, LONG_AGO) for number in (10, 40, 50)],
        "orders": [
            sale(number, when, currency, at, customer_id=customers.get(number, 1))
            for number, (when, currency, _) in BOUGHT.items()
        ],
        "order_lines": [
            goods(number, at, product_id=bought) for number, (_, _, bought) in BOUGHT.items()
        ],
        "stock_levels": [stock(number, 20, "00:00:00") for number in (40, 50)],
        "facebook_insights": [
            facebook(5, "10.0000", "11:00:00", currency_code="ADS"),
            facebook(6, "4.0000", "11:00:00", currency_code="ADS"),
            facebook(7, "3.0000", "11:00:00", currency_code="ADS"),
        ],
        "suppliers": [supplier(5, 1, LONG_AGO), supplier(6, 1, LONG_AGO)],
        "purchase_orders": [
            purchase(900, 5, "approved", LONG_AGO),
            purchase(901, 5, "approved", LONG_AGO),
        ],
        "purchase_order_lines": [
            purchase_line(900, 1, LONG_AGO, product_id=40),
            purchase_line(901, 1, LONG_AGO, product_id=50),
        ],
    }


def _change() -> Batch:
    at = CHANGE

    def changed(number: int, **header: Any) -> Row:
        when, currency, _ = BOUGHT[number]
        return sale(number, when, currency, at, **header)

    return {
        "customers": [customer(9, 2, day("03-01"))],
        "orders": [
            changed(2, ordered_at=day("03-01")),
            changed(3, customer_id=2),
            changed(4, status="cancelled"),
            changed(6, currency_code="XFF"),
            changed(7, customer_id=8, ordered_at=BOUGHT[7][0] + timedelta(hours=1)),
            changed(8, customer_id=4, ordered_at=day("02-08")),
            changed(9, customer_id=8, status="cancelled"),
        ],
        "order_lines": [goods(1, at, pieces=3), goods(5, at) | {"_deleted": True}],
        "stock_levels": [
            stock(40, 8, "00:00:00") | {"modified_at": FIRST + timedelta(minutes=30)},
        ],
        "facebook_insights": [
            facebook(5, "12.5000", "11:00:00", _extracted_at=at, currency_code="ADS"),
            facebook(6, "4.0000", "11:00:00", _extracted_at=at, currency_code="ADS", _deleted=True),
            facebook(7, "3.0000", "11:00:00", _extracted_at=at, currency_code="CAD"),
        ],
        "purchase_orders": [purchase(901, 6, "approved", at)],
        "purchase_order_lines": [
            purchase_line(900, 1, at, product_id=40, **received(11, "20.00", "0.00"))
        ],
    }


@dataclass(frozen=True)
class Told:
    """Every Gold table before the change, after it, and after a full refresh."""

    before: dict[str, list[Row]]
    after: dict[str, list[Row]]
    refreshed: dict[str, list[Row]]

    def change(self, mart: str, of: str, value: Any, *measures: str) -> dict[Any, Any]:
        """Rows of a mart before and after, by their keys: (before, after) where they differ."""
        keys = [name for name in ("grain", *TIMES, *PLACES) if name != of]
        found: list[dict[Any, Any]] = []
        for rows in (self.before[mart], self.after[mart]):
            chosen = [row for row in rows if row[of] == value]
            found.append(
                {
                    tuple(row[name] for name in keys if name in row): tuple(
                        row[measure] for measure in measures
                    )
                    for row in chosen
                }
            )
        old, new = found
        return {
            key: (old.get(key), new.get(key))
            for key in old.keys() | new.keys()
            if old.get(key) != new.get(key)
        }


TIMES = ("period_start", "sold_hour", "stock_date")
PLACES = ("region", "currency", "product_id")


@pytest.fixture(scope="module")
def told(new_lake: NewLake) -> Iterator[Told]:
    """The three hours, then a full refresh; building the last hour again writes nothing."""
    silver = SilverModel()
    with new_lake() as lake:
        silver.process(FIRST, _before())
        silver.write_to(lake)
        lake.run(FIRST)
        lake.run(QUIET)
        before = lake.all_gold()
        silver.process(CHANGE, _change())
        silver.write_to(lake)
        lake.run(CHANGE)
        after, versions = lake.all_gold(), lake.versions()
        lake.run(CHANGE)
        assert lake.versions() == versions
        lake.rebuild()
        yield Told(before, after, lake.all_gold())


def test_what_changed_is_all_that_differs_from_a_full_refresh(told: Told) -> None:
    """Facts, dimensions and marts alike."""
    assert told.after == told.refreshed


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0)


def _day(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0)


def _both(moment: datetime, region: str, was: Any, now: Any) -> dict[Any, Any]:
    """The hour's and the day's row of a change."""
    return {
        ("hour", _hour(moment), region): (was, now),
        ("day", _day(moment), region): (was, now),
    }


def test_a_corrected_order_changes_its_own_buckets(told: Told) -> None:
    when = BOUGHT[1][0]
    one, three = (AMOUNT,), (3 * AMOUNT,)
    assert told.change("mart_sales_kpi", "currency", "AAA", "net_amount") == _both(
        when, "Northwest", one, three
    )
    assert told.change("mart_sales_by_region_category", "currency", "AAA", "net_amount") == {
        (_hour(when), "Northwest"): (one, three)
    }
    assert told.change("mart_sales_vs_spend", "currency", "AAA", "sales_net") == {
        ("hour", _hour(when)): (one, three),
        ("day", _day(when)): (one, three),
    }


def test_an_order_moved_to_another_day_leaves_one_bucket_and_enters_another(told: Told) -> None:
    """Also in the comparison of a week later: 9 March loses it, 8 March gains it."""
    left, entered = BOUGHT[2][0], day("03-01")
    sold = (AMOUNT, None)
    assert told.change(
        "mart_sales_kpi", "currency", "BBB", "net_amount", "net_amount_last_week"
    ) == {
        **_both(left, "Northwest", sold, None),
        **_both(entered, "Northwest", None, sold),
        **_both(BOUGHT[12][0], "Northwest", (AMOUNT, AMOUNT), (AMOUNT, None)),
        **_both(BOUGHT[22][0], "Northwest", (AMOUNT, None), (AMOUNT, AMOUNT)),
    }
    assert told.change("mart_sales_by_region_category", "currency", "BBB", "net_amount") == {
        (_hour(left), "Northwest"): ((AMOUNT,), None),
        (_hour(entered), "Northwest"): (None, (AMOUNT,)),
    }
    assert told.change("mart_sales_vs_spend", "currency", "BBB", "sales_net", "order_count") == {
        ("hour", _hour(left)): ((AMOUNT, 1), None),
        ("day", _day(left)): ((AMOUNT, 1), None),
        ("hour", _hour(entered)): (None, (AMOUNT, 1)),
        ("day", _day(entered)): (None, (AMOUNT, 1)),
    }


@pytest.mark.parametrize(
    ("number", "currency"),
    [(3, "CCC"), (10, "HHH")],
    ids=["another customer", "the customer's address of then is learnt late"],
)
def test_an_order_moved_to_another_region(told: Told, number: int, currency: str) -> None:
    when = BOUGHT[number][0]
    for mart, grains in (("mart_sales_kpi", True), ("mart_sales_by_region_category", False)):
        expected = {
            **_both(when, "Northwest", (AMOUNT,), None),
            **_both(when, "Germany", None, (AMOUNT,)),
        }
        if not grains:
            expected = {key[1:]: v for key, v in expected.items() if key[0] == "hour"}
        assert told.change(mart, "currency", currency, "net_amount") == expected
    assert told.change("mart_sales_vs_spend", "currency", currency, "sales_net") == {}


def test_a_cancelled_order_keeps_its_bucket_without_its_amount(told: Told) -> None:
    """Where cancelled orders are counted; against spend it is no order at all."""
    when = BOUGHT[4][0]
    nothing = Decimal("0.0000")
    assert told.change(
        "mart_sales_kpi", "currency", "DDD", "net_amount", "order_count", "quantity"
    ) == _both(when, "Northwest", (AMOUNT, 1, 1), (nothing, 1, 0))
    assert told.change(
        "mart_sales_by_region_category", "currency", "DDD", "net_amount", "cancelled_line_count"
    ) == {(_hour(when), "Northwest"): ((AMOUNT, 0), (nothing, 1))}
    assert told.change("mart_sales_vs_spend", "currency", "DDD", "order_count") == {
        ("hour", _hour(when)): ((1,), None),
        ("day", _day(when)): ((1,), None),
    }


def test_a_deleted_line_leaves_nothing(told: Told) -> None:
    when = BOUGHT[5][0]
    assert told.change("mart_sales_kpi", "currency", "EEE", "net_amount") == _both(
        when, "Northwest", (AMOUNT,), None
    )
    assert told.change("mart_sales_by_region_category", "currency", "EEE", "net_amount") == {
        (_hour(when), "Northwest"): ((AMOUNT,), None)
    }


def test_a_corrected_currency_moves_the_amount(told: Told) -> None:
    when = BOUGHT[6][0]
    for currency, was, now in (("FFF", (AMOUNT,), None), ("XFF", None, (AMOUNT,))):
        assert told.change("mart_sales_kpi", "currency", currency, "net_amount") == _both(
            when, "Northwest", was, now
        )


def test_an_order_moved_last_year_changes_this_years_comparison(told: Told) -> None:
    """By an hour: the hour's comparison goes, the day's stays."""
    this_year = _hour(BOUGHT[17][0])
    changed = told.change("mart_sales_kpi", "currency", "GGG", "net_amount", "net_amount_last_year")
    assert changed["hour", this_year, "Northwest"] == ((AMOUNT, AMOUNT), (AMOUNT, None))
    assert ("day", _day(this_year), "Northwest") not in changed


def test_restated_ad_spend_changes_its_hour_and_day(told: Told) -> None:
    """1 March, New York: 5:00 is told anew, 6:00 taken back, 7:00 was in another currency."""
    spring = utc("2026-03-01T00:00:00")
    noon = utc("2026-03-01T12:00:00")

    def changes(currency: str) -> dict[Any, Any]:
        return told.change("mart_sales_vs_spend", "currency", currency, "spend_facebook")

    ten, twelve = (Decimal("10.0000"),), (Decimal("12.5000"),)
    three, four, all_day = (Decimal("3.0000"),), (Decimal("4.0000"),), (Decimal("17.0000"),)
    assert changes("ADS") == {
        ("hour", utc("2026-03-01T10:00:00")): (ten, twelve),
        ("hour", utc("2026-03-01T11:00:00")): (four, None),
        ("hour", noon): (three, None),
        ("day", spring): (all_day, twelve),
    }
    assert changes("CAD") == {("hour", noon): (None, three), ("day", spring): (None, three)}


def test_turnover_loses_a_sale_that_moved_out_of_its_days(told: Told) -> None:
    """8 February is within the 30 days of 9 March, not within those of 10 March.

    Of 10 March two hours are known; of 9 March one, whose stock was learnt late.
    """
    assert told.change(
        "mart_stock_turnover", "product_id", 40, "units_sold", "average_stock", "closing_stock"
    ) == {
        (date(2026, 3, 9),): ((1, 20.0, 20), (1, 8.0, 8)),
        (date(2026, 3, 10),): ((1, 20.0, 20), (0, 8.0, 8)),
    }
    assert told.change("mart_stock_turnover", "product_id", 50, "units_sold") == {
        (date(2026, 3, day),): ((1,), (0,)) for day in (9, 10)
    }


def test_replenishment_follows_cancelled_demand_and_what_arrived(told: Told) -> None:
    measures = ("units_sold", "on_hand", "on_order", "advice")
    # Nothing is advised yet: 20 in stock and 20 on order for one piece in eight weeks.
    assert told.change("mart_replenishment", "product_id", 40, *measures) == {
        (): ((1, 20, 20, "enough"), (1, 8, 0, "enough"))
    }
    assert told.change("mart_replenishment", "product_id", 50, *measures) == {
        (): ((1, 20, 20, "enough"), (0, 20, 20, "no demand"))
    }


def test_segments_follow_an_order_to_its_other_customer(told: Told) -> None:
    """Customer 3 bought nothing after all; customer 4 did, a month before."""
    measures = ("order_count", "net_amount", "last_order_date")
    assert told.change("mart_customer_segment", "customer_id", 3, *measures) == {
        ("Northwest",): ((1, AMOUNT, date(2026, 3, 9)), None)
    }
    assert told.change("mart_customer_segment", "customer_id", 4, *measures) == {
        ("Northwest",): (None, (1, AMOUNT, date(2026, 2, 8)))
    }


def test_suppliers_follow_a_late_receipt_and_an_order_that_was_anothers(told: Told) -> None:
    measures = ("order_count", "received_line_count", "open_line_count", "lead_time_days")
    assert told.change("mart_supplier_performance", "supplier_id", 5, *measures) == {
        (): ((2, 0, 2, None), (1, 1, 0, 10.0))
    }
    assert told.change("mart_supplier_performance", "supplier_id", 6, *measures) == {
        (): (None, (1, 0, 1, None))
    }
