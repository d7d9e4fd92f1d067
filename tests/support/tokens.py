"""Codes and tokens without the pages: what a person allowed is put into the database, and the partner goes on from there."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, update
from werkzeug.test import TestResponse

from portal import Portal, crypto, db
from portal.consents.models import Consent
from portal.oauth.models import Authorization
from tests.support import cast as the_cast
from tests.support.cast import Company, Partner, Person
from tests.support.signin import Cast

OFFLINE = "openid profile funds.summary offline_access"
ONLINE = "openid profile funds.summary"
NONCE = "nonce-of-this-sign-in"


def challenge_of(verifier: str) -> str:
    """S256 (RFC 7636 §4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


@dataclass(frozen=True)
class Line:
    """A code that was just sent to the partner, with the ids of all it hangs on."""

    partner: Partner
    person: Person
    company: Company
    code: str
    verifier: str
    redirect_uri: str
    consent_id: str
    authorization_id: str
    session_id: str

    @property
    def form(self) -> dict[str, str]:
        """What redeems the code; with the client_id of a public client."""
        form = {"grant_type": "authorization_code", "code": self.code, "code_verifier": self.verifier}
        form["redirect_uri"] = self.redirect_uri
        return form if self.partner.secret else {**form, "client_id": self.partner.client_id}

    def refresh_form(self, refresh_token: str, **more: str) -> dict[str, str]:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, **more}
        return form if self.partner.secret else {**form, "client_id": self.partner.client_id}

    @property
    def authentication(self) -> tuple[str, str] | None:
        return self.partner.authentication if self.partner.secret else None


class Machine:
    """The partner's program: it authenticates as its client and knows no cookie."""

    def __init__(self, app: Portal, cast: Cast) -> None:
        self.app = app
        self.cast = cast

    # arranging

    def authorize(
        self,
        person: Person = the_cast.ALICE,
        company: Company = the_cast.ACME,
        partner: Partner = the_cast.LEDGERLY,
        scope: str = OFFLINE,
        *,
        consent_id: str | None = None,
        session_id: str | None = None,
        **changes: Any,
    ) -> Line:
        """What the consent page does when the person allows: a consent (unless one is named), and a code for 60 seconds."""
        now = db.utcnow()
        session_id = session_id or self.cast.new_session(person)[1]
        consent_id = consent_id or self.cast.add_consent(person, company, partner, scope).id
        code, verifier = crypto.new_secret(crypto.CODE), secrets.token_urlsafe(48)
        facts: dict[str, Any] = {
            "code_digest": crypto.digest(code), "client_id": partner.client_id, "user_id": person.id, "business_id": company.id,
            "consent_id": consent_id, "browser_session_id": session_id,
            "session_id": None if "offline_access" in scope.split() else session_id, "scope": scope,
            "redirect_uri": partner.redirect_uri, "code_challenge": challenge_of(verifier), "nonce": NONCE,
            "auth_time": now - timedelta(minutes=2), "amr": ["pwd", "otp", "mfa"], "created_at": now,
            "code_expires_at": now + timedelta(seconds=self.app.settings.code_seconds),
        }  # fmt: skip
        row = Authorization(**facts | changes)
        with self.app.app_context(), db.transaction() as session:
            session.add(row)
        return Line(partner, person, company, code, verifier, row.redirect_uri, consent_id, row.id, session_id)

    def change(self, model: type[db.Base], *where: Any, **values: Any) -> None:
        with self.app.app_context(), db.transaction() as session:
            session.execute(update(model).where(*where).values(**values))

    def rows(self, query: Select[Any]) -> list[Any]:
        with self.app.app_context(), db.transaction() as session:
            return list(session.scalars(query))

    def consent(self, line: Line) -> Consent:
        with self.app.app_context(), db.transaction() as session:
            return session.get_one(Consent, line.consent_id)

    # speaking

    def send(self, method: str, path: str, **options: Any) -> TestResponse:
        """One request of a program, with the issuer's host and no cookie."""
        return self.app.test_client(use_cookies=False).open(path, method=method, base_url=self.app.settings.issuer, **options)

    def post(
        self, path: str, form: Mapping[str, Any], partner: Partner | None = the_cast.LEDGERLY, **options: Any
    ) -> TestResponse:
        """A form to a protocol endpoint; by Basic when the partner has a secret, by client_id when it has none."""
        if partner is not None and partner.secret:
            options.setdefault("auth", partner.authentication)
        elif partner is not None:
            form = {"client_id": partner.client_id, **form}
        return self.send("POST", path, data=form, **options)

    def redeem(self, line: Line, **changes: str | None) -> TestResponse:
        """Exchange the code; a change to None leaves the parameter out."""
        form = {name: value for name, value in {**line.form, **changes}.items() if value is not None}
        return self.post("/oauth/token", form, line.partner)

    def tokens(self, line: Line) -> dict[str, Any]:
        """The token response of a code that is right."""
        answer = self.redeem(line)
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json())

    def refresh(self, line: Line, refresh_token: str, **more: str) -> TestResponse:
        return self.post("/oauth/token", line.refresh_form(refresh_token, **more), line.partner)

    def introspect(self, token: str, partner: Partner = the_cast.LEDGERLY) -> dict[str, Any]:
        answer = self.post("/oauth/introspect", {"token": token}, partner)
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json())

    def bearer(self, path: str, token: str, method: str = "GET", **options: Any) -> TestResponse:
        return self.send(method, path, headers={"Authorization": f"Bearer {token}"}, **options)

    def call(self, token: str) -> TestResponse:
        """One call of the API."""
        return self.bearer("/api/v1/funds", token)

    def is_live(self, token: str) -> bool:
        return self.call(token).status_code == 200
