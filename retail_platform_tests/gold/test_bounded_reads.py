"""An hour of Gold reads the days and orders that it touches: its cost does not grow with history.

Two years of facts lie in a file for each ten days. The hour brings what belongs to today and to a
day of more than a year ago; the files of all other days are away while it is built, and the result
is that of a full refresh with all of them.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from retail_platform_tests.gold.files_away import files_away
from retail_platform_tests.gold.scenario import (
    click,
    comment,
    customer,
    facebook,
    google,
    line,
    product,
    purchase,
    purchase_line,
    stock,
    ticket,
    till,
)
from retail_platform_tests.gold.silver_lake import NewLake, SilverLake, utc
from retail_platform_tests.gold.silver_model import Row

HOUR = utc("2026-03-01T10:00:00")
BEFORE = HOUR - timedelta(hours=1)
TODAY = HOUR.replace(hour=0)
LONG_AGO = TODAY - timedelta(days=400)
APART = timedelta(days=10)
REACH = timedelta(days=45)
"""Files further than this from a touched day are away: attribution window and rest of a month."""
CLICKS = ("fct_web_session", "fct_order_click")
FACTS = (
    "fct_sales",
    "fct_purchase_line",
    "fct_marketing_spend",
    "fct_customer_interaction",
)
FACT_TIMES = {
    "orders": "ordered_at",
    "order_lines": "modified_at",
    "pos_transactions": "sold_at",
    "purchase_orders": "ordered_at",
    "purchase_order_lines": "modified_at",
    "facebook_insights": "date_start",
    "google_campaign_performance": "segments_date",
    "tickets": "created_at",
    "ticket_comments": "created_at",
}
"""Silver's tables of facts, and the column by which their rows lie in files."""
BUCKETS = "mart_sales_by_region_category"
COMPARED = [TODAY + timedelta(days=days) for days in (0, 364, -364)]
"""Days that figures of today are compared with, or that are compared with it."""
MARTS = (
    "mart_attributed_sales",
    "mart_sales_by_region_category",
    "mart_sales_kpi",
    "mart_sales_vs_spend",
    "mart_stock_turnover",
)


def _event(name: str, at: datetime, hour: datetime = BEFORE, **changes: object) -> Row:
    return {
        "event_id": name,
        "event_name": "page_view",
        "occurred_at": at,
        "session_id": name,
        "client_id": "device",
        "page": "/",
        "_hour": hour,
    } | changes


def _order(number: int, at: datetime, hour: datetime = BEFORE, **changes: object) -> Row:
    return {
        "order_id": number,
        "order_number": f"SO{number:05d}",
        "channel": "online",
        "ordered_at": at,
        "status": "placed",
        "currency_code": "USD",
        "modified_at": hour,
        "_hour": hour,
    } | changes


def _history() -> tuple[list[Row], list[Row]]:
    """Events and orders: on every tenth day two visits without a click, and what was bought."""
    events: list[Row] = []
    orders: list[Row] = []
    for number in range(73):
        day = TODAY - timedelta(days=720) + number * APART
        name = f"SO{number:05d}"
        events += [
            _event(f"{number} first", day + timedelta(hours=1)),
            _event(f"{number} second", day + timedelta(hours=1, minutes=40)),
            _event(f"{number} bought", day + timedelta(hours=5), order_number=name),
        ]
        orders.append(_order(number, day + timedelta(hours=5)))
    return events, orders


def _write(lake: SilverLake, entity: str, column: str, rows: Iterable[Row]) -> None:
    """The table anew, a file for each ten days."""

    def period(row: Row) -> int:
        moment = row[column]
        day = moment.date() if isinstance(moment, datetime) else moment
        return (day - TODAY.date()) // APART

    lake.write(entity, [])
    for _, together in groupby(sorted(rows, key=period), key=period):
        lake.add(entity, together)


def _far_from(*days: datetime) -> Callable[[datetime | date, datetime | date], bool]:
    def is_far(first: datetime | date, last: datetime | date) -> bool:
        ends = [f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}"]
        near = [(f"{day - REACH:%Y-%m-%d}", f"{day + REACH:%Y-%m-%d}") for day in days]
        return all(ends[1] < begins or ends[0] > until for begins, until in near)

    return is_far


