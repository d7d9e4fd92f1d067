from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pyotp
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload
from werkzeug.test import TestResponse

from portal import Portal, crypto
from portal.accounts import mfa, sessions
from portal.accounts.models import BrowserSession, User
from portal.audit.models import AuditEvent
from portal.interaction import Interaction
from tests.support.cast import Person
from tests.support.clock import Clock
from tests.support.forms import submit
from tests.support.signin import Cast

DOMAIN = "127.0.0.1"
Transaction = Callable[[], AbstractContextManager[Session]]


@dataclass
class Stage:
    """What the tests of this room look at and arrange besides the cast."""

    app: Portal
    cast: Cast
    clock: Clock
    transaction: Transaction

    def cookie(self, browser: FlaskClient) -> str:
        """The secret of the browser's session: somebody's if there is one, or else the visit's."""
        return next(iter(self.cookies(browser).values()))

    def cookies(self, browser: FlaskClient) -> dict[str, str]:
        """The secrets of the browser's sessions, by the name of their cookie: somebody's first, then the visit's."""
        found = {name: browser.get_cookie(name, domain=DOMAIN) for name in sessions.cookie_names(self.app.settings)}
        return {name: cookie.value for name, cookie in found.items() if cookie is not None}

    def row(self, browser: FlaskClient) -> BrowserSession:
        """The row behind the browser's cookie, live or not."""
        with self.transaction() as session:
            digest = crypto.digest(self.cookie(browser))
            return session.scalars(select(BrowserSession).where(BrowserSession.digest == digest)).one()

    def session_row(self, session_id: str) -> BrowserSession:
        with self.transaction() as session:
            return session.get_one(BrowserSession, session_id)

    def user(self, person: Person) -> User:
        with self.transaction() as session:
            return session.get_one(User, person.id, options=[joinedload(User.totp)])

    def events(self, kind: str) -> list[AuditEvent]:
        with self.transaction() as session:
            return list(session.scalars(select(AuditEvent).where(AuditEvent.kind == kind).order_by(AuditEvent.id)))

    def password(self, browser: FlaskClient, person: Person, password: str | None = None, path: str = "/login") -> TestResponse:
        """Open the sign-in page and send e-mail and password."""
        fields = {"email": person.email, "password": person.password if password is None else password}
        return submit(browser, browser.get(path), fields, action="/login")

    def park(self, browser: FlaskClient, **changes: Any) -> str:
        """A parked request of Ledgerly in this browser, as the authorization endpoint leaves it. Returns its id."""
        browser.get("/login")  # so that there is a session
        now = self.clock.now()
        facts: dict[str, Any] = {
            "session_id": self.row(browser).id,
            "client_id": "ledgerly",
            "parameters": {"client_id": "ledgerly", "scope": "openid"},
            "asking": {
                "client_name": "Ledgerly", "publisher": "Ledgerly Pty Ltd", "client_uri": "https://ledgerly.example", "logo": None,
                "return_host": "127.0.0.1:5001", "return_origin": "http://127.0.0.1:5001",
            },
            "prompted": {},
            "created_at": now,
            "expires_at": now + timedelta(minutes=30),
        }  # fmt: skip
        parked = Interaction(**facts | changes)
        with self.transaction() as session:
            session.add(parked)
        return parked.id

    def parked(self, interaction_id: str) -> Interaction:
        with self.transaction() as session:
            return session.get_one(Interaction, interaction_id)

    def change_user(self, person: Person, **changes: Any) -> None:
        with self.transaction() as session:
            for name, value in changes.items():
                setattr(session.get_one(User, person.id), name, value)

    def recovery_codes(self, person: Person) -> list[str]:
        with self.transaction() as session:
            return mfa.make_recovery_codes(session, self.app.keyring, session.get_one(User, person.id), now=self.clock.now())

    def code_of(self, page: TestResponse) -> str:
        """What an authenticator app shows after the key of this page was typed into it."""
        key = re.search(r'id="key"[^>]*>([A-Z2-7 ]+)<', page.text)
        assert key is not None
        return pyotp.TOTP(key[1].replace(" ", "")).at(self.clock.now())


@pytest.fixture
def stage(app: Portal, cast: Cast, clock: Clock, transaction: Transaction) -> Stage:
    return Stage(app, cast, clock, transaction)
