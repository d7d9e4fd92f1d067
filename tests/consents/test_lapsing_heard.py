"""What a client hears of a consent that ended by itself: the same before and after the end is recorded."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from portal import Portal, db
from portal.accounts.models import BrowserSession, User
from portal.businesses.models import Membership
from portal.clients.models import Client
from portal.consents.models import Consent
from portal.oauth.models import Authorization
from tests.consents.lapses import Transaction, events, for_session, record_all
from tests.support.cast import ALICE
from tests.support.signin import Cast
from tests.support.tokens import OFFLINE, ONLINE, Line, Machine

Change = Callable[[Machine, Line], object]


def change_of(model: type[db.Base], *where: Any, **values: Any) -> Change:
    return lambda machine, _line: machine.change(model, *where, **{name: value() for name, value in values.items()})


NOTHING = "nothing else"
ALSO: dict[str, Change] = {
    NOTHING: lambda _machine, _line: None,
    "and the client is disabled": change_of(Client, Client.client_id == "ledgerly", disabled_at=db.utcnow),
    "and the person has left": change_of(Membership, Membership.user_id == ALICE.id, ended_at=db.utcnow),
    "and the person is disabled": change_of(User, User.id == ALICE.id, disabled_at=db.utcnow),
    "and the line was ended": change_of(Authorization, ended_at=db.utcnow),
}
WAYS = ("expired", "signed out", "idle", "both")


@pytest.mark.parametrize(("also", "scope"), [(NOTHING, ONLINE), *((also, OFFLINE) for also in ALSO)])
@pytest.mark.parametrize("way", WAYS)
def test_a_refused_client_hears_the_same_before_and_after_it_is_recorded(
    app: Portal, cast: Cast, transaction: Transaction, way: str, also: str, scope: str
) -> None:
    machine = Machine(app, cast)
    _, given_in = cast.new_session(ALICE)
    consent = for_session(cast, given_in, scope=scope)
    line = machine.authorize(scope=scope, consent_id=consent.id, session_id=cast.new_session(ALICE)[1])
    tokens = machine.tokens(line)
    assert machine.is_live(tokens["access_token"])
    ago = db.utcnow() - timedelta(seconds=1)
    if way in ("expired", "both"):
        machine.change(Consent, Consent.id == consent.id, expires_at=ago)
    if way in ("signed out", "both"):
        machine.change(BrowserSession, BrowserSession.id == given_in, ended_at=ago - timedelta(seconds=1))
    if way == "idle":
        machine.change(BrowserSession, BrowserSession.id == given_in, idle_expires_at=ago)
    ALSO[also](machine, line)

    def told() -> list[Any]:
        token = tokens["access_token"]
        answers = [
            machine.post("/oauth/introspect", {"token": token}),
            machine.send("GET", f"/oauth/consents/{consent.id}", auth=line.authentication),
            *([machine.refresh(line, tokens["refresh_token"])] if "refresh_token" in tokens else []),
        ]
        return [machine.call(token).headers["WWW-Authenticate"], *((answer.status_code, answer.json) for answer in answers)]

    before = told()
    assert record_all(app, db.utcnow()) == 1
    assert told() == before
    kind = "consent.expired" if way == "expired" else "consent.signed_out"
    assert [event.kind for event in events(transaction)] == [kind]


@pytest.mark.parametrize(("reason", "word"), [("expired", "consent_expired"), ("signed_out", "signed_out")])
def test_what_is_recorded_as_ended_stays_so_though_another_clock_or_a_late_click_says_otherwise(
    app: Portal, cast: Cast, reason: str, word: str
) -> None:
    machine = Machine(app, cast)
    consent = for_session(cast, cast.new_session(ALICE)[1], scope=ONLINE)
    token = machine.tokens(machine.authorize(scope=ONLINE, consent_id=consent.id))["access_token"]
    machine.change(Consent, Consent.id == consent.id, revoked_at=db.utcnow(), revoke_reason=reason)
    assert f'error_description="{word}"' in machine.call(token).headers["WWW-Authenticate"]
    assert machine.send("GET", f"/oauth/consents/{consent.id}", auth=cast.ledgerly.authentication).json["status"] == reason
