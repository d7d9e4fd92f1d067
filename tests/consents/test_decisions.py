from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from portal.accounts.models import BrowserSession
from portal.audit.models import AuditEvent
from portal.businesses import roles
from portal.businesses.models import Membership
from portal.clients.models import Client
from portal.consents import decisions, lapsing
from portal.consents.catalogue import CATALOGUE
from portal.consents.models import Consent
from tests.support import cast as the_cast
from tests.support.corridor import Corridor
from tests.support.forms import form_in, submit

Transaction = Callable[[], AbstractContextManager[Session]]
EVERYTHING = " ".join(CATALOGUE)
LEDGERLY = the_cast.client_row(the_cast.LEDGERLY)
NOTHING_REQUIRED = the_cast.client_row(the_cast.LEDGERLY, required_scopes=[])


def standing(scope: str, asked: str | None = None) -> Consent:
    return Consent(scope=scope, asked=asked or scope)


@pytest.fixture
def connected(corridor: Corridor) -> Corridor:
    """Alice has allowed Ledgerly to read and to come back, through the pages."""
    corridor.arrive_signed_in()
    corridor.scope = EVERYTHING
    return corridor


# what may be given


@pytest.mark.parametrize("role", roles.ROLES)
def test_no_role_gives_more_than_its_ceiling_however_the_boxes_stand(role: str) -> None:
    given = decisions.granted(LEDGERLY, CATALOGUE, CATALOGUE, role)
    assert set(given) == roles.ceiling(role)
    assert ("funds.write" in given, "funds.create" in given) == ((role in ("access_controller", "fund_administrator"),) * 2)


def test_an_auditor_reads_and_an_adviser_identifies() -> None:
    auditor = decisions.granted(LEDGERLY, CATALOGUE, CATALOGUE, "fund_auditor")
    assert auditor == [name for name in CATALOGUE if name not in ("funds.write", "funds.create")]
    assert decisions.granted(LEDGERLY, CATALOGUE, CATALOGUE, "fund_adviser") == ["openid", "profile"]
    assert decisions.granted(LEDGERLY, CATALOGUE, CATALOGUE, "no such role") == []


def test_nothing_is_given_that_was_not_asked_for_or_not_ticked() -> None:
    role = "access_controller"
    assert decisions.granted(NOTHING_REQUIRED, ["openid", "profile"], ["profile", "funds.write"], role) == ["profile"]
    assert decisions.granted(NOTHING_REQUIRED, CATALOGUE, [], role) == []
    assert decisions.granted(LEDGERLY, CATALOGUE, [], role) == ["openid", "funds.summary"]
    assert decisions.granted(LEDGERLY, ["profile"], [], role) == []  # required counts only for what is asked for now


def test_what_is_required_beyond_the_role_is_named() -> None:
    assert decisions.beyond_role(LEDGERLY, CATALOGUE, "fund_adviser") == ["funds.summary"]
    assert decisions.beyond_role(LEDGERLY, ["openid"], "fund_adviser") == []
    assert decisions.beyond_role(LEDGERLY, CATALOGUE, "fund_auditor") == []


# what is asked


def test_questions_stand_in_the_order_of_the_catalogue_and_unticked() -> None:
    asked = decisions.questions(LEDGERLY, sorted(CATALOGUE), "access_controller", None)
    assert [one.name for one in asked] == list(CATALOGUE)
    assert [one.name for one in asked if one.is_ticked] == ["openid", "funds.summary"]
    assert not any(one.is_new for one in asked)


def test_only_what_was_not_open_before_is_new() -> None:
    before = standing("openid funds.read")
    asked = decisions.questions(LEDGERLY, ["openid", "funds.basic", "funds.read", "funds.write"], "access_controller", before)
    assert [one.name for one in asked if one.is_new] == ["funds.write"]
    assert [one.name for one in asked if one.is_ticked] == ["openid", "funds.read"]


def test_what_the_role_cannot_give_is_closed_and_never_ticked() -> None:
    before = standing(EVERYTHING)
    for one in decisions.questions(LEDGERLY, CATALOGUE, "fund_adviser", before):
        is_given = one.name in ("openid", "profile")
        assert (one.reason == "", one.is_ticked) == (is_given, is_given), one.name


# what answers


