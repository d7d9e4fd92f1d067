from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from tests.partner.authority import Authority
from tests.support import chromium as browsers
from tests.support.partner import Partner

pytestmark = pytest.mark.browser
LOOKS = [(1280, "light"), (1280, "dark"), (360, "light"), (320, "dark")]


@pytest.fixture(params=LOOKS, ids=lambda look: f"{look[0]}-{look[1]}")
def page(request: pytest.FixtureRequest, chromium: Chromium, partner: Partner) -> Iterator[Page]:
    width, scheme = request.param
    complaints = browsers.Complaints()
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    with browsers.window(chromium, base_url=partner.url, **options) as window:
        window.on("page", complaints.listen)
        yield window.new_page()
    assert complaints == []


@pytest.fixture
def is_in_order(axe: Callable[..., list[str]]) -> Callable[[Page], None]:
    def look(page: Page) -> None:
        assert axe(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    return look


def test_the_story_of_a_connection_reads_well_at_every_width_and_in_the_dark(
    page: Page, authority: Authority, is_in_order: Callable[[Page], None]
) -> None:
    page.goto("/")
    is_in_order(page)
    page.get_by_text("Connect to Class").click()
    is_in_order(page)
    page.get_by_text("Thornbury & Sons").click()
    is_in_order(page)
    page.get_by_role("link", name="People").click()
    is_in_order(page)
    page.get_by_role("link", name="Funds", exact=True).click()
    page.get_by_role("button", name="Refresh the access token now").click()
    is_in_order(page)
    authority.end("revoked")
    page.get_by_text("Call the API again").click()
    page.get_by_text("Details for support").click()
    is_in_order(page)
    page.get_by_role("button", name="Refresh the access token now").click()
    is_in_order(page)
    authority.reset()
    authority.granted = "openid funds.summary"
    page.get_by_text("Connect again").click()
    page.get_by_text("Thornbury & Sons").click()
    is_in_order(page)
    page.goto("/callback?state=unknown")
    is_in_order(page)
    page.get_by_text("Back to the start").click()
    page.get_by_role("button", name="Disconnect").click()
    expect(page.get_by_role("status")).to_have_text(re.compile(r"^\s*Disconnected\."))
    is_in_order(page)
