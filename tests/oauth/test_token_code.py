from __future__ import annotations

import base64
import hashlib
from datetime import timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import func, select

from portal import crypto, db
from portal.audit.models import AuditEvent
from portal.businesses.models import Membership
from portal.clients.models import Client
from portal.consents.models import Consent
from portal.oauth import keys
from portal.oauth.models import AccessToken, Authorization, RefreshToken, SigningKey
from tests.support.cast import ACME, ALICE, BOB, LEDGERLY, POCKETFOLIO
from tests.support.clock import Clock
from tests.support.signin import Cast
from tests.support.tokens import NONCE, OFFLINE, ONLINE, Line, Machine, challenge_of


def stored(machine: Machine) -> tuple[int, int]:
    """How many access and refresh tokens there are."""
    counts = (select(func.count()).select_from(table) for table in (AccessToken, RefreshToken))
    return tuple(machine.rows(count)[0] for count in counts)  # type: ignore[return-value]


def is_unspent(machine: Machine, line: Line) -> bool:
    [row] = machine.rows(select(Authorization).where(Authorization.id == line.authorization_id))
    return row.code_used_at is None and row.ended_at is None


def test_a_code_becomes_tokens_with_the_business_and_the_consent(machine: Machine) -> None:
    line = machine.authorize()
    answer = machine.redeem(line)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store" and answer.headers["Pragma"] == "no-cache"
    assert answer.mimetype == "application/json"
    body = answer.json
    assert body.pop("access_token").startswith(crypto.ACCESS_TOKEN)
    assert body.pop("refresh_token").startswith(crypto.REFRESH_TOKEN)
    assert body.pop("id_token").count(".") == 2
    assert body == {
        "token_type": "Bearer",
        "expires_in": 600,
        "scope": OFFLINE,
        "business_id": ACME.id,
        "business_name": ACME.name,
        "consent_id": line.consent_id,
        "consent_expires_at": int(machine.consent(line).expires_at.timestamp()),
    }


def test_only_digests_are_stored(machine: Machine) -> None:
    body = machine.tokens(machine.authorize())
    assert [row.digest for row in machine.rows(select(AccessToken))] == [crypto.digest(body["access_token"])]
    assert [row.digest for row in machine.rows(select(RefreshToken))] == [crypto.digest(body["refresh_token"])]


def test_online_access_has_no_refresh_token_and_lasts_an_hour_at_most(machine: Machine) -> None:
    body = machine.tokens(machine.authorize(scope=ONLINE))
    assert "refresh_token" not in body
    assert body["expires_in"] == 3600
    assert stored(machine) == (1, 0)


