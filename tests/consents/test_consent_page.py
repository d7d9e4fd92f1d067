from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from portal import Portal
from portal.audit.models import AuditEvent
from portal.clients.models import Client
from portal.consents.models import Consent
from tests.support.corridor import Corridor
from tests.support.forms import form_in, submit

Transaction = Callable[[], AbstractContextManager[Session]]
EVERYTHING = (
    "openid profile funds.summary funds.basic members.read funds.read funds.write business.read funds.create offline_access"
)
PATH = "/connect/consent"


def interaction_of(page: TestResponse) -> str:
    return form_in(page, action=PATH).data()["interaction"][0]


def count(transaction: Transaction, model: Any) -> int:
    with transaction() as session:
        return len(session.scalars(select(model)).all())


def change(transaction: Transaction, model: Any, condition: Any, **values: Any) -> None:
    with transaction() as session:
        session.execute(update(model).where(condition).values(**values))


# what it says


def test_it_names_everyone_concerned(asked: TestResponse) -> None:
    for told in (
        "Ledgerly asks for access to Acme Super Services", "Ledgerly Pty Ltd", "https://ledgerly.example", "51 824 753 556",
        "Alice Hartigan", "alice@acme.example", "127.0.0.1 (this device)", "Switch user", "Change", "Step 4 of 4",
    ):  # fmt: skip
        assert told in asked.text, told


def test_it_tells_the_price_the_length_and_where_to_stop(asked: TestResponse) -> None:
    for told in ("is free", "may charge", "Business › Applications", "Partner Application Access", "how it handles data"):
        assert told in asked.text, told
    assert form_in(asked, action=PATH).choices("duration") == ["session", "3_months", "12_months"]


@pytest.mark.parametrize(
    ("scope", "told"), [("openid funds.summary", "Ledgerly"), ("openid funds.summary offline_access", "Without")]
)
def test_it_tells_that_a_length_does_not_reach_beyond_signing_out(signed_in: Corridor, scope: str, told: str) -> None:
    signed_in.scope = scope
    [hint] = re.findall(r'id="how-long-hint">([^<]+)<', signed_in.page("consent").text)
    assert hint.startswith(told) and "only while you are signed in" in hint


def test_groups_come_identity_first_and_offline_last(signed_in: Corridor) -> None:
    signed_in.scope = EVERYTHING
    page = signed_in.page("consent")
    legends = re.findall(r'group__legend">([^<]+)<', page.text)
    assert legends == ["Who you are", "What it can read", "Can change your data", "When you are not here", "How long this lasts"]
    boxes = [control.value for control in form_in(page, action=PATH).fields if control.name == "scope"]
    assert boxes == [
        "openid", "profile", "funds.summary", "funds.basic", "members.read", "funds.read", "business.read",
        "funds.write", "funds.create", "offline_access",
    ]  # fmt: skip
    writing = page.text.partition("Can change your data")[2].partition("</fieldset>")[0]
    assert 'value="funds.write"' in writing and 'value="funds.create"' in writing and 'value="funds.read"' not in writing


def test_required_ones_are_fixed_and_optional_ones_start_unticked(signed_in: Corridor) -> None:
    signed_in.scope = EVERYTHING
    page = signed_in.page("consent")
    form = form_in(page, action=PATH)
    assert form.ticked("scope") == []
    fixed = [control.value for control in form.fields if control.name == "scope" and control.disabled and control.on]
    assert fixed == ["openid", "funds.summary"]
    assert page.text.count("Ledgerly does not work without this.") == 2


def test_each_box_tells_what_it_contains_and_why_it_is_asked(signed_in: Corridor) -> None:
    signed_in.scope = "openid funds.summary funds.read"
    page = signed_in.page("consent")
    box = page.text.partition('value="funds.read"')[2]
    assert "Read all fund information" in box and "Includes 3 others" in box
    for part in ("Read summary fund information", "Read basic fund information", "Read member information"):
        assert f"<li>{part}</li>" in box
    assert "Why Ledgerly asks for funds.read." in box


def test_no_raw_name_stands_outside_the_technical_details(signed_in: Corridor, transaction: Transaction) -> None:
    signed_in.scope = EVERYTHING
    change(transaction, Client, Client.client_id == "ledgerly", scope_reasons={})
    page = signed_in.page("consent")
    words = re.sub(r"<[^>]*>", " ", page.text.partition("<body")[2].partition("Technical details")[0])
    for name in EVERYTHING.split():
        assert not re.search(rf"\b{re.escape(name)}\b", words), name
    assert re.search(r"<details[^>]*technical", page.text) and not re.search(r"<details[^>]*technical[^>]*open", page.text)


def test_the_brand_of_the_portal_stands_in_the_title_of_offline_access(signed_in: Corridor) -> None:
    signed_in.scope = "openid funds.summary offline_access"
    assert "Access your data while you are not logged into Class" in signed_in.page("consent").text


