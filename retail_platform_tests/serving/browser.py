"""A headless Chromium for tests of pages: what it shows, what it complains of, what it asks for."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from retail_platform_tests.services import chromium, require_service

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PHONE = 390


@dataclass
class Shown:
    """A page in the browser.

    Attributes:
        page: The page.
        errors: What the console reported as errors, and what scripts threw.
        requests: Addresses that it asked for.
    """

    page: "Page"
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def outside(self) -> list[str]:
        """Requests that need a network."""
        return [url for url in self.requests if not url.startswith(("file:", "data:"))]


@contextmanager
def headless() -> Iterator["Browser"]:
    """The browser; skips the test where there is none."""
    executable = chromium()
    require_service("chromium", found=executable is not None)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


def shown(browser: "Browser", url: str, *, width: int = PHONE) -> Shown:
    """Opens a page on a screen of this width."""
    page = browser.new_page(viewport={"width": width, "height": 800})
    found = Shown(page)
    page.on("console", lambda m: found.errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: found.errors.append(str(error)))
    page.on("request", lambda request: found.requests.append(request.url))
    page.goto(url)
    return found
