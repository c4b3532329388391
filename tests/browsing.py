"""A real browser for tests, what a page in it asked for and complained about, and what axe says of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from pages import browser, packed
from receiving import PATIENCE_S

UNTIL_MS = PATIENCE_S * 1000
expect.set_options(timeout=UNTIL_MS)

DESK: Any = {"width": 1280, "height": 900}
PHONE: Any = {"width": 390, "height": 844}
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# Against the body, since a theme may keep room for a scroll bar beside it.
TOO_WIDE = "document.documentElement.scrollWidth - Math.ceil(document.body.getBoundingClientRect().width)"
# Without preload: axe would fetch the style sheets, which a page from a disk may not.
AXE = "tags => axe.run(document, {runOnly: tags, resultTypes: ['violations'], preload: false})"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for the tests of a file. A longer one would keep its event loop from others."""
    found = browser.find()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=found.executable,
            args=browser.ARGUMENTS,
            env={**os.environ, **found.environment},
        )
        yield started
        started.close()


class Watched:
    """A page, and what it asked for and complained about."""

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda message: (
                self.complaints.append(message.text) if message.type in {"error", "warning"} else None
            ),
        )

    def abroad(self, home: str) -> list[str]:
        """What was asked of others than the site itself."""
        return [url for url in self.requests if not url.startswith((home, "data:", "blob:", "about:"))]


def violations(page: Page) -> list[str]:
    """What axe has to say, in a line each."""
    if not page.evaluate("'axe' in window"):
        page.evaluate((packed.package("axe-core") / "axe.min.js").read_text("utf-8"))
    found = page.evaluate(AXE, WCAG)["violations"]
    return [f"{entry['id']}: {[node['target'] for node in entry['nodes']][:3]}" for entry in found]
