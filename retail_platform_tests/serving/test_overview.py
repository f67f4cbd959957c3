"""The overview page: its numbers, its safety against texts from sources, and a real browser."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from retail_platform.serving.overview import Section, overview_html
from retail_platform_tests.services import chromium, require_service

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
    executable = chromium()
    require_service("chromium", found=executable is not None)
    from playwright.sync_api import sync_playwright

    (tmp_path / "overview.html").write_text(PAGE, encoding="utf-8")
    errors: list[str] = []
    requests: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page(viewport={"width": 390, "height": 800})
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(f"file://{tmp_path}/overview.html")
        heading = page.inner_text("h1")
        width = page.evaluate("document.documentElement.scrollWidth")
        browser.close()
    assert heading == "RetailCorp overview"
    assert errors == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert width <= 390
