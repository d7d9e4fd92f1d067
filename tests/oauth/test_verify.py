from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from portal import Portal, crypto, db
from portal.businesses.models import Membership
from portal.clients.models import Client
from portal.consents.models import Consent, UsageDay
from portal.oauth import metadata, verify
from portal.oauth.models import AccessToken
from tests.api.world import World
from tests.support.statements import statements

Transaction = Callable[[], AbstractContextManager[Session]]
VERIFY_KEY = "the-key-of-a-proxy-0123456789abcdef"


def ask(world: World, token: str | None = None, query: str = "", *, method: str = "GET", **options: object) -> TestResponse:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    proxy = world.app.test_client(use_cookies=False)
    return proxy.open(f"/oauth/verify{query}", method=method, headers=headers, base_url=world.app.settings.issuer, **options)


def counted(app: Portal, transaction: Transaction) -> list[tuple[str, str, int, int]]:
    app.extensions["portal-usage"].store()
    with transaction() as session:
        rows = session.scalars(select(UsageDay).order_by(UsageDay.scope))
        return [(row.consent_id, row.scope, row.calls, row.refused) for row in rows]


def test_a_live_token_is_told_apart_by_headers_alone(app: Portal) -> None:
    world = World(app)
    grant = world.grant("openid funds.read")
    answer = ask(world, grant.token)
    assert answer.status_code == 200 and answer.data == b""
    told = {name: value for name, value in answer.headers if name.startswith("X-") and name != "X-Request-Id"}
    told.pop("X-Content-Type-Options")
    assert told == {
        "X-Consent-Id": grant.consent_id,
        "X-Business-Id": grant.business_id,
        "X-User-Id": grant.user_id,
        "X-Client-Id": grant.client_id,
        "X-Scopes": "openid funds.summary funds.basic members.read funds.read",
    }
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers and "Content-Security-Policy" not in answer.headers


@pytest.mark.parametrize("method", [method for method in verify.METHODS if method != "HEAD"])
def test_a_proxy_asks_with_the_method_it_holds(app: Portal, method: str) -> None:
    world = World(app)
    grant = world.grant("funds.write")
    answer = ask(world, grant.token, "?scope=funds.write", method=method, data=b"{" * 100)
    assert answer.status_code == 200 and answer.headers["X-Consent-Id"] == grant.consent_id
    assert ask(world, None, "?scope=funds.write", method=method).status_code == 401


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 200),
        ("?scope=funds.summary", 200),
        ("?scope=funds.read", 200),
        ("?scope=funds.write+funds.read", 200),
        ("?scope=funds.write&scope=funds.read", 200),
        ("?scope=funds.write", 403),
        ("?scope=funds.write+business.read", 403),
    ],
)
def test_any_of_the_scopes_named_is_enough(app: Portal, query: str, status: int) -> None:
    world = World(app)
    answer = ask(world, world.grant("funds.read").token, query)
    assert answer.status_code == status and answer.data == b""
    if status == 403:
        challenge = answer.headers["WWW-Authenticate"]
        assert 'error="insufficient_scope"' in challenge and 'scope="funds.write' in challenge
        assert "X-Consent-Id" not in answer.headers


@pytest.mark.parametrize(
    "query", ["?scope=", "?scope=+", "?scope=funds.everything", "?scope=funds.read+x%0d%0aX-Evil:1", "?scope=%00"]
)
def test_a_scope_that_is_not_in_the_catalogue_is_the_proxys_mistake(app: Portal, query: str) -> None:
    world = World(app)
    answer = ask(world, world.grant("funds.read").token, query)
    assert answer.status_code == 400
    assert "Evil" not in f"{answer.headers}{answer.text}" and "everything" not in answer.text


def test_what_the_role_of_today_does_not_allow_is_not_opened(app: Portal) -> None:
    world = World(app)
    grant = world.grant("openid funds.read")
    world.change(Membership, Membership.user_id == grant.user_id, role="fund_adviser")
    assert ask(world, grant.token, "?scope=funds.read").status_code == 403
    assert ask(world, grant.token).headers["X-Scopes"] == "openid"
    other = world.grant("funds.read")
    world.change(Membership, Membership.user_id == other.user_id, role="fund_adviser")
    assert ask(world, other.token).status_code == 403


@pytest.mark.settings(verify_key=VERIFY_KEY)
def test_only_who_shows_the_key_of_a_proxy_may_ask(app: Portal, transaction: Transaction) -> None:
    world = World(app)
    grant = world.grant("funds.read")

    def shows(*keys: str) -> TestResponse:
        headers = [("Authorization", f"Bearer {grant.token}"), *(("X-Verify-Key", key) for key in keys)]
        proxy = app.test_client(use_cookies=False)
        return proxy.get("/oauth/verify?scope=funds.create", headers=headers, base_url=app.settings.issuer)

    for keys in ([], [""], [VERIFY_KEY[:-1]], [VERIFY_KEY.upper()], [VERIFY_KEY + "x"], ["\xff" * 40], [VERIFY_KEY] * 2):
        answer = shows(*keys)
        assert (answer.status_code, answer.data) == (403, b"") and "WWW-Authenticate" not in answer.headers
    assert counted(app, transaction) == []
    assert 'error="insufficient_scope"' in shows(VERIFY_KEY).headers["WWW-Authenticate"]
    assert counted(app, transaction) == [(grant.consent_id, "funds.create", 0, 1)]


