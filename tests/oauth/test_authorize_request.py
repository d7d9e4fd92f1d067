from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from urllib.parse import quote, unquote_to_bytes, urlencode

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from portal import Portal
from portal.clients.models import Client
from portal.interaction import Interaction
from portal.oauth.models import Authorization
from tests.support.corridor import Corridor
from tests.support.forms import form_in

Transaction = Callable[[], AbstractContextManager[Session]]
ISSUER = "http://127.0.0.1:5000"
HOME = "http://127.0.0.1:5001/callback"
NATIVE = "http://127.0.0.1/callback"


def assert_page(answer: TestResponse) -> None:
    """RFC 6749 §4.1.2.1: the person is told, and sent nowhere."""
    assert answer.status_code == 400, answer.location
    assert answer.mimetype == "text/html" and "Location" not in answer.headers
    assert "Nothing was shared" in answer.text


def register(transaction: Transaction, client_id: str, *uris: str) -> None:
    with transaction() as session:
        session.execute(update(Client).where(Client.client_id == client_id).values(redirect_uris=list(uris)))


def state_of(answer: TestResponse) -> bytes:
    """The bytes of the state in the redirect."""
    [pair] = [pair for pair in answer.location.partition("?")[2].split("&") if pair.startswith("state=")]
    return unquote_to_bytes(pair.removeprefix("state=").replace("+", " "))


# every other error goes back


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": ""}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"response_type": "id_token"}, "unsupported_response_type"),
        ({"response_type": 'co"de'}, "unsupported_response_type"),
        ({"response_type": "é"}, "unsupported_response_type"),
        ({"response_type": "CODE"}, "unsupported_response_type"),
        ({"response_type": "code\0"}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": "  "}, "invalid_scope"),
        ({"scope": "openid nonsense"}, "invalid_scope"),
        ({"scope": "openid\tprofile"}, "invalid_scope"),
        ({"scope": 'openid "'}, "invalid_scope"),
        ({"scope": "OPENID"}, "invalid_scope"),
        ({"scope": " ".join(f"s{n}" for n in range(1000))}, "invalid_scope"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": "a" * 44}, "invalid_request"),
        ({"code_challenge": "a" * 42 + "="}, "invalid_request"),
        ({"code_challenge": "a" * 42 + "é"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": "s256"}, "invalid_request"),
        ({"code_challenge_method": "S512"}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"response_mode": "web_message"}, "invalid_request"),
        ({"response_mode": "query.jwt"}, "invalid_request"),
        ({"response_mode": 'é"'}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "create"}, "invalid_request"),
        ({"prompt": "NONE"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"max_age": "1.5"}, "invalid_request"),
        ({"max_age": "9" * 400}, "invalid_request"),
        ({"max_age": "٣"}, "invalid_request"),
        ({"claims": "{"}, "invalid_request"),
        ({"claims": "[]"}, "invalid_request"),
        ({"claims": "[" * 4000}, "invalid_request"),
        ({"claims": "9" * 5000}, "invalid_request"),
        ({"claims": '{"id_token": {"sub": {"value": 5}}}'}, "invalid_request"),
        ({"claims": '{"id_token": {"acr": {"essential": true, "values": "urn:portal:loa:2"}}}'}, "invalid_request"),
        ({"claims": '{"id_token": {"acr": {"essential": true, "values": [5]}}}'}, "invalid_request"),
        ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
        ({"request_uri": "https://evil.example/request"}, "request_uri_not_supported"),
        ({"request_uri": "urn:example:other"}, "request_uri_not_supported"),
        ({"registration": "{}"}, "registration_not_supported"),
        ({"nonce": "x\0"}, "invalid_request"),
        ({"nonce": "x" * 8193}, "invalid_request"),
        ({"login_hint": "\0"}, "invalid_request"),
        ({"business_id": "\0"}, "invalid_request"),
        ({"id_token_hint": "\0"}, "invalid_request"),
    ],
)  # fmt: skip
def test_a_fault_goes_back_with_state_and_issuer(
    corridor: Corridor, transaction: Transaction, changes: dict[str, str | None], error: str
) -> None:
    answer = corridor.ask(**changes)
    back = corridor.returned(answer)
    assert (back["error"], back["state"], back["iss"]) == (error, "state-of-the-partner", ISSUER)
    assert back.keys() == {"error", "error_description", "state", "iss"}
    assert back["error_description"].isascii() and '"' not in back["error_description"] and "\\" not in back["error_description"]
    assert answer.headers["Cache-Control"] == "no-store" and answer.headers["Referrer-Policy"] == "no-referrer"
    with transaction() as session:
        assert session.scalar(select(func.count()).select_from(Interaction)) == 0


