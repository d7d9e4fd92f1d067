from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from tests.partner.authority import CLIENT_SECRET, Authority
from tests.partner.conftest import Browser, html_from_a_proxy, too_late, words
from tests.support.partner import Partner

NOT_TRUSTED = "This return could not be trusted"
ASKED = "openid profile funds.summary funds.basic members.read funds.read business.read offline_access"


def is_not_connected(browser: Browser) -> bool:
    return "Connect to Class" in words(browser.get("/"))


def test_the_first_page_invites_without_asking_the_portal_anything(visitor: Browser, authority: Authority) -> None:
    page = visitor.get("/")
    assert page.status_code == 200 and "Connect to Class" in words(page)
    assert authority.asked == [] and "Set-Cookie" not in page.headers


def test_a_connection_shows_who_signed_in_what_was_granted_and_the_funds(visitor: Browser) -> None:
    page = visitor.connect()
    text = words(page)
    assert page.url.path == "/" and page.status_code == 200
    for expected in (
        "Acme Super Services", "01bus", "Alice Nguyen, alice@acme.example, Access Controller", "pwd otp mfa", "01consent",
        "15 Jan 2027, 7:00 pm AEDT", "Read member information members.read",
        "Access your data while you are not logged into Class offline_access",
        "Thornbury & Sons Superannuation Fund", "51 824 753 556", "2026-06-30",
    ):  # fmt: skip
        assert expected in text
    assert "Asked for, and not given" not in text


def test_the_request_carries_state_nonce_and_an_s256_challenge(visitor: Browser, authority: Authority, partner: Partner) -> None:
    first, second = (parse_qs(urlsplit(visitor.http.get("/connect").headers["Location"]).query) for _ in range(2))
    assert first["scope"] == [ASKED] and first["response_type"] == ["code"] and first["code_challenge_method"] == ["S256"]
    assert first["redirect_uri"] == [f"{partner.url}/callback"] and first["client_id"] == ["ledgerly-demo"]
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name][0]) >= 20 and first[name] != second[name]
    assert "code_verifier" not in first


def test_the_second_button_asks_for_more_and_what_was_not_given_is_told(visitor: Browser, authority: Authority) -> None:
    authority.granted = "openid funds.summary offline_access"
    text = words(visitor.connect("/connect?add=funds.write+nonsense+funds.write"))
    assert authority.to("/oauth/authorize")[0].query["scope"] == f"{ASKED} funds.write"
    assert "Asked for, and not given" in text and "Read and modify all fund information funds.write" in text


def test_a_connection_without_offline_access_says_how_long_it_lasts(visitor: Browser, authority: Authority) -> None:
    authority.granted = "openid funds.summary"
    text = words(visitor.connect())
    assert "only while you are signed in to Class" in text and "Refresh the access token now" not in text


def test_a_return_with_an_unknown_state_is_refused(visitor: Browser, authority: Authority) -> None:
    page = visitor.get("/callback?code=x&state=unknown&iss=x")
    assert page.status_code == 400 and NOT_TRUSTED in words(page)
    assert authority.to("/oauth/token") == []


@pytest.mark.parametrize(
    "query", ["", "?code=x", "?state=", "?state=%00&code=%ff", "?error=access_denied", "?code=a&code=b&state=c"]
)
def test_a_return_that_lacks_parts_is_refused(visitor: Browser, query: str) -> None:
    page = visitor.get(f"/callback{query}")
    assert page.status_code == 400 and NOT_TRUSTED in words(page)


def test_a_return_meant_for_another_browser_is_refused(visitor: Browser, window: Callable[[], Browser]) -> None:
    back = window().leave().headers["Location"]
    assert NOT_TRUSTED in words(visitor.get(back))
    assert is_not_connected(visitor)


def test_a_return_works_once(visitor: Browser, authority: Authority) -> None:
    back = visitor.leave().headers["Location"]
    assert "Acme Super Services" in words(visitor.get(back))
    assert NOT_TRUSTED in words(visitor.get(back))
    assert len(authority.to("/oauth/token")) == 1