def _build_with_files_away(
    lake: SilverLake, models: Iterable[str], times: Mapping[str, str], *near: datetime
) -> None:
    """Builds the hour while the tables' files far from these days cannot be read."""
    with files_away(lake, times, _far_from(*near)) as away:
        assert all(count > 10 for count in away.values()), away
        lake.dbt("run", "--select", *models, hours=[HOUR])


def test_visits_and_clicks_are_built_from_the_days_that_an_hour_touches(new_lake: NewLake) -> None:
    """A click of long ago joins visits and leads to orders; one of today is moved, one comes."""
    events, orders = _history()
    with new_lake() as lake:
        _write(lake, "web_events", "occurred_at", events)
        _write(lake, "orders", "ordered_at", orders)
        lake.dbt("run", "--full-refresh", "--select", *CLICKS)
        joins = LONG_AGO + timedelta(hours=1, minutes=20)
        events += [
            _event("late", joins, HOUR, **click("f1", "late")),
            _event("now", HOUR, HOUR, customer_id=7, **click("f1", "now")),
        ]
        moved = orders.pop()
        orders += [
            _order(moved["order_id"], HOUR - timedelta(days=2), HOUR),
            _order(99, HOUR + timedelta(minutes=5), HOUR, customer_id=7),
        ]
        _write(lake, "web_events", "occurred_at", events)
        _write(lake, "orders", "ordered_at", orders)

        times = {
            "silver/web_events": "occurred_at",
            "silver/orders": "ordered_at",
            "gold/fct_web_session": "started_at",
            "gold/fct_order_click": "ordered_at",
        }
        _build_with_files_away(lake, CLICKS, times, LONG_AGO, TODAY)
        built = {name: lake.gold(name) for name in CLICKS}
        lake.dbt("run", "--full-refresh", "--select", *CLICKS)
        assert built == {name: lake.gold(name) for name in CLICKS}

    clicked = {row["order_number"]: row["click_id"] for row in built["fct_order_click"]}
    assert {name: found for name, found in clicked.items() if found} == {
        **dict.fromkeys(("SO00032", "SO00033", "SO00034"), "late"),
        "SO00099": "now",
    }
    joined = [row for row in built["fct_web_session"] if row["click_id"] == "late"]
    assert [row["event_count"] for row in joined] == [3]


def _facts_of(number: int, at: datetime, hour: datetime = BEFORE) -> dict[str, Row]:
    """What one day brings: of each entity one row, numbered as the days are."""
    modified = {"modified_at": at, "_hour": hour}
    return {
        "orders": _order(number, at, hour, customer_id=number),
        "order_lines": line(number, 1, 10, 2, "09:00:00") | modified,
        "pos_transactions": till(10, number, 1, sold_at=at, _hour=hour)
        | {"file_path": f"transactions_{at:%Y%m%dT%H}.csv"},
        "purchase_orders": purchase(number, 5, "approved", at) | modified | {"ordered_at": at},
        "purchase_order_lines": purchase_line(number, 1, at) | modified,
        "facebook_insights": facebook(5, "1.0000", "10:00:00", date_start=at.date(), _hour=hour),
        "google_campaign_performance": google(
            5, 1_000_000, "10:00:00", segments_date=at.date(), _hour=hour
        ),
        "tickets": ticket(number, 1, "10:00:00", "10:00:00", created_at=at, _hour=hour),
        "ticket_comments": comment(number, number, "10:00:00")
        | {"created_at": at + timedelta(minutes=1), "_hour": hour},
    }


