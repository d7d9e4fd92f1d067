"""The cast on stage: who there is, how they sign in, and what else a test can put into the database for them."""

from __future__ import annotations

import dataclasses
import itertools
from datetime import timedelta
from typing import Any, TypeVar

import pyotp
from flask.testing import FlaskClient
from playwright.sync_api import Page
from werkzeug.test import TestResponse

from portal import Portal, crypto, db
from portal.accounts import sessions
from portal.accounts.models import User
from portal.businesses.models import Membership
from portal.consents.models import Consent
from tests.support import cast
from tests.support.cast import Company, Partner, Person
from tests.support.clock import Clock
from tests.support.forms import submit

Row = TypeVar("Row")


class Cast:
    """Everyone by name. `add_*` put further people and things beside them and return the stored row."""

    alice, bob, charlie, priya, dana = cast.ALICE, cast.BOB, cast.CHARLIE, cast.PRIYA, cast.DANA
    acme, birch, practices = cast.ACME, cast.BIRCH, cast.PRACTICES
    ledgerly, pocketfolio = cast.LEDGERLY, cast.POCKETFOLIO

    def __init__(self, app: Portal, clock: Clock) -> None:
        self._app = app
        self._clock = clock
        self._numbers = itertools.count(1)
        self._last_steps: dict[str, int] = {}

    def sign_in(self, browser: FlaskClient, person: Person) -> TestResponse:
        """Sign in through the pages, with password and a code that was not used yet. Returns the last answer."""
        answer = submit(browser, browser.get("/login"), {"email": person.email, "password": person.password}, action="/login")
        if person.totp_secret:
            answer = submit(browser, browser.get(answer.location), {"code": self.code(person)})
        return answer

    def code(self, person: Person) -> str:
        """A code of their authenticator app that was not used yet; time moves on when the current one was."""
        if self._step() <= self._last_steps.get(person.id, 0):
            self._clock.advance(seconds=30)
        self._last_steps[person.id] = self._step()
        return pyotp.TOTP(person.totp_secret or "").at(self._clock.now())

    def _step(self) -> int:
        return int(self._clock.now().timestamp()) // 30

    def open_session(self, browser: FlaskClient, person: Person) -> str:
        """Be signed in at once, for tests that are not about signing in. Returns the session's id."""
        secret, session_id = self.new_session(person)
        browser.set_cookie(sessions.cookie_name(self._app.settings), secret, domain=self._app.settings.host.partition(":")[0])
        return session_id

    def open_page_session(self, page: Page, person: Person) -> str:
        """The same for a page of a real browser."""
        secret, session_id = self.new_session(person)
        host = self._app.settings.host.partition(":")[0]
        page.context.add_cookies(
            [{"name": sessions.cookie_name(self._app.settings), "value": secret, "domain": host, "path": "/"}]
        )
        return session_id

    def new_session(self, person: Person) -> tuple[str, str]:
        """A signed-in browser session: the secret of its cookie, and its id."""
        secret, now = crypto.new_secret(), self._clock.now()
        with self._app.app_context(), db.transaction() as session:
            row = sessions.start(session, self._app.settings, secret, now=now, user_agent="a test", address="127.0.0.1")
            row.user_id, row.auth_time = person.id, now
            row.amr = ["pwd", "otp", "mfa"] if person.totp_secret else ["pwd"]
        return secret, row.id

    def add_user(self, given_name: str = "Erin", **changes: Any) -> Person:
        """A further person, of no business, with the cast's password and second factor."""
        number = next(self._numbers)
        person = Person(f"user-{number}", given_name, "Pascoe", f"{given_name.lower()}{number}@acme.example")
        with self._app.app_context(), db.transaction() as session:
            password_hash = session.get_one(User, cast.ALICE.id).password_hash
            session.add(cast.user_row(person, password_hash, self._app.keyring, **changes))
        return person

    def add_business(self, name: str = "Quoll Accounting", **changes: Any) -> Company:
        number = next(self._numbers)
        company = Company(f"business-{number}", name, cast.abn(800000000 + number), f"CODE-{number}")
        self._add(cast.business_row(company, **changes))
        return company

    def add_member(self, person: Person, company: Company, role: str, *, accepted: bool = True) -> Membership:
        return self._add(cast.membership_row(person.id, company.id, role, accepted=accepted))

    def add_client(self, client_id: str = "tidemark", **changes: Any) -> Partner:
        """A further confidential client, like Ledgerly in all that is not said otherwise."""
        name = client_id.capitalize()
        secret = crypto.CLIENT_SECRET + f"{client_id}-secret-that-only-tests-know"
        partner = dataclasses.replace(
            cast.LEDGERLY, client_id=client_id, client_name=name, publisher=f"{name} Ltd", secret=secret
        )
        self._add(cast.client_row(partner, **changes))
        return partner

    def add_consent(
        self,
        person: Person = cast.ALICE,
        company: Company = cast.ACME,
        partner: Partner = cast.LEDGERLY,
        scope: str = "openid profile funds.summary offline_access",
        **changes: Any,
    ) -> Consent:
        """What `person` allowed `partner` for `company` a day ago, for twelve months."""
        granted_at = self._clock.now() - timedelta(days=1)
        facts: dict[str, Any] = {
            "user_id": person.id,
            "business_id": company.id,
            "client_id": partner.client_id,
            "scope": scope,
            "asked": scope,
            "duration": "12_months",
            "role": self._role(person, company),
            "granted_at": granted_at,
            "expires_at": granted_at + timedelta(days=365),
        }
        return self._add(Consent(**facts | changes))

    def _role(self, person: Person, company: Company) -> str:
        return next((role for who, where, role in cast.PLACES if (who, where) == (person, company)), "access_controller")

    def _add(self, row: Row) -> Row:
        with self._app.app_context(), db.transaction() as session:
            session.add(row)
        return row