@pytest.mark.parametrize("iss", ["https://attacker.example", "", None])
def test_a_return_from_another_issuer_is_refused_before_the_code_is_used(
    visitor: Browser, authority: Authority, iss: str | None
) -> None:
    authority.returned = lambda members: {name: text for name, text in {**members, "iss": iss}.items() if text is not None}
    assert NOT_TRUSTED in words(visitor.connect())
    assert authority.to("/oauth/token") == [] and is_not_connected(visitor)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("access_denied", "The request was denied in Class. Ledgerly has received nothing."),
        ("invalid_scope", "Class does not give what Ledgerly asked for"),
        ("temporarily_unavailable", "Class is busy"),
        ("server_error", "Class had a problem"),
        ("login_required", "You need to sign in to Class"),
        ("invalid_request", "It is a mistake in how Ledgerly asked, not yours."),
        ("something_new", "It is a mistake in how Ledgerly asked, not yours."),
    ],
)
def test_an_error_is_told_in_words(visitor: Browser, authority: Authority, error: str, told: str) -> None:
    authority.returned = lambda members: {
        "error": error, "error_description": "<script>alert(1)</script>", "state": members["state"], "iss": members["iss"],
    }  # fmt: skip
    page = visitor.connect()
    assert page.status_code == 400 and told in words(page) and "Connect again" in words(page)
    assert "<script" not in page.text and "Nothing was connected" in words(page)


def test_an_error_that_belongs_to_no_request_is_not_repeated(visitor: Browser) -> None:
    page = visitor.get("/callback?error=access_denied&error_description=Call+1900+555+000&state=guessed")
    assert NOT_TRUSTED in words(page) and "1900" not in page.text


def without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda claims: {key: value for key, value in claims.items() if key != name}


