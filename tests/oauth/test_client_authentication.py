from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal import crypto, db
from portal.audit.models import AuditEvent
from portal.clients.models import Client
from portal.oauth import keys
from portal.oauth.client_authentication import ASSERTION_TYPE
from tests.support.cast import LEDGERLY, POCKETFOLIO, Partner
from tests.support.clock import Clock
from tests.support.signin import Cast
from tests.support.tokens import Machine

FORM = {"token": "unknown"}
"""For the introspection endpoint: 200 says that the client was let in."""


def ask(machine: Machine, form: dict[str, Any] | None = None, **options: Any) -> TestResponse:
    return machine.post("/oauth/introspect", {**FORM, **(form or {})}, None, **options)


def is_refused(answer: TestResponse) -> bool:
    """The one answer to every failure."""
    same = {"error": "invalid_client", "error_description": "Client authentication failed."}
    return (answer.status_code, answer.get_json()) == (401, same) and answer.headers["WWW-Authenticate"].startswith("Basic")


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


# secrets


def test_basic_lets_in_whoever_registered_basic(machine: Machine) -> None:
    assert ask(machine, auth=LEDGERLY.authentication).status_code == 200
    assert (
        ask(
            machine, headers={"Authorization": basic(*LEDGERLY.authentication)["Authorization"].replace("Basic", "bASIC")}
        ).status_code
        == 200
    )


def test_basic_is_form_encoded_before_it_is_encoded(machine: Machine, cast: Cast) -> None:
    """RFC 6749 §2.3.1."""
    partner = cast.add_client()
    secret = "p%+ :é&="
    machine.change(Client, Client.client_id == partner.client_id, secret_digest=crypto.digest(secret))
    assert ask(machine, headers=basic(partner.client_id, quote(secret, safe=""))).status_code == 200
    assert is_refused(ask(machine, headers=basic(partner.client_id, secret)))


def test_the_secret_in_the_body_lets_in_whoever_registered_that(machine: Machine, cast: Cast) -> None:
    partner = cast.add_client(token_endpoint_auth_method="client_secret_post")
    form = {"client_id": partner.client_id, "client_secret": partner.secret}
    assert ask(machine, form).status_code == 200
    assert is_refused(ask(machine, {**form, "client_secret": "wrong"}))
    assert is_refused(ask(machine, auth=partner.authentication))


def test_exactly_the_registered_method_counts(machine: Machine) -> None:
    assert is_refused(ask(machine, {"client_id": LEDGERLY.client_id, "client_secret": LEDGERLY.secret}))
    assert is_refused(ask(machine, {"client_id": LEDGERLY.client_id}))
    assert is_refused(ask(machine, auth=(POCKETFOLIO.client_id, "")))
    assert ask(machine, {"client_id": POCKETFOLIO.client_id}).status_code == 200


def test_two_secrets_overlap_while_they_rotate(machine: Machine, clock: Clock) -> None:
    machine.change(
        Client, Client.client_id == LEDGERLY.client_id, secret_digest=crypto.digest("the new one"),
        previous_secret_digest=crypto.digest(LEDGERLY.secret or ""), previous_secret_expires_at=db.utcnow() + timedelta(hours=1),
    )  # fmt: skip
    assert ask(machine, auth=(LEDGERLY.client_id, "the new one")).status_code == 200
    assert ask(machine, auth=LEDGERLY.authentication).status_code == 200
    clock.advance(hours=1)
    assert is_refused(ask(machine, auth=LEDGERLY.authentication))
    assert ask(machine, auth=(LEDGERLY.client_id, "the new one")).status_code == 200


def test_more_than_one_authentication_is_refused(machine: Machine) -> None:
    both = {"client_id": LEDGERLY.client_id, "client_secret": LEDGERLY.secret}
    assertion = {"client_assertion": "a.b.c", "client_assertion_type": ASSERTION_TYPE}
    for form in (both, {"client_secret": "x"}, assertion):
        answer = ask(machine, form, auth=LEDGERLY.authentication)
        assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")
    assert ask(machine, {**both, **assertion}).get_json()["error"] == "invalid_request"
    twice = [("Authorization", basic(*LEDGERLY.authentication)["Authorization"])] * 2
    assert ask(machine, headers=twice).status_code in (400, 401)  # some servers join them to one


def test_what_is_sent_without_a_value_is_not_sent(machine: Machine) -> None:
    assert ask(machine, {"client_id": POCKETFOLIO.client_id, "client_secret": ""}).status_code == 200
    assert ask(machine, {"client_id": "", "client_secret": ""}, auth=LEDGERLY.authentication).status_code == 200
    assert is_refused(ask(machine, {"client_id": LEDGERLY.client_id, "client_secret": ""}))


