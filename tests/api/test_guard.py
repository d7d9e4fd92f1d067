from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from portal import crypto, db
from portal.accounts.models import BrowserSession, User
from portal.api.guard import WHAT_TO_DO
from portal.api.registry import TABLE, Endpoint, endpoint
from portal.businesses.models import Membership
from portal.businesses.roles import ROLES
from portal.clients.models import Client
from portal.consents.catalogue import CATALOGUE, effective
from portal.consents.models import Consent
from portal.oauth.models import AccessToken, Authorization
from portal.oauth.tokens import DEAD_REASONS
from tests.api.samples import NEW_FUND, add_things, send
from tests.api.world import Grant, World

METADATA = 'resource_metadata="{issuer}/.well-known/oauth-protected-resource/api/v1"'


def metadata(world: World) -> str:
    return METADATA.format(issuer=world.app.settings.issuer)


def test_without_a_token_the_challenge_says_where_to_go_and_names_no_error(world: World) -> None:
    answer = world.call("/funds")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == f"Bearer {metadata(world)}"
    assert answer.content_type == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json["status"] == 401
    assert "error" not in answer.json


@pytest.mark.parametrize("header", ["Basic bGVkZ2VybHk6c2VjcmV0", "Digest x", "token", ""])
def test_another_scheme_is_no_token(world: World, header: str) -> None:
    answer = world.call("/funds", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == f"Bearer {metadata(world)}"


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer a b", "Bearer \u00e9", 'Bearer "x"', "Bearer a,Bearer b", "Bearer=a"]
)
def test_a_malformed_header_is_told_so(world: World, header: str) -> None:
    answer = world.call("/funds", headers={"Authorization": header.encode().decode("latin-1")})
    assert answer.status_code == 400
    assert answer.headers["WWW-Authenticate"].startswith('Bearer error="invalid_request"')
    assert answer.json["error"] == "invalid_request"


def test_two_authorization_headers_are_refused(world: World) -> None:
    token = world.grant("funds.summary").token
    partner = world.app.test_client(use_cookies=False)
    twice = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
    answer = partner.get("/api/v1/funds", headers=twice, base_url=world.app.settings.issuer)
    assert answer.status_code == 400


def test_the_scheme_is_read_in_any_case(world: World) -> None:
    token = world.grant("funds.summary").token
    assert world.call("/funds", headers={"Authorization": f"bEARER {token}"}).status_code == 200


def test_a_token_in_the_query_is_never_read(world: World) -> None:
    token = world.grant("funds.summary").token
    assert world.call(f"/funds?access_token={token}").status_code == 401
    answer = world.call(f"/funds?access_token={token}", token)
    assert answer.status_code == 400
    assert token not in answer.text
    assert token not in str(answer.headers)


def test_a_token_in_the_body_is_never_read(world: World) -> None:
    token = world.grant("funds.summary").token
    assert world.call("/funds", data={"access_token": token}).status_code == 401


@pytest.mark.parametrize(
    "token",
    ["opensesame", crypto.new_secret(crypto.ACCESS_TOKEN), crypto.new_secret(crypto.REFRESH_TOKEN), "a" * 5000],
    ids=["word", "access", "refresh", "long"],
)
def test_an_unknown_token_is_invalid(world: World, token: str) -> None:
    answer = world.call("/funds", token)
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert answer.json["error"] == "invalid_token"
    assert token not in answer.text


def expire_token(world: World, grant: Grant) -> None:
    world.change(AccessToken, AccessToken.authorization_id == grant.authorization_id, expires_at=db.utcnow())


def revoke_token(world: World, grant: Grant) -> None:
    world.change(AccessToken, AccessToken.authorization_id == grant.authorization_id, revoked_at=db.utcnow())


def revoke_consent(world: World, grant: Grant) -> None:
    world.change(Consent, Consent.id == grant.consent_id, revoked_at=db.utcnow(), revoke_reason="user")


def end_line(world: World, grant: Grant) -> None:
    world.change(Authorization, Authorization.id == grant.authorization_id, ended_at=db.utcnow(), end_reason="code_replay")


