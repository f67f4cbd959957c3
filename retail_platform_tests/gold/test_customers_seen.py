"""What visits and interactions mean, against plain Python over the same Silver and by hand."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from retail_platform_tests.gold.scenario import HOURS, at, event
from retail_platform_tests.gold.silver_lake import NewLake, SilverLake
from retail_platform_tests.gold.silver_model import Row, SilverModel

pytestmark = pytest.mark.xdist_group("gold_five_hours")

GAP = timedelta(minutes=30)
MODELS = ("dim_customer", "dim_product", "dim_campaign")
FACTS = ("fct_web_session", "fct_customer_interaction")
SELECTED = (
    *("--select", *MODELS, *FACTS),
    *("--exclude", "test_type:unit", "--indirect-selection", "cautious"),
)


def test_visits_are_the_events_of_a_visitor_without_a_long_gap(
    lake: SilverLake, silver: SilverModel
) -> None:
    """Those that plain Python finds, whichever hour brought their events."""
    expected = sorted(
        (visitor, visit[0]["occurred_at"], visit[-1]["occurred_at"], len(visit))
        for visitor, visit in _visits(silver)
    )
    found = sorted(
        (row["visitor_id"], row["started_at"], row["ended_at"], row["event_count"])
        for row in lake.gold("fct_web_session")
    )
    assert found == expected


def test_a_late_event_joins_two_visits_and_keeps_the_first_touch(lake: SilverLake) -> None:
    """The event of 10:40 arrives in the fourth hour; before, 10:56 began a visit of its own."""
    visits = {(row["visitor_id"], row["started_at"]): row for row in lake.gold("fct_web_session")}
    joined = visits["a", at("10:00:00")]
    assert joined["ended_at"] == at("11:00:00")
    assert ("a", at("10:56:00")) not in visits
    assert (joined["landing_page"], joined["exit_page"]) == ("/1", "/6")
    assert (joined["platform"], joined["utm_id"], joined["click_id"]) == (
        "facebook",
        "f1",
        "click-a",
    )
    assert (joined["customer_id"], joined["order_count"], joined["cart_addition_count"]) == (
        1,
        1,
        1,
    )
    assert joined["duration_seconds"] == 3600
    campaigns = {row["campaign_id"]: row["campaign_key"] for row in lake.gold("dim_campaign")}
    assert joined["campaign_key"] == campaigns["f1"]
    assert visits["session:s-4", at("10:10:00")]["platform"] is None


def test_no_event_is_lost_or_counted_twice(lake: SilverLake, silver: SilverModel) -> None:
    """The check that reconciles visits with Silver says so, and finds an event that is missing."""
    check = ("test", "--select", "fct_web_session,test_name:sums_to")
    assert "PASS=1 WARN=0" in lake.dbt(*check)
    lake.write("web_events", [event(1, "a", "10:00:00")])
    found = lake.dbt(*check)
    lake.write("web_events", silver.tables["web_events"].values())
    assert "PASS=0 WARN=1" in found


def test_an_event_that_is_taken_back_can_split_a_visit(new_lake: NewLake) -> None:
    """And takes away the visit of which it was all."""
    silver = SilverModel()
    with new_lake() as lake:
        batches: list[dict[str, list[Row]]] = [
            {
                "web_events": [
                    event(1, "a", "10:00:00"),
                    event(2, "a", "10:25:00"),
                    event(3, "a", "10:50:00"),
                    event(4, "b", "10:00:00"),
                ]
            },
            {
                "web_events": [
                    event(2, "a", "10:25:00", modified_at=HOURS[1], _deleted=True),
                    event(4, "b", "10:00:00", modified_at=HOURS[1], _deleted=True),
                ]
            },
        ]
        for hour, batch in zip(HOURS, batches, strict=False):
            silver.process(hour, batch)
            silver.write_to(lake)
            lake.dbt("run", "--select", *MODELS, "fct_web_session", hours=[hour])
        starts = [(row["visitor_id"], row["started_at"]) for row in lake.gold("fct_web_session")]
        assert sorted(starts) == [("a", at("10:00:00")), ("a", at("10:50:00"))]


def test_interactions_are_counted_once_with_the_score_that_was_given(lake: SilverLake) -> None:
    rows = {(row["kind"], row["source_id"]): row for row in lake.gold("fct_customer_interaction")}
    assert set(rows) == {
        ("ticket", "1"),
        ("ticket", "3"),
        ("call", "2"),
        ("comment", "12"),
        ("comment", "21"),
        ("review", "1"),
        ("survey", "r1"),
    }
    assert (rows["ticket", "1"]["score"], rows["ticket", "1"]["sentiment"]) == (1.0, "positive")
    assert (rows["call", "2"]["score"], rows["call", "2"]["sentiment"]) == (0.0, "negative")
    review = rows["review", "1"]
    assert (review["score_given"], review["score"], review["sentiment"]) == ("2", 0.25, "negative")
    assert rows["ticket", "3"]["is_deleted"]
    # A comment follows its ticket: the channel that the ticket moved to, and its customer.
    assert (rows["comment", "12"]["channel"], rows["comment", "12"]["customer_id"]) == ("chat", 1)
    customers = {row["customer_id"]: row["customer_key"] for row in lake.gold("dim_customer")}
    assert rows["comment", "21"]["customer_key"] == customers[2]
    assert rows["review", "1"]["customer_key"] == customers[None]


def _visits(silver: SilverModel) -> Iterator[tuple[str, list[Row]]]:
    by_visitor: dict[str, list[Row]] = defaultdict(list)
    for row in silver.tables["web_events"].values():
        visitor: Any = row["client_id"] or f"session:{row['session_id']}"
        by_visitor[visitor].append(row)
    for visitor, events in by_visitor.items():
        visit: list[Row] = []
        for one in sorted(events, key=lambda row: (row["occurred_at"], row["event_id"])):
            if visit and one["occurred_at"] - visit[-1]["occurred_at"] > GAP:
                yield visitor, visit
                visit = []
            visit.append(one)
        yield visitor, visit
