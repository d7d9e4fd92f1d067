from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from portal import Portal
from portal.businesses.models import Business, Membership
from portal.clients.models import Client
from portal.consents.models import Consent
from portal.interaction import Interaction
from tests.consents.test_consent_page import EVERYTHING, PATH, change, count, interaction_of
from tests.support.corridor import Corridor
from tests.support.csrf import csrf
from tests.support.forms import form_in, submit

Transaction = Callable[[], AbstractContextManager[Session]]


# what changed while the page was open


def test_a_role_lowered_meanwhile_refuses_what_it_cannot_give(signed_in: Corridor, transaction: Transaction) -> None:
    signed_in.scope, signed_in.tick = EVERYTHING, ["funds.write"]
    page = signed_in.page("consent")
    change(transaction, Membership, Membership.user_id == "user-alice", role="fund_auditor")
    answer = signed_in.decide(page)
    assert answer.status_code == 400 and "has changed since this page was shown" in answer.text
    assert "Your role, Fund Auditor, cannot give this." in answer.text
    assert count(transaction, Consent) == 0
    assert signed_in.returned(signed_in.walk(signed_in.decide(answer, tick=["profile"])))["code"]


def test_a_role_that_cannot_give_what_is_required_can_only_deny(signed_in: Corridor, transaction: Transaction) -> None:
    page = signed_in.page("consent")
    change(transaction, Membership, Membership.user_id == "user-alice", role="fund_adviser")
    answer = signed_in.decide(page)
    assert answer.status_code == 400
    assert "does not work without “Read summary fund information”" in answer.text
    assert form_in(answer, action=PATH).choices("decision") == ["deny"]
    assert signed_in.returned(signed_in.walk(signed_in.decide(answer, "deny")))["error"] == "access_denied"
    assert count(transaction, Consent) == 0


@pytest.mark.parametrize("what", ["policy", "membership"])
def test_who_may_not_connect_there_any_more_chooses_again(signed_in: Corridor, transaction: Transaction, what: str) -> None:
    signed_in.person = signed_in.cast.bob
    signed_in.arrive_signed_in()
    signed_in.cast.add_member(signed_in.person, signed_in.cast.birch, "fund_auditor")
    page = signed_in.page("consent")
    if what == "policy":
        change(transaction, Business, Business.id == "business-acme", connect_policy="access_controllers")
    else:
        change(transaction, Membership, Membership.business_id == "business-acme", ended_at=signed_in.clock.now())
    page = signed_in.walk(signed_in.decide(page), until="business")
    assert form_in(page, action="/connect/business").choices("business_id") == ["business-birch"]
    assert ("Only Access Controllers connect applications here" in page.text) == (what == "policy")
    assert count(transaction, Consent) == 0


def test_a_client_disabled_meanwhile_ends_the_request(signed_in: Corridor, asked: TestResponse, transaction: Transaction) -> None:
    change(transaction, Client, Client.client_id == "ledgerly", disabled_at=signed_in.clock.now())
    assert signed_in.browser.get(f"{PATH}?interaction={interaction_of(asked)}").status_code == 410
    answer = signed_in.decide(asked)
    assert answer.status_code == 410 and "Nothing was shared" in answer.text
    assert count(transaction, Consent) == 0


def test_a_client_that_may_no_longer_ask_for_it_is_told_so(
    signed_in: Corridor, asked: TestResponse, transaction: Transaction
) -> None:
    answer = signed_in.decide(asked)
    change(transaction, Client, Client.client_id == "ledgerly", scope="openid")
    assert signed_in.returned(signed_in.walk(answer))["error"] == "invalid_scope"
    change(transaction, Client, Client.client_id == "ledgerly", scope=EVERYTHING)
    assert signed_in.browser.get(answer.location).status_code == 410
    assert count(transaction, Consent) == 0


