"""`make screenshots`: every page on demo data, at three widths, light and dark, into docs/screenshots/. One left out is an error."""

from __future__ import annotations

import secrets
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pyotp
from playwright.sync_api import Page, ViewportSize, sync_playwright
from sqlalchemy import select
from werkzeug.exceptions import HTTPException

from portal import Portal, create_app, db, schema
from portal.businesses.models import Business
from portal.config import DEMO_SECRET_KEY, Settings
from portal.demo import commands, partners
from portal.demo.people import ALICE, DANA, PASSWORD, PRIYA, TOTP_SECRET
from tests.support import chromium, server
from tests.support.pages import pages_of

TARGET = server.ROOT / "docs" / "screenshots"
WIDTHS: dict[int, ViewportSize] = {
    360: {"width": 360, "height": 740},
    768: {"width": 768, "height": 1024},
    1280: {"width": 1280, "height": 800},
}
SCHEMES = ("light", "dark")


@dataclass
class Camera:
    """Takes six pictures of the page as it stands."""

    page: Page
    paths: set[str] = field(default_factory=set)

    def take(self, name: str) -> None:
        self.paths.add(urlsplit(self.page.url).path)
        for width, size in WIDTHS.items():
            self.page.set_viewport_size(size)
            for scheme in SCHEMES:
                self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                self.page.screenshot(path=TARGET / f"{name}-{width}-{scheme}.png", full_page=True)
        print(f"  {name}")

    def take_for_readme(self, name: str, *, width: int, height: int) -> None:
        """One picture, as much as fits a screen of that size; these are kept in the repository."""
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(color_scheme="light")
        self.page.screenshot(path=TARGET / f"readme-{name}.png")

    def visit(self, path: str, name: str, *, status: int = 200) -> None:
        answer = self.page.goto(path)
        if answer is None or answer.status != status:
            print(f"  {name}: left out, {path} answers {answer.status if answer else 'nothing'}")
            return
        self.take(name)


def sign_in(page: Page, email: str, take: Callable[[str], None] = lambda name: None) -> None:
    """From the sign-in page on, past the second factor."""
    take("sign-in")
    page.get_by_label("Email", exact=True).fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    take("second-factor")
    page.get_by_role("link", name="recovery code").click()
    page.get_by_label("Recovery code").wait_for()
    take("recovery-code")
    page.go_back()
    page.get_by_label("Authentication code").fill(pyotp.TOTP(TOTP_SECRET).now())
    page.get_by_role("button", name="Verify").click()


def authorization_url(**changes: str) -> str:
    """Ledgerly's request for everything it may ask for."""
    parameters = {
        "response_type": "code",
        "client_id": partners.LEDGERLY,
        "redirect_uri": f"{commands.partner_origin(None)}/callback",
        "scope": partners.ledgerly("")["scope"],
        "state": secrets.token_urlsafe(),
        "nonce": secrets.token_urlsafe(),
        "code_challenge": secrets.token_urlsafe(32),
        "code_challenge_method": "S256",
    }
    return f"/oauth/authorize?{urlencode(parameters | changes)}"


def photograph_corridor(camera: Camera) -> None:
    """A practice manager on the way from Ledgerly to the consent page."""
    page = camera.page
    page.goto(authorization_url())
    sign_in(page, PRIYA, camera.take)
    camera.take("choose-a-business")
    page.get_by_role("radio", disabled=False).first.check()
    page.get_by_role("button", name="Continue").click()
    camera.take("consent")
    camera.take_for_readme("consent", width=720, height=1160)
    page.evaluate("document.querySelector('[name=duration]:checked').value = 'for ever'")
    page.get_by_role("button", name="Allow access").click()
    page.get_by_role("alert").wait_for()
    camera.take("consent-error")
    page.route("**/js/form-post.js*", lambda route: route.fulfill(body="", content_type="text/javascript"))
    camera.visit(authorization_url(prompt="none", response_mode="form_post"), "form-post")


def photograph_enrolment(camera: Camera) -> None:
    """Somebody without a second factor, who sets one up on the way from Ledgerly to the consent page."""
    page = camera.page
    camera.visit("/nowhere", "not-found-signed-out", status=404)
    page.goto(authorization_url())
    page.get_by_label("Email", exact=True).fill(DANA)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    key = page.locator("#key").inner_text().replace(" ", "")
    camera.take("corridor-enrolment")
    page.get_by_label("Authentication code").fill(pyotp.TOTP(key).now())
    page.get_by_role("button", name="Verify").click()
    page.locator(".codes").wait_for()
    camera.take("corridor-recovery-codes")


