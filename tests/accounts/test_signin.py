from __future__ import annotations

from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tests.accounts.conftest import DOMAIN, Stage
from tests.support.forms import form_in, submit
from tests.support.signin import Cast

# the ordinary way


def test_alice_signs_in_with_password_and_code(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    answer = cast.sign_in(browser, cast.alice)
    assert (answer.status_code, answer.location) == (303, "/businesses")
    row = stage.row(browser)
    assert (row.user_id, row.pending_user_id, row.amr) == (cast.alice.id, None, ["pwd", "otp", "mfa"])
    assert row.auth_time is not None and abs((stage.clock.now() - row.auth_time).total_seconds()) < 5
    assert [(event.user_id, event.detail["amr"]) for event in stage.events("user.signed_in")] == [
        (cast.alice.id, ["pwd", "otp", "mfa"])
    ]


def test_dana_signs_in_without_a_second_factor(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    answer = stage.password(browser, cast.dana)
    assert (answer.status_code, answer.location) == (303, "/businesses")
    assert (stage.row(browser).user_id, stage.row(browser).amr) == (cast.dana.id, ["pwd"])


def test_the_password_alone_opens_nothing(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    assert stage.password(browser, cast.alice).location == "/login/mfa"
    row = stage.row(browser)
    assert (row.user_id, row.pending_user_id, row.auth_time) == (None, cast.alice.id, None)
    assert browser.get("/account").location == "/login?next=/account"


@pytest.mark.parametrize("typed", ["ALICE@acme.example", "  alice@Acme.Example ", "Alice@ACME.EXAMPLE"])
def test_the_e_mail_may_be_typed_in_any_case(browser: FlaskClient, cast: Cast, typed: str) -> None:
    answer = submit(browser, browser.get("/login"), {"email": typed, "password": cast.alice.password})
    assert answer.location == "/login/mfa"


def test_a_wrong_password_is_refused_and_the_e_mail_kept(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    answer = stage.password(browser, cast.alice, "not the password")
    assert answer.status_code == 400
    assert "The email or the password is not right." in answer.text
    assert form_in(answer, having=["email", "password"]).data()["email"] == [cast.alice.email]
    assert "not the password" not in answer.text
    assert [(event.user_id, event.detail["reason"]) for event in stage.events("user.sign_in_refused")] == [
        (cast.alice.id, "password")
    ]


# what was typed


@pytest.mark.parametrize(
    ("email", "words"),
    [
        ("", "Enter your email."),
        ("   ", "Enter your email."),
        ("alice", "Enter an email address"),
        ("alice@", "Enter an email address"),
        ("alice@acme.example\0", "Enter an email address"),
        ("al\0ice@acme.example", "Enter an email address"),
        ("🦘" * 50 + "@acme.example", "The email or the password is not right."),
        ("a" * 100_000 + "@acme.example", "Enter an email address"),
        ("a@" + "b." * 130 + "example", "Enter an email address"),
        ("' OR 1=1 --", "Enter an email address"),
        ("<script>alert(1)</script>", "Enter an email address"),
    ],
    ids=range(11),
)
def test_what_is_no_e_mail_is_told_beside_the_field(browser: FlaskClient, cast: Cast, email: str, words: str) -> None:
    answer = submit(browser, browser.get("/login"), {"email": email, "password": "x"})
    assert answer.status_code == 400
    assert words in answer.text
    assert "<script>alert" not in answer.text
    assert len(answer.data) < 30_000


@pytest.mark.parametrize("password", ["\0", "🦘" * 20, "x" * 100_000, "<b>", " "])
def test_any_password_may_be_tried(browser: FlaskClient, cast: Cast, stage: Stage, password: str) -> None:
    assert stage.password(browser, cast.alice, password).status_code == 400


@pytest.mark.parametrize("body", [{}, {"email": "alice@acme.example"}, {"password": "x"}, {"code": "123456"}], ids=str)
def test_missing_fields_are_told(browser: FlaskClient, cast: Cast, body: dict[str, str]) -> None:
    token = form_in(browser.get("/login"), having=["password"]).data()["csrf_token"]
    answer = browser.post("/login", data={"csrf_token": token, **body})
    assert answer.status_code == 400
    assert "Enter your" in answer.text


def test_bytes_that_are_no_text_are_refused_in_words(browser: FlaskClient, cast: Cast) -> None:
    token = form_in(browser.get("/login"), having=["password"]).data()["csrf_token"][0]
    body = f"csrf_token={token}&email=%ff%fe&password=%c3%28".encode()
    answer = browser.post("/login", data=body, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 400
    assert "Enter an email address" in answer.text


@pytest.mark.parametrize("body", ["[1, 2]", '"x"', "{", '{"email": {"a": 1}}', ""])
def test_json_is_no_form(browser: FlaskClient, cast: Cast, body: str) -> None:
    token = form_in(browser.get("/login"), having=["password"]).data()["csrf_token"][0]
    answer = browser.post("/login", data=body, content_type="application/json", headers={"X-CSRFToken": token})
    assert answer.status_code == 400


def test_a_body_that_is_too_large_is_refused(browser: FlaskClient, cast: Cast) -> None:
    assert browser.post("/login", data={"email": "a" * 1_100_000}).status_code == 413


# where it leads


@pytest.mark.parametrize(
    ("target", "leads_to"),
    [
        ("/account", "/account"),
        ("/account?a=1", "/account?a=1"),
        ("", "/businesses"),
        ("https://evil.example/", "/businesses"),
        ("//evil.example/account", "/businesses"),
        ("/\\evil.example", "/businesses"),
        ("\\\\evil.example", "/businesses"),
        ("/account\\..\\x", "/businesses"),
        ("///evil.example", "/businesses"),
        ("http:account", "/businesses"),
        ("javascript:alert(1)", "/businesses"),
        ("account", "/businesses"),
        ("/account\r\nX: y", "/businesses"),
        ("/account\t", "/businesses"),
        ("\t//evil.example", "/businesses"),
        ("/\t/evil.example", "/businesses"),
        ("/nowhere", "/businesses"),
        ("/logout", "/businesses"),
        ("@evil.example", "/businesses"),
        ("/account/../..//evil.example", "/businesses"),
        ("/" + "a" * 5000, "/businesses"),
        ("/account?" + "a" * 5000, "/businesses"),
    ],
)
def test_only_a_page_of_the_portal_is_led_to(browser: FlaskClient, cast: Cast, stage: Stage, target: str, leads_to: str) -> None:
    in_query = stage.password(browser, cast.dana, path=f"/login?next={quote(target, safe='')}")
    assert (in_query.status_code, in_query.location) == (303, leads_to)
    again = browser.application.test_client()
    token = form_in(again.get("/login"), having=["password"]).data()["csrf_token"]
    fields = {"csrf_token": token, "next": target, "email": cast.dana.email, "password": cast.dana.password}
    in_form = again.post("/login", data=fields)
    assert (in_form.status_code, in_form.location) == (303, leads_to)


def test_the_target_survives_mistakes_and_the_second_factor(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    page = browser.get("/login?next=/account/password")
    page = submit(browser, page, {"email": cast.alice.email, "password": "wrong"})
    answer = submit(browser, page, {"email": cast.alice.email, "password": cast.alice.password})
    page = submit(browser, browser.get(answer.location), {"code": "000000"})
    answer = submit(browser, page, {"code": cast.code(cast.alice)})
    assert answer.location == "/account/password"


def test_a_page_that_needs_somebody_asks_them_to_sign_in_and_goes_on(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    answer = browser.get("/account?tab=1")
    assert (answer.status_code, answer.location) == (303, "/login?next=/account?tab%3D1")
    assert stage.password(browser, cast.dana, path=answer.location).location == "/account?tab=1"


def test_a_fragment_that_needs_somebody_sends_the_whole_page_to_sign_in(browser: FlaskClient, cast: Cast) -> None:
    answer = browser.get("/account", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"], answer.data) == (200, "/login", b"")


def test_somebody_signed_in_is_not_asked_again(browser: FlaskClient, cast: Cast) -> None:
    cast.open_session(browser, cast.alice)
    assert browser.get("/login").location == "/businesses"
    assert browser.get("/login?next=/account").location == "/account"


# leaving


def test_signing_out_ends_the_session(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    session_id = cast.open_session(browser, cast.alice)
    secret = stage.cookie(browser)
    answer = submit(browser, browser.get("/account"), action="/logout")
    assert (answer.status_code, answer.location) == (303, "/login")
    assert "You are signed out" in browser.get(answer.location).text
    assert stage.session_row(session_id).end_reason == "signed_out"
    assert [event.user_id for event in stage.events("user.signed_out")] == [cast.alice.id]
    browser.set_cookie("session", secret, domain=DOMAIN)
    assert browser.get("/account").status_code == 303


@pytest.mark.parametrize("path", ["/logout", "/login/switch"])
def test_leaving_refuses_get(browser: FlaskClient, cast: Cast, path: str) -> None:
    cast.open_session(browser, cast.alice)
    assert browser.get(path).status_code == 405
    assert browser.get("/account").status_code == 200


@pytest.mark.parametrize("path", ["/login", "/login/mfa", "/login/recovery", "/login/switch", "/logout"])
def test_a_missing_or_foreign_token_is_refused(browser: FlaskClient, cast: Cast, path: str) -> None:
    session_id = cast.open_session(browser, cast.alice)
    stranger = browser.application.test_client()
    foreign = form_in(stranger.get("/login"), having=["password"]).data()["csrf_token"]
    for token in ({}, {"csrf_token": foreign}, {"csrf_token": "nonsense"}):
        answer = browser.post(path, data={"email": "alice@acme.example", "password": "x", "code": "123456", **token})
        assert answer.status_code == 400
        assert "open for too long" in answer.text
    assert session_id and browser.get("/account").status_code == 200
