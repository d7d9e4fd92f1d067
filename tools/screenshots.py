"""`make screenshots`: every page on demo data, at three widths, light and dark, into docs/screenshots/."""

from __future__ import annotations

import secrets
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pyotp
from playwright.sync_api import Page, ViewportSize, sync_playwright
from sqlalchemy import select

from portal import create_app, db, schema
from portal.businesses.models import Business
from portal.config import DEMO_SECRET_KEY, Settings
from portal.demo import commands, partners
from portal.demo.people import ALICE, PASSWORD, PRIYA, TOTP_SECRET
from tests.support import chromium, server

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

    def take(self, name: str) -> None:
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

    def visit(self, path: str, name: str) -> None:
        answer = self.page.goto(path)
        if answer is None or answer.status != 200:
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
    page.get_by_label("Authentication code").fill(pyotp.TOTP(TOTP_SECRET).now())
    page.get_by_role("button", name="Verify").click()


def authorization_url() -> str:
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
    return f"/oauth/authorize?{urlencode(parameters)}"


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
        ("/styleguide", "styleguide"),
        ("/developers", "developers"),
        ("/developers/problems/invalid-token", "developers-problem"),
    ):
        camera.visit(path, name)
    page.goto("/nowhere")
    camera.take("not-found")


def photograph_connections(camera: Camera, business_id: str) -> None:
    """What the practice manager, signed in, sees of her businesses and of one with connections, and what one click leaves."""
    page = camera.page
    for path, name in (
        ("/businesses", "businesses"),
        (f"/business/{business_id}/history", "history"),
        (f"/business/{business_id}/access?status=ended", "access-past"),
        (f"/business/{business_id}/access/{partners.LEDGERLY}/activity", "activity"),
        (f"/business/{business_id}/access", "access"),
    ):
        camera.visit(path, name)
    camera.take_for_readme("access", width=1280, height=700)
    page.get_by_role("button", name="Revoke access").first.click()
    page.get_by_role("button", name="Undo").first.wait_for()
    camera.take("access-ended")


def prepare(settings: Settings) -> tuple[str, str]:
    """Fill an empty database with the demo data. Returns the ids of Alice's business and of Priya's largest."""
    app = create_app(settings)
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
        acme, northside = prepare(settings)
        portal = stack.enter_context(server.running(settings, place / "log", port=port, workers=1))
        browser = chromium.launch(stack.enter_context(sync_playwright()))
        priyas, alices = (Camera(stack.enter_context(chromium.window(browser, base_url=portal.url)).new_page()) for _ in range(2))
        photograph_corridor(priyas)
        photograph_connections(priyas, northside)
        photograph_business(alices, acme)
    return 0


if __name__ == "__main__":
    sys.exit(main())
