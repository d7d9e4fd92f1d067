from __future__ import annotations

import pytest

from portal import crypto, db
from portal.accounts.models import BrowserSession, User
from portal.businesses.models import Membership
from portal.consents.models import Consent
from tests.support.cast import ACME, ADDRESS, ALICE
from tests.support.tokens import ONLINE, Machine

PATH = "/oauth/userinfo"


def token(machine: Machine, scope: str = ONLINE) -> str:
    return str(machine.tokens(machine.authorize(scope=scope))["access_token"])


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_profile_tells_the_person_and_their_place_in_the_business(machine: Machine, method: str) -> None:
    answer = machine.bearer(PATH, token(machine), method)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json == {
        "sub": ALICE.id,
        "email": ALICE.email,
        "email_verified": True,
        "name": "Alice Hartigan",
        "given_name": "Alice",
        "family_name": "Hartigan",
        "address": {**ADDRESS, "formatted": "1 Wharf Street\nSydney NSW 2000\nAU"},
        "zoneinfo": "Australia/Sydney",
        "role": "access_controller",
        "business_id": ACME.id,
        "business_name": ACME.name,
    }


def test_openid_alone_tells_who_and_no_more(machine: Machine) -> None:
    answer = machine.bearer(PATH, token(machine, "openid funds.summary"))
    assert answer.json == {"sub": ALICE.id, "email": ALICE.email, "email_verified": True}


def test_an_email_that_was_not_confirmed_is_not_called_so(machine: Machine) -> None:
    machine.change(User, User.id == ALICE.id, email_verified_at=None)
    assert machine.bearer(PATH, token(machine)).json["email_verified"] is False


def test_the_middle_name_is_told_when_there_is_one(machine: Machine) -> None:
    machine.change(User, User.id == ALICE.id, middle_name="May", address=None)
    told = machine.bearer(PATH, token(machine)).get_json()
    assert (told["name"], told["middle_name"]) == ("Alice May Hartigan", "May")
    assert "address" not in told


def test_the_role_is_the_one_of_today(machine: Machine) -> None:
    access = token(machine)
    machine.change(Membership, Membership.user_id == ALICE.id, role="fund_auditor")
    assert machine.bearer(PATH, access).json["role"] == "fund_auditor"


def test_without_openid_the_token_does_not_open_it(machine: Machine) -> None:
    answer = machine.bearer(PATH, token(machine, "funds.summary"))
    assert (answer.status_code, answer.json["error"]) == (403, "insufficient_scope")
    assert 'scope="openid"' in answer.headers["WWW-Authenticate"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_without_a_token_the_challenge_names_no_error(machine: Machine) -> None:
    answer = machine.send("GET", PATH)
    assert (answer.status_code, answer.json) == (401, {"error_description": "No access token was sent."})
    issuer = machine.app.settings.issuer
    assert (
        answer.headers["WWW-Authenticate"] == f'Bearer resource_metadata="{issuer}/.well-known/oauth-protected-resource/api/v1"'
    )
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_token_is_read_from_the_header_alone(machine: Machine) -> None:
    access = token(machine)
    for answer in (
        machine.send("GET", f"{PATH}?access_token={access}"),
        machine.send("POST", PATH, data={"access_token": access}),
        machine.send("GET", PATH, headers={"Cookie": f"access_token={access}"}),
    ):
        assert answer.status_code == 401
        assert access not in answer.text and access not in str(answer.headers)
    header = {"Authorization": f"Bearer {access}"}
    assert machine.send("GET", f"{PATH}?access_token={access}", headers=header).status_code == 400
    assert machine.send("POST", PATH, data={"access_token": access}, headers=header).status_code == 400
    assert machine.send("POST", PATH, headers=header).status_code == 200


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "Bearer a b", 'Bearer "', "Bearer é", "Bearer a,b", "Basic x", "\x7f"]
)
def test_a_header_that_is_no_token_is_told_so(machine: Machine, value: str) -> None:
    answer = machine.send("GET", PATH, headers={"Authorization": value.encode().decode("latin-1")})
    assert answer.status_code in (400, 401)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_two_headers_are_one_too_many(machine: Machine) -> None:
    access = token(machine)
    twice = [("Authorization", f"Bearer {access}")] * 2
    assert machine.send("GET", PATH, headers=twice).status_code == 400


def test_other_secrets_of_ours_open_nothing(machine: Machine) -> None:
    line = machine.authorize()
    body = machine.tokens(line)
    for secret in (body["refresh_token"], line.code, body["id_token"], crypto.new_secret(crypto.ACCESS_TOKEN)):
        answer = machine.bearer(PATH, secret)
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
        assert secret not in answer.text and secret not in str(answer.headers)


def test_a_dead_token_says_why(machine: Machine) -> None:
    line = machine.authorize(scope=ONLINE)
    access = machine.tokens(line)["access_token"]
    machine.change(BrowserSession, BrowserSession.id == line.session_id, ended_at=db.utcnow(), end_reason="signed_out")
    assert 'error_description="signed_out"' in machine.bearer(PATH, access).headers["WWW-Authenticate"]
    machine.change(Consent, Consent.id == line.consent_id, revoked_at=db.utcnow(), revoke_reason="user")
    answer = machine.bearer(PATH, access)
    assert answer.json == {"error": "invalid_token", "error_description": "revoked"}
