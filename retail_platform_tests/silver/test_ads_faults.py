"""Every fault of an ad platform: the hour completes, or fails clearly and completes on retry.

The platforms are the simulator's real HTTP server. No row is lost or doubled either way: Bronze is
compared with what an undisturbed load brings.
"""

from collections.abc import Mapping
from datetime import timedelta

import pytest
import sqlalchemy as sa

from retail_platform.control.models import Status, api_calls
from retail_platform.extract.http import Patience
from retail_platform.failures import PermanentFailure, PlatformFailure, TransientFailure
from retail_platform.metadata.loader import Catalog
from retail_platform.resources.marketing import AdsResource
from retail_platform.simulator.ads_facebook_state import TOKEN, Fate
from retail_platform.simulator.ads_faults import Fault, Faults
from retail_platform_tests.platform.box import Box, Row, hour_at, open_box
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.silver.ads_platforms import (
    FACEBOOK_TABLE,
    GOOGLE_TABLE,
    believed,
    catalog_of,
    money,
    platforms,
    received,
)

DAYS = 8
"""Few, but enough for a report run and for several streams."""
ENTITIES = (FACEBOOK_TABLE, GOOGLE_TABLE)
PASSING: Mapping[str, Mapping[int, Fault]] = {
    # Account, campaigns, report run, two polls and three pages, with a retry after every fault.
    FACEBOOK_TABLE: {
        1: "server_error",
        3: "unavailable",
        5: "half_page",
        7: "no_answer",
        9: "malformed",
        11: "rate_limit",
        13: "account_limit",
        15: "unavailable",
    },
    # Token, customer and five streams.
    GOOGLE_TABLE: {
        1: "unavailable",
        3: "half_page",
        5: "no_answer",
        7: "malformed",
        9: "rate_limit",
        11: "broken_stream",
        13: "token_expired",
    },
}


def few_days(entity: str, **connection: object) -> Catalog:
    (own,) = catalog_of(entity).tables
    row: dict[str, object] = {"restate_daily_days": DAYS}
    if own.row.gaql is not None:
        row["gaql"] = own.row.gaql.model_copy(update={"days_per_call": 2})
    return catalog_of(entity, row=row, connection=connection)


@pytest.fixture(scope="module")
def undisturbed(
    engine_address: str, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, list[Row]]:
    """What Bronze receives when nothing goes wrong."""
    found = {}
    for entity in ENTITIES:
        folder = tmp_path_factory.mktemp(entity)
        with open_box(folder, few_days(entity), engine_address) as box, platforms() as running:
            running.bronze(box, entity, 0)
            found[entity] = received(box, entity)
    return found


@pytest.mark.parametrize("entity", ENTITIES)
def test_faults_that_pass_change_nothing(
    new_box: Opener, undisturbed: Mapping[str, list[Row]], entity: str
) -> None:
    """500, 503, 429, half an answer, none at all, no JSON, a broken stream, an ended token."""
    box = new_box(few_days(entity))
    faults = Faults(kinds=PASSING[entity], retry_after=1)
    with platforms(faults) as running:
        running.both(box, entity, 0)
        asked = len(running.server.requests)
    assert asked > max(faults.kinds)
    assert received(box, entity) == undisturbed[entity]
    assert money(box, entity) == believed(entity, 0, DAYS)


@pytest.mark.parametrize("fates", [("fails", "is_skipped"), ("is_skipped",)], ids=str)
def test_a_report_run_that_fails_is_submitted_again(
    new_box: Opener, fates: tuple[Fate, ...]
) -> None:
    box = new_box(few_days(FACEBOOK_TABLE))
    with platforms(Faults(fates=fates)) as running:
        running.both(box, FACEBOOK_TABLE, 0)
        submitted = [r for r in running.server.requests if r.startswith("POST")]
    assert len(submitted) == len(fates) + 1
    assert money(box, FACEBOOK_TABLE) == believed(FACEBOOK_TABLE, 0, DAYS)


@pytest.mark.parametrize(
    ("faults", "failure", "message"),
    [
        (Faults(kinds={7: "repeated_page"}), TransientFailure, "page 2 came before"),
        (Faults(kinds={8: "cursor_expired"}), TransientFailure, "the page cursor has expired"),
        (Faults(kinds={4: "full"}), TransientFailure, "at 100 % .* free again in 12 minutes"),
        (Faults(kinds={7: "token_expired"}), PermanentFailure, "error code 190"),
        (
            Faults(fates=("fails", "is_skipped", "fails")),
            TransientFailure,
            r"3 runs, the last one ended as 'Job Failed' \(-2 Report Failed\)",
        ),
        (
            Faults(kinds={7: "rate_limit"}, retry_after=3600),
            TransientFailure,
            "would wait 3600 s",
        ),
    ],
    ids=["repeated page", "cursor", "limit", "token", "report runs", "long wait"],
)
def test_facebook_fails_clearly_and_completes_on_retry(
    new_box: Opener,
    undisturbed: Mapping[str, list[Row]],
    faults: Faults,
    failure: type[PlatformFailure],
    message: str,
) -> None:
    fails_and_completes(new_box, undisturbed, FACEBOOK_TABLE, faults, failure, message)


