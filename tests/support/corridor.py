"""The way through the corridor: a partner asks with PKCE, a person walks the pages, the partner redeems the code and calls.

A `Corridor` is one partner and one person in one browser. What the person does at each page stands in its fields, so a
test says only what is different: `corridor.duration = "session"`.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pyotp
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support import cast as the_cast
from tests.support.cast import Company, Partner, Person
from tests.support.clock import Clock
from tests.support.forms import form_in, submit
from tests.support.signin import Cast

PAGES = {
    "/login": "login",
    "/login/mfa": "mfa",
    "/account/mfa": "enrolment",
    "/account/recovery-codes": "codes",
    "/connect/business": "business",
    "/connect/consent": "consent",
}
LONGEST_WAY = 16


def challenge_of(verifier: str) -> str:
    """BASE64URL(SHA256(verifier)), as RFC 7636 §4.2 says."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


@dataclass
class Corridor:
    """`tick` are the optional scopes the person ticks; None leaves the page as it is."""

    cast: Cast
    clock: Clock
    browser: FlaskClient
    person: Person = the_cast.ALICE
    company: Company = the_cast.ACME
    partner: Partner = the_cast.LEDGERLY
    scope: str = "openid profile funds.summary"
    tick: Collection[str] | None = None
    duration: str | None = None
    decision: str = "allow"
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    # what the partner sends

    def parameters(self, **changes: str | None) -> dict[str, str]:
        """An authorization request that nothing is wrong with, but for `changes`; None leaves a parameter out."""
        request = {
            "response_type": "code",
            "client_id": self.partner.client_id,
            "redirect_uri": self.partner.redirect_uri,
            "scope": self.scope,
            "state": "state-of-the-partner",
            "nonce": "nonce-of-the-partner",
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in {**request, **changes}.items() if value is not None}

    def url(self, **changes: str | None) -> str:
        """Where the partner sends the browser."""
        return f"/oauth/authorize?{urlencode(self.parameters(**changes))}"

    def ask(self, **changes: str | None) -> TestResponse:
        """The browser arrives from the partner."""
        return self.browser.get(self.url(**changes))

    # what the person does

    def arrive_signed_in(self) -> str:
        """Be signed in already. Returns the session's id."""
        return self.cast.open_session(self.browser, self.person)

    def walk(self, answer: TestResponse, *, until: str | None = None) -> TestResponse:
        """Do what each page asks, from this answer on: to the page `until`, or to the first answer that is no page of the corridor."""
        for _ in range(LONGEST_WAY):
            if answer.status_code != 303 or not answer.location.startswith("/"):
                break
            page = PAGES.get(urlsplit(answer.location).path)
            answer = self.browser.get(answer.location)
            if page is None or answer.status_code != 200:
                continue
            if page == until:
                return answer
            answer = getattr(self, f"_{page}")(answer)
        else:
            raise AssertionError(f"the corridor goes in a circle; now at {answer.location}")
        assert until is None, f"never came to {until}, but to {answer.status_code} {answer.location or answer.text}"
        return answer

    def connect(self, **changes: str | None) -> dict[str, str]:
        """Ask and walk to the end. Returns the parameters that came back to the partner."""
        return self.returned(self.walk(self.ask(**changes)))

    def page(self, name: str, **changes: str | None) -> TestResponse:
        """Ask, and walk to this page."""
        return self.walk(self.ask(**changes), until=name)

    def _login(self, page: TestResponse) -> TestResponse:
        fields = {"email": self.person.email, "password": self.person.password}
        return submit(self.browser, page, fields, action="/login")

    def _mfa(self, page: TestResponse) -> TestResponse:
        return submit(self.browser, page, {"code": self.cast.code(self.person)}, action="/login/mfa")

    def _enrolment(self, page: TestResponse) -> TestResponse:
        key = re.search(r'id="key"[^>]*>([A-Z2-7 ]+)<', page.text)
        assert key is not None, page.text
        code = pyotp.TOTP(key[1].replace(" ", "")).at(self.clock.now())
        return submit(self.browser, page, {"code": code}, action="/account/mfa")

    def _codes(self, page: TestResponse) -> TestResponse:
        onward = re.search(r'href="(/connect/continue\?[^"]+)"', page.text)
        assert onward is not None, page.text
        return self.browser.get(html.unescape(onward[1]))

    def _business(self, page: TestResponse) -> TestResponse:
        return self.choose(page, self.company)

    def _consent(self, page: TestResponse) -> TestResponse:
        return self.decide(page)

    def choose(self, page: TestResponse, company: Company) -> TestResponse:
        """Choose this business on its page."""
        return submit(self.browser, page, {"business_id": company.id}, action="/connect/business")

    def decide(self, page: TestResponse, decision: str | None = None, *, tick: Collection[str] | None = None) -> TestResponse:
        """Tick, set how long, and press one of the two buttons of the consent page."""
        fields: dict[str, Any] = {}
        ticked = tick if tick is not None else self.tick
        if ticked is not None and (list(ticked) or form_in(page, having=["scope"]).choices("scope")):
            fields["scope"] = list(ticked)
        if self.duration is not None:
            fields["duration"] = self.duration
        return submit(self.browser, page, fields, button=f"decision={decision or self.decision}", action="/connect/consent")

    # what came back

    def returned(self, answer: TestResponse) -> dict[str, str]:
        """The parameters of the way back to the partner, each of which must be there once."""
        if answer.status_code == 200:
            form = form_in(answer, action=self.partner.redirect_uri)
            assert form.method == "post"
            return {name: value for name, [value] in form.data().items()}
        assert answer.status_code == 303, f"{answer.status_code} {answer.text}"
        home, _, query = answer.location.partition("?")
        assert home == self.partner.redirect_uri, answer.location
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="surrogateescape")
        assert len(dict(pairs)) == len(pairs), query
        return dict(pairs)

    # what the partner does with it

    def redeem(self, code: str, **changes: str) -> TestResponse:
        """The token request for this code."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.partner.redirect_uri,
            "code_verifier": self.verifier,
            **changes,
        }
        return self._token_request(form)

    def refresh(self, refresh_token: str, **changes: str) -> TestResponse:
        return self._token_request({"grant_type": "refresh_token", "refresh_token": refresh_token, **changes})

    def _token_request(self, form: dict[str, str]) -> TestResponse:
        machine = self.browser.application.test_client()
        if self.partner.secret is None:
            return machine.post("/oauth/token", data={"client_id": self.partner.client_id, **form})
        return machine.post("/oauth/token", data=form, auth=self.partner.authentication)

    def tokens(self, **changes: str | None) -> dict[str, Any]:
        """Ask, walk and redeem. Returns the token response."""
        answer = self.redeem(self.connect(**changes)["code"])
        assert answer.status_code == 200, answer.text
        return dict(answer.json or {})

    def call(self, access_token: str, path: str = "/api/v1/funds") -> TestResponse:
        """Call the API, or userinfo, with a token."""
        return self.browser.application.test_client().get(path, headers={"Authorization": f"Bearer {access_token}"})
