from __future__ import annotations

from collections.abc import Callable

import pytest

from portal import Portal
from tests.support.statements import statements
from tests.support.tokens import OFFLINE, Machine

Call = Callable[[Machine, str, str], object]
CALLS: dict[str, tuple[Call, int]] = {
    "introspection": (lambda machine, access, _refresh: machine.introspect(access), 1),
    "introspection of a refresh token": (lambda machine, _access, refresh: machine.introspect(refresh), 1),
    "userinfo": (lambda machine, access, _refresh: machine.bearer("/oauth/userinfo", access), 1),
    "an API call": (lambda machine, access, _refresh: machine.call(access), 2),
    "revocation of an access token": (lambda machine, access, _refresh: revoke(machine, access), 2),
    "revocation of a refresh token": (lambda machine, _access, refresh: revoke(machine, refresh), 2),
}


def revoke(machine: Machine, token: str) -> object:
    return machine.post("/oauth/revoke", {"token": token})


@pytest.mark.parametrize("name", CALLS)
def test_a_call_sends_few_statements(machine: Machine, app: Portal, database_kind: str, name: str) -> None:
    call, most = CALLS[name]
    tokens = machine.tokens(machine.authorize(scope=OFFLINE))
    machine.call(tokens["access_token"])  # moves "last accessed", which is done once a minute
    with statements(app) as sent:
        call(machine, tokens["access_token"], tokens["refresh_token"])
    extra = sum(statement in ("BEGIN IMMEDIATE", "COMMIT") or statement.startswith("INSERT") for statement in sent)
    assert 0 < len(sent) - (extra if database_kind == "sqlite" else 0) <= most, sent


@pytest.mark.parametrize("grant", ["authorization_code", "refresh_token"])
def test_a_grant_is_looked_up_with_its_client_and_claimed_by_one_more(
    machine: Machine, app: Portal, database_kind: str, grant: str
) -> None:
    machine.tokens(machine.authorize(scope=OFFLINE))  # so that the connection and the keys are there
    line = machine.authorize(machine.cast.charlie, machine.cast.birch, scope=OFFLINE)
    if grant == "refresh_token":
        refresh_token = machine.tokens(line)["refresh_token"]
    with statements(app) as sent:
        assert (machine.refresh(line, refresh_token) if grant == "refresh_token" else machine.redeem(line)).status_code == 200
    assert sent[0].startswith("SELECT")
    assert len(sent) == 2 or database_kind == "sqlite"


def test_another_clients_token_is_looked_up_and_then_who_asks(machine: Machine, app: Portal) -> None:
    tokens = machine.tokens(machine.authorize(scope=OFFLINE))
    other = machine.cast.add_client("tidemark")
    with statements(app) as sent:
        answer = machine.post("/oauth/introspect", {"token": tokens["access_token"]}, auth=other.authentication)
    assert answer.json == {"active": False} and len(sent) == 2
