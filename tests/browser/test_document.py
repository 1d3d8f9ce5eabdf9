"""The plan as a page, in a real Chromium: light and dark, narrow and on paper, with 5 steps and with 300, without a script."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from rollback_app import reports
from tests.support import plans
from tests.support.browser import Browser, barriers

pytestmark = pytest.mark.browser
WIDTH = "document.documentElement.scrollWidth"


@pytest.fixture(scope="module", params=[5, 300])
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("plan") / "plan.html"
    file.write_text(reports.FORMATS["html"](plans.document(request.param, 24), lambda _, text: text))
    return file.as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_keeps_nobody_out(browser: Browser, address: str, scheme: str) -> None:
    def look(page: Page) -> tuple[list[str], bool, str]:
        page.evaluate("[...document.querySelectorAll('details')].slice(0, 12).forEach(each => { each.open = true })")
        shown = page.get_by_text(plans.MARKUP).first.is_visible()
        return barriers(page), shown, page.evaluate("getComputedStyle(document.body).backgroundColor")

    paper = {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 25, 29)"}[scheme]
    assert browser.visit(address, look, color_scheme=scheme) == ([], True, paper)


def test_it_fits_a_telephone(browser: Browser, address: str) -> None:
    assert browser.visit(address, lambda page: page.evaluate(WIDTH), viewport={"width": 400, "height": 800}) == 400


def test_on_paper_everything_is_open(browser: Browser, address: str) -> None:
    def look(page: Page) -> tuple[bool, bool]:
        effect = page.locator("details.step li").first
        on_screen = effect.is_visible()
        page.emulate_media(media="print")
        return on_screen, effect.is_visible()

    assert browser.visit(address, look) == (False, True)


def test_it_works_without_a_script(browser: Browser, address: str) -> None:
    """With the keys alone: the first step is opened, and tells what it does."""

    def look(page: Page) -> tuple[int, int]:
        closed = page.locator("details[open]").count()
        page.locator("summary").first.focus()
        page.keyboard.press("Enter")
        return closed, page.locator("details[open]").count()

    assert browser.visit(address, look, java_script_enabled=False) == (0, 1)
