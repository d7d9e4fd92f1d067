from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.flows.conftest import OpenVisitor
from tests.support.signin import Cast

pytestmark = pytest.mark.browser
STICKS_OUT = """() => {
  const frame = document.querySelector(".qr").getBoundingClientRect();
  return [...document.querySelectorAll(".qr svg, .qr svg path")].map((part) => part.getBoundingClientRect())
    .filter((box) => box.left < frame.left || box.top < frame.top || box.right > frame.right || box.bottom > frame.bottom).length;
}"""


@pytest.mark.parametrize("width", [1280, 320])
def test_the_whole_code_to_scan_is_shown(open_visitor: OpenVisitor, cast: Cast, width: int) -> None:
    page = open_visitor(viewport={"width": width, "height": 800}).page
    cast.open_page_session(page, cast.dana)
    page.goto("/account/mfa")
    expect(page.locator(".qr svg path").first).to_be_visible()
    assert page.evaluate(STICKS_OUT) == 0


def test_undo_is_offered_no_longer_than_it_works(open_visitor: OpenVisitor, cast: Cast) -> None:
    cast.add_consent()
    page = open_visitor().page
    cast.open_page_session(page, cast.alice)
    page.clock.install()
    page.goto(f"/business/{cast.acme.id}/access")
    page.get_by_role("button", name="Revoke access").click()
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    page.clock.fast_forward(31_000)
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)
    expect(page.get_by_text("Access ended just now")).to_be_focused()


def test_what_was_refused_is_not_shown_as_if_it_stood(open_visitor: OpenVisitor, cast: Cast) -> None:
    page = open_visitor().page
    cast.open_page_session(page, cast.alice)
    page.goto(f"/business/{cast.acme.id}/users")
    role = page.get_by_label("Role of Alice")
    role.select_option(label="Fund Auditor")
    page.get_by_role("button", name="Change role of Alice").click()
    expect(page.locator("#status")).to_contain_text("A business needs an Access Controller")
    expect(role.locator("option:checked")).to_have_text("Access Controller")