@pytest.mark.parametrize(
    ("faults", "failure", "message"),
    [
        (
            Faults(kinds=dict.fromkeys(range(3, 8), "broken_stream")),
            TransientFailure,
            "TRANSIENT_ERROR: The stream was aborted.*gave up after 5 attempts",
        ),
        (
            Faults(kinds={4: "rate_limit"}, retry_after=3600),
            TransientFailure,
            "would wait 3600 s",
        ),
    ],
    ids=["stream", "quota"],
)
def test_google_fails_clearly_and_completes_on_retry(
    new_box: Opener,
    undisturbed: Mapping[str, list[Row]],
    faults: Faults,
    failure: type[PlatformFailure],
    message: str,
) -> None:
    fails_and_completes(new_box, undisturbed, GOOGLE_TABLE, faults, failure, message)


@pytest.mark.parametrize("entity", ENTITIES)
def test_a_slow_server_is_given_up_and_the_hour_is_whole_on_retry(
    new_box: Opener,
    undisturbed: Mapping[str, list[Row]],
    entity: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An answer that takes too long is asked for again, and one that stays away fails the hour."""
    hasty = Patience(attempts=2, backoff=0.01, read_timeout=1.0)
    monkeypatch.setattr(AdsResource, "patience", property(lambda _: hasty))
    faults = Faults(kinds={2: "slow", 5: "slow", 6: "slow"}, slow_seconds=2.0)
    fails_and_completes(
        new_box, undisturbed, entity, faults, TransientFailure, "no answer .*Read timed out"
    )


@pytest.mark.parametrize("entity", ENTITIES)
def test_the_platform_s_clock_counts_and_not_ours(
    new_box: Opener, undisturbed: Mapping[str, list[Row]], entity: str
) -> None:
    """One that is behind makes the hour wait; one that is ahead brings what it shows by then."""
    box = new_box(few_days(entity))
    with platforms() as running:
        running.now = hour_at(1) - timedelta(seconds=1)
        with pytest.raises(TransientFailure, match=r"clock says .* the hour is not closed yet"):
            box.bronze(entity, 0, running.environ)
        assert box.stored_bronze(entity) == []
        running.both(box, entity, 0)
        assert received(box, entity) == undisturbed[entity]
        running.now = hour_at(2) + timedelta(minutes=7)
        box.both(entity, 1, running.environ)
    shown = money(box, entity)
    closed = believed(entity, 1, DAYS)
    assert {key: shown[key] for key in closed} == closed


def fails_and_completes(
    new_box: Opener,
    undisturbed: Mapping[str, list[Row]],
    entity: str,
    faults: Faults,
    failure: type[PlatformFailure],
    message: str,
) -> None:
    box = new_box(few_days(entity))
    with platforms(faults) as running:
        with pytest.raises(failure, match=message):
            running.bronze(box, entity, 0)
        assert box.stored_bronze(entity) == [], "a part of a fetch would pass for all of it"
        running.server.facebook.valid.add(TOKEN)
        running.both(box, entity, 0)
    loads = box.ledger.loads(asset=f"bronze/{box.catalog.by_entity[entity].bronze}")
    assert [load.status for load in loads] == [Status.FAILURE, Status.SUCCESS]
    assert received(box, entity) == undisturbed[entity]
    assert money(box, entity) == believed(entity, 0, DAYS)


@pytest.mark.parametrize("entity", ENTITIES)
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"timezone": "Europe/London"}, "timezone is America/.*, metadata says Europe/London"),
        ({"currency": "GBP"}, "currency is USD, metadata says GBP.*Set connection.currency"),
    ],
    ids=["zone", "currency"],
)
def test_another_account_than_metadata_says_is_refused(
    new_box: Opener, entity: str, wrong: dict[str, str], message: str
) -> None:
    """Its days, hours and money would mean something else."""
    box = new_box(few_days(entity, **wrong))
    with platforms() as running, pytest.raises(PermanentFailure, match=message):
        running.bronze(box, entity, 0)
    assert box.stored_bronze(entity) == []


@pytest.mark.parametrize("entity", ENTITIES)
def test_a_budget_that_is_used_up_holds_the_hour_until_it_frees(
    new_box: Opener, entity: str
) -> None:
    """Two tables of a source, or two attempts, share it; an hour later there is a new one."""
    box = new_box(few_days(entity, budget=5))
    name = box.catalog.by_entity[entity].source
    with platforms() as running:
        with pytest.raises(TransientFailure, match=r"budget of 5 calls .* may be made at 20"):
            running.bronze(box, entity, 0)
        with pytest.raises(TransientFailure, match="budget of 5 calls"):
            running.bronze(box, entity, 0)
        assert box.calls.used(name) == 5
        counted = [r for r in running.server.requests if "/token" not in r]
        assert len(counted) == 5, "nothing is sent beyond the budget"
        _an_hour_passes(box)
        box.catalog = few_days(entity, budget=50)
        running.both(box, entity, 0)
    assert money(box, entity) == believed(entity, 0, DAYS)


def _an_hour_passes(box: Box) -> None:
    with box.control.begin() as connection:
        for row in connection.execute(sa.select(api_calls)).all():
            connection.execute(
                sa.update(api_calls)
                .where(api_calls.c.minute == row.minute)
                .values(minute=row.minute - timedelta(minutes=62))
            )
