from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.consents.models import Consent
from portal.oauth.models import Authorization
from tests.support.corridor import Corridor

Transaction = Callable[[], AbstractContextManager[Session]]


def test_from_the_partner_through_every_page_and_back_to_the_data(corridor: Corridor) -> None:
    corridor.scope, corridor.tick = "openid profile funds.summary funds.read offline_access", ["profile", "offline_access"]
    tokens = corridor.tokens()
    assert tokens["scope"] == "openid profile funds.summary offline_access"
    assert (tokens["business_id"], tokens["business_name"]) == ("business-acme", "Acme Super Services")
    assert tokens["refresh_token"] and tokens["id_token"] and tokens["consent_id"]
    assert corridor.call(tokens["access_token"]).status_code == 200


def test_each_page_follows_the_one_before(corridor: Corridor) -> None:
    answer, seen = corridor.ask(), []
    for page in ("login", "mfa", "business", "consent"):
        shown = corridor.walk(answer, until=page)
        seen.append(shown.request.path)
        answer = getattr(corridor, f"_{page}")(shown)
    assert seen == ["/login", "/login/mfa", "/connect/business", "/connect/consent"]
    assert corridor.returned(corridor.walk(answer))["code"]


def test_who_has_no_second_factor_is_led_through_setting_one_up(corridor: Corridor) -> None:
    corridor.person = corridor.cast.dana
    tokens = corridor.tokens()
    assert corridor.call(tokens["access_token"]).status_code == 200


@pytest.mark.settings(mfa="optional")
def test_where_no_second_factor_is_required_the_password_leads_on(corridor: Corridor) -> None:
    corridor.person = corridor.cast.dana
    assert corridor.walk(corridor.ask(), until="business").status_code == 200


def test_a_code_is_stored_as_a_digest_with_what_it_was_given_for(corridor: Corridor, transaction: Transaction) -> None:
    session_id = corridor.arrive_signed_in()
    code = corridor.connect()["code"]
    with transaction() as session:
        row = session.scalars(select(Authorization)).one()
        consent = session.scalars(select(Consent)).one()
    assert code.encode() not in row.code_digest and len(row.code_digest) == 32
    assert (row.user_id, row.business_id, row.client_id) == ("user-alice", "business-acme", "ledgerly")
    assert (row.consent_id, row.browser_session_id, row.session_id) == (consent.id, session_id, session_id)
    assert (row.redirect_uri, row.nonce) == (corridor.partner.redirect_uri, "nonce-of-the-partner")
    assert (row.code_expires_at - row.created_at).total_seconds() == 60


def test_head_mints_no_code(corridor: Corridor, transaction: Transaction) -> None:
    corridor.arrive_signed_in()
    corridor.cast.add_consent(scope=corridor.scope)
    assert corridor.browser.head(corridor.url(prompt="none")).status_code == 405
    with transaction() as session:
        assert session.scalars(select(Authorization)).all() == []
    assert corridor.returned(corridor.ask(prompt="none"))["code"]


def test_head_does_not_conclude_a_parked_request(corridor: Corridor) -> None:
    corridor.arrive_signed_in()
    answer = corridor.decide(corridor.page("consent"))
    assert answer.location.startswith("/connect/continue?")
    refused = corridor.browser.head(answer.location)
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, OPTIONS")
    assert corridor.returned(corridor.walk(answer))["code"]
