"""Till files as they really come: each fault is met, nothing is lost, good rows go on."""

from pathlib import Path

import pytest

from retail_platform.failures import PermanentFailure, TransientFailure
from retail_platform_tests.platform.box import Box
from retail_platform_tests.platform.catalogs import demo_catalog
from retail_platform_tests.platform.fixtures import Opener
from retail_platform_tests.platform.sources import POS_HEADER, Landing, pos_file

ENTITY = "pos_transactions"
GOOD = "536365,85123A,WHITE HANGING HEART,6,2026-01-05 12:26:00,2.55,17850.0,United Kingdom"


def line(invoice: str, *, quantity: str = "1", price: str = "1.50", customer: str = "") -> str:
    return f"{invoice},22423,CAKESTAND,{quantity},2026-01-05 12:30:00,{price},{customer},France"


@pytest.fixture
def box(new_box: Opener) -> Box:
    return new_box(demo_catalog(ENTITY))


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path / "landing")


def invoices(box: Box) -> list[str]:
    return [row["invoice_no"] for row in sorted(box.live(ENTITY), key=lambda r: r["line_number"])]


def test_a_truncated_last_line_is_quarantined_with_its_place(box: Box, landing: Landing) -> None:
    """A file that breaks off loses its last line only, and that one is named with its text."""
    cut = pos_file(GOOD, line("2")) + "3,22423,CAKEST"
    path = landing.deliver(0, cut)
    load = box.both(ENTITY, 0, landing.environ)
    assert invoices(box) == ["536365", "2"]
    assert load.counts.quarantined == 1
    (refused,) = box.quarantined(ENTITY)
    assert refused["place"] == f"{path} line 4"
    assert "truncated" in refused["reasons"]
    assert "3,22423,CAKEST" in refused["payload"]


def test_a_last_line_cut_inside_its_last_field_is_quarantined(box: Box, landing: Landing) -> None:
    """It has all its fields: only the line break that is not there tells that it is cut."""
    path = landing.deliver(0, pos_file(line("2"), GOOD).removesuffix("gdom\n"))
    box.both(ENTITY, 0, landing.environ)
    assert [row["country"] for row in box.live(ENTITY)] == ["France"]
    (refused,) = box.quarantined(ENTITY)
    assert refused["place"] == f"{path} line 3"
    assert "it breaks off in this record" in refused["reasons"]


def test_byte_order_mark_and_crlf_leave_no_trace(box: Box, landing: Landing) -> None:
    """The first column's name and the last column's values are clean."""
    content = b"\xef\xbb\xbf" + pos_file(GOOD, line("2")).replace("\n", "\r\n").encode()
    landing.deliver(0, content)
    load = box.both(ENTITY, 0, landing.environ)
    assert load.counts.applied == 2
    assert invoices(box) == ["536365", "2"]
    assert {row["country"] for row in box.live(ENTITY)} == {"United Kingdom", "France"}


def test_an_unknown_column_is_kept_in_bronze_and_named(box: Box, landing: Landing) -> None:
    """Silver goes on without it; the load says its name, for the check ``columns_known``."""
    landing.deliver(0, pos_file(f"{GOOD},4711", header=f"{POS_HEADER},Till"))
    assert box.bronze(ENTITY, 0, landing.environ).unknown_columns == ["Till"]
    assert [row["Till"] for row in box.stored_bronze(ENTITY)] == ["4711"]
    assert box.silver(ENTITY, 0).counts.applied == 1
    assert "Till" not in box.live(ENTITY)[0]


def test_ids_read_as_fractions_and_texts_that_mean_null(box: Box, landing: Landing) -> None:
    """``17850.0`` is 17850; ``nan`` and ``NULL`` are NULL; ``1.5`` is no id and no quantity."""
    landing.deliver(
        0,
        pos_file(
            GOOD,
            line("2", customer="nan"),
            line("3", customer="NULL"),
            line("4", customer="17850.5"),
            line("5", quantity="1.5"),
        ),
    )
    box.both(ENTITY, 0, landing.environ)
    assert {row["invoice_no"]: row["customer_id"] for row in box.live(ENTITY)} == {
        "536365": 17850,
        "2": None,
        "3": None,
    }
    assert sorted(row["reasons"] for row in box.quarantined(ENTITY)) == [
        "customer_id: cannot read 17850.5 as bigint",
        "quantity: cannot read 1.5 as int; quantity is missing",
    ]


