"""The browser that the live page is tested in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from playwright.sync_api import Browser, Page, sync_playwright

__all__ = ["CHROMIUM", "Visit", "launched"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
"""Where it is; empty where there is none (see ``tests/need-chromium``)."""


def launched() -> Iterator[Browser]:
    """A browser without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """A page that was opened, and what its browser did and said.

    Attributes
    ----------
    page : Page
        It.
    asked : list of str
        The addresses that it asked for.
    said : list of str
        Warnings and errors of its console and its scripts.
    """

    def __init__(self, browser: Browser, port: int, **settings: object) -> None:
        self.asked: list[str] = []
        self.said: list[str] = []
        self._context = browser.new_context(**settings)  # type: ignore[arg-type]
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(10_000)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda line: self.said.append(f"{line.type}: {line.text}"))
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.page.goto(f"http://127.0.0.1:{port}/")

    def text(self, selector: str) -> str:
        """What an element says."""
        return self.page.locator(selector).inner_text()

    def becomes(self, selector: str, text: str) -> None:
        """Wait until an element says something."""
        self.page.locator(selector, has_text=text).first.wait_for()

    def close(self) -> None:
        """Leave, having said and asked for nothing that it should not."""
        self._context.close()
