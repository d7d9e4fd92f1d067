from __future__ import annotations

from collections.abc import Callable

import pytest

from portal import Portal
from tests.support.statements import statements
from tests.support.tokens import OFFLINE, Machine

Call = Callable[[Machine, str, str], object]
CALLS: dict[str, tuple[Call, int]] = {
    "introspection": (lambda machine, access, _refresh: machine.introspect(access), 2),
    "introspection of a refresh token": (lambda machine, _access, refresh: machine.introspect(refresh), 2),
    "userinfo": (lambda machine, access, _refresh: machine.bearer("/oauth/userinfo", access), 1),
    "an API call": (lambda machine, access, _refresh: machine.call(access), 2),
    "revocation of an access token": (lambda machine, access, _refresh: revoke(machine, access), 2),
    "revocation of a refresh token": (lambda machine, _access, refresh: revoke(machine, refresh), 3),
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


def test_a_refresh_looks_up_the_client_and_the_token_and_rotates_by_one_more(
    machine: Machine, app: Portal, database_kind: str
) -> None:
    line = machine.authorize(scope=OFFLINE)
    refresh_token = machine.tokens(line)["refresh_token"]
    with statements(app) as sent:
        assert machine.refresh(line, refresh_token).status_code == 200
    if database_kind == "postgresql":
        assert len(sent) == 3
    assert [statement.split()[0] for statement in sent[:2]] == ["SELECT", "SELECT"]
