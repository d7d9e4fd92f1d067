from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from portal import crypto, db
from portal.accounts.models import BrowserSession
from portal.audit.models import AuditEvent
from portal.businesses.models import Membership
from portal.consents.models import Consent
from portal.oauth.models import AccessToken, Authorization, RefreshToken
from tests.support.cast import ALICE, LEDGERLY, POCKETFOLIO
from tests.support.clock import Clock
from tests.support.signin import Cast
from tests.support.tokens import OFFLINE, ONLINE, Line, Machine

GRACE_SECONDS = 30


def refused(machine: Machine, line: Line, token: str, **more: str) -> tuple[str, str]:
    answer = machine.refresh(line, token, **more)
    assert answer.status_code == 400, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert token not in answer.text
    return answer.get_json()["error"], answer.get_json()["error_description"]


def test_a_refresh_token_is_exchanged_for_its_successor(machine: Machine) -> None:
    line = machine.authorize()
    first = machine.tokens(line)
    answer = machine.refresh(line, first["refresh_token"])
    assert answer.status_code == 200
    second = answer.get_json()
    assert second["refresh_token"] not in (first["refresh_token"], None)
    assert second["access_token"] != first["access_token"]
    assert second["scope"] == OFFLINE and second["consent_id"] == line.consent_id and second["business_name"]
    assert "id_token" not in second
    assert machine.is_live(first["access_token"]) and machine.is_live(second["access_token"])
    assert machine.refresh(line, second["refresh_token"]).status_code == 200


def test_a_public_client_rotates_too(machine: Machine) -> None:
    line = machine.authorize(partner=POCKETFOLIO)
    assert machine.refresh(line, machine.tokens(line)["refresh_token"]).status_code == 200


def test_within_the_grace_the_same_successor_comes_again(machine: Machine, clock: Clock) -> None:
    line = machine.authorize()
    first = machine.tokens(line)["refresh_token"]
    answers = []
    for _ in range(3):
        answers.append(machine.refresh(line, first).get_json())
        clock.advance(seconds=14)
    assert len({answer["refresh_token"] for answer in answers}) == 1
    assert len({answer["access_token"] for answer in answers}) == 3
    assert all(machine.is_live(answer["access_token"]) for answer in answers)
    assert machine.rows(select(func.count()).select_from(RefreshToken)) == [2]


def test_after_the_grace_the_whole_line_ends_and_is_told(machine: Machine, clock: Clock) -> None:
    line = machine.authorize()
    first = machine.tokens(line)
    second = machine.refresh(line, first["refresh_token"]).get_json()
    clock.advance(seconds=GRACE_SECONDS + 1)
    assert machine.is_live(second["access_token"])
    assert refused(machine, line, first["refresh_token"])[0] == "invalid_grant"
    assert not machine.is_live(first["access_token"]) and not machine.is_live(second["access_token"])
    assert refused(machine, line, second["refresh_token"]) == ("invalid_grant", "revoked")
    [event] = machine.rows(select(AuditEvent).where(AuditEvent.kind == "token.reuse_refused"))
    assert (event.client_id, event.consent_id) == (LEDGERLY.client_id, line.consent_id)
    assert event.detail["client_name"] == LEDGERLY.client_name
    [row] = machine.rows(select(Authorization).where(Authorization.id == line.authorization_id))
    assert row.end_reason == "reuse"


def test_reuse_leaves_the_consent_and_its_other_lines_alone(machine: Machine, clock: Clock) -> None:
    line = machine.authorize()
    other = machine.authorize(consent_id=line.consent_id)
    live = machine.tokens(other)
    first = machine.tokens(line)["refresh_token"]
    machine.refresh(line, first)
    clock.advance(seconds=GRACE_SECONDS + 1)
    machine.refresh(line, first)
    assert machine.is_live(live["access_token"])
    assert machine.refresh(other, live["refresh_token"]).status_code == 200


def test_a_lost_answer_costs_nothing_even_when_the_successor_was_used(machine: Machine) -> None:
    line = machine.authorize()
    first = machine.tokens(line)["refresh_token"]
    second = machine.refresh(line, first).get_json()["refresh_token"]
    third = machine.refresh(line, second).get_json()["refresh_token"]
    assert machine.refresh(line, first).get_json()["refresh_token"] == second
    assert machine.refresh(line, second).get_json()["refresh_token"] == third