def test_a_scope_that_the_client_may_not_ask_for_is_refused(corridor: Corridor) -> None:
    corridor.partner = corridor.cast.pocketfolio
    assert corridor.returned(corridor.ask(scope="openid funds.write"))["error"] == "invalid_scope"


def test_a_signed_in_person_changes_nothing_about_an_error(corridor: Corridor) -> None:
    corridor.arrive_signed_in()
    assert corridor.returned(corridor.ask(scope="nonsense"))["error"] == "invalid_scope"


@pytest.mark.parametrize("name", ["state", "scope", "response_type", "code_challenge", "nonce", "prompt", "unknown"])
def test_a_parameter_sent_twice_is_refused(corridor: Corridor, name: str) -> None:
    first = corridor.parameters(**({} if name in corridor.parameters() else {name: "x"}))
    back = corridor.returned(corridor.browser.get(f"/oauth/authorize?{urlencode(first)}&{urlencode({name: first[name]})}"))
    assert (back["error"], back["iss"]) == ("invalid_request", ISSUER)
    assert ("state" in back) == (name != "state")


@pytest.mark.parametrize(
    "state",
    [
        b"plain", b"", b"a b", b"a+b", b"a%2Bb", b"a&b=c#d?e", b"\xc3\xa9", b"\xe9", b"\xff\xfe", b"\x00", b"a\x00b", b"\r\n\t",
        b"\"'<>\\", b"\xed\xa0\x80", b"\xf0\x9f\xa6\x98", bytes(range(256)), b"x" * 2048, b"\xe9" * 2048, b"%", b"%zz", b"=", b";",
    ],
    ids=lambda state: ascii(state[:8]),
)  # fmt: skip
def test_the_state_comes_back_byte_for_byte(corridor: Corridor, state: bytes) -> None:
    corridor.arrive_signed_in()
    asked = corridor.url(state=None)
    for sent in {quote(state, safe=""), quote(state, safe="").replace("%20", "+")}:
        assert state_of(corridor.browser.get(f"{asked}&state={sent}&prompt=none")) == state
        walked = corridor.walk(corridor.browser.get(f"{asked}&state={sent}&prompt=consent"))
        assert state_of(walked) == state and "code=" in walked.location


@pytest.mark.parametrize("raw", ["\xe9", "\xc3\xa9", "\xff", "\xc3%A9"], ids=ascii)
def test_a_state_that_was_not_encoded_comes_back_the_same(corridor: Corridor, raw: str) -> None:
    environment = {"QUERY_STRING": f"{urlencode(corridor.parameters(state=None, prompt='none'))}&state={raw}"}
    answer = corridor.browser.get("/oauth/authorize", environ_overrides=environment)
    assert state_of(answer) == unquote_to_bytes(raw.encode("latin-1"))


def test_without_a_state_none_comes_back(corridor: Corridor) -> None:
    assert corridor.returned(corridor.ask(state=None, prompt="none")).keys() == {"error", "error_description", "iss"}


def test_a_registered_address_with_a_query_keeps_it(corridor: Corridor, transaction: Transaction) -> None:
    uri = "https://ledgerly.example/back?tenant=a%20b&x="
    register(transaction, "ledgerly", uri)
    answer = corridor.ask(redirect_uri=uri, prompt="none")
    assert answer.location.startswith(f"{uri}&error=login_required&")


def test_no_code_is_stored_while_anything_is_wrong(corridor: Corridor, app: Portal, transaction: Transaction) -> None:
    corridor.arrive_signed_in()
    corridor.ask(prompt="none")
    corridor.ask(scope="x")
    corridor.ask(redirect_uri="x")
    with transaction() as session:
        assert session.scalar(select(func.count()).select_from(Authorization)) == 0


# what is accepted


def test_a_parameter_without_a_value_is_as_if_it_was_not_sent(corridor: Corridor) -> None:
    names = (
        "prompt max_age claims id_token_hint login_hint acr_values ui_locales response_mode request request_uri nonce business_id"
    )
    answer = corridor.ask(**dict.fromkeys(names.split(), ""))
    assert answer.location.startswith("/login?")


def test_parameters_that_are_not_known_are_ignored(corridor: Corridor) -> None:
    answer = corridor.ask(
        resource="https://api.example", unknown='é"\0', ui_locales="xx-YY zz", display="popup", audience="x" * 9000
    )
    assert answer.location.startswith("/login?")


