from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from urllib.parse import quote, urlencode

import pytest
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import ECKey

from portal import crypto, logs
from portal.oauth.client_authentication import ASSERTION_TYPE
from tests.oauth.test_par import ASKED
from tests.support.cast import ALICE, LEDGERLY, POCKETFOLIO
from tests.support.signin import Cast
from tests.support.tokens import ONLINE, Machine


@pytest.fixture
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What any library writes at DEBUG, but for those whose level the portal itself has raised."""
    with caplog.at_level(logging.DEBUG):
        yield caplog


@pytest.mark.settings(log_level="DEBUG")
def test_no_secret_of_the_machine_side_is_in_any_log(
    machine: Machine,
    browser: FlaskClient,
    cast: Cast,
    everything_is_logged: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    logs.init_logs(machine.app.settings)  # once more, since the log goes to the standard error of then
    secrets = drive(machine, browser, cast)
    out, err = capfd.readouterr()
    written = out + err + everything_is_logged.text
    assert written.count("/oauth/token") >= 10, "the requests are not in the log, so nothing was looked at"
    assert [name for name, secret in secrets.items() if appears(secret, written)] == []


def drive(machine: Machine, browser: FlaskClient, cast: Cast) -> dict[str, str]:
    """Use every machine endpoint, rightly and wrongly; returns every secret that took part, by name."""
    line = machine.authorize()
    body = machine.tokens(line)
    following = machine.refresh(line, body["refresh_token"]).get_json()
    machine.refresh(line, body["refresh_token"], scope="everything")
    machine.refresh(line, crypto.new_secret(crypto.REFRESH_TOKEN))
    for wrong in ({"code_verifier": "w" * 43}, {"code": None}, {"grant_type": "password"}, {"redirect_uri": "https://x.example"}):
        machine.redeem(machine.authorize(consent_id=line.consent_id), **wrong)
    machine.send("POST", f"/oauth/token?code={line.code}&code_verifier={line.verifier}", data=line.form, auth=line.authentication)
    machine.send("POST", "/oauth/token", data={**line.form, "client_secret": LEDGERLY.secret}, auth=line.authentication)
    for token in (following["access_token"], following["refresh_token"], line.code):
        machine.introspect(token)
        machine.bearer("/oauth/userinfo", token)
        machine.bearer("/api/v1/funds", token)
        machine.send("GET", f"/api/v1/funds?access_token={token}")
        machine.send("GET", f"/oauth/userinfo?access_token={token}")
    request_uri = machine.post("/oauth/par", ASKED).get_json()["request_uri"]
    browser.get("/oauth/authorize?" + urlencode({"client_id": LEDGERLY.client_id, "request_uri": request_uri}))
    secrets = {"pushed request": request_uri.rpartition(":")[2], **public_client(machine), **assertion(machine, cast)}
    secrets |= sign_out(machine, browser, cast)
    machine.send("GET", f"/oauth/consents/{line.consent_id}", auth=LEDGERLY.authentication)
    machine.redeem(line)
    machine.post("/oauth/revoke", {"token": following["refresh_token"]})
    machine.send("DELETE", f"/oauth/consents/{line.consent_id}", auth=LEDGERLY.authentication)
    return secrets | {
        "client secret": LEDGERLY.secret or "", "code": line.code, "verifier": line.verifier, "id token": body["id_token"],
        **{f"{name} {number}": answer[name] for number, answer in enumerate((body, following)) for name in ("access_token", "refresh_token")},
    }  # fmt: skip


def public_client(machine: Machine) -> dict[str, str]:
    line = machine.authorize(partner=POCKETFOLIO)
    body = machine.tokens(line)
    machine.bearer(f"/oauth/consents/{line.consent_id}", body["access_token"], "DELETE")
    return {"public code": line.code, "public token": body["access_token"], "public refresh token": body["refresh_token"]}


def assertion(machine: Machine, cast: Cast) -> dict[str, str]:
    key = ECKey.generate_key("P-256", private=True)
    partner = cast.add_client(
        token_endpoint_auth_method="private_key_jwt", secret_digest=None, jwks={"keys": [key.as_dict(private=False)]}
    )
    claims = {"iss": partner.client_id, "sub": partner.client_id, "aud": "https://wrong.example", "jti": "a", "exp": 1}
    signed = jwt.encode({"alg": "ES256"}, claims, key)
    form = {"token": "x", "client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}
    machine.post("/oauth/introspect", form, None)
    return {"assertion": signed}


def sign_out(machine: Machine, browser: FlaskClient, cast: Cast) -> dict[str, str]:
    session_id = cast.open_session(browser, ALICE)
    cookie = browser.get_cookie("session", domain="127.0.0.1")
    body = machine.tokens(machine.authorize(cast.bob, scope=ONLINE, session_id=session_id))
    browser.get("/oauth/logout?" + urlencode({"id_token_hint": body["id_token"]}))
    assert cookie is not None
    return {"hint": body["id_token"], "online token": body["access_token"], "cookie": cookie.value}


def appears(secret: str, written: str) -> bool:
    """As it is, as it stands in an address, and as Basic carries it."""
    basic = base64.b64encode(f"{LEDGERLY.client_id}:{secret}".encode()).decode()
    bare = secret[5:] if secret.startswith(crypto.PREFIXES) else secret
    return any(form in written for form in (bare, quote(secret, safe=""), basic))


def test_the_protocol_library_never_writes_below_info(machine: Machine) -> None:
    for name in ("authlib", "authlib.oauth2", "authlib.oauth2.rfc6749.grants.authorization_code", "authlib.integrations"):
        assert logging.getLogger(name).getEffectiveLevel() >= logging.INFO
