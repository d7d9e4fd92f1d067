from __future__ import annotations

import pytest
from sqlalchemy import select

from portal import db
from portal.accounts import sessions
from portal.accounts.models import BrowserSession
from portal.consents.models import Consent
from tests.support.cast import ALICE
from tests.support.tokens import OFFLINE, ONLINE, Machine


def end(machine: Machine, session_id: str) -> None:
    with machine.app.app_context(), db.transaction() as session:
        assert sessions.end(session, session_id, reason="signed_out", now=db.utcnow())


def bound_to(machine: Machine, session_id: str, scope: str) -> str:
    """A consent that was given for one session only."""
    return machine.cast.add_consent(scope=scope, duration="session", session_id=session_id).id


@pytest.mark.parametrize("scope", [ONLINE, OFFLINE])
def test_what_was_allowed_for_one_session_dies_with_it_in_every_other_session_too(machine: Machine, scope: str) -> None:
    _, given_in = machine.cast.new_session(ALICE)
    _, used_in = machine.cast.new_session(ALICE)
    consent_id = bound_to(machine, given_in, scope)
    token = machine.tokens(machine.authorize(scope=scope, consent_id=consent_id, session_id=used_in))["access_token"]
    assert machine.is_live(token)
    end(machine, given_in)
    answer = machine.call(token)
    assert answer.status_code == 401 and answer.get_json()["reason"] == "signed_out"
    assert machine.introspect(token) == {"active": False}


def test_online_access_dies_with_its_own_session_though_the_consent_is_of_another(machine: Machine) -> None:
    _, given_in = machine.cast.new_session(ALICE)
    _, used_in = machine.cast.new_session(ALICE)
    consent_id = bound_to(machine, given_in, ONLINE)
    token = machine.tokens(machine.authorize(scope=ONLINE, consent_id=consent_id, session_id=used_in))["access_token"]
    end(machine, used_in)
    assert machine.call(token).status_code == 401
    another = machine.tokens(machine.authorize(scope=ONLINE, consent_id=consent_id, session_id=given_in))["access_token"]
    assert machine.is_live(another)


@pytest.mark.parametrize("moment", ["idle_expires_at", "expires_at"])
def test_a_session_that_is_over_by_itself_ends_what_was_allowed_for_it(machine: Machine, moment: str) -> None:
    _, given_in = machine.cast.new_session(ALICE)
    _, used_in = machine.cast.new_session(ALICE)
    consent_id = bound_to(machine, given_in, ONLINE)
    line = machine.authorize(scope=ONLINE, consent_id=consent_id, session_id=used_in)
    token = machine.tokens(line)["access_token"]
    machine.change(BrowserSession, BrowserSession.id == given_in, **{moment: db.utcnow()})
    assert machine.call(token).status_code == 401
    assert machine.rows(select(Consent.revoked_at)) == [None]
