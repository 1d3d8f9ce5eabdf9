"""The page in the admin of the example project, as `python3 dev.py page` starts it, in a real Chromium."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.servers import free_port
from tests.support.browser import Browser, barriers

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Site:
    address: str
    password: str

    def log_in(self, page: Page) -> None:
        page.fill("#id_username", "admin")
        page.fill("#id_password", self.password)
        page.click("[type=submit]")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A copy of the example project, so that its database is another file."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(ROOT / "example_project", folder / "example_project", ignore=shutil.ignore_patterns("*.sqlite3*"))
    process = subprocess.Popen(
        [sys.executable, "-m", "example_project.page", str(free_port())],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{folder}:{ROOT}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = ""
    assert process.stdout
    for line in process.stdout:
        said += line
        if found := re.search(r'Open (\S+) as "admin" with the password "(.+?)"', said):
            break
    else:
        raise AssertionError(said)
    yield Site(found[1], found[2])
    process.terminate()
    process.communicate()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_read_and_copy_a_line(browser: Browser, site: Site, scheme: str) -> None:
    def look(page: Page) -> tuple[list[str], list[str], str]:
        site.log_in(page)
        found = barriers(page)
        page.get_by_role("link", name="the plan before").first.click()
        page.locator("summary", has_text="orders.0006_invoice").click()
        found += barriers(page)
        told = page.locator("details[open] li").all_inner_texts()
        page.get_by_role("button", name="Copy: python manage.py rollbackmigrationsafter").click()
        page.get_by_text("Copied").wait_for()
        return found, told, page.evaluate("navigator.clipboard.readText()")

    allowed = ["clipboard-read", "clipboard-write"]
    found, told, copied = browser.visit(site.address, look, color_scheme=scheme, permissions=allowed)
    assert found == []
    assert told == ["drops table orders_invoice: 1 row, kept"]
    assert re.fullmatch(r'python manage.py rollbackmigrationsafter "\S+ \S+" --expect [0-9a-f]{12}', copied)


def test_it_fits_a_telephone_and_works_without_a_script(browser: Browser, site: Site) -> None:
    def look(page: Page) -> tuple[int, int, int]:
        site.log_in(page)
        page.get_by_role("link", name="the plan").first.click()
        page.locator("summary").first.click()
        width = round((page.locator(".rollback").bounding_box() or {"width": 0})["width"])
        return (
            page.locator("details[open]").count(),
            page.get_by_role("button", name="Copy").count(),
            width,
        )

    opened, buttons, width = browser.visit(
        site.address, look, java_script_enabled=False, viewport={"width": 400, "height": 800}
    )
    assert (opened, buttons) == (1, 0)
    assert 300 < width <= 400


def test_nothing_can_be_posted(browser: Browser, site: Site) -> None:
    def look(page: Page) -> list[int]:
        site.log_in(page)
        addresses = [page.url, f"{page.url}default/", f"{page.url}default/plan/"]
        return [page.request.fetch(address, method="POST").status for address in addresses]

    assert browser.visit(site.address, look) == [405, 405, 405]