def test_allow_and_deny_have_the_same_weight(asked: TestResponse) -> None:
    allow, deny = re.findall(r'<button class="([^"]+)"[^>]*name="decision"', asked.text)
    assert allow == deny


def test_what_the_role_cannot_give_is_disabled_with_the_reason(signed_in: Corridor) -> None:
    signed_in.person, signed_in.scope = signed_in.cast.bob, EVERYTHING
    signed_in.arrive_signed_in()
    page = signed_in.page("consent")
    form = form_in(page, action=PATH)
    assert [one.value for one in form.fields if one.name == "scope" and one.disabled and not one.on] == [
        "funds.write",
        "funds.create",
    ]
    assert page.text.count("Your role, Fund Auditor, cannot give this.") == 2


# saying yes


def test_only_what_was_ticked_is_given_with_what_is_required(signed_in: Corridor, transaction: Transaction) -> None:
    signed_in.scope, signed_in.tick = EVERYTHING, ["business.read"]
    assert signed_in.tokens()["scope"] == "openid funds.summary business.read"
    with transaction() as session:
        consent = session.scalars(select(Consent)).one()
    assert (consent.scope, consent.asked) == ("openid funds.summary business.read", EVERYTHING)
    assert (consent.user_id, consent.business_id, consent.client_id) == ("user-alice", "business-acme", "ledgerly")
    assert (consent.role, consent.revoked_at) == ("access_controller", None)


def test_nothing_takes_effect_before_the_answer_goes_out(
    signed_in: Corridor, asked: TestResponse, transaction: Transaction
) -> None:
    answer = signed_in.decide(asked)
    assert answer.status_code == 303 and answer.location.startswith("/connect/continue?")
    assert count(transaction, Consent) == 0
    assert signed_in.returned(signed_in.walk(answer))["code"]
    assert count(transaction, Consent) == 1


def test_saying_yes_is_told_in_the_history(signed_in: Corridor, transaction: Transaction) -> None:
    signed_in.connect()
    with transaction() as session:
        event = session.scalars(select(AuditEvent).where(AuditEvent.kind.startswith("consent."))).one()
    assert (event.kind, event.business_id, event.user_id, event.client_id) == (
        "consent.given", "business-acme", "user-alice", "ledgerly",
    )  # fmt: skip


@pytest.mark.parametrize(("duration", "days"), [("3_months", 91), ("12_months", 365), (None, 365)])
def test_it_lasts_as_long_as_was_chosen_and_twelve_months_at_most(
    signed_in: Corridor, transaction: Transaction, duration: str | None, days: int
) -> None:
    signed_in.duration, signed_in.scope, signed_in.tick = duration, "openid funds.summary offline_access", ["offline_access"]
    tokens = signed_in.tokens()
    with transaction() as session:
        consent = session.scalars(select(Consent)).one()
    assert consent.expires_at - consent.granted_at == timedelta(days=days)
    assert tokens["consent_expires_at"] == int(consent.expires_at.timestamp())
    signed_in.clock.advance(days=days, seconds=1)
    assert signed_in.refresh(tokens["refresh_token"]).status_code == 400


def test_for_this_session_it_ends_with_the_session(signed_in: Corridor, app: Portal) -> None:
    signed_in.duration, signed_in.scope, signed_in.tick = "session", "openid funds.summary offline_access", ["offline_access"]
    tokens = signed_in.tokens()
    assert signed_in.call(tokens["access_token"]).status_code == 200
    submit(signed_in.browser, signed_in.browser.get("/account"), action="/logout")
    assert signed_in.call(tokens["access_token"]).status_code == 401
    assert signed_in.refresh(tokens["refresh_token"]).status_code == 400


@pytest.mark.parametrize("duration", ["", "forever", "24_months", "%00", "é"])
def test_a_length_that_is_not_offered_is_refused(
    signed_in: Corridor, asked: TestResponse, transaction: Transaction, duration: str
) -> None:
    form = form_in(asked, action=PATH)
    answer = signed_in.browser.post(PATH, data={**form.data(), "decision": "allow", "duration": duration})
    assert answer.status_code == 400 and "how long" in answer.text
    assert count(transaction, Consent) == 0


# saying no


def test_denying_tells_the_partner_and_changes_nothing(signed_in: Corridor, transaction: Transaction) -> None:
    signed_in.decision = "deny"
    back = signed_in.connect()
    assert (back["error"], back["state"], back["iss"]) == ("access_denied", "state-of-the-partner", "http://127.0.0.1:5000")
    assert "code" not in back
    assert count(transaction, Consent) == 0
    with transaction() as session:
        event = session.scalars(select(AuditEvent).where(AuditEvent.kind == "consent.denied")).one()
    assert (event.business_id, event.user_id) == ("business-acme", "user-alice")


