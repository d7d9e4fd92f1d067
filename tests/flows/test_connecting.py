from __future__ import annotations

import re

import pyotp
import pytest
from playwright.sync_api import expect

from tests.flows.conftest import OpenVisitor, Visitor
from tests.support.partner import Partner
from tests.support.signin import Cast

pytestmark = pytest.mark.browser
READ_ALL = "Read all fund information"
OFFLINE = "Access your data while you are not logged into Class"


def test_a_newcomer_connects_reads_and_ends_it_with_one_click(visitor: Visitor, ledgerly: Partner, cast: Cast) -> None:
    page = visitor.page
    visitor.connect(ledgerly, cast.alice, cast.acme, READ_ALL, OFFLINE)
    expect(page.get_by_role("heading", name="Acme Super Services", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Acme Super Services Fund 1")).to_be_visible()

    portal = page.context.new_page()
    visitor = Visitor(portal, cast, visitor.portal)
    visitor.open_access_table(cast.acme)
    row = portal.locator("#application-ledgerly-live")
    expect(row).to_contain_text("Alice Hartigan")
    expect(row).to_contain_text("Access Controller")
    expect(row).to_contain_text(re.compile(r"just now|\d+ minutes? ago"))
    expect(row).to_contain_text("Active")
    row.get_by_role("button", name="Revoke access").click()
    expect(portal.locator("#application-ledgerly-live")).to_contain_text("Access ended just now")
    expect(portal.locator("#status")).to_contain_text("Ledgerly is blocked from now on")
    expect(portal.get_by_role("button", name="Undo")).to_be_visible()

    page.get_by_role("link", name="Call the API again").click()
    expect(page.get_by_role("heading", name="Access was ended in Class")).to_be_visible()
    expect(page.get_by_role("link", name="Connect again")).to_be_visible()

    portal.get_by_role("button", name="Undo").click()
    expect(portal.locator("#application-ledgerly-live")).to_contain_text("Active")
    page.get_by_role("link", name="Call the API again").click()
    expect(page.get_by_role("link", name="Acme Super Services Fund 1")).to_be_visible()


def test_who_connects_again_after_the_end_is_asked_again(visitor: Visitor, ledgerly: Partner, cast: Cast) -> None:
    page = visitor.page
    visitor.connect(ledgerly, cast.alice, cast.acme)
    visitor.open_access_table(cast.acme)
    page.get_by_role("button", name="Revoke access").click()
    expect(page.locator("#application-ledgerly-live")).to_contain_text("Access ended")
    page.goto(ledgerly.url)
    page.get_by_role("link", name="Connect again").click()
    visitor.choose(cast.acme)
    expect(page.get_by_role("heading", name="Ledgerly asks for access to Acme Super Services")).to_be_visible()
    visitor.allow()
    expect(page.get_by_role("link", name="Acme Super Services Fund 1")).to_be_visible()


def test_a_manager_of_many_picks_the_right_one_of_two_namesakes(visitor: Visitor, ledgerly: Partner, cast: Cast) -> None:
    page = visitor.page
    sydney, perth = cast.practices[:2]
    visitor.start(ledgerly)
    visitor.sign_in(cast.priya)
    expect(page.get_by_text("Another of your businesses has this name")).to_have_count(2)
    expect(page.get_by_text("You have not accepted the invitation")).to_be_visible()
    expect(page.get_by_text("Only Access Controllers connect applications here")).to_be_visible()
    page.get_by_label("Search your businesses").fill("harbour-per")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("input[name=business_id]")).to_have_count(1)
    visitor.choose(perth)
    expect(page.get_by_text(perth.code)).to_be_visible()
    visitor.allow()
    expect(page.get_by_role("heading", name="Harbour Super Partners")).to_be_visible()
    page.goto(f"{visitor.portal}/business/{sydney.id}/access")
    expect(page.get_by_text("No partner application can reach the data of Harbour Super Partners")).to_be_visible()
    page.goto(f"{visitor.portal}/business/{perth.id}/access")
    expect(page.locator("#application-ledgerly-live")).to_contain_text("Priya Venkatesan")


def test_no_is_an_answer_like_yes(visitor: Visitor, ledgerly: Partner, cast: Cast) -> None:
    page = visitor.page
    visitor.start(ledgerly)
    visitor.sign_in(cast.alice)
    visitor.choose(cast.acme)
    page.get_by_role("button", name="Deny").click()
    expect(page).to_have_url(re.compile(re.escape(ledgerly.url)))
    expect(page.get_by_role("heading", name="Nothing was connected")).to_be_visible()
    page.goto(f"{visitor.portal}/business/{cast.acme.id}/history")
    expect(page.get_by_text("Alice Hartigan denied Ledgerly access.", exact=True)).to_be_visible()


def test_who_turns_back_before_signing_in_is_at_the_partner_again(visitor: Visitor, ledgerly: Partner) -> None:
    visitor.start(ledgerly)
    visitor.page.get_by_role("button", name="Return to Ledgerly without connecting").click()
    expect(visitor.page.get_by_text("The request was denied in Class.")).to_be_visible()


def test_who_has_no_second_factor_sets_one_up_on_the_way(visitor: Visitor, ledgerly: Partner, cast: Cast) -> None:
    page = visitor.page
    visitor.start(ledgerly)
    visitor.sign_in(cast.dana)
    key = page.locator("#key").inner_text().replace(" ", "")
    page.get_by_label("Authentication code").fill(pyotp.TOTP(key).now())
    page.get_by_role("button", name="Verify").click()
    expect(page.locator(".codes li")).to_have_count(10)
    page.get_by_role("link", name="Continue").click()
    visitor.choose(cast.acme)
    visitor.allow()
    expect(page.get_by_role("link", name="Acme Super Services Fund 1")).to_be_visible()


def test_an_auditor_gives_reading_and_is_told_why_not_more(visitor: Visitor, ledgerly: Partner, cast: Cast) -> None:
    page = visitor.page
    page.goto(ledgerly.url)
    page.get_by_role("link", name="let Ledgerly change funds").click()
    visitor.sign_in(cast.bob)
    visitor.choose(cast.acme)
    expect(page.get_by_label("Read and modify all fund information", exact=True)).to_be_disabled()
    expect(page.get_by_text("Your role, Fund Auditor, cannot give this.")).to_be_visible()
    visitor.allow(READ_ALL)
    expect(page.get_by_role("link", name="Acme Super Services Fund 1")).to_be_visible()


def test_signing_out_ends_what_lasts_only_while_signed_in(open_visitor: OpenVisitor, ledgerly: Partner, cast: Cast) -> None:
    visitor = open_visitor()
    page = visitor.page
    visitor.connect(ledgerly, cast.alice, cast.acme)
    expect(page.get_by_role("link", name="Acme Super Services Fund 1")).to_be_visible()
    page.goto(f"{visitor.portal}/business/{cast.acme.id}/access")
    expect(page.get_by_text("Only while signed in")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")
    page.goto(ledgerly.url)
    expect(page.get_by_role("heading", name="You are no longer signed in to Class")).to_be_visible()


def test_the_whole_way_goes_by_keyboard_alone(open_visitor: OpenVisitor, ledgerly: Partner, cast: Cast) -> None:
    visitor = open_visitor()
    page = visitor.page

    def reach(name: str) -> None:
        for _ in range(80):
            page.keyboard.press("Tab")
            focused = page.evaluate(
                "(document.activeElement.labels?.[0]?.textContent ?? document.activeElement.textContent).trim()"
            )
            if focused.startswith(name):
                return
        raise AssertionError(f"the keyboard does not reach {name}")

    page.goto(ledgerly.url)
    reach("Connect to Class")
    page.keyboard.press("Enter")
    page.wait_for_url("**/login**")
    reach("Email")
    page.keyboard.type(cast.alice.email)
    reach("Password")
    page.keyboard.type(cast.alice.password)
    page.keyboard.press("Enter")
    page.wait_for_url("**/login/mfa**")
    reach("Authentication code")
    page.keyboard.type(pyotp.TOTP(cast.alice.totp_secret or "").now())
    page.keyboard.press("Enter")
    page.wait_for_url("**/connect/business**")
    reach("Acme Super Services")
    page.keyboard.press("Space")
    reach("Continue")
    page.keyboard.press("Enter")
    page.wait_for_url("**/connect/consent**")
    reach(READ_ALL)
    page.keyboard.press("Space")
    reach("Allow access")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{ledgerly.url}/**")
    page.goto(f"{visitor.portal}/business/{cast.acme.id}/access")
    reach("Revoke access")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Revoke access")).to_be_focused()