def test_the_successor_cannot_be_told_from_the_token_alone(machine: Machine) -> None:
    line = machine.authorize()
    first = machine.tokens(line)["refresh_token"]
    second = machine.refresh(line, first).get_json()["refresh_token"]
    assert second == machine.app.keyring.successor(first)
    assert second != crypto.Keyring("another key, of another portal").successor(first)


def test_another_clients_refresh_token_is_unknown_and_reuse_by_it_ends_nothing(
    machine: Machine, cast: Cast, clock: Clock
) -> None:
    line = machine.authorize()
    first = machine.tokens(line)["refresh_token"]
    second = machine.refresh(line, first).get_json()
    clock.advance(seconds=GRACE_SECONDS + 1)
    thief = cast.add_client()
    stolen = machine.post("/oauth/token", line.refresh_form(first), thief)
    nothing = machine.post("/oauth/token", line.refresh_form(crypto.new_secret(crypto.REFRESH_TOKEN)), thief)
    assert stolen.json == nothing.json and stolen.json["error"] == "invalid_grant"
    assert machine.is_live(second["access_token"])


# scopes


def test_narrowing_is_for_the_access_token_alone(machine: Machine) -> None:
    line = machine.authorize()
    first = machine.tokens(line)["refresh_token"]
    narrowed = machine.refresh(line, first, scope="openid").get_json()
    assert narrowed["scope"] == "openid"
    assert machine.introspect(narrowed["access_token"])["scope"] == "openid"
    assert machine.call(narrowed["access_token"]).status_code == 403
    again = machine.refresh(line, narrowed["refresh_token"]).get_json()
    assert again["scope"] == OFFLINE
    assert machine.is_live(again["access_token"])


def test_a_part_of_a_broader_scope_is_narrower(machine: Machine) -> None:
    line = machine.authorize(scope="funds.read offline_access")
    body = machine.refresh(line, machine.tokens(line)["refresh_token"], scope="funds.summary").get_json()
    assert body["scope"] == "funds.summary"


@pytest.mark.parametrize("scope", ["funds.read", OFFLINE + " funds.write", " ", "openid  profile", "everything", 'open"é'])
def test_wider_or_malformed_is_invalid_scope_and_spends_nothing(machine: Machine, scope: str) -> None:
    line = machine.authorize()
    first = machine.tokens(line)["refresh_token"]
    assert refused(machine, line, first, scope=scope)[0] == "invalid_scope"
    [row] = machine.rows(select(RefreshToken))
    assert row.used_at is None
    assert machine.refresh(line, first).status_code == 200


def test_what_was_replaced_narrows_old_tokens_and_the_next_refresh(machine: Machine) -> None:
    line = machine.authorize(scope="openid funds.read offline_access")
    tokens = machine.tokens(line)
    machine.change(Consent, Consent.id == line.consent_id, scope="openid funds.summary offline_access")
    assert machine.introspect(tokens["access_token"])["scope"] == "openid funds.summary offline_access"
    assert machine.is_live(tokens["access_token"])
    assert machine.bearer("/api/v1/members", tokens["access_token"]).status_code == 403
    assert machine.refresh(line, tokens["refresh_token"]).get_json()["scope"] == "openid funds.summary offline_access"
    assert refused(machine, line, tokens["refresh_token"], scope="funds.read")[0] == "invalid_scope"


def test_a_consent_that_grew_gives_an_old_token_nothing_new(machine: Machine) -> None:
    line = machine.authorize(scope="openid offline_access")
    tokens = machine.tokens(line)
    machine.change(Consent, Consent.id == line.consent_id, scope=OFFLINE)
    assert machine.call(tokens["access_token"]).status_code == 403
    assert machine.refresh(line, tokens["refresh_token"]).get_json()["scope"] == "openid offline_access"