def photograph_business(camera: Camera, business_id: str) -> None:
    """What an Access Controller sees of a business, and of their own account."""
    page = camera.page
    page.goto("/login")
    sign_in(page, ALICE)
    for path, name in (
        (f"/business/{business_id}", "business"),
        (f"/business/{business_id}/access", "access-empty"),
        (f"/business/{business_id}/users", "users"),
        ("/account", "account"),
        ("/account/mfa", "enrolment"),
        ("/account/password", "password"),
        ("/login?confirm=1", "confirm-it-is-you"),
        (f"/oauth/logout?client_id={partners.LEDGERLY}", "sign-out"),
        ("/styleguide", "styleguide"),
        ("/developers", "developers"),
        ("/developers/problems/invalid-token", "developers-problem"),
    ):
        camera.visit(path, name)
    for path, name, status in (
        ("/nowhere", "not-found", 404),
        ("/oauth/authorize?client_id=nobody", "bad-request", 400),
        ("/connect/continue?interaction=gone", "gone", 410),
    ):
        camera.visit(path, name, status=status)
    page.goto("/account/password")
    for label in ("Current password", "New password", "New password again"):
        page.get_by_label(label, exact=True).fill("short")
    page.get_by_role("button", name="Change password").click()
    page.get_by_role("alert").wait_for()
    camera.take("password-error")
    page.goto("/account")
    page.get_by_role("button", name="Make new recovery codes").click()
    page.locator(".codes").wait_for()
    camera.take("recovery-codes")


def photograph_connections(camera: Camera, business_id: str) -> None:
    """What the practice manager, signed in, sees of her businesses and of one with connections, and what one click leaves."""
    page = camera.page
    for path, name in (
        ("/businesses", "businesses"),
        (f"/business/{business_id}/history", "history"),
        (f"/business/{business_id}/access?status=ended", "access-past"),
        (f"/business/{business_id}/access?q=nothing-like-it", "access-no-match"),
        (f"/business/{business_id}/access/{partners.LEDGERLY}", "people"),
        (f"/business/{business_id}/access/{partners.LEDGERLY}/activity", "activity"),
        (f"/business/{business_id}/access", "access"),
    ):
        camera.visit(path, name)
    camera.take_for_readme("access", width=1280, height=700)
    page.get_by_role("button", name="Revoke access").first.click()
    page.get_by_role("button", name="Undo").first.wait_for()
    camera.take("access-ended")


def missed(app: Portal, paths: set[str]) -> set[str]:
    """The pages of which there is no picture."""
    routes, endpoints = app.url_map.bind(""), set()
    for path in paths:
        with suppress(HTTPException):
            endpoints.add(routes.match(path)[0])
    return {rule.rule for endpoint, rule in pages_of(app).items() if endpoint not in endpoints}


def prepare(app: Portal, settings: Settings) -> tuple[str, str]:
    """Fill an empty database with the demo data. Returns the ids of Alice's business and of Priya's largest."""
    with app.app_context():
        schema.upgrade(db.current_database().pages)
        commands.load(settings, app.keyring, partner_origin=commands.partner_origin(None))
        found = db.session.execute(select(Business.code, Business.id).where(Business.code.in_(("ACME", "NORTHSIDE"))))
        ids = {row.code: row.id for row in found}
        return ids["ACME"], ids["NORTHSIDE"]


def main() -> int:
    TARGET.mkdir(parents=True, exist_ok=True)
    port = server.free_port()
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = Settings(
            mode="development",
            issuer=f"http://{server.HOST}:{port}",
            database_url=f"sqlite:///{place / 'portal.sqlite3'}",
            secret_key=DEMO_SECRET_KEY,
            mail_url=f"file:{place / 'mail'}",
            documents_url=f"file:{place / 'documents'}",
        )
        app = create_app(settings)
        acme, northside = prepare(app, settings)
        portal = stack.enter_context(server.running(settings, place / "log", port=port, workers=1))
        browser = chromium.launch(stack.enter_context(sync_playwright()))
        cameras = [Camera(stack.enter_context(chromium.window(browser, base_url=portal.url)).new_page()) for _ in range(3)]
        priyas, alices, danas = cameras
        photograph_corridor(priyas)
        photograph_connections(priyas, northside)
        photograph_business(alices, acme)
        photograph_enrolment(danas)
    left_out = missed(app, set().union(*(camera.paths for camera in cameras)))
    print("".join(f"  no picture of {path}\n" for path in sorted(left_out)), end="")
    return 1 if left_out else 0


if __name__ == "__main__":
    sys.exit(main())