def test_another_client_id_in_the_body_is_refused(machine: Machine) -> None:
    answer = ask(machine, {"client_id": POCKETFOLIO.client_id}, auth=LEDGERLY.authentication)
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")
    assert ask(machine, {"client_id": LEDGERLY.client_id}, auth=LEDGERLY.authentication).status_code == 200


NASTY_HEADERS = [
    "", "Basic", "Basic ", "Basic !!!", "Basic " + "A" * 10000, "Bearer abc", "Digest x", "Basic é", "Basic bm9jb2xvbg==",
    "Basic " + base64.b64encode(b"ledgerly\x00:\x00").decode(), "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
    "Basic " + base64.b64encode(b"%ED%A0%80:%00").decode(), "Basic " + base64.b64encode(b":").decode(),
    "Basic " + base64.b64encode(b"ledgerly:" + b"x" * 5000).decode(), "\x7f", "negotiate abc==",
]  # fmt: skip


@pytest.mark.parametrize("header", NASTY_HEADERS, ids=range(len(NASTY_HEADERS)))
def test_a_header_that_is_no_authentication_is_refused_alike(machine: Machine, header: str) -> None:
    assert is_refused(ask(machine, headers={"Authorization": header.encode().decode("latin-1")}))


def test_an_unknown_a_disabled_and_a_wrong_one_look_the_same(machine: Machine) -> None:
    machine.change(Client, Client.client_id == POCKETFOLIO.client_id, disabled_at=db.utcnow())
    answers = [
        ask(machine, auth=(LEDGERLY.client_id, "wrong")),
        ask(machine, auth=("nobody", LEDGERLY.secret)),
        ask(machine, {"client_id": POCKETFOLIO.client_id}),
        ask(machine),
    ]
    assert all(map(is_refused, answers))
    assert len({answer.data for answer in answers}) == 1


# assertions


@pytest.fixture
def key() -> Key:
    return ECKey.generate_key("P-256", private=True)


@pytest.fixture
def signer(machine: Machine, cast: Cast, key: Key) -> Partner:
    """A client that signs what it says."""
    public = {**key.as_dict(private=False), "kid": "one"}
    return cast.add_client(token_endpoint_auth_method="private_key_jwt", secret_digest=None, jwks={"keys": [public]})


Sign = Callable[..., dict[str, str]]


@pytest.fixture
def signed(machine: Machine, signer: Partner, key: Key) -> Sign:
    """The form of an assertion that is right but for the changes; None leaves a claim out."""

    def form(*, with_key: Key = key, alg: str = "ES256", **changes: Any) -> dict[str, str]:
        now = db.utcnow().timestamp()
        claims: dict[str, Any] = {
            "iss": signer.client_id, "sub": signer.client_id, "aud": machine.app.settings.issuer, "jti": uuid.uuid4().hex,
            "iat": int(now), "exp": int(now) + 60,
        }  # fmt: skip
        claims = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        header = {"alg": alg, "kid": "one"}
        algorithms = keys.OurAlgorithms(algorithms=[alg])
        return {
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": jwt.encode(header, claims, with_key, registry=algorithms),
        }

    return form


def test_a_signed_assertion_lets_the_client_in_once(machine: Machine, signed: Sign) -> None:
    form = signed()
    assert ask(machine, form).status_code == 200
    assert is_refused(ask(machine, form))
    assert ask(machine, signed()).status_code == 200


def test_a_replayed_assertion_is_told_once_however_often_it_comes(machine: Machine, signed: Sign, signer: Partner) -> None:
    form, replays = signed(), select(AuditEvent).where(AuditEvent.kind == "assertion.replay_refused")
    assert ask(machine, form).status_code == 200 and machine.rows(replays) == []
    assert all(is_refused(ask(machine, form)) for _ in range(3))
    (event,) = machine.rows(replays)
    assert (event.client_id, event.business_id, event.user_id) == (signer.client_id, None, None) and event.request_id
    other = signed()
    assert ask(machine, other).status_code == 200 and is_refused(ask(machine, other))
    assert len(machine.rows(replays)) == 2


def test_an_assertion_that_nobody_signed_is_no_replay(machine: Machine, signed: Sign) -> None:
    form = signed(jti="once")
    assert ask(machine, form).status_code == 200
    assert is_refused(ask(machine, signed(jti="once", with_key=ECKey.generate_key("P-256", private=True))))
    assert machine.rows(select(AuditEvent).where(AuditEvent.kind == "assertion.replay_refused")) == []


@pytest.mark.parametrize("path", ["", "/oauth/token", "/oauth/par"])
def test_we_may_be_named_by_the_issuer_or_an_endpoint_that_takes_it(machine: Machine, signed: Sign, path: str) -> None:
    issuer = machine.app.settings.issuer
    assert ask(machine, signed(aud=issuer + path)).status_code == 200
    assert ask(machine, signed(aud=["https://other.example", issuer + path])).status_code == 200


