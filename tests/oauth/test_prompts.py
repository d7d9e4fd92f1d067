from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from portal.accounts.models import BrowserSession, User
from portal.businesses.models import Business, Membership
from portal.consents.models import Consent
from portal.interaction import Interaction
from tests.support.corridor import Corridor
from tests.support.forms import form_in, submit

Transaction = Callable[[], AbstractContextManager[Session]]
ASKED = "openid profile funds.summary"


@pytest.fixture
def connected(corridor: Corridor) -> Corridor:
    """Alice is signed in, and has allowed what Ledgerly asks for."""
    corridor.arrive_signed_in()
    corridor.cast.add_consent(scope=ASKED)
    return corridor


def claims_of(id_token: str) -> dict[str, Any]:
    payload = id_token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


def error_of(corridor: Corridor, **changes: str | None) -> str:
    back = corridor.returned(corridor.ask(**changes))
    assert (back["state"], back["iss"]) == ("state-of-the-partner", "http://127.0.0.1:5000")
    return back["error"]


def change_session(transaction: Transaction, session_id: str, **values: Any) -> None:
    with transaction() as session:
        session.execute(update(BrowserSession).where(BrowserSession.id == session_id).values(**values))


# none


def test_none_without_a_person_is_login_required(corridor: Corridor, transaction: Transaction) -> None:
    assert error_of(corridor, prompt="none") == "login_required"
    with transaction() as session:
        assert session.scalars(select(Interaction)).all() == []


def test_none_with_a_consent_that_stands_is_a_code(connected: Corridor) -> None:
    tokens = connected.tokens(prompt="none")
    assert (tokens["scope"], tokens["business_id"]) == (ASKED, "business-acme")


def test_none_without_a_consent_is_refused(corridor: Corridor) -> None:
    corridor.arrive_signed_in()
    assert error_of(corridor, prompt="none") == "interaction_required"
    # The same for a business of the person's and for a stranger's, which is not for clients to find out.
    assert error_of(corridor, prompt="none", business_id="business-acme") == "interaction_required"
    assert error_of(corridor, prompt="none", business_id="business-birch") == "interaction_required"


def test_none_for_more_than_was_asked_before_is_refused(connected: Corridor) -> None:
    assert error_of(connected, prompt="none", scope=f"{ASKED} business.read") == "consent_required"


def test_none_gets_what_was_given_of_what_was_asked(connected: Corridor, transaction: Transaction) -> None:
    connected.scope = f"{ASKED} business.read"
    with transaction() as session:
        session.execute(update(Consent).values(asked=connected.scope))
    assert connected.tokens(prompt="none")["scope"] == ASKED


def test_another_business_than_the_connected_one_is_never_answered_with_that(connected: Corridor) -> None:
    page = connected.page("business", business_id="business-birch")
    assert "asked for a business that you cannot connect it to" in page.text


def test_none_with_two_businesses_needs_to_know_which(connected: Corridor) -> None:
    connected.cast.add_member(connected.person, connected.cast.birch, "access_controller")
    connected.cast.add_consent(company=connected.cast.birch, scope=ASKED)
    assert error_of(connected, prompt="none") == "interaction_required"
    assert connected.tokens(prompt="none", business_id="business-birch")["business_id"] == "business-birch"


@pytest.mark.parametrize("business_id", ["business-birch", "nonsense", "é", "x" * 5000])
def test_none_for_a_strangers_business_is_refused(connected: Corridor, business_id: str) -> None:
    assert error_of(connected, prompt="none", business_id=business_id) == "interaction_required"


@pytest.mark.parametrize("what", ["revoked", "expired", "left", "policy"])
def test_none_after_it_ended_is_refused(connected: Corridor, transaction: Transaction, what: str) -> None:
    now = connected.clock.now()
    with transaction() as session:
        session.execute(
            {
                "revoked": update(Consent).values(revoked_at=now),
                "expired": update(Consent).values(expires_at=now),
                "left": update(Membership).where(Membership.user_id == "user-alice").values(ended_at=now),
                "policy": update(Membership).where(Membership.user_id == "user-alice").values(role="fund_administrator"),
            }[what]
        )
        if what == "policy":
            session.execute(update(Business).values(connect_policy="access_controllers"))
    assert error_of(connected, prompt="none") == "interaction_required"


def test_none_without_the_second_factor_is_refused(connected: Corridor, transaction: Transaction) -> None:
    change_session(transaction, connected.arrive_signed_in(), amr=["pwd"])
    assert error_of(connected, prompt="none") == "interaction_required"


def test_none_after_the_session_ended_is_login_required(connected: Corridor, transaction: Transaction) -> None:
    change_session(transaction, connected.arrive_signed_in(), ended_at=connected.clock.now())
    assert error_of(connected, prompt="none") == "login_required"


# login, select_account, max_age