def expire_consent(world: World, grant: Grant) -> None:
    world.change(Consent, Consent.id == grant.consent_id, expires_at=db.utcnow())


def sign_out(world: World, grant: Grant) -> None:
    world.change(BrowserSession, BrowserSession.id == grant.session_id, ended_at=db.utcnow(), end_reason="signed_out")


def idle(world: World, grant: Grant) -> None:
    world.change(BrowserSession, BrowserSession.id == grant.session_id, idle_expires_at=db.utcnow())


def outlast(world: World, grant: Grant) -> None:
    world.change(BrowserSession, BrowserSession.id == grant.session_id, expires_at=db.utcnow())


def leave(world: World, grant: Grant) -> None:
    world.change(Membership, Membership.user_id == grant.user_id, ended_at=db.utcnow())


def close_account(world: World, grant: Grant) -> None:
    world.change(User, User.id == grant.user_id, disabled_at=db.utcnow())


def disable_client(world: World, grant: Grant) -> None:
    world.change(Client, Client.client_id == grant.client_id, disabled_at=db.utcnow())


ENDINGS = [
    (expire_token, "expired"), (revoke_token, "revoked"), (revoke_consent, "revoked"), (end_line, "revoked"),
    (expire_consent, "consent_expired"), (sign_out, "signed_out"), (idle, "signed_out"), (outlast, "signed_out"),
    (leave, "user_left"), (close_account, "user_left"), (disable_client, "client_disabled"),
]  # fmt: skip


@pytest.mark.parametrize(("end", "reason"), ENDINGS, ids=lambda value: getattr(value, "__name__", value))
def test_a_dead_token_says_why_in_a_word(world: World, end, reason: str) -> None:
    grant = world.grant("funds.summary", online=True)
    assert world.call("/funds", grant.token).status_code == 200
    end(world, grant)
    answer = world.call("/funds", grant.token)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == (
        f'Bearer error="invalid_token", error_description="{reason}", {metadata(world)}'
    )
    assert answer.json["reason"] == reason
    assert answer.json["detail"] == WHAT_TO_DO[reason]


def test_each_word_has_its_sentence() -> None:
    assert set(WHAT_TO_DO) == set(DEAD_REASONS)


def test_offline_access_outlives_the_session(world: World) -> None:
    grant = world.grant("funds.summary offline_access")
    sign_out(world, grant)
    assert world.call("/funds", grant.token).status_code == 200


@pytest.mark.parametrize("line", TABLE, ids=lambda line: line.name)
@pytest.mark.parametrize("scope", CATALOGUE)
def test_a_call_opens_to_its_scope_and_to_what_contains_it(world: World, line: Endpoint, scope: str) -> None:
    answer = send(world, line, world.grant(scope).token, add_things(world))
    contained = {scope, *CATALOGUE[scope].contains}
    if contained & set(line.scopes):
        assert answer.status_code == line.status
    else:
        needed = " ".join(line.scopes)
        assert answer.status_code == 403
        assert (
            f'error="insufficient_scope", error_description="The token does not open this.", scope="{needed}"'
            in (answer.headers["WWW-Authenticate"])
        )
        assert answer.json["scope"] == needed
        assert answer.json["scope_of_token"] == scope


@pytest.mark.parametrize("line", TABLE, ids=lambda line: line.name)
@pytest.mark.parametrize("role", ROLES)
def test_a_call_opens_no_further_than_the_role_of_today(world: World, line: Endpoint, role: str) -> None:
    everything = " ".join(CATALOGUE)
    grant = world.grant(everything, role="access_controller")
    assert send(world, line, grant.token, add_things(world)).status_code == line.status
    world.change(Membership, Membership.user_id == grant.user_id, role=role)
    allowed = effective(everything, everything, ROLES[role].ceiling).opened & set(line.scopes)
    assert send(world, line, grant.token, add_things(world)).status_code == (line.status if allowed else 403)