def test_a_row_is_quarantined_with_all_its_reasons(box: Box, landing: Landing) -> None:
    """Not the first fault only: a missing key column, an unreadable number and a broken rule."""
    landing.deliver(0, pos_file(GOOD, line("nan", quantity="six", price="-11062.06")))
    box.both(ENTITY, 0, landing.environ)
    (refused,) = box.quarantined(ENTITY)
    assert set(refused["reasons"].split("; ")) == {
        "quantity: cannot read six as int",
        "invoice_no is missing",
        "quantity is missing",
        "unit_price is negative",
    }


def test_spreadsheet_numbers(box: Box, landing: Landing) -> None:
    """``3E-2`` is read exactly; ``1.234,56`` is refused, not guessed."""
    landing.deliver(0, pos_file(line("1", price="3E-2"), line("2", price='"1.234,56"')))
    box.both(ENTITY, 0, landing.environ)
    assert [str(row["unit_price"]) for row in box.live(ENTITY)] == ["0.0300"]
    (refused,) = box.quarantined(ENTITY)
    assert "unit_price: cannot read 1.234,56 as decimal(19,4)" in refused["reasons"]


def test_a_file_delivered_twice_under_two_names_is_taken_once(box: Box, landing: Landing) -> None:
    """Same content, same rows: in one hour, and in a later one."""
    content = pos_file(GOOD, line("2"))
    landing.deliver(0, content)
    landing.deliver(0, content, addition=" (1)")
    box.both(ENTITY, 0, landing.environ)
    landing.deliver(1, content)
    assert box.both(ENTITY, 1, landing.environ).counts.read == 0
    assert len(box.stored_bronze(ENTITY)) == 2
    assert invoices(box) == ["536365", "2"]


def test_equal_lines_inside_a_file_are_all_kept(box: Box, landing: Landing) -> None:
    """Two scans of one article are two lines."""
    landing.deliver(0, pos_file(GOOD, GOOD))
    assert box.both(ENTITY, 0, landing.environ).counts.applied == 2


def test_a_corrected_file_replaces_its_former_lines(box: Box, landing: Landing) -> None:
    """Changed lines change, missing lines go, and Bronze keeps both contents."""
    landing.deliver(0, pos_file(GOOD, line("2"), line("3")))
    box.both(ENTITY, 0, landing.environ)
    landing.deliver(0, pos_file(GOOD, line("2", quantity="9")))
    load = box.both(ENTITY, 0, landing.environ)
    assert {row["invoice_no"]: row["quantity"] for row in box.live(ENTITY)} == {
        "536365": 6,
        "2": 9,
    }
    assert load.counts.swept == 1
    assert len(box.stored_bronze(ENTITY)) == 5
    box.both(ENTITY, 0, landing.environ)
    assert len(box.stored_bronze(ENTITY)) == 5, "the same content again adds nothing"


def test_an_hour_without_trade_is_no_gap_and_one_without_marker_is_waited_for(
    box: Box, landing: Landing
) -> None:
    """A marker alone is an empty hour; no marker is a sender that has not finished."""
    landing.deliver(0, None)
    assert box.both(ENTITY, 0, landing.environ).counts.read == 0
    with pytest.raises(TransientFailure, match="waiting for marker"):
        box.bronze(ENTITY, 1, landing.environ)


def test_a_file_without_a_declared_column_says_which(box: Box, landing: Landing) -> None:
    """The sender has to mend it: a permanent failure that names file, column and cure."""
    path = landing.deliver(0, "InvoiceNo,StockCode\n1,2\n")
    with pytest.raises(PermanentFailure, match=rf"{path}: no column Description.*mend the header"):
        box.bronze(ENTITY, 0, landing.environ)
