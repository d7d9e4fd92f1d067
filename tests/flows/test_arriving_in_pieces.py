"""A page arrives in pieces, and on a slow line a person sees each of them. What has been seen must stay where it is.

No line is slow here: each beginning of a page is laid out for itself, and compared with the whole page.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.flows.conftest import OpenVisitor
from tests.flows.test_every_page import authorization_path
from tests.support.signin import Cast

pytestmark = [pytest.mark.browser, pytest.mark.looks]
WIDTHS = (320, 360, 768, 1280)
# Words in a line may still go to the next one, together with the comma that follows them; boxes may not move.
MOVED = """(html) => {
  const body = html.slice(html.indexOf(">", html.indexOf("<body")) + 1, html.lastIndexOf("</body"));
  const lay = (beginning) => {
    document.body.innerHTML = beginning;
    return [...document.body.querySelectorAll(":not(svg *, option, [hidden])")].map((element) => ({ element, ...element.getBoundingClientRect().toJSON() }));
  };
  const isSeen = ({ element, top, width, height }) => width > 1 && height > 1 && top < innerHeight && element.checkVisibility({ visibilityProperty: true });
  const isAt = (one, other) => Math.abs(one.left - other.left) < 0.5 && Math.abs(one.top - other.top) < 0.5;
  const whole = lay(body), ought = whole.map((one) => isSeen(one) && getComputedStyle(one.element).display !== "inline");
  const moved = new Set();
  for (const { index } of body.matchAll(/</g)) {
    lay(body.slice(0, index)).forEach((then, n) => {
      if (ought[n] && !isAt(then, whole[n]) && isSeen(then)) moved.add(`${then.element.nodeName} ${then.element.className} ${whole[n].element.textContent.trim().slice(0, 30)}`);
    });
  }
  return [...moved];
}"""


def assert_nothing_moves(page: Page, path: str) -> None:
    answer = page.goto(path)
    assert answer is not None
    html = answer.text()
    assert "<header" in html and "<footer" in html
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(MOVED, html) == [], (path, width)


def test_nothing_moves_for_who_is_not_signed_in(open_visitor: OpenVisitor, cast: Cast) -> None:
    page = open_visitor().page
    for path in ("/login", authorization_path(cast), "/developers/problems/not-found", "/nowhere"):
        assert_nothing_moves(page, path)


def test_nothing_moves_for_who_is_signed_in(open_visitor: OpenVisitor, cast: Cast) -> None:
    page, home = open_visitor().page, f"/business/{cast.acme.id}"
    cast.add_consent()
    cast.add_consent(cast.dana, scope="openid funds.write business.read offline_access")
    cast.open_page_session(page, cast.alice)
    for path in (home, f"{home}/access", f"{home}/users", authorization_path(cast)):
        assert_nothing_moves(page, path)
    cast.open_page_session(page, cast.dana)
    assert_nothing_moves(page, "/account")


def test_nothing_moves_for_who_has_many_businesses(open_visitor: OpenVisitor, cast: Cast) -> None:
    page = open_visitor().page
    cast.open_page_session(page, cast.priya)
    assert_nothing_moves(page, "/businesses")
