from __future__ import annotations

import pytest

from portal import crypto, db
from portal.businesses.models import Membership
from portal.clients.models import Client
from portal.consents.models import Consent
from portal.oauth.models import AccessToken
from tests.support.cast import ACME, ALICE, BOB, LEDGERLY, POCKETFOLIO
from tests.support.signin import Cast
from tests.support.tokens import OFFLINE, Machine

DEAD = {"active": False}


def test_the_owner_learns_what_its_access_token_is_worth(machine: Machine) -> None:
    line = machine.authorize()
    body = machine.tokens(line)
    told = machine.introspect(body["access_token"])
    assert told.pop("exp") - told.pop("iat") == body["expires_in"]
    assert told == {
        "active": True,
        "scope": OFFLINE,
        "client_id": LEDGERLY.client_id,
        "sub": ALICE.id,
        "iss": machine.app.settings.issuer,
        "token_type": "Bearer",
        "business_id": ACME.id,
        "business_name": ACME.name,
        "consent_id": line.consent_id,
        "consent_expires_at": body["consent_expires_at"],
    }


def test_a_refresh_token_is_told_until_the_end_of_the_consent(machine: Machine) -> None:
    body = machine.tokens(machine.authorize())
    told = machine.introspect(body["refresh_token"])
    assert told["active"] is True and told["exp"] == body["consent_expires_at"]
    assert "token_type" not in told


def test_a_resource_server_learns_about_every_token(machine: Machine, cast: Cast) -> None:
    token = machine.tokens(machine.authorize())["access_token"]
    server = cast.add_client("ledger-api", is_resource_server=True)
    assert machine.introspect(token, server) == machine.introspect(token)


def test_a_stranger_learns_nothing_at_all(machine: Machine, cast: Cast) -> None:
    body = machine.tokens(machine.authorize())
    stranger = cast.add_client()
    for partner in (stranger, POCKETFOLIO):
        for token in (body["access_token"], body["refresh_token"], "unknown"):
            answer = machine.post("/oauth/introspect", {"token": token}, partner)
            assert answer.status_code == 200
            assert answer.get_json() == DEAD


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "id_token", 'x"é', ""])
def test_the_hint_changes_nothing(machine: Machine, hint: str) -> None:
    body = machine.tokens(machine.authorize())
    for token in (body["access_token"], body["refresh_token"]):
        answer = machine.post("/oauth/introspect", {"token": token, "token_type_hint": hint})
        assert answer.status_code == 200 and answer.json["active"] is True


@pytest.mark.parametrize("token", ["x", crypto.ACCESS_TOKEN, crypto.REFRESH_TOKEN + "é", "a" * 8000, "🐧"], ids=range(5))
def test_what_never_was_a_token_is_not_active(machine: Machine, token: str) -> None:
    assert machine.introspect(token) == DEAD


def test_a_code_an_id_token_and_a_digest_are_no_tokens(machine: Machine) -> None:
    line = machine.authorize()
    body = machine.tokens(line)
    for token in (line.code, body["id_token"], crypto.digest(body["access_token"]).hex()):
        assert machine.introspect(token) == DEAD


def test_whatever_ended_is_not_active_at_once(machine: Machine) -> None:
    def after(model: type[db.Base], *where: object, **values: object) -> list[dict[str, object]]:
        line = machine.authorize(BOB)
        body = machine.tokens(line)
        machine.change(model, *where, **values)
        told = [machine.introspect(body["access_token"]), machine.introspect(body["refresh_token"])]
        machine.change(Consent, Consent.revoked_at.is_(None), revoked_at=db.utcnow(), revoke_reason="user")
        return told

    now = db.utcnow()
    assert after(Consent, revoked_at=now, revoke_reason="user") == [DEAD, DEAD]
    assert after(Consent, expires_at=now) == [DEAD, DEAD]
    assert after(AccessToken, revoked_at=now)[0] == DEAD
    assert after(AccessToken, expires_at=now)[0] == DEAD
    assert after(Membership, Membership.user_id == BOB.id, ended_at=now) == [DEAD, DEAD]


def test_a_spent_refresh_token_is_not_active(machine: Machine) -> None:
    line = machine.authorize()
    body = machine.tokens(line)
    following = machine.refresh(line, body["refresh_token"]).get_json()["refresh_token"]
    assert machine.introspect(body["refresh_token"]) == DEAD
    assert machine.introspect(following)["active"] is True


def test_the_scope_told_is_what_the_role_allows_today(machine: Machine) -> None:
    token = machine.tokens(machine.authorize(scope="openid funds.write offline_access"))["access_token"]
    assert machine.introspect(token)["scope"] == "openid funds.write offline_access"
    machine.change(Membership, Membership.user_id == ALICE.id, role="fund_auditor")
    assert machine.introspect(token)["scope"] == "openid funds.read offline_access"


def test_a_client_of_any_kind_must_authenticate(machine: Machine) -> None:
    token = machine.tokens(machine.authorize())["access_token"]
    for options in ({}, {"auth": (LEDGERLY.client_id, "wrong")}, {"headers": {"Authorization": f"Bearer {token}"}}):
        answer = machine.post("/oauth/introspect", {"token": token}, None, **options)
        assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")
        assert token not in answer.text


def test_a_disabled_resource_server_is_refused(machine: Machine, cast: Cast) -> None:
    token = machine.tokens(machine.authorize())["access_token"]
    server = cast.add_client("ledger-api", is_resource_server=True)
    machine.change(Client, Client.client_id == server.client_id, disabled_at=db.utcnow())
    assert machine.post("/oauth/introspect", {"token": token}, server).status_code == 401


def test_without_a_token_the_request_is_invalid(machine: Machine) -> None:
    for form in ({}, {"token": ""}):
        answer = machine.post("/oauth/introspect", form)
        assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")
        assert answer.headers["Cache-Control"] == "no-store"


def test_asking_is_no_use_of_the_data(machine: Machine) -> None:
    line = machine.authorize()
    machine.introspect(machine.tokens(line)["access_token"])
    assert machine.consent(line).last_accessed_at is None