def test_the_client_may_name_itself_beside_the_assertion(machine: Machine, signed: Sign, signer: Partner) -> None:
    assert ask(machine, {**signed(), "client_id": signer.client_id}).status_code == 200
    assert is_refused(ask(machine, {**signed(), "client_id": LEDGERLY.client_id}))


@pytest.mark.parametrize("alg", ["RS256", "PS256", "EdDSA"])
def test_every_announced_algorithm_is_taken(machine: Machine, signed: Sign, signer: Partner, alg: str) -> None:
    other = OKPKey.generate_key("Ed25519", private=True) if alg == "EdDSA" else RSAKey.generate_key(2048, private=True)
    public = {"keys": [{**other.as_dict(private=False), "kid": "one"}]}
    machine.change(Client, Client.client_id == signer.client_id, jwks=public)
    assert ask(machine, signed(with_key=other, alg=alg)).status_code == 200


WRONG: list[dict[str, Any]] = [
    {"iss": "ledgerly"}, {"iss": None}, {"sub": "ledgerly"}, {"sub": None}, {"sub": 1}, {"sub": "a\x00"},
    {"aud": None}, {"aud": "https://other.example"}, {"aud": []}, {"aud": [["x"], {}]}, {"aud": {"a": 1}}, {"aud": 1},
    {"jti": None}, {"jti": ""}, {"jti": 5}, {"jti": ["a"]},
    {"exp": None}, {"exp": 1}, {"exp": "soon"}, {"exp": True}, {"exp": 10**400}, {"exp": float("nan")}, {"exp": float("inf")},
    {"exp": -(10**400)}, {"exp": 4_000_000_000}, {"nbf": 4_000_000_000},
]  # fmt: skip


@pytest.mark.parametrize("changes", WRONG, ids=lambda changes: str(changes)[:30])
def test_an_assertion_with_a_wrong_claim_is_refused(machine: Machine, signed: Sign, changes: dict[str, Any]) -> None:
    assert is_refused(ask(machine, signed(**changes)))


@pytest.mark.parametrize("claim", ["iss", "sub"])
@pytest.mark.parametrize("value", ["ledgerly", None, 1, ""])
def test_naming_itself_beside_the_assertion_makes_up_for_no_claim(
    machine: Machine, signed: Sign, signer: Partner, claim: str, value: Any
) -> None:
    assert is_refused(ask(machine, {**signed(**{claim: value}), "client_id": signer.client_id}))


def test_a_foreign_key_none_at_all_and_the_public_one_as_a_secret_are_refused(machine: Machine, signed: Sign, key: Key) -> None:
    assert is_refused(ask(machine, signed(with_key=ECKey.generate_key("P-256", private=True))))
    public = OctKey.import_key(json.dumps(key.as_dict(private=False)))
    assert is_refused(ask(machine, signed(with_key=public, alg="HS256")))
    header, claims, _ = signed()["client_assertion"].split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    for assertion in (f"{none}.{claims}.", f"{header}.{claims}.", f"{header}.{claims}.AAAA"):
        assert is_refused(ask(machine, {**signed(), "client_assertion": assertion}))


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


NASTY_ASSERTIONS = [
    "", ".", "..", "a.b.c", "é.é.é", "e30.e30.e30", "a" * 8000, f"e30.{encoded(b'[' * 4000)}.x", f"e30.{encoded(b'[]')}.x",
    f"e30.{encoded(b'{0}')}.x", "e30." + encoded(b'{"sub":"\\ud800"}') + ".x", "e30." + encoded(b'{"sub":"a\\u0000"}') + ".x",
    "e30." + encoded(b'{"sub":"tidemark"}') + ".x", encoded(b"[" * 4000) + "." + encoded(b'{"sub":"tidemark"}') + ".x",
    encoded(b"[]") + "." + encoded(b'{"sub":"tidemark"}') + ".x", "eyJ.eyJ.eyJ.eyJ.eyJ",
]  # fmt: skip


@pytest.mark.parametrize("assertion", NASTY_ASSERTIONS, ids=range(len(NASTY_ASSERTIONS)))
def test_what_is_no_assertion_is_refused_alike(machine: Machine, signer: Partner, assertion: str) -> None:
    for form in ({}, {"client_id": signer.client_id}):
        answer = ask(machine, {**form, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion})
        assert is_refused(answer), answer.text


def test_another_kind_of_assertion_is_invalid(machine: Machine, signed: Sign) -> None:
    for kind in ({}, {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}):
        form = {"client_assertion": signed()["client_assertion"], **kind}
        assert ask(machine, form).get_json()["error"] == "invalid_request"


def test_a_client_without_keys_is_refused(machine: Machine, signed: Sign, signer: Partner) -> None:
    for jwks in (None, {"keys": []}):
        machine.change(Client, Client.client_id == signer.client_id, jwks=jwks)
        assert is_refused(ask(machine, signed()))
