from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from playwright.sync_api import expect
from sqlalchemy.orm import Session

from portal import db
from portal.businesses.models import Membership
from tests.flows.conftest import OpenVisitor
from tests.support.signin import Cast

pytestmark = [pytest.mark.browser, pytest.mark.looks]
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


def test_what_was_refused_is_not_shown_as_if_it_stood(
    open_visitor: OpenVisitor, cast: Cast, transaction: Callable[[], AbstractContextManager[Session]]
) -> None:
    page = open_visitor().page
    second = cast.add_member(cast.add_user(), cast.acme, "access_controller")
    cast.open_page_session(page, cast.alice)
    page.goto(f"/business/{cast.acme.id}/users")
    with transaction() as session:
        session.get_one(Membership, second.id).role = "fund_auditor"
    role = page.get_by_label("Role of Alice")
    role.select_option(label="Fund Auditor")
    page.get_by_role("button", name="Change role of Alice").click()
    expect(page.locator("#status")).to_contain_text("A business needs an Access Controller")
    expect(role.locator("option:checked")).to_have_text("Access Controller")


def test_each_persons_part_stands_beside_them_and_ends_alone(open_visitor: OpenVisitor, cast: Cast) -> None:
    cast.add_consent(cast.alice, scope="openid funds.read offline_access")
    cast.add_consent(cast.bob, scope="openid profile")
    page = open_visitor().page
    cast.open_page_session(page, cast.alice)
    page.goto(f"/business/{cast.acme.id}/access")
    page.get_by_text("2 people").click()
    bob, alice = (page.locator(".part", has_text=name) for name in (cast.bob.name, cast.alice.name))
    expect(bob.locator(".chip")).to_have_text(["Know your identity", "Read your basic information"])
    expect(bob).to_contain_text("Only while signed in")
    expect(alice.locator(".chip")).to_have_text(["Read all fund information", "Know your identity"])
    expect(alice).to_contain_text("Access your data while you are not logged into Class")
    bob.get_by_role("button", name="Revoke Bob Kowalski’s access").click()
    expect(bob).to_contain_text("Access ended just now")
    expect(bob.get_by_role("button", name="Undo")).to_be_focused()
    expect(page.get_by_role("row", name="Ledgerly").first).not_to_contain_text("Read your basic information")
    bob.get_by_role("button", name="Undo").click()
    expect(bob.get_by_role("button", name="Revoke Bob Kowalski’s access")).to_be_focused()
    page.get_by_role("button", name="Revoke access", exact=True).click()
    expect(page.get_by_text("2 people")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(alice).to_be_visible()


def test_the_access_table_is_printed_as_a_list_of_all_that_is_allowed(open_visitor: OpenVisitor, cast: Cast) -> None:
    cast.add_consent(cast.bob, scope="openid")
    for number in range(30):
        cast.add_consent(partner=cast.add_client(f"partner-{number}"), scope=cast.ledgerly.scope)
    page = open_visitor().page
    cast.open_page_session(page, cast.alice)
    page.goto(f"/business/{cast.acme.id}/access")
    printed, chips = page.get_by_text("printed"), page.locator("tr.access-row .chip")
    only_on_paper = page.locator("li.print-only .chip")
    only_on_screen = page.locator("button, .filters, .fold, .activity-row, .foot, .count a")
    assert only_on_paper.count() >= 30 and only_on_screen.count() > 100
    expect(only_on_paper.first).to_be_hidden()
    page.emulate_media(media="print")
    expect(printed).to_contain_text(re.compile(r"ABN 51 824 753 556 .* printed \d+ \w{3} 20\d\d, \d+:\d\d [ap]m"))
    expect(printed).to_be_visible()
    expect(page.locator("tr.access-row:visible")).to_have_count(31)
    expect(chips.and_(page.locator(":visible"))).to_have_count(chips.count())
    expect(only_on_screen.and_(page.locator(":visible"))).to_have_count(0)
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))) > 1


def test_paper_names_everyone_and_has_no_link_to_follow(open_visitor: OpenVisitor, cast: Cast) -> None:
    cast.add_consent(cast.bob)
    cast.add_consent(cast.alice)
    cast.add_consent(revoked_at=db.utcnow(), revoke_reason="user", revoked_by_user_id=cast.bob.id)
    page, home = open_visitor().page, f"/business/{cast.acme.id}/access"
    cast.open_page_session(page, cast.alice)
    page.goto(home)
    page.emulate_media(media="print")
    who = page.locator("[data-label='Granted by']")
    expect(who).to_have_text(re.compile("Alice Hartigan.*and Bob Kowalski", re.DOTALL), use_inner_text=True)
    expect(who).not_to_contain_text("other", use_inner_text=True)
    for path in (f"{home}/ledgerly", f"{home}/ledgerly/activity", f"{home}?status=ended"):
        page.goto(path)
        expect(page.get_by_text(re.compile("ABN 51 824 753 556 .* printed"))).to_be_visible()
        expect(page.locator("main a").filter(visible=True)).to_have_count(0)
    page.goto(f"/business/{cast.acme.id}/users")
    expect(page.get_by_role("row", name="Bob Kowalski")).to_contain_text("Fund Auditor", use_inner_text=True)
    page.goto(f"{home}/ledgerly")
    commas = "(chips) => chips.map((chip) => getComputedStyle(chip, '::after').content === '\",\"')"
    assert page.locator(".chips").first.locator(".chip").evaluate_all(commas)[-2:] == [True, False]


def test_nothing_moves_for_who_wants_it_so(open_visitor: OpenVisitor) -> None:
    page = open_visitor(reduced_motion="no-preference").page
    page.goto("/login")
    moves = "getComputedStyle(document.querySelector('.button')).transitionDuration"
    assert "0.1" in page.evaluate(moves)
    page.emulate_media(reduced_motion="reduce")
    assert set(page.evaluate(moves).split(", ")) == {"0s"}


def test_forced_colours_take_no_meaning_away(open_visitor: OpenVisitor, cast: Cast) -> None:
    cast.add_consent()
    page = open_visitor(forced_colors="active").page
    cast.open_page_session(page, cast.alice)
    page.goto(f"/business/{cast.acme.id}/access")
    drawn = "(element, [part, property]) => getComputedStyle(element, part)[property]"
    ground, ink = (page.locator("body").evaluate(drawn, [None, property]) for property in ("backgroundColor", "color"))
    lines = [tab.evaluate(drawn, [None, "borderBottomColor"]) for tab in page.locator(".tabs a").all()]
    assert [line == ground for line in lines] == [True, False, True, True]
    arrows = [link.evaluate(drawn, ["::after", "borderTopWidth"]) for link in page.locator("a.sort").all()]
    assert [arrow == "0px" for arrow in arrows] == [False, True, True, True, True, True]
    assert page.locator(".status").first.evaluate(drawn, ["::before", "backgroundColor"]) == ink