@pytest.mark.parametrize(
    "asked",
    [{"prompt": "login"}, {"prompt": "select_account"}, {"max_age": "0"}, {"prompt": "login select_account", "max_age": "0"}],
)
def test_who_is_signed_in_proves_it_again_once(connected: Corridor, asked: dict[str, str | None]) -> None:
    connected.clock.advance(minutes=5)
    page = connected.page("login", **asked)
    assert form_in(page, having=["email"]).data()["email"] == ["alice@acme.example"]
    before = int(connected.clock.now().timestamp())
    tokens = connected.tokens(**asked)
    assert before <= claims_of(tokens["id_token"])["auth_time"] <= int(connected.clock.now().timestamp())


def test_going_on_without_signing_in_again_leads_back_to_the_sign_in(connected: Corridor) -> None:
    page = connected.page("login", prompt="login")
    parked = form_in(page, having=["email"]).data()["interaction"][0]
    assert connected.browser.get(f"/connect/continue?interaction={parked}").location == f"/login?interaction={parked}"


def test_signing_in_for_one_request_does_not_answer_another(connected: Corridor) -> None:
    connected.tokens(prompt="login")
    assert connected.ask(prompt="login").location.startswith("/login?")


def test_a_sign_in_that_is_young_enough_is_taken(connected: Corridor) -> None:
    connected.clock.advance(minutes=10)
    assert "code" in connected.returned(connected.ask(max_age="630"))
    assert connected.ask(max_age="590").location.startswith("/login?")
    assert error_of(connected, max_age="590", prompt="none") == "login_required"


def test_the_time_of_signing_in_is_never_made_younger(connected: Corridor) -> None:
    signed_in_at = int(connected.clock.now().timestamp())
    connected.clock.advance(minutes=10)
    assert claims_of(connected.tokens(max_age="3000")["id_token"])["auth_time"] <= signed_in_at


def test_login_and_consent_ask_for_both(connected: Corridor) -> None:
    assert connected.page("login", prompt="login consent").status_code == 200
    assert connected.page("consent", prompt="login consent").status_code == 200
    assert connected.connect(prompt="login consent")["code"]


# consent


def test_consent_asks_although_it_stands(connected: Corridor, transaction: Transaction) -> None:
    page = connected.page("consent", prompt="consent")
    assert "is connected to Acme Super Services already" in page.text
    assert connected.tokens(prompt="consent")["scope"] == ASKED
    with transaction() as session:
        assert len(session.scalars(select(Consent)).all()) == 1


# acr


def acr(value: Any, *, essential: bool = True) -> str:
    return json.dumps({"id_token": {"acr": {"essential": essential, "values": [value]}}})


@pytest.mark.parametrize("prompt", [None, "none"])
def test_an_essential_level_that_does_not_exist_is_told(corridor: Corridor, prompt: str | None) -> None:
    corridor.arrive_signed_in()
    assert error_of(corridor, claims=acr("urn:example:gold"), prompt=prompt) == "unmet_authentication_requirements"


@pytest.mark.settings(mfa="optional")
@pytest.mark.parametrize("essential", [True, False])
def test_an_essential_level_leads_through_enrolment(corridor: Corridor, essential: bool) -> None:
    corridor.person = corridor.cast.dana
    corridor.arrive_signed_in()
    answer = corridor.ask(claims=acr("urn:portal:loa:2", essential=essential))
    assert answer.location.startswith("/account/mfa?" if essential else "/connect/business?")
    tokens = corridor.tokens(claims=acr("urn:portal:loa:2", essential=essential))
    assert claims_of(tokens["id_token"])["acr"] == ("urn:portal:loa:2" if essential else "urn:portal:loa:1")
    assert claims_of(tokens["id_token"])["amr"] == (["pwd", "otp", "mfa"] if essential else ["pwd"])


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (["urn:portal:loa:1"], "urn:portal:loa:1"),
        (["urn:example:gold", "urn:portal:loa:1"], "urn:portal:loa:1"),
        (["urn:portal:loa:1", "urn:portal:loa:2"], "urn:portal:loa:2"),
        (["urn:portal:loa:2"], "urn:portal:loa:2"),
    ],
)
@pytest.mark.parametrize("prompt", [None, "none"])
def test_the_level_told_is_one_of_the_essential_ones(
    connected: Corridor, values: list[str], told: str, prompt: str | None
) -> None:
    claims = json.dumps({"id_token": {"acr": {"essential": True, "values": values}}})
    id_token = claims_of(connected.tokens(claims=claims, prompt=prompt)["id_token"])
    assert (id_token["acr"], id_token["amr"]) == (told, ["pwd", "otp", "mfa"])


@pytest.mark.settings(mfa="optional")
def test_a_level_that_is_wished_for_is_raised_to_where_that_is_possible(corridor: Corridor, transaction: Transaction) -> None:
    change_session(transaction, corridor.arrive_signed_in(), amr=["pwd"])
    assert claims_of(corridor.tokens()["id_token"])["acr"] == "urn:portal:loa:1"
    corridor.page("mfa", acr_values="urn:portal:loa:2 urn:portal:loa:1")
    assert claims_of(corridor.tokens(acr_values="urn:portal:loa:2")["id_token"])["acr"] == "urn:portal:loa:2"


