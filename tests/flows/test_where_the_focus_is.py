from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.flows.conftest import OpenVisitor
from tests.support.signin import Cast

pytestmark = [pytest.mark.browser, pytest.mark.looks]
WINDOWS = [(640, 400), (390, 664), (320, 256), (320, 200)]
PLACES = ("start", "center", "end")
IS_FOCUSED_AND_SEEN = """(button) => {
  const box = button.getBoundingClientRect();
  const seen = [box.top + 1, (box.top + box.bottom) / 2, box.bottom - 1].map((y) => document.elementFromPoint((box.left + box.right) / 2, y));
  return document.activeElement === button && seen.every((one) => button.contains(one));
}"""


def press(page: Page, button: Locator, place: str = "center") -> None:
    button.focus()
    button.evaluate("(button, block) => button.scrollIntoView({ block })", place)
    page.keyboard.press("Enter")


def wait_until_seen(page: Page, button: Locator) -> None:
    expect(button).to_be_focused()
    page.wait_for_function(IS_FOCUSED_AND_SEEN, arg=button.element_handle())


@pytest.mark.parametrize("window", WINDOWS, ids=lambda window: f"{window[0]}x{window[1]}")
def test_what_was_said_never_covers_the_button_that_has_the_focus(
    open_visitor: OpenVisitor, cast: Cast, window: tuple[int, int]
) -> None:
    for place in PLACES:
        cast.add_consent(partner=cast.add_client(f"at-the-{place}"))
    page = open_visitor(viewport={"width": window[0], "height": window[1]}).page
    cast.open_page_session(page, cast.alice)
    page.goto(f"/business/{cast.acme.id}/access")
    for place in PLACES:
        row = page.locator(f"#application-at-the-{place}")
        for name in ("Revoke access", "Undo"):
            press(page, row.get_by_role("button", name=name), place)
            expect(page.locator("#status.is-floating")).to_be_visible()
            wait_until_seen(page, row.get_by_role("button", name="Undo" if name == "Revoke access" else "Revoke access"))
    for _ in range(4):
        page.keyboard.press("Shift+Tab")
        wait_until_seen(page, page.locator(":focus"))


def test_the_focus_stays_with_the_person_who_was_changed_or_removed(open_visitor: OpenVisitor, cast: Cast) -> None:
    page = open_visitor().page
    cast.open_page_session(page, cast.alice)
    page.goto(f"/business/{cast.acme.id}/users")
    bob, dana = (page.get_by_role("row", name=person.name) for person in (cast.bob, cast.dana))
    press(page, bob.get_by_role("button", name="Change role"))
    expect(page.locator("#status")).to_contain_text("already")
    expect(bob.get_by_role("button", name="Change role")).to_be_focused()
    press(page, dana.locator("summary", has_text="Remove"))
    expect(dana.get_by_text("Only the operator of Class can undo this.")).to_be_visible()
    press(page, dana.get_by_role("button", name="Yes, remove"))
    expect(dana.get_by_text("Removed")).to_be_visible()
    expect(dana.locator(":focus")).to_contain_text("Removed")