def test_who_has_no_token_learns_where_to_get_one(app: Portal) -> None:
    answer = ask(World(app))
    assert answer.status_code == 401
    issuer = app.settings.issuer
    assert (
        answer.headers["WWW-Authenticate"] == f'Bearer resource_metadata="{issuer}/.well-known/oauth-protected-resource/api/v1"'
    )


@pytest.mark.parametrize("token", ["a b", '"', "", crypto.REFRESH_TOKEN + "x" * 43, "a" * 4000])
def test_what_cannot_be_read_or_is_not_known_is_401_too_since_proxies_pass_on_nothing_else(app: Portal, token: str) -> None:
    world = World(app)
    answer = app.test_client().get("/oauth/verify", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert 'error="invalid_' in answer.headers["WWW-Authenticate"]
    assert len(token) < 3 or token not in str(answer.headers)
    grant = world.grant("openid")
    twice = [("Authorization", f"Bearer {grant.token}")] * 2
    assert app.test_client().get("/oauth/verify", headers=twice).status_code == 401


def test_a_token_counts_in_the_header_only(app: Portal) -> None:
    world = World(app)
    grant = world.grant("openid")
    assert ask(world, None, f"?access_token={grant.token}").status_code == 401
    assert ask(world, None, method="POST", data={"access_token": grant.token}).status_code == 401


def test_a_dead_token_says_why_to_its_owner(app: Portal, transaction: Transaction) -> None:
    world = World(app)
    grant = world.grant("funds.read")
    world.change(Consent, Consent.id == grant.consent_id, revoked_at=db.utcnow(), revoke_reason="user")
    answer = ask(world, grant.token, "?scope=funds.read")
    assert answer.status_code == 401 and 'error_description="revoked"' in answer.headers["WWW-Authenticate"]
    assert counted(app, transaction) == [(grant.consent_id, "funds.read", 0, 1)]
    assert world.last_accessed(grant) is None


def test_an_answer_counts_as_a_use_and_moves_last_accessed(app: Portal, transaction: Transaction) -> None:
    world = World(app)
    grant = world.grant("funds.read")
    began = db.utcnow()
    for query in ("?scope=funds.summary", "?scope=funds.write+funds.read", "", "?scope=funds.write"):
        ask(world, grant.token, query)
    assert counted(app, transaction) == [
        (grant.consent_id, "", 1, 0),
        (grant.consent_id, "funds.read", 1, 0),
        (grant.consent_id, "funds.summary", 1, 0),
        (grant.consent_id, "funds.write", 0, 1),
    ]
    assert world.last_accessed(grant) >= began


def test_it_costs_one_statement(app: Portal) -> None:
    world = World(app)
    grant = world.grant("funds.read")
    ask(world, grant.token)
    with statements(app) as sent:
        assert ask(world, grant.token, "?scope=funds.summary").status_code == 200
        assert len(sent) == 1 and sent[0].startswith("SELECT")


def test_an_id_that_no_header_can_hold_is_written_plainly(app: Portal, transaction: Transaction) -> None:
    world = World(app)
    odd = "léd\r\nX-Evil: 1 100%"
    with transaction() as session:
        client = session.get_one(Client, world.add_client())
        made = {column.name: getattr(client, column.name) for column in Client.__table__.columns}
        session.add(Client(**{**made, "client_id": odd}))
    answer = ask(world, world.grant("funds.read", client_id=odd).token)
    assert answer.status_code == 200 and "X-Evil" not in answer.headers
    assert answer.headers["X-Client-Id"] == "l%C3%A9d%0D%0AX-Evil:%201%20100%25"


def test_an_expired_token_is_refused_at_the_second(app: Portal) -> None:
    world = World(app)
    grant = world.grant("funds.read")
    world.change(
        AccessToken, AccessToken.authorization_id == grant.authorization_id, expires_at=db.utcnow() + timedelta(minutes=1)
    )
    assert ask(world, grant.token).status_code == 200
    world.change(AccessToken, AccessToken.authorization_id == grant.authorization_id, expires_at=db.utcnow())
    assert 'error_description="expired"' in ask(world, grant.token).headers["WWW-Authenticate"]


def test_it_is_announced(app: Portal) -> None:
    told = app.test_client().get("/.well-known/oauth-authorization-server").json
    assert told == metadata.authorization_server(app.settings)
    assert told["verification_endpoint"] == f"{app.settings.issuer}/oauth/verify"
