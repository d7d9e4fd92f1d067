from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from portal.clients import metadata, names
from portal.clients.metadata import RegistrationError, Rules
from portal.consents.catalogue import CATALOGUE
from portal.oauth.client_authentication import ASSERTION_ALGORITHMS
from portal.oauth.keys import ALGORITHMS
from tests.clients.conftest import DOCUMENT
from tests.support.server import ROOT

RULES = Rules(scopes=tuple(CATALOGUE), signing_algorithms=ALGORITHMS, static=ROOT / "static", brand="Class", is_production=True)
WEAK_RSA = {"kty": "RSA", "n": "1" * 171, "e": "AQAB"}


def mistakes(rules: Rules = RULES, *, resource_server: bool = False, **changes: Any) -> list[str]:
    try:
        metadata.check({**DOCUMENT, **changes}, rules, resource_server=resource_server)
    except RegistrationError as error:
        return error.mistakes
    return []


def the_mistake(**changes: Any) -> str:
    [found] = mistakes(**changes)
    return found


def public(key: Any) -> dict[str, Any]:
    return dict(key.as_dict(private=False))


# what people read


@pytest.mark.parametrize(
    "name", ["Quokka Ledger", "7 Seas", "Æther & Co", "O’Brien’s Café – Books", "日本の帳簿 Ledger", "Бухгалтерия"]
)
def test_a_name_is_written_in_one_script(name: str) -> None:
    assert mistakes(client_name=name) == []


@pytest.mark.parametrize("member", ["client_name", "publisher"])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "not empty"),
        ("   ", "not empty"),
        (None, "not empty"),
        (7, "not empty"),
        ("x" * 101, "at most 100"),
        (" Quokka", "single ordinary spaces"),
        ("Quokka  Ledger", "single ordinary spaces"),
        ("Quokka\u00a0Ledger", "single ordinary spaces"),
        ("Quokka\nLedger", "invisible"),
        ("Quokka\x00", "invisible"),
        ("Quokka\u202eregdeL", "invisible"),
        ("Quokka\u2066x\u2069", "invisible"),
        ("Quo\u200bkka", "invisible"),
        ("Quo\u00adkka", "invisible"),
        ("Quokka\ud800", "invisible"),
        ("Quokka\ue000", "invisible"),
        ("Que\u0301bec", "composed"),
        ("Ｑｕｏｋｋａ", "look like"),  # full width
        ("𝐐uokka", "look like"),
        ("Quоkka", "several scripts"),  # a Cyrillic о
        ("Quοkka", "several scripts"),  # a Greek ο
        ("123", "a letter"),
        ("Class", "this portal itself"),
        ("C1ass", "this portal itself"),
        ("СІаѕѕ", "this portal itself"),  # all Cyrillic
    ],
)
def test_a_name_that_misleads_is_refused(member: str, name: Any, words: str) -> None:
    found = the_mistake(**{member: name})
    assert found.startswith(f"{member} ") and words in found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ledgerly", "ledgerly"),
        ("Ledgerly", "LEDGER1Y"),
        ("Ledgerly", "Ledger-ly."),
        ("Modern", "Modem"),
        ("Aqua", "Ａqua"),
        ("Sope", "Ѕоре"),
    ],
)
def test_names_that_look_alike_have_one_skeleton(one: str, other: str) -> None:
    assert names.is_among(one, ["Something", other]) == other
    assert names.is_among(one, ["Something else"]) is None


# the logo


@pytest.mark.parametrize(
    "logo",
    [
        "logos/missing.svg", "../logos/ledgerly.svg", "logos/../icon.svg", "logos/../../pyproject.toml", "icon.svg", "css/base.css",
        "/static/logos/ledgerly.svg", "static/logos/ledgerly.svg", "https://quokka.example/logo.svg", "logos/", "logos/ledgerly.svg\n",
        "logos\\ledgerly.svg", "logos/%2e%2e/icon.svg", 7, ["logos/ledgerly.svg"],
    ],
)  # fmt: skip
def test_a_logo_is_a_file_of_ours(logo: Any) -> None:
    assert the_mistake(logo=logo).startswith("logo ")
    assert mistakes(logo="logos/ledgerly.svg") == []


def test_a_logo_does_not_lead_out(tmp_path: Path) -> None:
    (tmp_path / "static" / "logos").mkdir(parents=True)
    (tmp_path / "outside.svg").write_text("<svg/>")
    (tmp_path / "static" / "logos" / "quokka.svg").symlink_to(tmp_path / "outside.svg")
    rules = Rules(**{**RULES.__dict__, "static": tmp_path / "static"})
    assert mistakes(rules, logo="logos/quokka.svg") == ["logo leads out of static/"]


# scopes


@pytest.mark.parametrize(
    "scope",
    [None, "", "funds.everything", "openid  profile", " openid", "openid,profile", "openid openid", ["openid"], "OPENID", 1],
)
def test_a_scope_is_of_the_catalogue(scope: Any) -> None:
    assert any(found.startswith("scope ") for found in mistakes(scope=scope, required_scopes=[], scope_reasons={}))