def test_a_consent_that_was_narrowed_narrows_its_old_tokens(world: World) -> None:
    grant = world.grant("funds.read", consent_scope="funds.summary")
    assert world.call("/funds", grant.token).status_code == 200
    assert world.call("/business", grant.token).status_code == 403
    [fund_id] = world.add_funds("Bluegum Super Fund")
    assert world.call(f"/funds/{fund_id}", grant.token).status_code == 403


def test_every_route_but_the_description_is_in_the_table(world: World) -> None:
    rules = {rule.rule for rule in world.app.url_map.iter_rules() if rule.rule.startswith("/api/")}
    assert rules == {"/api/v1" + line.path for line in TABLE} | {"/api/v1/openapi.json"}


@pytest.mark.parametrize("scope", [(), "", "funds.everything"])
def test_a_call_without_a_known_scope_cannot_be_written_down(scope: str) -> None:
    with pytest.raises(ValueError, match="needs a scope"):
        endpoint("/left-open", scope=scope, answer="Fund")


def test_a_call_is_written_down_once() -> None:
    with pytest.raises(ValueError, match="already"):
        endpoint("/funds", scope="funds.summary", answer="FundPage")


def test_the_api_knows_no_cookie(world: World) -> None:
    answer = world.call("/funds", world.grant("funds.summary").token)
    assert "Set-Cookie" not in answer.headers
    assert "Vary" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_calls_that_read_refuse_to_write(world: World, method: str) -> None:
    answer = world.call("/business", world.grant("funds.write").token, method=method)
    assert answer.status_code == 405
    assert answer.content_type == "application/problem+json"
    assert "GET" in answer.headers["Allow"]


def test_head_answers_as_get_without_the_body(world: World) -> None:
    token = world.grant("funds.summary").token
    full, head = world.call("/funds", token), world.call("/funds", token, method="HEAD")
    assert head.status_code == 200
    assert head.data == b""
    assert head.content_length == full.content_length
    assert world.call("/funds", method="HEAD").status_code == 401


def test_options_tells_the_methods_and_nothing_else(world: World) -> None:
    answer = world.call("/funds", method="OPTIONS")
    assert answer.status_code == 200
    assert answer.data == b""
    assert "GET" in answer.headers["Allow"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_unknown_call_is_a_problem(world: World) -> None:
    answer = world.call("/founds", world.grant("funds.summary").token)
    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"


def test_last_accessed_moves_at_the_first_call_and_then_once_a_minute(world: World) -> None:
    grant = world.grant("funds.summary")
    assert world.last_accessed(grant) is None
    world.call("/funds", grant.token)
    first = world.last_accessed(grant)
    assert first is not None
    world.call("/funds", grant.token)
    assert world.last_accessed(grant) == first
    world.change(Consent, Consent.id == grant.consent_id, last_accessed_at=first - timedelta(seconds=61))
    world.call("/funds", grant.token)
    assert world.last_accessed(grant) >= first


def test_a_call_that_reads_is_answered_while_somebody_else_writes_and_a_later_one_moves_last_accessed(world: World) -> None:
    """On PostgreSQL the consent is locked, on SQLite everything is."""
    grant = world.grant("funds.summary")
    with world.app.extensions["portal-database"].pages.begin() as somebody:
        somebody.execute(update(Consent).where(Consent.id == grant.consent_id).values(scope="funds.summary"))
        assert [world.call("/funds", grant.token).status_code for _ in range(3)] == [200] * 3
    assert world.last_accessed(grant) is None
    assert world.app.extensions["portal-usage"].store()
    world.call("/funds", grant.token)
    assert world.last_accessed(grant) is not None


def test_last_accessed_never_moves_by_a_call_that_is_refused(world: World) -> None:
    grant = world.grant("funds.summary")
    for path in ("/funds/unknown", "/business", "/funds?limit=0", "/funds?cursor=x", "/founds"):
        assert world.call(path, grant.token).status_code in (400, 403, 404)
    assert world.call("/business", grant.token, method="POST").status_code == 405
    assert world.call("/funds", grant.token, method="POST", json=NEW_FUND).status_code == 403
    revoke_consent(world, grant)
    world.call("/funds", grant.token)
    assert world.last_accessed(grant) is None
