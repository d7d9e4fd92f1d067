"""The stories of the product on real programs: the portal, the sample partner and Chromium, with and without JavaScript."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page

from tests.support import chromium as browsers
from tests.support import partner as partners
from tests.support.cast import Company, Person
from tests.support.partner import Partner
from tests.support.server import HOST, LiveServer, free_port
from tests.support.signin import Cast


@pytest.fixture
def ledgerly(live_server: LiveServer, cast: Cast, tmp_path: Path) -> Iterator[Partner]:
    """The sample partner, registered at the portal for the port it got."""
    port = free_port()
    registered = cast.add_client("ledgerly-live", client_name="Ledgerly", redirect_uris=[f"http://{HOST}:{port}/callback"])
    client_id, secret = registered.authentication
    own = {"PARTNER_CLIENT_ID": client_id, "PARTNER_CLIENT_SECRET": secret, "PARTNER_TIMEOUT_SECONDS": "20"}
    with partners.running(live_server.url, tmp_path / "partner", port=port, **own) as running:
        yield running


@dataclass
class Visitor:
    """A person at a browser, who goes through the corridor as its pages say."""

    page: Page
    cast: Cast
    portal: str

    def start(self, partner: Partner) -> None:
        self.page.goto(partner.url)
        self.page.get_by_role("link", name="Connect to Class").click()

    def sign_in(self, person: Person) -> None:
        self.page.get_by_label("Email").fill(person.email)
        self.page.get_by_label("Password").fill(person.password)
        self.page.get_by_role("button", name="Sign in").click()
        if person.totp_secret:
            self.page.get_by_label("Authentication code").fill(pyotp.TOTP(person.totp_secret).now())
            self.page.get_by_role("button", name="Verify").click()

    def choose(self, company: Company) -> None:
        self.page.locator(f"input[name=business_id][value={company.id}]").check()
        with self.page.expect_event("load"):  # whole, so that a test may change what is on the next page
            self.page.get_by_role("button", name="Continue").click()

    def allow(self, *titles: str) -> None:
        for title in titles:
            self.page.get_by_label(title, exact=True).check()
        self.page.get_by_role("button", name="Allow access").click()

    def connect(self, partner: Partner, person: Person, company: Company, *titles: str) -> None:
        self.start(partner)
        self.sign_in(person)
        self.choose(company)
        self.allow(*titles)

    def open_access_table(self, company: Company) -> None:
        self.page.goto(f"{self.portal}/businesses")
        self.page.get_by_role("link", name=company.name, exact=True).first.click()
        self.page.get_by_role("link", name="Applications", exact=True).click()


OpenVisitor = Callable[..., Visitor]


@pytest.fixture
def open_visitor(chromium: Chromium, live_server: LiveServer, cast: Cast) -> Iterator[OpenVisitor]:
    """Opens a browser for a visitor; each has cookies of its own. No page may break a script or the security policy."""
    complaints = browsers.Complaints()
    open_windows = []

    def open_one(**options: object) -> Visitor:
        window = browsers.window(chromium, base_url=live_server.url, **options)
        open_windows.append(window)
        context = window.__enter__()
        context.on("page", complaints.listen)
        return Visitor(context.new_page(), cast, live_server.url)

    yield open_one
    for window in open_windows:
        window.__exit__(*sys.exc_info())
    assert complaints == []


@pytest.fixture(params=[True, False], ids=["with-javascript", "without-javascript"])
def visitor(request: pytest.FixtureRequest, open_visitor: OpenVisitor) -> Visitor:
    return open_visitor(java_script_enabled=request.param)
