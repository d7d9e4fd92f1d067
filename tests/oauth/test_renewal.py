from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from portal import Portal, db
from portal.accounts.models import BrowserSession, User
from portal.businesses.models import Business, Membership
from portal.clients.models import Client
from portal.consents.models import Consent
from tests.support.clock import Clock
from tests.support.corridor import Corridor
from tests.support.statements import statements

Transaction = Callable[[], AbstractContextManager[Session]]
ASKED = "openid profile funds.summary"


@pytest.fixture
def connected(corridor: Corridor) -> Corridor:
    """Alice is signed in, and has allowed what Ledgerly asks for."""
    corridor.arrive_signed_in()
    corridor.cast.add_consent(scope=ASKED)
    return corridor


def test_what_stands_is_read_by_one_statement_and_the_code_stored_by_another(connected: Corridor, app: Portal) -> None:
    connected.connect(prompt="none")
    with statements(app) as sent:
        code = connected.returned(connected.ask(prompt="none"))["code"]
    assert [statement.split()[0] for statement in sent] == ["SELECT", "INSERT"]
    assert connected.redeem(code).get_json()["scope"] == ASKED


def test_the_answer_is_the_one_of_the_ordinary_way(connected: Corridor) -> None:
    short, ordinary = connected.ask(prompt="none"), connected.ask()
    told = [connected.returned(answer) for answer in (short, ordinary)]
    assert [answer.status_code for answer in (short, ordinary)] == [303, 303]
    assert told[0].keys() == told[1].keys() and told[0]["code"] != told[1]["code"]
    assert short.headers["Cache-Control"] == ordinary.headers["Cache-Control"] == "no-store"


def test_a_renewal_keeps_the_session_alive(connected: Corridor, clock: Clock) -> None:
    for _ in range(3):
        clock.advance(minutes=25)
        assert connected.connect(prompt="none")["code"]
    clock.advance(minutes=31)
    assert connected.connect(prompt="none")["error"] == "login_required"


def test_one_of_several_businesses_must_be_named(connected: Corridor) -> None:
    elsewhere = connected.cast.add_business()
    connected.cast.add_member(connected.person, elsewhere, "fund_administrator")
    connected.cast.add_consent(company=elsewhere, scope=ASKED)
    assert connected.connect(prompt="none")["error"] == "interaction_required"
    code = connected.connect(prompt="none", business_id=elsewhere.id)["code"]
    assert connected.redeem(code).get_json()["business_id"] == elsewhere.id
    assert connected.connect(prompt="none", business_id="of-a-stranger")["error"] == "interaction_required"


LONG_AGO = timedelta(days=-1)
ENDINGS: dict[str, tuple[type[db.Base], dict[str, Any], str]] = {
    "the session ended": (BrowserSession, {"ended_at": LONG_AGO}, "login_required"),
    "the session is over": (BrowserSession, {"expires_at": LONG_AGO}, "login_required"),
    "the session idled": (BrowserSession, {"idle_expires_at": LONG_AGO}, "login_required"),
    "the account is disabled": (User, {"disabled_at": LONG_AGO}, "login_required"),
    "one factor only": (BrowserSession, {"amr": ["pwd"]}, "interaction_required"),
    "the person left": (Membership, {"ended_at": LONG_AGO}, "interaction_required"),
    "the person was only invited": (Membership, {"accepted_at": None}, "interaction_required"),
    "the role may not connect": (Membership, {"role": "fund_auditor"}, "interaction_required"),
    "the consent was revoked": (Consent, {"revoked_at": LONG_AGO}, "interaction_required"),
    "the consent is over": (Consent, {"expires_at": LONG_AGO}, "interaction_required"),
    "less was asked then": (Consent, {"asked": "openid funds.summary", "scope": "openid funds.summary"}, "consent_required"),
    "less was given than is required": (Consent, {"scope": "openid"}, "consent_required"),
    "the application is native": (Client, {"application_type": "native"}, "consent_required"),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_renewed_when(connected: Corridor, transaction: Transaction, ending: str) -> None:
    model, changes, error = ENDINGS[ending]
    assert connected.connect(prompt="none")["code"]
    with transaction() as session:
        session.execute(update(Business).values(connect_policy="access_controllers"))
        moments = {name: db.utcnow() + value if isinstance(value, timedelta) else value for name, value in changes.items()}
        session.execute(update(model).values(moments))
    assert connected.connect(prompt="none")["error"] == error


@pytest.mark.parametrize("prompt", [None, "none"])
def test_a_role_that_leaves_nothing_gets_no_code_that_would_be_refused(
    connected: Corridor, transaction: Transaction, prompt: str | None
) -> None:
    asked = {"scope": "funds.summary offline_access", "prompt": prompt}
    with transaction() as session:
        session.execute(update(Consent).values(scope=asked["scope"], asked=asked["scope"]))
    assert connected.connect(**asked)["code"]
    for role, member in (("fund_adviser", "error"), ("fund_auditor", "code")):
        with transaction() as session:
            session.execute(update(Membership).where(Membership.user_id == "user-alice").values(role=role))
        assert member in connected.connect(**asked)
    tokens = connected.tokens(**asked)
    assert tokens["scope"] == asked["scope"], "a role that rose again opens what was allowed"


def test_a_sign_in_that_is_too_old_is_not_renewed(connected: Corridor, clock: Clock) -> None:
    clock.advance(minutes=5)
    assert connected.connect(prompt="none", max_age="600")["code"]
    assert connected.connect(prompt="none", max_age="60")["error"] == "login_required"
