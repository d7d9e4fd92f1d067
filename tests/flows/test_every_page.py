from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

import pyotp
import pytest
from playwright.sync_api import Page
from werkzeug.exceptions import HTTPException

from portal import Portal, db
from portal.accounts import mfa
from portal.accounts.models import User
from tests.flows.conftest import OpenVisitor, Visitor
from tests.support.pages import pages_of
from tests.support.signin import Cast

pytestmark = [pytest.mark.browser, pytest.mark.looks]
LOOKS = [(1280, "light"), (320, "dark")]
OTHER = {"light": "dark", "dark": "light"}
LOOKED_AT: set[str] = set()
SHIFTS = """() => new Promise((resolve) => {
  const moved = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (!entry.hadRecentInput && entry.value >= 0.001) for (const { node } of entry.sources) moved.push(`${node?.nodeName} ${node?.textContent.trim().slice(0, 40)}`);
    }
  }).observe({ type: "layout-shift", buffered: true });
  setTimeout(() => resolve(moved), 60);
})"""
Look = Callable[..., None]
Walk = TypeVar("Walk", bound=Callable[..., None])


def looks_at(*endpoints: str) -> Callable[[Walk], Walk]:
    """The pages that a walk looks at: the walk is held to them, and all walks together to the pages there are."""

    def note(walk: Walk) -> Walk:
        LOOKED_AT.update(endpoints)
        walk.__dict__["looks_at"] = set(endpoints)
        return walk

    return note


@pytest.fixture(params=LOOKS, ids=lambda look: f"{look[0]}-{look[1]}")
def visitor(request: pytest.FixtureRequest, open_visitor: OpenVisitor) -> Visitor:
    width, scheme = request.param
    return open_visitor(viewport={"width": width, "height": 800}, color_scheme=scheme)


@pytest.fixture
def look(request: pytest.FixtureRequest, app: Portal, visitor: Visitor, axe: Callable[..., list[str]]) -> Iterator[Look]:
    """Looks at the page as it stands: axe finds nothing, nothing sticks out, and nothing has moved by itself.

    Of what axe looks for, the other colour scheme changes the contrast alone.
    """
    _, scheme = request.node.callspec.params["visitor"]
    routes, seen = app.url_map.bind(""), set()

    def look(*, waits: bool = False) -> None:
        page = visitor.page
        assert axe(page) == [], page.url
        page.emulate_media(color_scheme=OTHER[scheme])  # type: ignore[arg-type]
        assert axe(page, only="color-contrast") == [], f"{page.url} {OTHER[scheme]}"
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url
        # what a person opened comes when the server has answered, and the browser forgives half a second
        assert waits or page.evaluate(SHIFTS) == [], page.url
        with suppress(HTTPException):  # an address that opens nothing, on purpose
            seen.add(routes.match(urlsplit(page.url).path)[0])

    yield look
    assert seen >= request.function.looks_at


def test_every_page_is_looked_at(app: Portal) -> None:
    assert pages_of(app).keys() == LOOKED_AT


def authorization_path(cast: Cast, **changes: str) -> str:
    parameters = {
        "response_type": "code",
        "client_id": cast.ledgerly.client_id,
        "redirect_uri": cast.ledgerly.redirect_uri,
        "scope": cast.ledgerly.scope,
        "code_challenge": "c" * 43,
        "code_challenge_method": "S256",
    }
    return f"/oauth/authorize?{urlencode(parameters | changes)}"


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def send(page: Page, name: str) -> None:
    """Press, and wait for the page that follows."""
    with page.expect_event("load"):
        press(page, name)


@looks_at("accounts.sign_in", "accounts.second_factor", "accounts.recovery", "connect.business", "connect.consent")
def test_the_corridor(visitor: Visitor, look: Look, cast: Cast) -> None:
    page = visitor.page
    page.goto(authorization_path(cast))
    look()
    page.get_by_label("Email").fill(cast.priya.email)
    page.get_by_label("Password").fill("not it")
    send(page, "Sign in")
    look()
    page.get_by_label("Password").fill(cast.priya.password)
    send(page, "Sign in")
    look()
    page.get_by_role("link", name="recovery code").click()
    page.get_by_label("Recovery code").wait_for()
    look()
    page.go_back()
    page.get_by_label("Authentication code").fill("000000")
    send(page, "Verify")
    look()
    page.get_by_label("Authentication code").fill(cast.code(cast.priya))
    send(page, "Verify")
    look()
    send(page, "Continue")  # nothing chosen
    look()
    visitor.choose(cast.practices[0])
    page.get_by_role("heading", name="Ledgerly asks").wait_for()
    look()
    page.get_by_text("Why Ledgerly asks").first.click()
    page.get_by_text("Technical details").click()
    look()
    page.evaluate("document.querySelector('[name=duration]:checked').value = 'for ever'")
    send(page, "Allow access")
    page.get_by_role("alert").wait_for()
    look()


