from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal import db
from portal.audit.models import AuditEvent
from portal.clients.models import Client
from portal.consents.models import Consent
from tests.support.cast import ACME, ALICE, BOB, LEDGERLY, POCKETFOLIO
from tests.support.signin import Cast
from tests.support.tokens import OFFLINE, Line, Machine

BASIC = LEDGERLY.authentication


def address(line: Line) -> str:
    return f"/oauth/consents/{line.consent_id}"


def test_a_client_reads_its_own_consent(machine: Machine) -> None:
    line = machine.authorize()
    consent = machine.consent(line)
    answer = machine.send("GET", address(line), auth=BASIC)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json == {
        "consent_id": line.consent_id,
        "status": "active",
        "scope": OFFLINE,
        "business_id": ACME.id,
        "business_name": ACME.name,
        "duration": "12_months",
        "granted_at": int(consent.granted_at.timestamp()),
        "expires_at": int(consent.expires_at.timestamp()),
        "last_accessed_at": None,
        "ended_at": None,
    }


def test_the_last_access_is_told(machine: Machine) -> None:
    line = machine.authorize()
    assert machine.is_live(machine.tokens(line)["access_token"])
    assert machine.send("GET", address(line), auth=BASIC).json["last_accessed_at"] is not None


def test_ending_it_ends_every_token_at_once(machine: Machine) -> None:
    line = machine.authorize()
    tokens = machine.tokens(line)
    answer = machine.send("DELETE", address(line), auth=BASIC)
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["Cache-Control"] == "no-store"
    assert not machine.is_live(tokens["access_token"])
    assert machine.refresh(line, tokens["refresh_token"]).json["error"] == "invalid_grant"
    consent = machine.consent(line)
    assert (consent.revoke_reason, consent.revoked_by_user_id) == ("client", None)


def test_ending_it_is_told_once_in_the_audit_trail(machine: Machine) -> None:
    line = machine.authorize()
    for _ in range(3):
        assert machine.send("DELETE", address(line), auth=BASIC).status_code == 204
    [event] = machine.rows(select(AuditEvent).where(AuditEvent.kind == "consent.revoked"))
    assert (event.business_id, event.client_id, event.consent_id) == (ACME.id, LEDGERLY.client_id, line.consent_id)
    assert event.user_id is None and event.request_id
    assert event.detail["granted_by_name"] == ALICE.name and event.detail["client_name"] == LEDGERLY.client_name


def test_an_ended_one_is_still_told_with_its_status(machine: Machine) -> None:
    line = machine.authorize()
    machine.send("DELETE", address(line), auth=BASIC)
    told = machine.send("GET", address(line), auth=BASIC).json
    assert told["status"] == "revoked" and told["ended_at"] is not None


def test_an_expired_one_is_not_ended_by_the_client(machine: Machine) -> None:
    line = machine.authorize()
    machine.change(Consent, Consent.id == line.consent_id, expires_at=db.utcnow() - timedelta(seconds=1))
    assert machine.send("GET", address(line), auth=BASIC).json["status"] == "expired"
    assert machine.send("DELETE", address(line), auth=BASIC).status_code == 204
    assert machine.consent(line).revoked_at is None
    assert machine.rows(select(AuditEvent).where(AuditEvent.kind == "consent.revoked")) == []


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_another_clients_consent_looks_like_none(machine: Machine, cast: Cast, method: str) -> None:
    line = machine.authorize()
    other = cast.add_client()
    stranger = machine.send(method, address(line), auth=other.authentication)
    nothing = machine.send(method, "/oauth/consents/01jd000000000000000000none", auth=other.authentication)
    assert stranger.status_code == nothing.status_code == 404
    assert stranger.data == nothing.data
    assert stranger.headers["Cache-Control"] == "no-store"
    assert machine.consent(line).revoked_at is None


