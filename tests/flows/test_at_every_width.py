"""Between a telephone and a wide screen, too, each table stays inside its frame, with the button at its end in reach."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import Page

from portal import db
from tests.flows.conftest import OpenVisitor
from tests.support.signin import Cast

pytestmark = [pytest.mark.browser, pytest.mark.looks]
WIDTHS = (337, 350, 360, 384, 720, 721, 768, 853, 1024, 1100, 1152, 1153, 1280)
SEEN = "main :is(tbody th, tbody td, tbody time:not(.visually-hidden *), tbody .status, .button)"
STICKS_OUT = """(seen) => {
  const found = [], words = new Range(), frames = ["td", "tr", ".table-scroll", ".card", "body"];
  for (const element of document.querySelectorAll(seen)) {
    words.selectNodeContents(element);
    const box = (element.childElementCount ? element : words).getBoundingClientRect();
    const isOut = (frame) => frame && (box.left < frame.left - 0.5 || box.right > frame.right + 0.5);
    const around = frames.map((name) => element.parentElement.closest(name)?.getBoundingClientRect());
    if (element.checkVisibility() && box.width > 1 && around.some(isOut)) found.push(`${element.nodeName} ${element.textContent.trim().slice(0, 30)}`);
  }
  const { scrollWidth, clientWidth } = document.documentElement;
  return scrollWidth > clientWidth ? [...found, `the page is ${scrollWidth} wide`] : found;
}"""


def assert_all_is_inside(page: Page, path: str, *, sees: str) -> None:
    page.goto(path)
    assert page.locator(SEEN).filter(visible=True, has_text=sees).count() > 0
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(STICKS_OUT, SEEN) == [], (path, width)


def test_no_table_is_wider_than_its_frame(open_visitor: OpenVisitor, cast: Cast) -> None:
    page, home = open_visitor().page, f"/business/{cast.acme.id}"
    cast.add_consent()
    cast.add_consent(cast.bob, expires_at=db.utcnow() + timedelta(days=12))
    cast.add_consent(cast.dana, partner=cast.add_client("tidemark"), last_accessed_at=db.utcnow() - timedelta(hours=3))
    cast.add_consent(cast.dana, revoked_at=db.utcnow(), revoke_reason="user", revoked_by_user_id=cast.alice.id)
    cast.add_member(cast.add_user("Alexandrina-Wilhelmina-Featherstonehaugh"), cast.acme, "access_controller")
    cast.open_page_session(page, cast.alice)
    for path, sees in (
        (f"{home}/access", "Revoke access"),
        (f"{home}/access?status=ended", "Ended"),
        (f"{home}/access/ledgerly", "Revoke your own access"),
        (f"{home}/users", "Change role"),
        ("/businesses", cast.acme.name),
        ("/account", "This browser"),
    ):
        assert_all_is_inside(page, path, sees=sees)
    cast.open_page_session(page, cast.bob)
    assert_all_is_inside(page, f"{home}/access", sees="(what you granted)")


def test_a_table_that_cannot_be_narrower_scrolls_alone(open_visitor: OpenVisitor, cast: Cast) -> None:
    page = open_visitor(viewport={"width": 1153, "height": 800}).page
    cast.add_consent(partner=cast.add_client("wide", client_name="Superannuation" * 4))
    cast.open_page_session(page, cast.alice)
    page.goto(f"/business/{cast.acme.id}/access")
    frame = page.locator(".table-scroll")
    assert frame.evaluate("(frame) => frame.scrollWidth > frame.clientWidth + 100")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
