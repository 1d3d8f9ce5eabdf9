"""A real Chromium, without a window: one for the whole session, each visit with a profile of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from playwright.sync_api import Browser as Chromium
from playwright.sync_api import ConsoleMessage, Page, Request, sync_playwright

from tests import servers

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AXE = Path(sys.prefix) / "axe-core" / "axe.min.js"  # where dev.py puts it
T = TypeVar("T")


@dataclass(frozen=True)
class Browser:
    """thread: the only one that talks to the browser, since Django refuses its database to a thread with an event loop."""

    thread: ThreadPoolExecutor
    chromium: Chromium

    def visit(self, url: str, look: Callable[[Page], T], **profile: Any) -> T:
        """What `look` finds at a page. The page loads nothing from elsewhere, and has nothing to complain about."""
        return self.thread.submit(self._visit, url, look, profile).result()

    def _visit(self, url: str, look: Callable[[Page], T], profile: dict[str, Any]) -> T:
        elsewhere: list[str] = []
        complaints: list[str] = []
        site = url if url.startswith("file:") else "/".join(url.split("/")[:3])

        def requested(request: Request) -> None:
            if not request.url.startswith((site, "data:")):
                elsewhere.append(request.url)

        def said(message: ConsoleMessage) -> None:
            # That a site has no icon is no matter of a page of ours.
            if message.type in ("error", "warning") and not message.location["url"].endswith("/favicon.ico"):
                complaints.append(message.text)

        context = self.chromium.new_context(**profile)
        try:
            page = context.new_page()
            page.set_default_timeout(10_000)
            page.on("request", requested)
            page.on("console", said)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(url)
            found = look(page)
        finally:
            context.close()
        assert (elsewhere, complaints) == ([], [])
        return found


@contextmanager
def started() -> Iterator[Browser]:
    path = servers.programs("chromium") / "chromium"
    with ThreadPoolExecutor(1) as thread:
        playwright = thread.submit(sync_playwright().start).result()
        chromium = thread.submit(
            lambda: playwright.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        ).result()
        try:
            yield Browser(thread, chromium)
        finally:
            thread.submit(chromium.close).result()
            thread.submit(playwright.stop).result()


def barriers(page: Page) -> list[str]:
    """What axe-core finds that keeps people out."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run()")["violations"]
    return [f"{each['id']}: {node['html']:.200}" for each in found for node in each["nodes"]]
