"""The overview page: its numbers, its safety against texts from sources, and a real browser."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from retail_platform.serving.overview import Section, overview_html
from retail_platform_tests.serving.browser import PHONE, headless, shown

HOUR = datetime(2026, 11, 20, 17, tzinfo=UTC)
PAGE = overview_html(
    hour=HOUR,
    made_at=datetime(2026, 11, 20, 18, 7, tzinfo=UTC),
    sections=[
        Section(
            title="Sales",
            note="By region.",
            columns=["region", "net sales", "roas"],
            rows=[["<script>alert(1)</script>", Decimal("1234.5"), None], ["Süd & Co", 10, 2.5]],
            bar=1,
        ),
        Section(title="Nothing", note="Empty.", columns=["a"], rows=[]),
    ],
)


def test_texts_are_escaped_and_numbers_are_written_out() -> None:
    """A product name from a source can never become markup; NULL is an empty cell."""
    assert "<script>alert" not in PAGE
    assert "&lt;script&gt;alert(1)" in PAGE
    assert ">1,234.50<" in PAGE
    assert "Süd &amp; Co" in PAGE
    assert "Nothing yet." in PAGE
    assert "2026-11-20 17:00 UTC" in PAGE


@pytest.mark.browser
def test_a_browser_shows_it_without_errors_and_without_a_network(tmp_path: Path) -> None:
    """Headless Chromium: no console error, no request but the file's own, readable on a phone."""
    (tmp_path / "overview.html").write_text(PAGE, encoding="utf-8")
    with headless() as browser:
        found = shown(browser, f"file://{tmp_path}/overview.html")
        heading = found.page.inner_text("h1")
        width = found.page.evaluate("document.documentElement.scrollWidth")
    assert heading == "RetailCorp overview"
    assert found.errors == []
    assert found.outside() == []
    assert width <= PHONE


def test_bars_of_each_currency_have_a_scale_of_their_own() -> None:
    """The greatest of each currency is as long as the others' greatest."""
    section = Section(
        title="Sales",
        note="",
        columns=["currency", "net sales"],
        rows=[["USD", Decimal(1000)], ["USD", Decimal(500)], ["GBP", Decimal(8)]],
        bar=1,
        bar_scale=0,
    )
    page = overview_html(hour=HOUR, made_at=HOUR, sections=[section])
    assert [float(width) for width in re.findall(r'style="width:([0-9.]+)%"></div>', page)] == [
        100.0,
        50.0,
        100.0,
    ]