def test_without_offline_access_any_more_a_refresh_token_is_worth_nothing(machine: Machine) -> None:
    line = machine.authorize()
    tokens = machine.tokens(line)
    machine.change(Consent, Consent.id == line.consent_id, scope=ONLINE)
    assert refused(machine, line, tokens["refresh_token"])[0] == "invalid_grant"
    assert machine.introspect(tokens["refresh_token"]) == {"active": False}
    assert not machine.is_live(tokens["access_token"])  # there is no session that it could die with


def test_a_role_without_offline_access_refuses_a_refresh_from_the_next_call_on(machine: Machine) -> None:
    line = machine.authorize()
    tokens = machine.tokens(line)
    machine.change(Membership, Membership.user_id == ALICE.id, role="fund_adviser")
    assert machine.call(tokens["access_token"]).status_code == 403
    assert refused(machine, line, tokens["refresh_token"])[0] == "invalid_grant"
    machine.change(Membership, Membership.user_id == ALICE.id, role="fund_auditor")
    assert machine.is_live(tokens["access_token"])
    assert machine.refresh(line, tokens["refresh_token"]).status_code == 200


# endings


def end_consent(machine: Machine, line: Line) -> str:
    machine.change(Consent, Consent.id == line.consent_id, revoked_at=db.utcnow(), revoke_reason="user")
    return "revoked"


def expire_consent(machine: Machine, line: Line) -> str:
    machine.change(Consent, Consent.id == line.consent_id, expires_at=db.utcnow())
    return "consent_expired"


def leave(machine: Machine, line: Line) -> str:
    machine.change(Membership, Membership.user_id == line.person.id, ended_at=db.utcnow())
    return "user_left"


@pytest.mark.parametrize("end", [end_consent, expire_consent, leave])
def test_what_has_ended_refuses_a_refresh_with_the_reason(machine: Machine, end) -> None:  # type: ignore[no-untyped-def]
    line = machine.authorize()
    tokens = machine.tokens(line)
    reason = end(machine, line)
    assert refused(machine, line, tokens["refresh_token"]) == ("invalid_grant", reason)
    assert machine.introspect(tokens["refresh_token"]) == {"active": False}


def test_offline_access_outlives_the_session_and_online_access_does_not(machine: Machine, cast: Cast) -> None:
    offline, online = machine.authorize(), machine.authorize(cast.bob, scope=ONLINE)
    kept, lost = machine.tokens(offline), machine.tokens(online)
    assert machine.is_live(lost["access_token"])
    machine.change(BrowserSession, ended_at=db.utcnow(), end_reason="signed_out")
    assert 'error_description="signed_out"' in machine.call(lost["access_token"]).headers["WWW-Authenticate"]
    assert machine.is_live(kept["access_token"])
    assert machine.refresh(offline, kept["refresh_token"]).status_code == 200


def test_a_refresh_token_lasts_as_long_as_the_consent(machine: Machine, clock: Clock) -> None:
    line = machine.authorize()
    token = machine.tokens(line)["refresh_token"]
    clock.advance(days=300)
    token = machine.refresh(line, token).get_json()["refresh_token"]
    clock.advance(days=70)
    assert refused(machine, line, token) == ("invalid_grant", "consent_expired")


def test_an_access_token_lasts_ten_minutes(machine: Machine, clock: Clock) -> None:
    token = machine.tokens(machine.authorize())["access_token"]
    clock.advance(seconds=595)
    assert machine.is_live(token)
    clock.advance(seconds=10)
    assert 'error_description="expired"' in machine.call(token).headers["WWW-Authenticate"]


def test_no_refresh_outlives_the_line_it_ended_with(machine: Machine) -> None:
    """A token that was stored while the line was being ended opens nothing: the look-up asks the line itself."""
    line = machine.authorize()
    token = machine.tokens(line)["access_token"]
    machine.change(Authorization, Authorization.id == line.authorization_id, ended_at=db.utcnow(), end_reason="reuse")
    late = crypto.new_secret(crypto.ACCESS_TOKEN)
    with machine.app.app_context(), db.transaction() as session:
        session.add(
            AccessToken(
                digest=crypto.digest(late), authorization_id=line.authorization_id, issued_at=db.utcnow(),
                expires_at=db.utcnow() + timedelta(minutes=5),
            )
        )  # fmt: skip
    assert not machine.is_live(late) and not machine.is_live(token)