@looks_at("accounts.enrolment", "accounts.recovery_codes")
def test_setting_up_a_second_factor_in_the_corridor(visitor: Visitor, look: Look, cast: Cast) -> None:
    page = visitor.page
    cast.open_page_session(page, cast.dana)
    page.goto(authorization_path(cast))
    key = page.locator("#key").inner_text().replace(" ", "")
    look()
    page.get_by_label("Authentication code").fill(pyotp.TOTP(key).now())
    send(page, "Verify")
    page.locator(".codes").wait_for()
    look()


@looks_at("connect.business")
def test_a_role_that_cannot_give_what_is_required(visitor: Visitor, look: Look, cast: Cast) -> None:
    adviser = cast.add_user("Una")
    cast.add_member(adviser, cast.acme, "fund_adviser")
    cast.open_page_session(visitor.page, adviser)
    visitor.page.goto(authorization_path(cast))
    look()


@looks_at("connect.consent")
def test_asking_for_more_than_stands_already(visitor: Visitor, look: Look, cast: Cast) -> None:
    cast.add_consent(scope="openid funds.summary")
    cast.open_page_session(visitor.page, cast.alice)
    visitor.page.goto(authorization_path(cast))
    visitor.choose(cast.acme)
    visitor.page.get_by_text("New", exact=True).nth(7).wait_for()
    assert visitor.page.get_by_text("New", exact=True).count() == 8
    look()


@looks_at("logout.sign_out_by_link")
def test_a_partners_link_to_sign_out(visitor: Visitor, look: Look, cast: Cast) -> None:
    page = visitor.page
    page.goto("/oauth/logout?post_logout_redirect_uri=https://evil.example/")
    look()
    cast.open_page_session(page, cast.alice)
    page.goto(f"/oauth/logout?client_id={cast.ledgerly.client_id}")
    look()
    press(page, "Stay signed in")
    page.wait_for_url("**/businesses")
    page.goto("/oauth/logout")
    press(page, "Sign out")
    page.wait_for_url("**/login")


@looks_at("developers.overview", "developers.problem")
def test_what_developers_read(visitor: Visitor, look: Look) -> None:
    for path in ("/developers", "/developers/problems/insufficient-scope"):
        visitor.page.goto(path)
        look()


@looks_at("connect.consent")
def test_what_happens_to_a_request_that_is_over(visitor: Visitor, look: Look, cast: Cast) -> None:
    page = visitor.page
    cast.open_page_session(page, cast.alice)
    page.goto(authorization_path(cast))
    visitor.choose(cast.acme)
    asked = page.url
    page.evaluate("document.querySelectorAll('[name=csrf_token]').forEach((field) => { field.value = 'of another day'; })")
    press(page, "Deny")
    page.get_by_role("heading", name="This page was open for too long").wait_for()
    look()
    page.goto(asked)
    page.route(f"{cast.ledgerly.redirect_uri}*", lambda route: route.fulfill(body="the partner"))
    press(page, "Deny")
    page.get_by_text("the partner").wait_for()
    page.goto(asked)
    page.get_by_role("heading", name="This request has ended").wait_for()
    look()


@looks_at("accounts.sign_in")
def test_too_many_attempts(visitor: Visitor, look: Look) -> None:
    page = visitor.page
    page.goto("/login")
    for _ in range(12):
        page.get_by_label("Email").fill("nobody@acme.example")
        page.get_by_label("Password").fill("not it")
        send(page, "Sign in")
    page.get_by_text("Too many attempts").wait_for()
    look()


@looks_at("authorize.endpoint", "authorize.resume", "access.table", "connect.consent")
def test_what_is_refused(visitor: Visitor, look: Look, cast: Cast) -> None:
    page = visitor.page
    for path in (
        authorization_path(cast, client_id="nobody"),
        "/connect/continue?interaction=gone",
        "/nowhere",
        "/oauth/authorize",
    ):
        page.goto(path)
        look()
    cast.open_page_session(page, cast.alice)
    for path in (f"/business/{cast.birch.id}/access", "/connect/consent?interaction=gone", "/logout"):
        page.goto(path)
        look()


