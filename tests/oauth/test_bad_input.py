from __future__ import annotations

from io import BytesIO

import pytest
from sqlalchemy import func, select

from portal import web
from portal.oauth.models import AccessToken
from tests.support.cast import LEDGERLY
from tests.support.tokens import Line, Machine

FORM = "application/x-www-form-urlencoded"
POSTS = ("/oauth/token", "/oauth/introspect", "/oauth/revoke", "/oauth/par")

BODIES = [
    b"", b"&", b"=", b"&&==&", b"\x00", b"\xff\xfe\xfd", b"grant_type", b"grant_type=%", b"grant_type=%zz", b"grant_type=%00",
    b"grant_type=%FF%FE", b"grant_type=authorization_code&code=%00", b"grant_type=authorization_code&code=" + b"x" * 9000,
    b"grant_type=refresh_token&refresh_token=%ED%A0%80", b"token=%00", b"token=" + b"%F0%9F%92%A9" * 500, b"token=%F0%9F",
    b"%00=1", b"token=a&token=b", b"grant_type=a&grant_type=a", b"token[]=x", b'token="\'\\', b"token=%22%5C%27%0D%0A",
    b"grant_type=%0D%0ASet-Cookie:x=1", b"a=1;b=2", b"x=1&" * 3000, b'{"grant_type":"authorization_code"}', b"token=" + b"a" * 600_000,
    b"client_id=%00&token=x", b"client_id=" + b"x" * 9000 + b"&token=x", b"client_id=%ED%A0%80&token=x", b"client_secret=&token=x",
    b"scope=%22&grant_type=refresh_token&refresh_token=x", b"code_verifier=%C3%A9&code=x&redirect_uri=%22&grant_type=authorization_code",
]  # fmt: skip


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("authenticated", [True, False], ids=["client", "nobody"])
def test_a_nasty_body_is_answered_in_the_words_of_the_protocol(machine: Machine, path: str, authenticated: bool) -> None:
    options = {"auth": LEDGERLY.authentication} if authenticated else {}
    for body in BODIES:
        answer = machine.send("POST", path, data=body, content_type=FORM, **options)
        assert answer.status_code in (200, 400, 401, 413), (body[:60], answer.text)
        assert answer.mimetype == "application/json", body[:60]
        assert answer.headers["Cache-Control"] == "no-store", body[:60]
        assert answer.status_code == 200 or answer.get_json()["error"], body[:60]
        assert "Set-Cookie" not in answer.headers
    assert machine.rows(select(func.count()).select_from(AccessToken)) == [0]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "kind", ["", "application/json", "text/plain", "multipart/form-data; boundary=x", "é", "x" * 5000, FORM + "x"]
)
def test_another_content_type_is_refused(machine: Machine, path: str, kind: str) -> None:
    body = b"grant_type=refresh_token&token=x&refresh_token=x"
    headers = {"Content-Type": kind.encode().decode("latin-1")}
    answer = machine.send("POST", path, data=body, headers=headers, auth=LEDGERLY.authentication)
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_charset_beside_the_content_type_is_fine(machine: Machine) -> None:
    answer = machine.send(
        "POST", "/oauth/introspect", data=b"token=x", content_type=f"{FORM}; charset=UTF-8", auth=LEDGERLY.authentication
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("name", ["grant_type", "code", "client_id", "client_secret", "token", "refresh_token", "anything"])
def test_a_query_string_is_refused_and_spends_nothing(machine: Machine, name: str) -> None:
    line = machine.authorize()
    value = {"grant_type": "authorization_code", "code": line.code}.get(name, "x")
    form = {key: text for key, text in line.form.items() if key != name}
    answer = machine.send("POST", f"/oauth/token?{name}={value}", data=form, auth=LEDGERLY.authentication)
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")
    assert line.code not in answer.text
    assert machine.redeem(line).status_code == 200


@pytest.mark.parametrize("name", ["grant_type", "code", "code_verifier", "redirect_uri", "unheard_of"])
def test_a_repeated_parameter_is_refused_even_with_the_same_value(machine: Machine, name: str) -> None:
    line: Line = machine.authorize()
    form = {**line.form, name: [line.form.get(name, "x")] * 2}
    answer = machine.send("POST", "/oauth/token", data=form, auth=LEDGERLY.authentication)
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")
    assert machine.redeem(line).status_code == 200


def test_unknown_parameters_are_ignored(machine: Machine) -> None:
    assert machine.redeem(machine.authorize(), flavour="vanilla", resource="https://other.example").status_code == 200


@pytest.mark.parametrize("path", POSTS)
def test_a_body_that_is_too_large_is_refused(machine: Machine, path: str) -> None:
    answer = machine.send("POST", path, data=b"token=" + b"a" * 2_000_000, content_type=FORM, auth=LEDGERLY.authentication)
    assert answer.status_code == 413
    assert answer.get_json()["error"] == "invalid_request"


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(("more", "is_refused"), [(0, False), (1, True)])
def test_a_body_in_chunks_is_taken_whole_or_refused(machine: Machine, path: str, more: int, is_refused: bool) -> None:
    body = b"padding=" + b"x" * (web.BODY_BYTES - 8 + more)
    answer = machine.send(
        "POST", path, input_stream=BytesIO(body), content_type=FORM, auth=LEDGERLY.authentication,
        headers={"Transfer-Encoding": "chunked"}, environ_overrides={"wsgi.input_terminated": True},
    )  # fmt: skip
    assert (answer.status_code == 413) is is_refused, answer.text


@pytest.mark.parametrize("path", POSTS)
def test_another_method_is_refused_in_json(machine: Machine, path: str) -> None:
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        answer = machine.send(method, path)
        assert answer.status_code == 405 and answer.get_json()["error"]
        assert "POST" in answer.headers["Allow"]


def test_an_unknown_address_of_the_protocol_answers_in_json(machine: Machine) -> None:
    for path in ("/oauth/nothing", "/oauth/token/", "/.well-known/nothing"):
        answer = machine.send("GET", path)
        assert answer.status_code == 404 and answer.get_json()["error"]
        assert answer.headers["Cache-Control"] == "no-store"


def test_machine_answers_know_no_cookie(machine: Machine, browser) -> None:  # type: ignore[no-untyped-def]
    browser.set_cookie("session", "planted", domain="127.0.0.1")
    line = machine.authorize()
    answer = browser.post("/oauth/token", data=line.form, auth=LEDGERLY.authentication)
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers and "Vary" not in answer.headers