@pytest.mark.parametrize("consent_id", ["%00", "a%00b", "%ED%A0%80", "%C3%A9", "x" * 3000, "..", "%27"], ids=range(7))
def test_an_id_that_cannot_be_is_404(machine: Machine, consent_id: str) -> None:
    answer = machine.send("GET", f"/oauth/consents/{consent_id}", auth=BASIC)
    assert answer.status_code == 404


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_without_authentication_it_is_refused(machine: Machine, method: str) -> None:
    line = machine.authorize()
    for options in ({}, {"auth": (LEDGERLY.client_id, "wrong")}, {"headers": {"Authorization": "Digest x"}}):
        answer = machine.send(method, address(line), **options)
        assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert machine.consent(line).revoked_at is None


def test_a_public_client_cannot_prove_itself_by_its_id(machine: Machine) -> None:
    line = machine.authorize(partner=POCKETFOLIO)
    for auth in ((POCKETFOLIO.client_id, ""), (POCKETFOLIO.client_id, POCKETFOLIO.client_id)):
        assert machine.send("DELETE", address(line), auth=auth).status_code == 401
    assert machine.send("DELETE", address(line), data={"client_id": POCKETFOLIO.client_id}).status_code == 401
    assert machine.consent(line).revoked_at is None


def test_a_public_client_proves_itself_by_a_token_of_that_consent(machine: Machine) -> None:
    line = machine.authorize(partner=POCKETFOLIO)
    token = machine.tokens(line)["access_token"]
    assert machine.bearer(address(line), token).json["status"] == "active"
    assert machine.bearer(address(line), token, "DELETE").status_code == 204
    refused = machine.bearer(address(line), token)
    assert refused.status_code == 401
    assert 'error_description="revoked"' in refused.headers["WWW-Authenticate"]


def test_a_token_of_one_consent_does_not_speak_for_another(machine: Machine) -> None:
    line = machine.authorize(partner=POCKETFOLIO)
    other = machine.authorize(BOB, partner=POCKETFOLIO)
    token = machine.tokens(line)["access_token"]
    for method in ("GET", "DELETE"):
        assert machine.bearer(address(other), token, method).status_code == 404
    assert machine.consent(other).revoked_at is None


def test_a_client_with_a_secret_is_held_to_it(machine: Machine) -> None:
    line = machine.authorize()
    token = machine.tokens(line)["access_token"]
    answer = machine.bearer(address(line), token, "DELETE")
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")
    assert machine.consent(line).revoked_at is None


def test_a_client_that_was_disabled_is_refused(machine: Machine) -> None:
    line = machine.authorize()
    machine.change(Client, Client.client_id == LEDGERLY.client_id, disabled_at=db.utcnow())
    assert machine.send("GET", address(line), auth=BASIC).status_code == 401


def test_a_query_and_other_methods_are_refused(machine: Machine) -> None:
    line = machine.authorize()
    assert machine.send("DELETE", address(line) + "?client_id=x", auth=BASIC).status_code == 400
    assert machine.send("POST", address(line), auth=BASIC).status_code == 405
    assert machine.consent(line).revoked_at is None


@pytest.mark.parametrize(("ago", "reason"), [(10, "client"), (60, "user")], ids=["while it could be undone", "long after"])
def test_what_is_given_back_no_undo_gives_out_again(machine: Machine, ago: int, reason: str) -> None:
    line = machine.authorize()
    ended_at = db.utcnow() - timedelta(seconds=ago)
    of_a_person = {"revoked_at": ended_at, "revoke_reason": "user", "revoked_by_user_id": ALICE.id}
    machine.change(Consent, Consent.id == line.consent_id, **of_a_person)
    assert machine.send("DELETE", address(line), auth=BASIC).status_code == 204
    consent = machine.consent(line)
    assert (consent.revoke_reason, consent.revoked_at) == (reason, ended_at)
    assert consent.revoked_by_user_id == (None if reason == "client" else ALICE.id)