@looks_at("authorize.endpoint")
def test_the_way_back_by_form(visitor: Visitor, look: Look, cast: Cast) -> None:
    cast.open_page_session(visitor.page, cast.alice)
    visitor.page.route("**/js/form-post.js*", lambda route: route.fulfill(body="", content_type="text/javascript"))
    visitor.page.goto(authorization_path(cast, response_mode="form_post", prompt="none"))
    visitor.page.get_by_role("button", name="Continue").wait_for()
    look()


@looks_at(
    "my_businesses.businesses",
    "my_businesses.overview",
    "access.table",
    "access.people",
    "activity.show",
    "businesses.users",
    "history.events",
)
def test_a_business_and_what_reaches_it(visitor: Visitor, look: Look, cast: Cast) -> None:
    page = visitor.page
    tidemark = cast.add_client("tidemark")
    cast.add_consent()
    cast.add_consent(cast.dana, scope="openid funds.write business.read offline_access")
    cast.add_consent(cast.bob, partner=tidemark, scope="openid")
    cast.add_consent(
        cast.bob, revoked_at=db.utcnow() - timedelta(hours=1), revoke_reason="user", revoked_by_user_id=cast.alice.id
    )
    cast.open_page_session(page, cast.alice)
    home = f"/business/{cast.acme.id}"
    for path in (
        "/businesses",
        home,
        f"{home}/access",
        f"{home}/access/ledgerly",
        f"{home}/access/ledgerly/activity",
        f"{home}/access?status=ended",
        f"{home}/users",
    ):
        page.goto(path)
        look()
    page.goto(f"{home}/access?q=nothing-like-it")
    look()
    page.goto(f"{home}/access")
    for fold in page.locator("details.fold").all():
        if fold.is_visible():
            fold.locator("summary").first.click()
    page.locator(".activity").nth(1).wait_for()
    look(waits=True)
    page.get_by_role("button", name="Revoke access").first.click()
    page.get_by_role("button", name="Undo").wait_for()
    look(waits=True)
    page.goto(f"{home}/history")
    look()
    page.goto(f"{home}/users")
    page.get_by_text("The only one.").wait_for()
    page.locator(".ask > summary").first.click()
    look()
    page.get_by_label("Role of Bob Kowalski").select_option("access_controller")
    press(page, "Change role of Bob Kowalski")
    press(page, "Change role of Alice Hartigan")
    page.get_by_text("was Access Controller already").wait_for()
    look(waits=True)
    elsewhere = page.context.new_page()
    elsewhere.goto(f"{home}/users")
    elsewhere.get_by_label("Role of Bob Kowalski").select_option("fund_auditor")
    press(elsewhere, "Change role of Bob Kowalski")
    elsewhere.get_by_text("The only one.").wait_for()
    page.get_by_label("Role of Alice Hartigan").select_option("fund_auditor")
    press(page, "Change role of Alice Hartigan")
    page.get_by_text("A business needs an Access Controller").wait_for()
    look(waits=True)


@looks_at("my_businesses.businesses", "access.table")
def test_many_businesses_and_none(visitor: Visitor, look: Look, cast: Cast) -> None:
    page = visitor.page
    cast.open_page_session(page, cast.priya)
    page.goto("/businesses")
    look()
    for path in ("access?status=ended", "access"):
        page.goto(f"/business/{cast.practices[0].id}/{path}")
        look()
    page.locator("details[data-popup] > summary").first.click()
    look()
    cast.open_page_session(page, cast.add_user("Nora"))
    page.goto("/businesses")
    look()


@looks_at("accounts.account", "accounts.enrolment", "accounts.change_password", "accounts.sign_in", "accounts.recovery_codes")
def test_my_account(visitor: Visitor, look: Look, cast: Cast, app: Portal) -> None:
    page = visitor.page
    cast.open_page_session(page, cast.dana)
    for path in ("/account", "/account/mfa", "/account/password"):
        page.goto(path)
        look()
    cast.open_page_session(page, cast.alice)
    with app.app_context(), db.transaction() as session:
        mfa.make_recovery_codes(session, app.keyring, session.get_one(User, cast.alice.id), now=db.utcnow())
    for path in ("/login?confirm=1", "/account"):
        page.goto(path)
        look()
    press(page, "Make new recovery codes")
    page.locator(".codes").wait_for()
    look()


@looks_at("styleguide.show")
def test_every_part_in_every_state(visitor: Visitor, look: Look) -> None:
    visitor.page.goto("/styleguide")
    look()