@pytest.mark.settings(mfa="optional")
def test_a_level_that_is_not_known_is_ignored_when_only_wished_for(corridor: Corridor) -> None:
    corridor.person = corridor.cast.dana
    assert claims_of(corridor.tokens(acr_values="urn:example:gold")["id_token"])["acr"] == "urn:portal:loa:1"


# who is meant


def sub(value: str) -> str:
    return json.dumps({"id_token": {"sub": {"value": value}}})


def test_the_person_who_is_meant_goes_through(connected: Corridor) -> None:
    assert connected.connect(claims=sub("user-alice"))["code"]


def test_another_person_than_the_one_meant_is_asked_to_sign_in_and_then_refused(connected: Corridor) -> None:
    assert error_of(connected, claims=sub("user-bob"), prompt="none") == "login_required"
    assert connected.ask(claims=sub("user-bob")).location.startswith("/login?")
    assert connected.connect(claims=sub("user-bob"))["error"] == "login_required"


def test_the_person_meant_may_take_over(connected: Corridor) -> None:
    answer = connected.ask(claims=sub("user-bob"))
    connected.person = connected.cast.bob
    tokens = connected.redeem(connected.returned(connected.walk(answer))["code"]).json or {}
    assert claims_of(tokens["id_token"])["sub"] == "user-bob"


def test_a_hint_at_the_person_here_goes_through_even_when_it_has_expired(connected: Corridor) -> None:
    hint = connected.tokens()["id_token"]
    connected.clock.advance(minutes=25)
    assert connected.connect(id_token_hint=hint)["code"]
    assert connected.connect(id_token_hint=hint, prompt="none")["code"]


def test_a_hint_at_another_person_is_login_required_in_the_end(connected: Corridor) -> None:
    hint = connected.tokens()["id_token"]
    connected.person = connected.cast.bob
    connected.arrive_signed_in()
    assert error_of(connected, id_token_hint=hint, prompt="none") == "login_required"
    assert connected.ask(id_token_hint=hint).location.startswith("/login?")
    assert connected.connect(id_token_hint=hint)["error"] == "login_required"


@pytest.mark.parametrize("hint", ["nonsense", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1c2VyLWFsaWNlIn0.", "é", '"', "x" * 5000])
def test_a_hint_that_is_no_token_of_ours_is_refused(connected: Corridor, hint: str) -> None:
    assert error_of(connected, id_token_hint=hint) == "invalid_request"
    assert error_of(connected, id_token_hint=hint, prompt="none") == "invalid_request"


def test_a_hint_that_another_client_was_given_is_refused(connected: Corridor) -> None:
    hint = connected.tokens()["id_token"]
    connected.partner = connected.cast.add_client()
    assert error_of(connected, id_token_hint=hint, prompt="none") == "invalid_request"


def test_a_login_hint_fills_the_field_and_decides_nothing(corridor: Corridor) -> None:
    page = corridor.page("login", login_hint="bob@acme.example")
    assert form_in(page, having=["email"]).data()["email"] == ["bob@acme.example"]
    corridor.arrive_signed_in()
    assert corridor.ask(login_hint="bob@acme.example").location.startswith("/connect/business?")


# who is here


@pytest.mark.settings(mfa="required")
def test_a_session_by_password_alone_is_raised_before_the_corridor_goes_on(corridor: Corridor, transaction: Transaction) -> None:
    session_id = corridor.arrive_signed_in()
    signed_in_at = corridor.clock.now() - timedelta(minutes=3)
    change_session(transaction, session_id, amr=["pwd"], auth_time=signed_in_at)
    assert corridor.page("mfa").status_code == 200
    told = claims_of(corridor.tokens()["id_token"])
    assert (told["amr"], told["acr"]) == (["pwd", "otp", "mfa"], "urn:portal:loa:2")
    assert told["auth_time"] == int(signed_in_at.timestamp())


def test_a_person_whose_account_was_disabled_is_nobody(connected: Corridor, transaction: Transaction) -> None:
    with transaction() as session:
        session.execute(update(User).where(User.id == "user-alice").values(disabled_at=connected.clock.now()))
    assert error_of(connected, prompt="none") == "login_required"


def test_signing_in_as_another_person_on_the_way_decides_for_them_alone(corridor: Corridor, transaction: Transaction) -> None:
    corridor.arrive_signed_in()
    page = corridor.page("business")
    answer = submit(corridor.browser, page, action="/login/switch")
    corridor.person = corridor.cast.bob
    corridor.returned(corridor.walk(answer))
    with transaction() as session:
        assert session.scalars(select(Consent)).one().user_id == "user-bob"