@pytest.mark.parametrize("change_of", [{"role": "fund_auditor"}, {"ended_at": True}], ids=["role", "membership"])
def test_between_the_yes_and_the_answer_it_must_still_be_theirs_to_give(
    signed_in: Corridor, transaction: Transaction, change_of: dict[str, Any]
) -> None:
    signed_in.scope, signed_in.tick = EVERYTHING, ["funds.write"]
    answer = signed_in.decide(signed_in.page("consent"))
    values = {name: signed_in.clock.now() if value is True else value for name, value in change_of.items()}
    change(transaction, Membership, Membership.user_id == "user-alice", **values)
    assert signed_in.returned(signed_in.walk(answer))["error"] == "access_denied"
    assert count(transaction, Consent) == 0


def test_a_yes_is_never_taken_for_another_business(signed_in: Corridor, transaction: Transaction) -> None:
    signed_in.cast.add_member(signed_in.person, signed_in.cast.birch, "access_controller")
    signed_in.scope = EVERYTHING
    acme_page = signed_in.page("consent")
    business_page = signed_in.browser.get(f"/connect/business?interaction={interaction_of(acme_page)}")
    signed_in.walk(signed_in.choose(business_page, signed_in.cast.birch), until="consent")
    answer = signed_in.decide(acme_page, tick=["funds.write"])
    assert answer.status_code == 400 and "You chose another business in the meantime" in answer.text
    assert "Ledgerly asks for access to Birch" in answer.text
    assert form_in(answer, action=PATH).ticked("scope") == []
    assert count(transaction, Consent) == 0
    signed_in.returned(signed_in.walk(signed_in.decide(answer)))
    with transaction() as session:
        assert session.scalars(select(Consent)).one().business_id == "business-birch"


# once


@pytest.mark.parametrize("decision", ["allow", "deny"])
def test_after_the_answer_every_page_of_the_request_is_gone(
    signed_in: Corridor, asked: TestResponse, transaction: Transaction, decision: str
) -> None:
    signed_in.returned(signed_in.walk(signed_in.decide(asked, decision)))
    parked = interaction_of(asked)
    for answer in (
        signed_in.decide(asked),
        signed_in.decide(asked, "deny"),
        *(signed_in.browser.get(f"/connect/{page}?interaction={parked}") for page in ("business", "consent", "continue")),
    ):
        assert answer.status_code == 410
        assert "If you allowed access a moment ago, it stands" in answer.text
        assert "go back to the application you came from and start again" in answer.text
    assert count(transaction, Consent) == (1 if decision == "allow" else 0)


def test_the_first_word_counts(signed_in: Corridor, asked: TestResponse, transaction: Transaction) -> None:
    first = signed_in.decide(asked, "deny")
    second = signed_in.decide(asked, "allow")
    assert signed_in.returned(signed_in.walk(first))["error"] == "access_denied"
    assert signed_in.browser.get(second.location).status_code == 410
    assert count(transaction, Consent) == 0


def test_a_decision_whose_answer_was_lost_is_answered_at_the_next_visit(
    signed_in: Corridor, asked: TestResponse, transaction: Transaction
) -> None:
    signed_in.decide(asked)  # and the browser never follows
    parked = interaction_of(asked)
    stranger = signed_in.browser.application.test_client()
    assert stranger.get(f"/connect/continue?interaction={parked}").status_code == 410
    assert count(transaction, Consent) == 0
    for page in ("business", "consent"):
        answer = signed_in.browser.get(f"/connect/{page}?interaction={parked}")
        assert answer.location == f"/connect/continue?interaction={parked}"
    assert signed_in.returned(signed_in.browser.get(answer.location))["code"]
    assert count(transaction, Consent) == 1


def test_a_request_waits_thirty_minutes(signed_in: Corridor, asked: TestResponse, transaction: Transaction) -> None:
    signed_in.clock.advance(minutes=29)
    assert signed_in.browser.get(f"{PATH}?interaction={interaction_of(asked)}").status_code == 200
    signed_in.clock.advance(minutes=1, seconds=1)
    assert signed_in.decide(asked).status_code == 410
    assert count(transaction, Consent) == 0


