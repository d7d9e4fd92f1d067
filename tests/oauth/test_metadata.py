from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.routing import Rule

from portal import db
from portal.clients.models import AUTHENTICATION_METHODS
from portal.consents.catalogue import CATALOGUE
from portal.oauth import keys
from portal.oauth.models import SigningKey
from portal.oauth.request import PROMPTS, RESPONSE_MODES
from tests.support.clock import Clock
from tests.support.tokens import OFFLINE, Machine

WELL_KNOWN = ("openid-configuration", "oauth-authorization-server", "oauth-protected-resource", "oauth-protected-resource/api/v1")
METHODS = {
    "authorization_endpoint": {"GET", "POST"},
    "pushed_authorization_request_endpoint": {"POST"},
    "token_endpoint": {"POST"},
    "introspection_endpoint": {"POST"},
    "revocation_endpoint": {"POST"},
    "userinfo_endpoint": {"GET", "POST"},
    "jwks_uri": {"GET"},
    "end_session_endpoint": {"GET", "POST"},
    "consents_endpoint": {"GET", "DELETE"},
}
FOR_PROXIES = ("verification_endpoint", "/oauth/verify")
"""Asked by a reverse proxy in whatever method the call has that it asks about."""


def document(machine: Machine, name: str = WELL_KNOWN[0]) -> dict[str, Any]:
    answer = machine.send("GET", f"/.well-known/{name}")
    assert answer.status_code == 200
    return dict(answer.get_json())


def served(machine: Machine) -> dict[str, set[str]]:
    """Each path of the protocol with its methods, ids in paths cut off."""
    found: dict[str, set[str]] = {}
    rule: Rule
    for rule in machine.app.url_map.iter_rules():
        if rule.rule.startswith("/oauth/") and rule.rule not in FOR_PROXIES:
            found.setdefault(rule.rule.partition("/<")[0], set()).update(set(rule.methods or ()) - {"HEAD", "OPTIONS"})
    return found


def test_both_documents_are_one(machine: Machine) -> None:
    assert document(machine, WELL_KNOWN[0]) == document(machine, WELL_KNOWN[1])


def test_what_is_announced_works_and_what_works_is_announced(machine: Machine) -> None:
    told, issuer = document(machine), machine.app.settings.issuer
    endpoints = {name: url for name, url in told.items() if name.endswith("_endpoint") or name == "jwks_uri"}
    assert endpoints.pop(FOR_PROXIES[0]) == issuer + FOR_PROXIES[1]
    assert all(url.startswith(issuer + "/") for url in endpoints.values())
    assert {url.removeprefix(issuer): METHODS[name] for name, url in endpoints.items()} == served(machine)


@pytest.mark.parametrize("name", METHODS)
def test_an_announced_endpoint_answers_in_its_own_words(machine: Machine, name: str) -> None:
    path = document(machine)[name].removeprefix(machine.app.settings.issuer)
    path += "/none" if name == "consents_endpoint" else ""
    for method in METHODS[name]:
        answer = machine.send(method, path)
        assert answer.status_code in (200, 303, 400, 401), f"{method} {path}"
        assert answer.headers["Cache-Control"] == "no-store"
    for method in {"GET", "POST", "PUT", "DELETE"} - METHODS[name]:
        answer = machine.send(method, path)
        assert answer.status_code == 405
        assert answer.headers["Cache-Control"] == "no-store"


def test_what_the_server_says_of_itself_is_what_the_code_does(machine: Machine) -> None:
    told = document(machine)
    assert told["issuer"] == machine.app.settings.issuer
    assert told["scopes_supported"] == list(CATALOGUE)
    assert told["response_types_supported"] == ["code"]
    assert told["response_modes_supported"] == list(RESPONSE_MODES)
    assert told["grant_types_supported"] == ["authorization_code", "refresh_token"]
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert told["prompt_values_supported"] == list(PROMPTS)
    assert told["authorization_response_iss_parameter_supported"] is True
    assert told["request_parameter_supported"] is told["request_uri_parameter_supported"] is False
    for endpoint in ("token", "introspection", "revocation"):
        assert told[f"{endpoint}_endpoint_auth_methods_supported"] == list(AUTHENTICATION_METHODS)
    assert set(told["id_token_signing_alg_values_supported"]) == {"RS256", "ES256", "EdDSA"}


def test_every_claim_that_is_announced_is_given_and_the_reverse(machine: Machine) -> None:
    tokens = machine.tokens(machine.authorize(scope=OFFLINE))
    body = tokens["id_token"].split(".")[1]
    given = set(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))
    given |= set(machine.bearer("/oauth/userinfo", tokens["access_token"]).get_json())
    assert given | {"middle_name"} == set(document(machine)["claims_supported"])


def test_the_api_names_its_authorization_server(machine: Machine) -> None:
    told, issuer = document(machine, WELL_KNOWN[2]), machine.app.settings.issuer
    assert told["resource"] == f"{issuer}/api/v1"
    assert told["authorization_servers"] == [issuer]
    assert told["bearer_methods_supported"] == ["header"]
    assert {"openid", "profile", "offline_access"}.isdisjoint(told["scopes_supported"])


def test_the_document_of_the_api_stands_where_its_identifier_says_and_where_a_refusal_leads(machine: Machine) -> None:
    [resource] = document(machine)["protected_resources"]
    origin, path = resource.removesuffix("/api/v1"), "/api/v1"
    address = f"{origin}/.well-known/oauth-protected-resource{path}"  # RFC 9728 §3.1
    for refused in (f"{path}/funds", "/oauth/userinfo"):
        assert f'resource_metadata="{address}"' in machine.send("GET", refused).headers["WWW-Authenticate"]
    told = document(machine, address.removeprefix(f"{origin}/.well-known/"))
    assert told["resource"] == resource  # §3.3
    assert told == document(machine, WELL_KNOWN[2])


@pytest.mark.parametrize("name", WELL_KNOWN)
def test_the_documents_are_public_and_take_no_cookie(machine: Machine, name: str) -> None:
    answer = machine.send("GET", f"/.well-known/{name}")
    assert answer.mimetype == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers


# keys


def published(machine: Machine) -> list[dict[str, Any]]:
    answer = machine.send("GET", "/oauth/jwks")
    assert answer.status_code == 200 and answer.headers["Cache-Control"] == "no-store"
    return list(answer.get_json()["keys"])


def test_the_keys_are_public_halves_with_id_use_and_algorithm(machine: Machine) -> None:
    found = published(machine)
    assert {key["alg"] for key in found} == set(keys.ALGORITHMS)
    for key in found:
        assert key["use"] == "sig" and key["kid"]
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(key)


def test_a_rotated_key_stays_until_the_last_token_it_signed_has_expired(machine: Machine, clock: Clock) -> None:
    before = {key["kid"] for key in published(machine)}
    with machine.app.app_context(), db.transaction() as session:
        keys.rotate(session, machine.app.keyring, machine.app.settings, now=db.utcnow())
    both = {key["kid"] for key in published(machine)}
    assert before < both and len(both) == 6
    clock.advance(seconds=machine.app.settings.id_token_seconds)
    assert before < {key["kid"] for key in published(machine)}
    clock.advance(seconds=10 * keys.RELOAD_SECONDS)
    assert before.isdisjoint(key["kid"] for key in published(machine))


def test_private_halves_are_not_readable_in_the_database(machine: Machine) -> None:
    stored = machine.rows(select(SigningKey))
    assert len(stored) == 3 and not any(b'"d"' in row.private_jwk for row in stored)