@pytest.mark.parametrize(
    ("scope", "asked_then", "asked_now", "is_answer"),
    [
        ("openid funds.summary", "openid funds.summary", "openid funds.summary", True),
        ("openid funds.summary", "openid funds.summary", "openid", True),
        ("openid funds.summary", "openid funds.summary profile", "openid profile", True),
        ("openid funds.summary", "openid funds.summary", "openid profile", False),
        ("openid funds.read", "openid funds.read", "openid funds.summary members.read", True),
        ("openid funds.read", "openid funds.read", "openid funds.write", False),
        ("openid", "openid funds.read", "openid funds.basic", False),
        ("openid", "openid funds.summary", "openid funds.summary", False),
        ("openid funds.summary", "openid funds.summary", "openid offline_access", False),
    ],
    ids=[
        "the same", "less", "refused before", "not asked before", "contained in what was given", "more than was given",
        "part of what was refused", "required and not given", "offline never asked",
    ],
)  # fmt: skip
def test_a_consent_answers_what_was_decided(scope: str, asked_then: str, asked_now: str, is_answer: bool) -> None:
    assert decisions.answers(standing(scope, asked_then), LEDGERLY, asked_now.split()) is is_answer


# saying yes again


def test_a_second_yes_replaces_and_never_adds(connected: Corridor, transaction: Transaction) -> None:
    connected.tick = ["funds.read", "business.read", "offline_access"]
    first = connected.tokens()
    connected.tick = ["profile", "offline_access"]
    second = connected.tokens(prompt="consent")
    assert second["scope"] == "openid profile funds.summary offline_access"
    assert second["consent_id"] == first["consent_id"]
    with transaction() as session:
        assert session.scalars(select(Consent)).one().scope == second["scope"]
        changed = session.scalars(select(AuditEvent).where(AuditEvent.kind == "consent.changed")).one()
    assert changed.detail["scopes_before"] == ["openid", "funds.summary", "funds.read", "business.read", "offline_access"]
    assert connected.call(first["access_token"], "/api/v1/business/users").status_code == 403
    assert connected.call(first["access_token"]).status_code == 200
    refreshed = connected.refresh(first["refresh_token"])
    assert refreshed.status_code == 200
    assert (refreshed.json or {})["scope"] == "openid funds.summary offline_access"


def test_a_yes_to_less_ends_what_an_older_token_could_do_more(connected: Corridor) -> None:
    connected.tick = ["funds.read"]
    older = connected.tokens()
    connected.tick = []
    connected.tokens(prompt="consent")
    assert connected.call(older["access_token"], "/api/v1/funds/fund-acme-1/members").status_code == 403
    assert connected.call(older["access_token"]).status_code == 200


def test_a_yes_without_offline_access_ends_the_refreshing(connected: Corridor) -> None:
    connected.tick = ["offline_access"]
    older = connected.tokens()
    connected.tick = []
    newer = connected.tokens(prompt="consent")
    assert "refresh_token" not in newer
    answer = connected.refresh(older["refresh_token"])
    assert (answer.status_code, (answer.json or {})["error"]) == (400, "invalid_grant")


def test_the_length_is_replaced_too(connected: Corridor, transaction: Transaction) -> None:
    connected.duration = "12_months"
    connected.tokens()
    page = connected.page("consent", prompt="consent")
    assert form_in(page, action="/connect/consent").ticked("duration") == ["12_months"]
    connected.duration = "3_months"
    connected.tokens(prompt="consent")
    with transaction() as session:
        consent = session.scalars(select(Consent)).one()
    assert consent.expires_at - consent.granted_at == timedelta(days=91)


def test_each_person_business_and_client_has_a_consent_of_its_own(connected: Corridor, transaction: Transaction) -> None:
    connected.tokens()
    connected.cast.add_member(connected.person, connected.cast.birch, "access_controller")
    connected.company = connected.cast.birch
    connected.tokens(prompt="consent")
    connected.person, connected.company = connected.cast.bob, connected.cast.acme
    connected.arrive_signed_in()
    connected.tokens()
    connected.partner, connected.scope = connected.cast.pocketfolio, "openid"
    connected.tokens()
    with transaction() as session:
        found = {(one.user_id, one.business_id, one.client_id) for one in session.scalars(select(Consent))}
    assert found == {
        ("user-alice", "business-acme", "ledgerly"), ("user-alice", "business-birch", "ledgerly"),
        ("user-bob", "business-acme", "ledgerly"), ("user-bob", "business-acme", "pocketfolio"),
    }  # fmt: skip