# whose it is


def test_another_browser_cannot_go_on_with_it_even_of_the_same_person(signed_in: Corridor, asked: TestResponse) -> None:
    other = signed_in.browser.application.test_client()
    signed_in.cast.open_session(other, signed_in.person)
    for page in ("business", "consent", "continue"):
        answer = other.get(f"/connect/{page}?interaction={interaction_of(asked)}")
        assert answer.status_code == 410
        assert "Ledgerly" not in answer.text


def test_a_stranger_cannot_decide(signed_in: Corridor, asked: TestResponse, app: Portal, transaction: Transaction) -> None:
    charlie = app.test_client()
    session_id = signed_in.cast.open_session(charlie, signed_in.cast.charlie)
    data = {"interaction": interaction_of(asked), "decision": "allow", **csrf(app, session_id)}
    assert charlie.post(PATH, data=data).status_code == 410
    assert charlie.post("/connect/business", data={**data, "business_id": "business-birch"}).status_code == 410
    assert count(transaction, Consent) == 0
    assert signed_in.returned(signed_in.walk(signed_in.decide(asked)))["code"]


def test_nobody_signed_in_is_asked_to_sign_in(browser: FlaskClient, cast: Any) -> None:
    assert browser.get(PATH).location.startswith("/login?next=")
    assert browser.get("/connect/business").location.startswith("/login?next=")


@pytest.mark.parametrize("path", [PATH, "/connect/business"])
@pytest.mark.parametrize("token", ["missing", "of another session"])
def test_a_form_of_somebody_else_is_refused(
    signed_in: Corridor, asked: TestResponse, app: Portal, transaction: Transaction, token: str, path: str
) -> None:
    other = signed_in.cast.new_session(signed_in.cast.charlie)[1]
    data = {"interaction": interaction_of(asked), "decision": "allow", "business_id": "business-acme"}
    answer = signed_in.browser.post(path, data={**data, **({} if token == "missing" else csrf(app, other))})
    assert answer.status_code == 400 and "nothing was changed" in answer.text
    with transaction() as session:
        assert session.get_one(Interaction, interaction_of(asked)).decision is None


def test_a_decision_is_never_taken_from_a_link(signed_in: Corridor, asked: TestResponse, transaction: Transaction) -> None:
    answer = signed_in.browser.get(f"{PATH}?interaction={interaction_of(asked)}&decision=allow&scope=openid")
    assert answer.status_code == 200
    with transaction() as session:
        assert session.get_one(Interaction, interaction_of(asked)).decision is None
    assert signed_in.browser.post("/connect/continue", data={"decision": "allow"}).status_code in (400, 405)


@pytest.mark.parametrize("named", ["", "nonsense", "%00", "🦘", "%ff", "x" * 3000, "'"])
@pytest.mark.parametrize("page", ["business", "consent", "continue"])
def test_an_invented_request_is_gone(signed_in: Corridor, page: str, named: str) -> None:
    assert signed_in.browser.get(f"/connect/{page}?interaction={named}").status_code == 410


def test_switching_user_takes_the_request_along_and_forgets_what_was_decided(
    signed_in: Corridor, asked: TestResponse, transaction: Transaction
) -> None:
    signed_in.decide(asked)  # Alice says yes, and then hands over before the answer
    answer = submit(signed_in.browser, asked, action="/login/switch")
    signed_in.person = signed_in.cast.charlie
    page = signed_in.walk(answer, until="business")
    assert form_in(page, action="/connect/business").choices("business_id") == ["business-birch"]
    signed_in.company = signed_in.cast.birch
    assert signed_in.returned(signed_in.walk(signed_in.choose(page, signed_in.cast.birch)))["code"]
    with transaction() as session:
        consent = session.scalars(select(Consent)).one()
    assert (consent.user_id, consent.business_id) == ("user-charlie", "business-birch")
