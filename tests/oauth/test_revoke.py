from __future__ import annotations

import pytest
from sqlalchemy import select

from portal import crypto
from portal.audit.models import AuditEvent
from tests.support.cast import LEDGERLY, POCKETFOLIO
from tests.support.signin import Cast
from tests.support.tokens import Line, Machine


def revoke(machine: Machine, line: Line, token: str, **more: str) -> None:
    answer = machine.post("/oauth/revoke", {"token": token, **more}, line.partner)
    assert answer.status_code == 200, answer.text
    assert answer.data == b"{}"
    assert answer.headers["Cache-Control"] == "no-store"


def told(machine: Machine) -> list[AuditEvent]:
    return machine.rows(select(AuditEvent).where(AuditEvent.kind == "authorization.revoked"))


def test_an_access_token_ends_alone(machine: Machine) -> None:
    line = machine.authorize()
    body = machine.tokens(line)
    revoke(machine, line, body["access_token"])
    assert 'error_description="revoked"' in machine.call(body["access_token"]).headers["WWW-Authenticate"]
    assert machine.is_live(machine.refresh(line, body["refresh_token"]).get_json()["access_token"])


def test_a_refresh_token_ends_its_whole_line(machine: Machine) -> None:
    line = machine.authorize()
    first = machine.tokens(line)
    second = machine.refresh(line, first["refresh_token"]).get_json()
    revoke(machine, line, second["refresh_token"])
    assert not machine.is_live(first["access_token"]) and not machine.is_live(second["access_token"])
    for token in (first["refresh_token"], second["refresh_token"]):
        assert machine.refresh(line, token).get_json()["error"] == "invalid_grant"
    [event] = told(machine)
    assert (event.client_id, event.consent_id) == (LEDGERLY.client_id, line.consent_id)


def test_a_spent_refresh_token_ends_the_line_too(machine: Machine) -> None:
    line = machine.authorize()
    first = machine.tokens(line)["refresh_token"]
    second = machine.refresh(line, first).get_json()
    revoke(machine, line, first)
    assert not machine.is_live(second["access_token"])


def test_the_consent_and_its_other_lines_go_on(machine: Machine) -> None:
    line = machine.authorize()
    other = machine.authorize(consent_id=line.consent_id)
    live = machine.tokens(other)["access_token"]
    revoke(machine, line, machine.tokens(line)["refresh_token"])
    assert machine.is_live(live)
    assert machine.consent(line).revoked_at is None


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "unheard_of", 'x"é', ""])
def test_the_hint_is_a_hint_and_an_unknown_one_is_ignored(machine: Machine, hint: str) -> None:
    line = machine.authorize()
    body = machine.tokens(line)
    revoke(machine, line, body["access_token"], token_type_hint=hint)
    assert not machine.is_live(body["access_token"])
    revoke(machine, line, body["refresh_token"], token_type_hint=hint)
    assert machine.refresh(line, body["refresh_token"]).get_json()["error"] == "invalid_grant"


def test_once_more_says_the_same_and_is_told_once(machine: Machine) -> None:
    line = machine.authorize()
    token = machine.tokens(line)["refresh_token"]
    for _ in range(3):
        revoke(machine, line, token)
    assert len(told(machine)) == 1


@pytest.mark.parametrize("token", ["x", crypto.ACCESS_TOKEN, crypto.new_secret(crypto.REFRESH_TOKEN), "é" * 4000], ids=range(4))
def test_an_unknown_token_is_answered_alike(machine: Machine, token: str) -> None:
    revoke(machine, machine.authorize(), token)


def test_another_clients_token_is_left_alone_without_a_word(machine: Machine, cast: Cast) -> None:
    line = machine.authorize()
    body = machine.tokens(line)
    for partner in (cast.add_client(), POCKETFOLIO, cast.add_client("ledger-api", is_resource_server=True)):
        for token in (body["access_token"], body["refresh_token"]):
            answer = machine.post("/oauth/revoke", {"token": token}, partner)
            assert (answer.status_code, answer.data) == (200, b"{}")
    assert machine.is_live(body["access_token"])
    assert machine.refresh(line, body["refresh_token"]).status_code == 200
    assert told(machine) == []


def test_a_public_client_gives_back_its_own(machine: Machine) -> None:
    line = machine.authorize(partner=POCKETFOLIO)
    body = machine.tokens(line)
    revoke(machine, line, body["refresh_token"])
    assert not machine.is_live(body["access_token"])


def test_who_does_not_authenticate_ends_nothing(machine: Machine) -> None:
    line = machine.authorize()
    body = machine.tokens(line)
    for options in ({}, {"auth": (LEDGERLY.client_id, "wrong")}):
        answer = machine.post("/oauth/revoke", {"token": body["refresh_token"]}, None, **options)
        assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")
    assert machine.is_live(body["access_token"])


def test_without_a_token_the_request_is_invalid(machine: Machine) -> None:
    for form in ({}, {"token": ""}):
        assert machine.post("/oauth/revoke", form).get_json()["error"] == "invalid_request"