def having(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda claims: {**claims, **changes}


@pytest.mark.parametrize(
    "claims",
    [
        having(nonce="another"), without("nonce"), having(nonce=None), having(iss="https://attacker.example"), without("iss"),
        having(aud="another"), having(aud=["another"]), having(aud=["ledgerly-demo", "another"]), having(aud=[]), without("aud"),
        having(azp="another"), having(exp=int(time.time()) - 3600), having(exp="tomorrow"), without("exp"),
        having(iat=int(time.time()) + 7200), having(at_hash="AAAAAAAAAAAAAAAAAAAAAA"), having(at_hash=7), without("at_hash"),
        without("sub"), having(sub=["01alice"]),
    ],
)  # fmt: skip
def test_an_id_token_with_a_wrong_claim_is_refused(
    visitor: Browser, authority: Authority, claims: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    authority.claims = claims
    page = visitor.connect()
    assert page.status_code == 400 and NOT_TRUSTED in words(page)
    assert is_not_connected(visitor)


def test_an_id_token_for_us_alone_in_a_list_is_taken(visitor: Browser, authority: Authority) -> None:
    authority.claims = having(aud=["ledgerly-demo"])
    assert "Acme Super Services" in words(visitor.connect())


def unsigned(claims: dict[str, Any]) -> str:
    parts = (json.dumps(part).encode() for part in ({"alg": "none"}, claims))
    return ".".join([*(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), ""])


FORGERIES: list[Callable[[Authority], Callable[[dict[str, Any]], str]]] = [
    lambda authority: authority.sign_with(ECKey.generate_key("P-256")),
    lambda authority: authority.sign_with(ECKey.generate_key("P-256"), kid="unknown"),
    lambda authority: authority.sign_with(RSAKey.generate_key(2048), "RS256"),
    lambda authority: authority.sign_with(OctKey.import_key(CLIENT_SECRET), "HS256"),
    lambda authority: unsigned,
    lambda authority: lambda claims: authority.sign_with(authority.key)(claims)[:-8] + "AAAAAAAA",
    lambda authority: lambda claims: "not a token",
    lambda authority: lambda claims: "",
]


@pytest.mark.parametrize("forgery", FORGERIES)
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_an_id_token_that_the_portal_did_not_sign_is_refused(
    visitor: Browser, authority: Authority, forgery: Callable[[Authority], Callable[[dict[str, Any]], str]]
) -> None:
    authority.sign = forgery(authority)
    page = visitor.connect()
    assert page.status_code == 400 and NOT_TRUSTED in words(page)
    assert is_not_connected(visitor)


def test_an_rs256_id_token_is_refused_even_when_its_key_is_published(visitor: Browser, authority: Authority) -> None:
    key = RSAKey.generate_key(2048, {"kid": "published", "use": "sig"})
    authority.answers["/oauth/jwks"] = lambda: {"keys": [key.as_dict(private=False), authority.key.as_dict(private=False)]}
    authority.sign = lambda claims: jwt.encode({"alg": "RS256", "kid": "published"}, claims, key, algorithms=["RS256"])
    assert NOT_TRUSTED in words(visitor.connect())


def test_a_key_that_is_new_since_the_last_look_is_fetched(visitor: Browser, authority: Authority) -> None:
    assert "Acme" in words(visitor.connect())
    former, authority.key = authority.key, ECKey.generate_key("P-256", {"use": "sig"}, auto_kid=True)
    try:
        authority.sign = authority.sign_with(authority.key)
        assert "Acme Super Services" in words(visitor.connect())
    finally:
        authority.key = former


@pytest.mark.parametrize("lacking", ["id_token", "access_token"])
def test_a_token_response_without_its_tokens_is_refused(visitor: Browser, authority: Authority, lacking: str) -> None:
    authority.token = without(lacking)
    assert NOT_TRUSTED in words(visitor.connect())


@pytest.mark.parametrize(
    ("answer", "status", "told"),
    [
        (lambda: ({"error": "invalid_grant"}, 400), 400, "The way back took too long"),
        (lambda: ({"error": "invalid_client"}, 401), 400, "It is a mistake in how Ledgerly asked"),
        (lambda: ({}, 500), 502, "an answer that Ledgerly cannot read"),
        (lambda: ("[]", 200), 502, "an answer that Ledgerly cannot read"),
        (html_from_a_proxy(), 502, "an answer that Ledgerly cannot read"),
        (html_from_a_proxy(403), 502, "an answer that Ledgerly cannot read"),
        (lambda: ("", 307, {"Location": "/oauth/jwks"}), 502, "an answer that Ledgerly cannot read"),
        pytest.param(too_late, 504, "Class takes too long to answer", marks=pytest.mark.impatient),
    ],
)
def test_a_token_endpoint_that_does_not_play_along_is_told_in_words(
    visitor: Browser, authority: Authority, answer: Callable[[], Any], status: int, told: str
) -> None:
    authority.answers["/oauth/token"] = answer
    page = visitor.connect()
    assert page.status_code == status and told in words(page)
    assert is_not_connected(visitor)


@pytest.mark.parametrize(
    "answer", [html_from_a_proxy(), lambda: {"keys": []}, lambda: "[]", lambda: ({}, 500), lambda: {"keys": [7]}]
)
def test_keys_that_cannot_be_read_are_told_in_words(
    authority: Authority, partner: Partner, visitor: Browser, answer: Callable[[], Any]
) -> None:
    authority.answers["/oauth/jwks"] = answer
    authority.sign = authority.sign_with(authority.key, kid="new")
    page = visitor.connect()
    assert page.status_code in (400, 502) and "Nothing" in words(page)
    assert is_not_connected(visitor)


def test_userinfo_about_somebody_else_is_not_used(visitor: Browser, authority: Authority) -> None:
    authority.answers["/oauth/userinfo"] = lambda: {"sub": "01mallory", "name": "Mallory"}
    text = words(visitor.connect())
    assert "alice@acme.example" in text and "Mallory" not in text


def test_a_connection_stands_without_userinfo(visitor: Browser, authority: Authority) -> None:
    authority.answers["/oauth/userinfo"] = lambda: ({}, 500)
    assert "Connected by alice@acme.example" in words(visitor.connect())


def test_the_cookie_is_an_opaque_key_that_changes_with_sign_in(visitor: Browser, partner: Partner) -> None:
    back = visitor.leave().headers["Location"]
    before = visitor.http.cookies["ledgerly_session"]
    answer = visitor.http.get(back)
    after = visitor.http.cookies["ledgerly_session"]
    assert before != after and len(after) == 43
    for attribute in ("HttpOnly", "SameSite=Lax", "Path=/"):
        assert attribute in answer.headers["Set-Cookie"]
    for key, connected in ((before, False), (after, True)):
        page = httpx.get(partner.url, headers={"Cookie": f"ledgerly_session={key}"}, trust_env=False)
        assert ("Acme Super Services" in page.text) is connected


def test_a_cookie_that_was_never_given_out_is_not_taken_over(partner: Partner, visitor: Browser) -> None:
    visitor.http.cookies.set("ledgerly_session", "chosen-by-an-attacker")
    answer = visitor.http.get("/connect")
    assert "chosen-by-an-attacker" not in answer.headers["Set-Cookie"]


def test_another_name_of_this_machine_leads_to_the_address_that_the_cookie_belongs_to(partner: Partner) -> None:
    local = partner.url.replace("127.0.0.1", "localhost")
    answer = httpx.get(f"{local}/connect?add=funds.write", trust_env=False)
    assert answer.status_code == 302 and answer.headers["Location"] == f"{partner.url}/connect?add=funds.write"