@pytest.mark.parametrize("how", ["expired", "signed out"])
def test_a_consent_that_only_lapsed_makes_room_for_a_new_one(connected: Corridor, transaction: Transaction, how: str) -> None:
    ended = connected.clock.now() - timedelta(hours=1)
    if how == "expired":
        old = connected.cast.add_consent(expires_at=ended)
    else:
        old = connected.cast.add_consent(duration="session", session_id=connected.cast.new_session(connected.person)[1])
        with transaction() as session:
            session.execute(update(BrowserSession).where(BrowserSession.id == old.session_id).values(ended_at=ended))
    connected.tokens()
    with transaction() as session:
        rows = {one.id: one for one in session.scalars(select(Consent))}
        kinds = sorted(session.scalars(select(AuditEvent.kind).where(AuditEvent.kind.startswith("consent."))))
    assert len(rows) == 2
    assert rows[old.id].revoke_reason == how.replace(" ", "_") and rows[old.id].revoked_by_user_id is None
    assert rows[old.id].revoked_at == ended
    assert kinds == sorted([lapsing.EVENTS[rows[old.id].revoke_reason], "consent.given"])


def test_a_revoked_consent_stays_ended_and_a_new_one_begins(connected: Corridor, transaction: Transaction) -> None:
    older = connected.tokens()
    page = connected.browser.get("/business/business-acme/access")
    submit(connected.browser, page, action="/access/ledgerly/revoke")
    assert connected.call(older["access_token"]).status_code == 401
    newer = connected.tokens()
    assert newer["consent_id"] != older["consent_id"]
    assert connected.call(older["access_token"]).status_code == 401
    assert connected.call(newer["access_token"]).status_code == 200


# online and offline


def test_online_access_has_no_refresh_token_and_dies_with_the_session(connected: Corridor) -> None:
    tokens = connected.tokens()
    assert "refresh_token" not in tokens and tokens["expires_in"] == 3600
    assert connected.call(tokens["access_token"]).status_code == 200
    submit(connected.browser, connected.browser.get("/account"), action="/logout")
    answer = connected.call(tokens["access_token"])
    assert answer.status_code == 401 and "signed_out" in answer.headers["WWW-Authenticate"]


def test_online_access_dies_when_the_session_idles(connected: Corridor) -> None:
    tokens = connected.tokens()
    connected.clock.advance(minutes=31)
    assert connected.call(tokens["access_token"]).status_code == 401


def test_offline_access_goes_on_when_the_person_has_left(connected: Corridor) -> None:
    connected.tick = ["offline_access"]
    tokens = connected.tokens()
    assert tokens["expires_in"] == 600
    submit(connected.browser, connected.browser.get("/account"), action="/logout")
    assert connected.call(tokens["access_token"]).status_code == 200
    refreshed = connected.refresh(tokens["refresh_token"]).json or {}
    assert connected.call(refreshed["access_token"]).status_code == 200


def test_a_partner_that_asks_for_less_is_not_given_offline_access(connected: Corridor) -> None:
    connected.tick = ["offline_access"]
    connected.tokens()
    connected.scope = "openid funds.summary"
    tokens = connected.tokens()
    assert tokens["scope"] == "openid funds.summary" and "refresh_token" not in tokens


def test_a_role_lowered_later_counts_from_the_next_call(connected: Corridor, transaction: Transaction) -> None:
    connected.tick = ["business.read"]
    tokens = connected.tokens()
    assert connected.call(tokens["access_token"], "/api/v1/business/users").status_code == 200
    with transaction() as session:
        session.execute(update(Membership).where(Membership.user_id == "user-alice").values(role="fund_adviser"))
    assert connected.call(tokens["access_token"], "/api/v1/business/users").status_code == 403


def test_a_refused_scope_is_not_asked_again_without_a_word_from_the_partner(connected: Corridor) -> None:
    connected.tick = ["profile"]
    connected.tokens()
    again = connected.redeem(connected.returned(connected.ask())["code"]).json or {}
    assert again["scope"] == "openid profile funds.summary"
    assert connected.ask(prompt="consent").location.startswith("/connect/business?")


def test_what_is_required_later_is_asked_for(connected: Corridor, transaction: Transaction) -> None:
    connected.tokens()
    with transaction() as session:
        required = ["openid", "funds.summary", "business.read"]
        session.execute(update(Client).where(Client.client_id == "ledgerly").values(required_scopes=required))
    assert connected.page("consent").status_code == 200