def test_scopes_are_kept_in_the_order_of_the_catalogue() -> None:
    values = metadata.check({**DOCUMENT, "scope": "funds.summary openid", "required_scopes": ["funds.summary", "openid"]}, RULES)
    assert (values["scope"], values["required_scopes"]) == ("openid funds.summary", ["openid", "funds.summary"])


@pytest.mark.parametrize("required", [["profile"], "openid", [1], ["openid", "openid"], {"openid": True}])
def test_required_scopes_are_among_those_allowed(required: Any) -> None:
    assert the_mistake(required_scopes=required).startswith("required_scopes")


@pytest.mark.parametrize(
    "reasons",
    [
        {"profile": "Because."},
        {"openid": ""},
        {"openid": 1},
        {"openid": "x\u202ey"},
        {"openid": "x" * 301},
        {"openid": "a\nb"},
        ["openid"],
        "x",
    ],
)
def test_reasons_are_plain_words_for_allowed_scopes(reasons: Any) -> None:
    assert the_mistake(scope_reasons=reasons).startswith("scope_reasons")


# how it authenticates


@pytest.mark.parametrize("method", ["client_secret_jwt", "tls_client_auth", "", 1, ["none"]])
def test_a_client_authenticates_by_one_of_four_methods(method: Any) -> None:
    assert the_mistake(token_endpoint_auth_method=method).startswith("token_endpoint_auth_method must be one of")


def test_a_native_application_keeps_no_secret() -> None:
    assert "RFC 8252" in the_mistake(application_type="native")
    assert mistakes(application_type="native", token_endpoint_auth_method="none", redirect_uris=["http://127.0.0.1/cb"]) == []
    assert the_mistake(application_type="desktop").startswith("application_type must be one of")


LOOPBACK = ["http://127.0.0.1:5001/cb", "http://[::1]/cb", "http://localhost:3000/cb"]


@pytest.mark.parametrize("uri", LOOPBACK)
def test_a_web_application_without_authentication_returns_to_https_alone(uri: str) -> None:
    found = the_mistake(token_endpoint_auth_method="none", redirect_uris=["https://quokka.example/callback", uri])
    assert found.startswith("redirect_uris: number 2 must use https") and "native" in found
    assert the_mistake(application_type="web", token_endpoint_auth_method="none", redirect_uris=[uri])
    assert mistakes(token_endpoint_auth_method="none") == []
    assert mistakes(redirect_uris=[uri]) == []
    assert mistakes(application_type="native", token_endpoint_auth_method="none", redirect_uris=[uri]) == []


def test_a_resource_server_authenticates_and_needs_no_redirect() -> None:
    assert mistakes(resource_server=True, redirect_uris=[], scope="", required_scopes=[], scope_reasons={}) == []
    assert "introspect" in the_mistake(resource_server=True, token_endpoint_auth_method="none")
    assert "--resource-server" in the_mistake(is_resource_server=True)


