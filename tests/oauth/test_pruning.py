from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal import Portal
from portal.consents.models import Consent, UsageDay
from portal.oauth import pruning
from portal.oauth.models import AccessToken, Authorization, RefreshToken
from tests.consents.usage_rows import add_uses
from tests.support.clock import Clock
from tests.support.corridor import Corridor

Transaction = Callable[[], AbstractContextManager[Session]]


def prune(app: Portal) -> str:
    answer = app.test_cli_runner().invoke(args=["tokens", "prune"])
    assert answer.exit_code == 0, answer.output
    return answer.output


def count(transaction: Transaction, model: type) -> int:
    with transaction() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def connected(corridor: Corridor) -> dict[str, str]:
    corridor.arrive_signed_in()
    corridor.scope, corridor.tick = "openid funds.summary offline_access", ["offline_access"]
    return corridor.tokens()


def test_nothing_that_still_matters_is_deleted(app: Portal, corridor: Corridor, clock: Clock) -> None:
    tokens = connected(corridor)
    again = corridor.refresh(tokens["refresh_token"]).json or {}
    assert prune(app).startswith("Deleted 0 access tokens, 0 refresh tokens")
    clock.advance(minutes=30)
    assert prune(app).startswith("Deleted 0 access tokens, 0 refresh tokens")
    challenge = corridor.call(tokens["access_token"]).headers["WWW-Authenticate"]
    assert 'error_description="expired"' in challenge
    assert corridor.refresh(again["refresh_token"]).status_code == 200


def test_a_stolen_refresh_token_is_known_however_late_it_comes(app: Portal, corridor: Corridor, clock: Clock) -> None:
    tokens = connected(corridor)
    again = corridor.refresh(tokens["refresh_token"]).json or {}
    clock.advance(days=60)
    assert prune(app).startswith("Deleted 2 access tokens, 0 refresh tokens")
    assert corridor.refresh(tokens["refresh_token"]).status_code == 400
    assert corridor.refresh(again["refresh_token"]).status_code == 400


def test_the_tokens_of_what_ended_long_ago_go_and_the_record_stays(
    app: Portal, corridor: Corridor, clock: Clock, transaction: Transaction
) -> None:
    connected(corridor)
    clock.advance(days=365 + pruning.KEEP_REFRESH_TOKENS.days - 1)
    prune(app)
    assert count(transaction, RefreshToken) == 1
    clock.advance(days=2)
    assert "1 refresh tokens, 1 authorizations" in prune(app)
    assert [count(transaction, model) for model in (AccessToken, RefreshToken, Authorization, Consent)] == [0, 0, 0, 1]


def test_a_code_that_is_presented_again_ends_its_line_as_long_as_a_token_of_it_lives(
    app: Portal, corridor: Corridor, clock: Clock
) -> None:
    corridor.arrive_signed_in()
    corridor.scope, corridor.tick = "openid funds.summary offline_access", ["offline_access"]
    code = corridor.connect()["code"]
    tokens = corridor.redeem(code).json or {}
    clock.advance(days=200)
    assert "1 access tokens, 0 refresh tokens, 0 authorizations" in prune(app)
    assert corridor.redeem(code).status_code == 400
    assert corridor.refresh(tokens["refresh_token"]).status_code == 400


def test_codes_that_nobody_redeemed_and_lines_that_no_token_is_left_of_go_in_batches(
    app: Portal, corridor: Corridor, clock: Clock, transaction: Transaction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "AT_ONCE", 2)
    corridor.arrive_signed_in()
    online, unused = corridor.connect()["code"], [corridor.connect()["code"] for _ in range(4)]
    assert corridor.redeem(online).status_code == 200
    clock.advance(days=pruning.KEEP_AUTHORIZATIONS.days - 1)
    assert "1 access tokens, 0 refresh tokens, 0 authorizations" in prune(app)
    for code, reason in ((online, "used before"), (unused[0], "expired")):
        assert reason in (corridor.redeem(code).json or {})["error_description"]
    clock.advance(days=2)
    assert "5 authorizations" in prune(app)
    assert [count(transaction, model) for model in (Authorization, Consent)] == [0, 1]
    for code in (online, unused[0]):
        assert "not known" in (corridor.redeem(code).json or {})["error_description"]


def test_tokens_go_in_batches(
    app: Portal, corridor: Corridor, clock: Clock, transaction: Transaction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "AT_ONCE", 2)
    newest = connected(corridor)
    for _ in range(6):
        newest = corridor.refresh(newest["refresh_token"]).json or {}
    clock.advance(days=2)
    with transaction() as session:
        assert pruning.prune_access_tokens(session, now=clock.now()) == 2
    assert "5 access tokens, 0 refresh tokens" in prune(app)
    clock.advance(days=365 + pruning.KEEP_REFRESH_TOKENS.days)
    with transaction() as session:
        assert pruning.prune_refresh_tokens(session, now=clock.now()) == 2
    assert "5 refresh tokens, 1 authorizations" in prune(app)


def test_counts_of_uses_go_when_they_are_older_than_the_setting_says(
    app: Portal, clock: Clock, transaction: Transaction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "AT_ONCE", 2)
    for days_ago in (0, 89, 400, 401, 402, 500):
        for scope in ("funds.summary", "funds.read"):
            add_uses(transaction, "of-this-one", scope, now=clock.now(), days_ago=days_ago)
    assert "6 counts of uses" in prune(app)
    assert count(transaction, UsageDay) == 6
    assert "0 counts of uses" in prune(app)
