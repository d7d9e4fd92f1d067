from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from portal import db
from portal.oauth import id_token, keys
from portal.oauth.models import SigningKey
from tests.support.cast import ALICE, LEDGERLY
from tests.support.clock import Clock
from tests.support.signin import Cast
from tests.support.tokens import Machine


def read(machine: Machine, token: str, issuer: str | None = None) -> dict[str, Any] | None:
    with machine.app.app_context(), db.reader() as connection:
        return id_token.read_hint(connection, issuer or machine.app.settings.issuer, token)


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_our_own_token_is_read_whatever_it_was_signed_with(machine: Machine, cast: Cast, algorithm: str) -> None:
    partner = cast.add_client(id_token_signed_response_alg=algorithm)
    line = machine.authorize(partner=partner)
    claims = read(machine, machine.tokens(line)["id_token"])
    assert claims is not None
    assert (claims["sub"], claims["aud"], claims["sid"]) == (ALICE.id, partner.client_id, line.session_id)


def test_an_expired_token_is_still_a_hint(machine: Machine, clock: Clock) -> None:
    token = machine.tokens(machine.authorize())["id_token"]
    clock.advance(days=400)
    assert read(machine, token) is not None


def test_a_token_of_a_retired_key_is_still_a_hint(machine: Machine, clock: Clock) -> None:
    token = machine.tokens(machine.authorize())["id_token"]
    with machine.app.app_context(), db.transaction() as session:
        keys.rotate(session, machine.app.keyring, machine.app.settings, now=db.utcnow())
    clock.advance(days=30)
    with machine.app.app_context(), db.reader() as connection:
        assert keys.published(connection, now=db.utcnow()) and len(keys.published(connection, now=db.utcnow())) == 3
    assert read(machine, token) is not None


def test_a_session_reads_it_as_well_as_a_connection(machine: Machine) -> None:
    token = machine.tokens(machine.authorize())["id_token"]
    with machine.app.app_context(), db.transaction() as session:
        assert id_token.read_hint(session, machine.app.settings.issuer, token) is not None


def test_a_token_for_another_issuer_is_none(machine: Machine) -> None:
    assert read(machine, machine.tokens(machine.authorize())["id_token"], "https://other.example") is None


def test_a_changed_token_is_none(machine: Machine) -> None:
    header, claims, signature = machine.tokens(machine.authorize())["id_token"].split(".")
    other = json.loads(base64.urlsafe_b64decode(claims + "==")) | {"sub": "user-bob"}
    assert read(machine, f"{header}.{part(other)}.{signature}") is None


def test_a_foreign_key_under_our_key_id_is_none(machine: Machine) -> None:
    claims = {"iss": machine.app.settings.issuer, "sub": ALICE.id, "aud": LEDGERLY.client_id, "sid": "s"}
    kid, public = signing_key(machine)
    forged = jwt.encode({"alg": "ES256", "kid": kid}, claims, ECKey.generate_key("P-256"), algorithms=["ES256"])
    assert read(machine, forged) is None
    # the public key as the secret of a symmetric algorithm
    secret = OctKey.import_key(json.dumps(public))
    assert read(machine, jwt.encode({"alg": "HS256", "kid": kid}, claims, secret, algorithms=["HS256"])) is None
    assert read(machine, f"{part({'alg': 'none', 'kid': kid})}.{part(claims)}.") is None


def signing_key(machine: Machine) -> tuple[str, dict[str, Any]]:
    with machine.app.app_context(), db.transaction() as session:
        key = session.query(SigningKey).filter_by(algorithm="ES256").one()
        return key.kid, key.public_jwk


NASTY = [
    "", ".", "..", "a.b.c", "é.é.é", "\x00", "\ud800.a.b", "e30.e30.e30", part([]) + ".x.y", part({"kid": 1}) + ".x.y",
    part({"kid": "a\x00"}) + ".x.y", part({"kid": "unknown", "alg": "ES256"}) + ".e30.e30", part(b"[" * 5000) + ".x.y",
    part({"kid": "\ud800"}) + ".x.y", part(b"\xff") + ".x.y", "a" * 8192,
]  # fmt: skip


@pytest.mark.parametrize("token", NASTY, ids=range(len(NASTY)))
def test_anything_else_is_none(machine: Machine, token: str) -> None:
    assert read(machine, token) is None


@pytest.mark.parametrize("payload", [b"[1]", b"\xff", b"[" * 5000, b"{}", b'{"sub":1}'], ids=range(5))
def test_what_is_signed_by_us_and_is_no_id_token_is_none(machine: Machine, payload: bytes) -> None:
    kid, _ = signing_key(machine)
    token = f"{part({'alg': 'ES256', 'kid': kid})}.{part(payload)}.{part(b'x' * 64)}"
    assert read(machine, token) is None