def test_no_token_outlives_the_consent(machine: Machine) -> None:
    line = machine.authorize()
    machine.change(Consent, Consent.id == line.consent_id, expires_at=db.utcnow() + timedelta(seconds=100))
    assert machine.tokens(line)["expires_in"] <= 100


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_the_id_token_tells_how_the_person_signed_in_and_names_its_key(machine: Machine, cast: Cast, algorithm: str) -> None:
    partner = cast.add_client(id_token_signed_response_alg=algorithm)
    line = machine.authorize(partner=partner)
    body = machine.tokens(line)
    published = KeySet.import_key_set(machine.send("GET", "/oauth/jwks").get_json())
    token = jwt.decode(body["id_token"], published, registry=keys.OurAlgorithms(algorithms=[algorithm]))
    assert token.header == {"alg": algorithm, "typ": "JWT", "kid": token.header["kid"]}
    claims = token.claims
    hashed = (hashlib.sha512 if algorithm == "EdDSA" else hashlib.sha256)(body["access_token"].encode()).digest()
    [row] = machine.rows(select(Authorization).where(Authorization.id == line.authorization_id))
    assert claims.pop("exp") - claims.pop("iat") == machine.app.settings.id_token_seconds
    assert claims == {
        "iss": machine.app.settings.issuer,
        "sub": ALICE.id,
        "aud": partner.client_id,
        "azp": partner.client_id,
        "auth_time": int(row.auth_time.timestamp()),
        "nonce": NONCE,
        "at_hash": base64.urlsafe_b64encode(hashed[: len(hashed) // 2]).rstrip(b"=").decode(),
        "sid": line.session_id,
        "amr": ["pwd", "otp", "mfa"],
        "acr": "urn:portal:loa:2",
        "email": ALICE.email,
        "email_verified": True,
    }


def test_the_id_token_claims_no_more_than_was_done(machine: Machine) -> None:
    body = machine.tokens(machine.authorize(amr=["pwd"], nonce=None))
    claims = decoded(machine, body["id_token"])
    assert (claims["amr"], claims["acr"]) == (["pwd"], "urn:portal:loa:1")
    assert "nonce" not in claims


def decoded(machine: Machine, token: str) -> dict[str, object]:
    published = KeySet.import_key_set(machine.send("GET", "/oauth/jwks").get_json())
    return dict(jwt.decode(token, published, registry=keys.OurAlgorithms(algorithms=list(keys.ALGORITHMS))).claims)


def test_without_openid_there_is_no_id_token(machine: Machine) -> None:
    assert "id_token" not in machine.tokens(machine.authorize(scope="funds.summary offline_access"))


def test_a_public_client_redeems_by_its_id_and_the_verifier(machine: Machine) -> None:
    assert machine.redeem(machine.authorize(partner=POCKETFOLIO)).status_code == 200


# what is refused, and spends nothing


REFUSED = [
    ({"code": None}, "invalid_request"),
    ({"code": ""}, "invalid_request"),
    ({"code": crypto.CODE + "unknown"}, "invalid_grant"),
    ({"code_verifier": None}, "invalid_request"),
    ({"code_verifier": ""}, "invalid_request"),
    ({"code_verifier": "w" * 43}, "invalid_grant"),
    ({"code_verifier": "short"}, "invalid_grant"),
    ({"code_verifier": "é" * 43}, "invalid_grant"),
    ({"code_verifier": "w" * 129}, "invalid_grant"),
    ({"redirect_uri": None}, "invalid_request"),
    ({"redirect_uri": LEDGERLY.redirect_uri + "/"}, "invalid_grant"),
    ({"redirect_uri": LEDGERLY.redirect_uri + "?"}, "invalid_grant"),
    ({"redirect_uri": 'http://"é'}, "invalid_grant"),
    ({"grant_type": None}, "invalid_request"),
    ({"grant_type": ""}, "invalid_request"),
    ({"grant_type": "password"}, "unsupported_grant_type"),
    ({"grant_type": 'authorization_code"é'}, "unsupported_grant_type"),
    ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
    ({"grant_type": "refresh_token"}, "invalid_request"),
]


@pytest.mark.parametrize(("changes", "error"), REFUSED, ids=lambda value: str(value)[:50])
def test_what_is_wrong_is_refused_and_the_code_stays_good(machine: Machine, changes: dict[str, str | None], error: str) -> None:
    line = machine.authorize()
    answer = machine.redeem(line, **changes)
    assert (answer.status_code, answer.json["error"]) == (400, error), answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert line.code not in answer.text and line.verifier not in answer.text
    assert stored(machine) == (0, 0) and is_unspent(machine, line)
    assert machine.redeem(line).status_code == 200


def test_the_challenge_itself_is_no_verifier(machine: Machine) -> None:
    """What `plain` would take."""
    line = machine.authorize()
    assert machine.redeem(line, code_verifier=challenge_of(line.verifier)).json["error"] == "invalid_grant"


def test_a_code_lives_sixty_seconds_from_its_making_not_from_the_sign_in(machine: Machine, clock: Clock) -> None:
    line = machine.authorize(auth_time=db.utcnow() - timedelta(hours=9))
    other = machine.authorize(consent_id=line.consent_id)
    clock.advance(seconds=58)
    assert machine.redeem(line).status_code == 200
    clock.advance(seconds=2)
    assert machine.redeem(other).json["error"] == "invalid_grant"
    assert is_unspent(machine, other)


def test_another_clients_code_is_unknown_and_stays_good(machine: Machine, cast: Cast) -> None:
    line = machine.authorize()
    thief = cast.add_client()
    answer = machine.post("/oauth/token", line.form, thief)
    nothing = machine.post("/oauth/token", {**line.form, "code": crypto.new_secret(crypto.CODE)}, thief)
    assert answer.json == nothing.json and answer.json["error"] == "invalid_grant"
    assert machine.redeem(line).status_code == 200


def test_another_clients_replay_ends_nothing(machine: Machine, cast: Cast) -> None:
    line = machine.authorize()
    token = machine.tokens(line)["access_token"]
    assert machine.post("/oauth/token", line.form, cast.add_client()).json["error"] == "invalid_grant"
    assert machine.is_live(token)


def test_a_replay_ends_everything_that_the_code_produced(machine: Machine) -> None:
    line = machine.authorize()
    first = machine.tokens(line)
    second = machine.refresh(line, first["refresh_token"]).get_json()
    for _ in range(2):
        answer = machine.redeem(line)
        assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")
    assert not machine.is_live(first["access_token"]) and not machine.is_live(second["access_token"])
    for token in (first["refresh_token"], second["refresh_token"]):
        assert machine.refresh(line, token).json["error"] == "invalid_grant"
    [event] = machine.rows(select(AuditEvent).where(AuditEvent.kind == "code.replay_refused"))
    assert (event.client_id, event.consent_id, event.business_id) == (LEDGERLY.client_id, line.consent_id, ACME.id)
    assert line.code not in str(event.detail)


def test_a_replay_after_the_life_of_the_code_ends_it_all_too(machine: Machine, clock: Clock) -> None:
    line = machine.authorize()
    token = machine.tokens(line)["access_token"]
    clock.advance(seconds=machine.app.settings.code_seconds + 1)
    assert machine.is_live(token)
    assert machine.redeem(line).json["error"] == "invalid_grant"
    assert not machine.is_live(token)


def test_a_replay_with_the_wrong_verifier_counts_as_well(machine: Machine) -> None:
    line = machine.authorize()
    token = machine.tokens(line)["access_token"]
    machine.redeem(line, code_verifier="w" * 43)
    assert not machine.is_live(token)


def test_a_replay_leaves_other_lines_of_the_consent_alone(machine: Machine) -> None:
    line = machine.authorize()
    other = machine.authorize(consent_id=line.consent_id)
    token = machine.tokens(other)["access_token"]
    machine.redeem(line)
    machine.redeem(line)
    assert machine.is_live(token)


def test_a_code_whose_consent_has_ended_is_refused(machine: Machine) -> None:
    line = machine.authorize()
    machine.change(Consent, Consent.id == line.consent_id, revoked_at=db.utcnow(), revoke_reason="user")
    answer = machine.redeem(line)
    assert (answer.json["error"], answer.json["error_description"]) == ("invalid_grant", "revoked")
    assert stored(machine) == (0, 0)


def test_a_disabled_client_is_refused_as_an_unknown_one_is(machine: Machine) -> None:
    line = machine.authorize()
    machine.change(Client, Client.client_id == LEDGERLY.client_id, disabled_at=db.utcnow())
    disabled = machine.redeem(line)
    unknown = machine.post("/oauth/token", line.form, None, auth=("nobody", "secret"))
    assert (disabled.status_code, disabled.data) == (unknown.status_code, unknown.data)
    assert disabled.json["error"] == "invalid_client"


def test_the_role_of_today_is_the_ceiling_of_what_a_code_gives(machine: Machine) -> None:
    line = machine.authorize(BOB, scope="openid funds.summary funds.write offline_access")
    assert machine.tokens(line)["scope"] == "openid funds.summary funds.read offline_access"


def test_a_role_that_opens_nothing_of_it_gets_nothing_and_the_code_stays_good(machine: Machine) -> None:
    line = machine.authorize(scope="funds.write")
    machine.change(Membership, Membership.user_id == ALICE.id, role="fund_adviser")
    assert machine.redeem(line).json["error"] == "invalid_scope"
    machine.change(Membership, Membership.user_id == ALICE.id, role="access_controller")
    assert machine.redeem(line).status_code == 200


def test_a_missing_signing_key_is_found_out_before_the_code_is_spent(machine: Machine) -> None:
    line = machine.authorize()
    machine.change(SigningKey, retires_at=db.utcnow())
    assert machine.redeem(line).status_code >= 500
    assert is_unspent(machine, line) and stored(machine) == (0, 0)
    machine.change(SigningKey, retires_at=None)
    assert machine.redeem(line).status_code == 200