def test_denying_leaves_what_stands(signed_in: Corridor, transaction: Transaction) -> None:
    consent = signed_in.cast.add_consent(scope="openid funds.summary")
    signed_in.scope, signed_in.decision = "openid funds.summary business.read", "deny"
    assert signed_in.connect()["error"] == "access_denied"
    with transaction() as session:
        kept = session.get_one(Consent, consent.id)
    assert (kept.scope, kept.revoked_at) == ("openid funds.summary", None)


def test_a_box_that_was_ticked_before_denying_gives_nothing(signed_in: Corridor, transaction: Transaction) -> None:
    signed_in.scope, signed_in.tick, signed_in.decision = EVERYTHING, ["funds.write"], "deny"
    assert signed_in.connect()["error"] == "access_denied"
    assert count(transaction, Consent) == 0


# what is no decision


@pytest.mark.parametrize("decision", [None, "", "ALLOW", "yes", "allow\0", ["allow", "deny"], ["deny", "allow"]])
def test_neither_button_is_no_decision(
    signed_in: Corridor, asked: TestResponse, transaction: Transaction, decision: str | list[str] | None
) -> None:
    data: dict[str, Any] = {**form_in(asked, action=PATH).data(), **({} if decision is None else {"decision": decision})}
    answer = signed_in.browser.post(PATH, data=data)
    assert answer.status_code == 400 and "Choose Allow access or Deny." in answer.text
    assert signed_in.returned(signed_in.walk(signed_in.decide(answer)))["code"]


@pytest.mark.parametrize(
    ("changes", "field", "place"),
    [
        ({"decision": "perhaps"}, "decision", "decision"),
        ({"duration": "for ever"}, "duration-session", "how-long"),
        ({"business_id": "business-birch"}, "business", "business"),
        ({"scope": ["profile", "funds.write"]}, "scope-profile", "who-you-are"),
    ],
)
def test_a_mistake_is_told_beside_what_it_is_about_and_in_the_summary(
    signed_in: Corridor, asked: TestResponse, changes: dict[str, Any], field: str, place: str
) -> None:
    text = signed_in.browser.post(PATH, data={**form_in(asked, action=PATH).data(), "decision": "allow", **changes}).text
    [summary] = re.findall(r'<li><a href="#([^"]+)">([^<]+)</a></li>', text)
    [beside] = re.findall(r'id="([^"]+)-error"><span class="visually-hidden">Error: </span>([^<]+)<', text)
    assert summary[1] == beside[1] and (summary[0], beside[0]) == (field, place)
    described = " ".join(re.findall(r'aria-describedby="([^"]+)"', text)).split()
    assert text.count(f' id="{field}"') == 1 and f"{place}-error" in described


def test_a_scope_that_was_not_asked_for_cannot_be_ticked(
    signed_in: Corridor, asked: TestResponse, transaction: Transaction
) -> None:
    data = {**form_in(asked, action=PATH).data(), "decision": "allow", "scope": ["profile", "funds.write"]}
    answer = signed_in.browser.post(PATH, data=data)
    assert answer.status_code == 400 and "nothing was shared" in answer.text
    assert count(transaction, Consent) == 0


@pytest.mark.parametrize("scope", ["funds.write", "no.such.scope", "\0", "é", "openid profile", "x" * 9000])
def test_a_scope_that_cannot_be_given_refuses_the_whole_form(signed_in: Corridor, transaction: Transaction, scope: str) -> None:
    signed_in.person, signed_in.scope = signed_in.cast.bob, EVERYTHING
    signed_in.arrive_signed_in()
    page = signed_in.page("consent")
    data = {**form_in(page, action=PATH).data(), "decision": "allow", "scope": [scope]}
    answer = signed_in.browser.post(PATH, data=data)
    assert answer.status_code == 400
    assert count(transaction, Consent) == 0


def test_nothing_ticked_is_told_where_nothing_is_required(signed_in: Corridor, transaction: Transaction) -> None:
    change(transaction, Client, Client.client_id == "ledgerly", required_scopes=[])
    page = signed_in.decide(signed_in.page("consent"), tick=[])
    assert page.status_code == 400 and "Tick at least one thing" in page.text
    assert signed_in.returned(signed_in.walk(signed_in.decide(page, tick=["openid"])))["code"]


def test_mistakes_keep_what_was_ticked(signed_in: Corridor) -> None:
    signed_in.scope = EVERYTHING
    page = signed_in.page("consent")
    data = {**form_in(page, action=PATH).data(), "scope": ["profile", "funds.read"], "duration": "session"}
    answer = signed_in.browser.post(PATH, data=data)
    form = form_in(answer, action=PATH)
    assert (form.ticked("scope"), form.ticked("duration")) == (["profile", "funds.read"], ["session"])


# the page itself


def test_it_cannot_be_framed_or_kept_and_tells_no_other_site_its_address(asked: TestResponse) -> None:
    headers = asked.headers
    assert headers["X-Frame-Options"] == "DENY" and "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Security-Policy"].endswith("form-action 'self' http://127.0.0.1:5001")