KEYS = [
    ECKey.generate_key("P-256"),
    RSAKey.generate_key(2048),
    OKPKey.generate_key("Ed25519"),
]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.key_type)
def test_public_keys_are_taken_by_value(key: Any) -> None:
    jwk = public(key) | {"x5u": "https://quokka.example/cert"}
    values = metadata.check({**DOCUMENT, "token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [jwk]}}, RULES)
    [stored] = values["jwks"]["keys"]
    assert stored["kid"] == key.thumbprint() and "x5u" not in stored


@pytest.mark.parametrize(
    "jwks",
    [
        None, {}, {"keys": []}, {"keys": {}}, [], "https://quokka.example/jwks", {"keys": ["x"]}, {"keys": [{}]},
        {"keys": [KEYS[0].as_dict(private=True)]}, {"keys": [KEYS[1].as_dict(private=True)]}, {"keys": [KEYS[2].as_dict(private=True)]},
        {"keys": [public(KEYS[0]), {**public(KEYS[0]), "d": ""}]}, {"keys": [public(KEYS[0])] * 2},
        {"keys": [{**public(KEYS[0]), "use": "enc"}]}, {"keys": [{**public(KEYS[0]), "key_ops": ["sign"]}]},
        {"keys": [{**public(KEYS[0]), "alg": "HS256"}]}, {"keys": [{**public(KEYS[0]), "alg": "none"}]},
        {"keys": [{**public(KEYS[0]), "kid": ""}]}, {"keys": [{**public(KEYS[0]), "kid": 7}]},
        {"keys": [{**public(KEYS[0]), "x": "AAAA"}]}, {"keys": [{**public(KEYS[0]), "x": 7}]}, {"keys": [{**public(KEYS[0]), "kty": []}]},
        {"keys": [WEAK_RSA]}, {"keys": [{**public(KEYS[1]), "e": "Aw"}]}, {"keys": [{**public(KEYS[1]), "n": "é"}]},
        {"keys": [OctKey.generate_key(256).as_dict()]}, {"keys": [public(ECKey.generate_key("P-384"))]},
        {"keys": [public(OKPKey.generate_key("X25519"))]},
    ],
)  # fmt: skip
def test_other_keys_are_refused(jwks: Any) -> None:
    assert the_mistake(token_endpoint_auth_method="private_key_jwt", jwks=jwks).startswith("jwks ")


def test_keys_are_for_private_key_jwt_alone() -> None:
    assert the_mistake(jwks={"keys": [public(KEYS[0])]}).startswith("jwks is only for")
    assert the_mistake(jwks_uri="https://quokka.example/jwks").startswith("jwks_uri is not taken: nothing is ever fetched")


def test_the_algorithms_of_keys_are_those_that_assertions_are_checked_with() -> None:
    stored = {name for _, _, names in metadata.public_keys.KINDS.values() for name in names}
    assert set(ASSERTION_ALGORITHMS) <= stored <= {*ASSERTION_ALGORITHMS, "Ed25519"}


def test_id_tokens_are_signed_with_es256_unless_said_otherwise() -> None:
    assert metadata.check(DOCUMENT, RULES)["id_token_signed_response_alg"] == "ES256"
    assert metadata.check({**DOCUMENT, "id_token_signed_response_alg": "RS256"}, RULES)["id_token_signed_response_alg"] == "RS256"
    for algorithm in ("none", "HS256", "PS256", "es256", ["ES256"]):
        assert the_mistake(id_token_signed_response_alg=algorithm).startswith("id_token_signed_response_alg")


@pytest.mark.parametrize(
    "changes",
    [
        {"grant_types": ["authorization_code", "implicit"]}, {"grant_types": ["refresh_token"]}, {"grant_types": "authorization_code"},
        {"grant_types": ["authorization_code"], "scope": "openid funds.summary offline_access"},
        {"response_types": ["token"]}, {"response_types": ["code", "code id_token"]},
        {"contacts": ["nobody"]}, {"contacts": "a@quokka.example"}, {"contacts": ["a@quokka.example\n"]}, {"contacts": ["\ud800@x.example"]},
        {"client_id": "a"}, {"client_id": "with space"}, {"client_id": "a/b"}, {"client_id": "é" * 5}, {"client_id": 12345}, {"client_id": "x" * 65},
        {"client_secret": "mine"}, {"logo_uri": "https://quokka.example/logo.svg"}, {"software_statement": "eyJ"}, {"disabled_at": "now"},
        {"secret_digest": "00"}, {"created_at": 0}, {"client_name#ja": "x"}, {"\u202e": "x"},
    ],
)  # fmt: skip
def test_a_member_with_a_wrong_value_is_refused(changes: dict[str, Any]) -> None:
    assert len(mistakes(**changes)) == 1


def test_what_is_supported_may_be_said() -> None:
    assert (
        mistakes(grant_types=["authorization_code", "refresh_token"], response_types=["code"], contacts=["it@quokka.example"])
        == []
    )


def test_a_misspelt_member_is_a_mistake_and_not_lost() -> None:
    assert (
        the_mistake(required_scope=["openid"]) == "'required_scope' is not a member that is known here; is required_scopes meant?"
    )


def test_every_mistake_is_named_at_once() -> None:
    found = mistakes(
        client_name="", publisher="x\u202e", client_uri="http://x.example", logo="x", application_type="x", token_endpoint_auth_method="x",
        redirect_uris=["javascript:alert(1)"], scope="x", required_scopes=["y"], scope_reasons={"z": "Because."}, contacts=["x"],
        id_token_signed_response_alg="x", grant_types=["x"], response_types=["x"], jwks_uri="x", colour="red",
    )  # fmt: skip
    for name in (
        "client_name", "publisher", "client_uri", "logo", "application_type", "token_endpoint_auth_method", "redirect_uris", "scope ",
        "required_scopes", "scope_reasons", "contacts", "id_token_signed_response_alg", "grant_types", "response_types", "jwks_uri", "'colour'",
    ):  # fmt: skip
        assert any(mistake.startswith(name) for mistake in found), name


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b'"x"',
        b"{",
        b"\xff\xfe",
        b'{"a": NaN}',
        b'{"a": 1, "a": 2}',
        b"[" * 50_000,
        b" " * 100_001,
        b'{"a": ' + b"1" * 5000 + b"}",
    ],
)
def test_a_document_is_one_json_object(raw: bytes) -> None:
    with pytest.raises(RegistrationError):
        metadata.read(raw)


def test_a_document_may_begin_with_a_byte_order_mark() -> None:
    assert metadata.read(b"\xef\xbb\xbf" + json.dumps(DOCUMENT).encode()) == DOCUMENT


@pytest.mark.parametrize(
    "value", [0, 1.5, True, "", "x", "\x00", "\ud800", [], [None], [[]], {}, {"": None}, {"keys": [None]}, 10**30]
)
@pytest.mark.parametrize("member", metadata.MEMBERS)
def test_nothing_in_any_member_breaks_the_check(member: str, value: Any) -> None:
    mistakes(**{member: value, "token_endpoint_auth_method": "private_key_jwt"} if member == "jwks" else {member: value})