def test_facts_are_built_from_the_rows_that_an_hour_touches(new_lake: NewLake) -> None:
    """New facts with a new customer and product, and of each kind a row of long ago that changed.

    The order of long ago is moved to the days of today. No till line of then changes: all returns
    since then could be of it.
    """
    days = [TODAY - timedelta(days=720) + number * APART for number in range(73)]
    rows = [_facts_of(number, day) for number, day in enumerate(days)]
    then = days.index(LONG_AGO)
    with new_lake() as lake:
        lake.write("customers", [_version(customer(number, 1, BEFORE)) for number in range(73)])
        lake.write("products", [_version(product(10, 1, BEFORE))])
        _write_all(lake, rows)
        lake.dbt("run", "--full-refresh")

        rows[then] = {
            entity: row if entity == "pos_transactions" else row | {"_hour": HOUR}
            for entity, row in rows[then].items()
        }
        rows[then]["orders"] |= {"ordered_at": HOUR - timedelta(days=2)}
        rows[then]["facebook_insights"] |= {"spend": Decimal("2.0000")}
        rows[then]["google_campaign_performance"] |= {"clicks": 6}
        rows[then]["purchase_orders"] |= {"status": "complete"}
        rows[then]["tickets"] |= {"channel": "chat"}
        rows.append(_facts_of(99, HOUR + timedelta(minutes=5), HOUR))
        rows[-1]["order_lines"] |= {"product_id": 11}
        lake.add("customers", [_version(customer(99, 2, HOUR), HOUR)])
        lake.add("products", [_version(product(11, 2, HOUR), HOUR)])
        _write_all(lake, rows)
        lake.dbt("run", "--select", "dim_customer", "dim_product", hours=[HOUR])

        times = {f"silver/{entity}": column for entity, column in FACT_TIMES.items()} | {
            "gold/fct_sales": "sold_date",
            "gold/fct_marketing_spend": "spend_date",
        }
        _build_with_files_away(lake, FACTS, times, LONG_AGO, TODAY)
        built = {name: lake.gold(name) for name in FACTS}
        lake.dbt("run", "--full-refresh", "--select", *FACTS)
        assert built == {name: lake.gold(name) for name in FACTS}
    sold = {row["customer_code"]: row["sold_date"] for row in built["fct_sales"]}
    assert sold[str(then)] == (HOUR - timedelta(days=2)).date()


def _write_all(lake: SilverLake, rows: list[dict[str, Row]]) -> None:
    for entity, column in FACT_TIMES.items():
        _write(lake, entity, column, [row[entity] for row in rows])


def _version(member: Row, hour: datetime = BEFORE) -> Row:
    return member | {"valid_from": member["modified_at"], "is_current": True, "_hour": hour}


def test_marts_are_built_from_the_days_that_an_hour_touches(new_lake: NewLake) -> None:
    """A sale of today; facts of months that today does not look back on are away.

    `mart_sales_kpi` is made of another mart, which a full refresh writes as one file: it is built
    again with that mart in files of its own.
    """
    events, orders = _history()
    lines = [_line(row) for row in orders]
    with new_lake() as lake:
        lake.write("web_events", events)
        lake.write("stock_levels", [_stock()])
        _write(lake, "orders", "ordered_at", orders)
        lake.write("order_lines", lines)
        lake.rebuild()
        orders.append(_order(99, HOUR + timedelta(minutes=5), HOUR))
        _write(lake, "orders", "ordered_at", orders)
        lake.write("order_lines", [*lines, _line(orders[-1])])
        lake.dbt("run", "--exclude", *MARTS, hours=[HOUR])

        times = {
            "gold/fct_sales": "sold_date",
            "gold/fct_order_click": "ordered_date",
            "gold/mart_attributed_sales": "sold_date",
        }
        _build_with_files_away(lake, MARTS, times, TODAY)
        _in_files(lake, BUCKETS, "sold_hour")
        buckets = {f"gold/{BUCKETS}": "sold_hour"}
        _build_with_files_away(lake, ["mart_sales_kpi"], buckets, *COMPARED)
        built = {name: lake.gold(name) for name in MARTS}
        assert any(row["sold_hour"] == HOUR for row in built["mart_attributed_sales"])
        lake.rebuild()
        assert built == {name: lake.gold(name) for name in MARTS}


def _in_files(lake: SilverLake, model: str, column: str) -> None:
    """The stored rows of a Gold table in a file for each ten days."""
    table = DeltaTable(f"{lake.gold_root}/{model}")
    rows = pa.table(table.to_pyarrow_table())
    table.delete()
    periods = [(moment - TODAY) // APART for moment in rows[column].to_pylist()]
    for period in sorted(set(periods)):
        mask = pa.array([other == period for other in periods])
        write_deltalake(table, rows.filter(mask), mode="append")


def _line(header: Row) -> Row:
    return line(header["order_id"], 1, 10, 2, "09:00:00") | {"_hour": header["_hour"]}


def _stock() -> Row:
    return stock(10, 50, "09:00:00") | {"valid_from": BEFORE, "is_current": True, "_hour": BEFORE}