def test_a_scope_named_twice_counts_once_and_in_order(corridor: Corridor) -> None:
    corridor.arrive_signed_in()
    corridor.scope, corridor.tick = "profile openid funds.summary profile", ["profile"]
    assert corridor.tokens()["scope"] == "openid profile funds.summary"


def test_a_request_without_openid_gets_no_id_token(corridor: Corridor, transaction: Transaction) -> None:
    corridor.arrive_signed_in()
    corridor.scope = "funds.summary"
    assert "id_token" not in corridor.tokens()


@pytest.mark.parametrize("count", [300, 5000])
def test_more_than_anyone_needs_is_a_page(corridor: Corridor, count: int) -> None:
    assert_page(corridor.browser.get(f"{corridor.url()}&{'&'.join(f'p{n}=1' for n in range(count))}"))
    assert_page(corridor.browser.post("/oauth/authorize", data={**corridor.parameters(), **{f"p{n}": "1" for n in range(5000)}}))


def test_a_huge_request_is_a_page(corridor: Corridor) -> None:
    assert_page(corridor.ask(state="x" * 17000))
    assert_page(corridor.browser.post("/oauth/authorize", data=corridor.parameters(state="x" * 17000)))
    assert_page(corridor.browser.post("/oauth/authorize", data=b"state=" + b"\xff" * 10000, content_type=FORM))


# by form


FORM = "application/x-www-form-urlencoded"


def test_a_form_is_the_same_as_a_link(corridor: Corridor) -> None:
    body = urlencode(corridor.parameters(state=None, prompt="none")) + "&state=a+b%20%E9%00"
    answer = corridor.browser.post("/oauth/authorize", data=body, content_type=FORM)
    assert answer.status_code == 303
    back = corridor.browser.get(answer.location)
    assert state_of(back) == b"a b \xe9\x00"
    assert "error=login_required" in back.location


def test_a_form_with_a_fault_is_the_same_as_a_link(corridor: Corridor) -> None:
    answer = corridor.browser.post("/oauth/authorize", data=corridor.parameters(redirect_uri="https://evil.example/"))
    assert_page(corridor.browser.get(answer.location))
    answer = corridor.browser.post("/oauth/authorize", data=corridor.parameters(scope=""))
    assert corridor.returned(corridor.browser.get(answer.location))["error"] == "invalid_scope"


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data", "text/plain"])
def test_another_kind_of_body_is_a_page(corridor: Corridor, kind: str) -> None:
    assert_page(corridor.browser.post("/oauth/authorize", data=b"{}", content_type=kind))


def test_half_in_the_link_and_half_in_the_form_is_a_page(corridor: Corridor) -> None:
    assert_page(corridor.browser.post(corridor.url(), data=corridor.parameters()))


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_other_methods_are_refused(corridor: Corridor, method: str) -> None:
    answer = getattr(corridor.browser, method)(corridor.url())
    assert answer.status_code == 405 and "Location" not in answer.headers


# the way back by form post


def test_the_answer_comes_by_form_when_asked_for(corridor: Corridor) -> None:
    corridor.arrive_signed_in()
    page = corridor.walk(corridor.ask(response_mode="form_post", state="é\"'<>& =+"))
    back = corridor.returned(page)
    assert back.keys() == {"code", "state", "iss"} and back["state"] == "é\"'<>& =+" and back["iss"] == ISSUER
    assert corridor.redeem(back["code"]).status_code == 200
    assert page.headers["Content-Security-Policy"].endswith("form-action 'self' http://127.0.0.1:5001")
    assert page.headers["Cache-Control"] == "no-store" and page.headers["Referrer-Policy"] == "no-referrer"
    assert "Returning to Ledgerly at 127.0.0.1 (this device)" in page.text
    assert 'type="submit"' in page.text  # for browsers without JavaScript


def test_an_error_comes_by_form_too(corridor: Corridor) -> None:
    page = corridor.ask(response_mode="form_post", prompt="none")
    assert page.status_code == 200
    assert corridor.returned(page)["error"] == "login_required"
    assert "csrf_token" not in form_in(page, action=HOME).names() and "Returning to Ledgerly" in page.text


@pytest.mark.parametrize("state", ["%00", "%E9", "a%0Ab", "a%0D%0Ab"])
def test_a_state_that_no_form_can_carry_is_refused_by_redirect(corridor: Corridor, state: str) -> None:
    answer = corridor.browser.get(f"{corridor.url(state=None, response_mode='form_post')}&state={state}")
    assert "error=invalid_request" in answer.location
    assert state_of(answer) == unquote_to_bytes(state)
