from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from portal.businesses.models import Membership
from tests.support.corridor import Corridor

Transaction = Callable[[], AbstractContextManager[Session]]
OFFLINE = "openid funds.summary offline_access"


@pytest.fixture
def corridor(corridor: Corridor) -> Corridor:
    """Alice is signed in, and allows offline access when she is asked for it."""
    corridor.arrive_signed_in()
    corridor.scope, corridor.tick = OFFLINE, ["offline_access"]
    return corridor


def test_a_refresh_token_comes_with_offline_access_and_not_without(corridor: Corridor) -> None:
    assert "refresh_token" in corridor.tokens()
    corridor.tick = []
    assert "refresh_token" not in corridor.tokens(prompt="consent")


def test_offline_access_taken_back_ends_the_refreshing(corridor: Corridor) -> None:
    before = corridor.tokens()
    corridor.tick = []
    after = corridor.tokens(prompt="consent")
    assert after["consent_id"] == before["consent_id"]
    refused = corridor.refresh(before["refresh_token"])
    assert refused.status_code == 400 and refused.json is not None and refused.json["error"] == "invalid_grant"
    assert corridor.call(before["access_token"]).status_code == 401
    assert corridor.call(after["access_token"]).status_code == 200
    corridor.tick = ["offline_access"]
    corridor.tokens(prompt="consent")
    assert corridor.refresh(before["refresh_token"]).status_code == 200


def test_a_session_instead_of_offline_access_does_not_keep_the_refreshing_alive(corridor: Corridor) -> None:
    before = corridor.tokens()
    corridor.tick, corridor.duration = [], "session"
    corridor.tokens(prompt="consent")
    assert corridor.refresh(before["refresh_token"]).status_code == 400


def test_a_code_from_before_does_not_outlive_the_offline_access_it_was_for(corridor: Corridor) -> None:
    code = corridor.connect()["code"]
    corridor.tick = []
    corridor.connect(prompt="consent")
    refused = corridor.redeem(code)
    assert refused.status_code == 400 and refused.json is not None and refused.json["error"] == "invalid_grant"


def test_a_role_that_may_not_give_it_ends_the_refreshing_while_it_lasts(corridor: Corridor, transaction: Transaction) -> None:
    tokens = corridor.tokens()
    for role, status in (("fund_adviser", 400), ("access_controller", 200)):
        with transaction() as session:
            session.execute(update(Membership).where(Membership.user_id == corridor.person.id).values(role=role))
        assert corridor.refresh(tokens["refresh_token"]).status_code == status
