"""Forms that were open for longer than their session, or that another tab or click overtook: refused, and nothing is lost."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.accounts.conftest import Stage
from tests.support.forms import form_in, submit
from tests.support.signin import Cast

HTMX = {"HX-Request": "true"}
CONFIRM = "/login?confirm=1&next=/account"


def typed(cast: Cast) -> dict[str, str]:
    return {"email": cast.dana.email, "password": cast.dana.password}


# signing in


def test_a_sign_in_page_of_yesterday_comes_back_with_what_was_typed_but_for_the_password(
    browser: FlaskClient, cast: Cast, stage: Stage
) -> None:
    page = browser.get("/login?next=/account/password")
    stage.clock.advance(days=1)
    again = submit(browser, page, typed(cast))
    assert again.status_code == 400 and "open for too long" in again.text and cast.dana.password not in again.text
    assert form_in(again, having=["password"]).data()["email"] == [cast.dana.email]
    assert stage.events("user.signed_in") == stage.events("user.sign_in_refused") == []
    assert submit(browser, again, typed(cast)).location == "/account/password"


def test_a_sign_in_page_of_another_browser_signs_nobody_in(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    foreign = form_in(browser.application.test_client().get("/login"), having=["password"]).data()["csrf_token"][0]
    for token in (foreign, "nonsense", ""):
        answer = browser.post("/login", data={**typed(cast), "email": "x" * 5000, "csrf_token": token})
        assert answer.status_code == 400 and form_in(answer, having=["password"]).data()["email"] == ["x" * 254]
        assert browser.post("/login", data={**typed(cast), "csrf_token": token}).status_code == 400
    assert browser.post("/login", data=typed(cast)).status_code == 400
    assert browser.get("/account").status_code == 303 and stage.events("user.signed_in") == []


def test_a_second_click_on_sign_in_ends_where_the_first_one_led(browser: FlaskClient, cast: Cast) -> None:
    page = browser.get("/login?next=/account/password")
    submit(browser, page, typed(cast))
    answer = submit(browser, page, typed(cast))
    assert answer.status_code == 400 and "You are signed in already" in answer.text
    assert '<a href="/account/password">Go on</a>' in answer.text


def test_a_second_click_on_sign_in_asks_for_the_code_as_the_first_one_did(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    parked = stage.park(browser)
    page = browser.get(f"/login?interaction={parked}")
    fields = {"email": cast.alice.email, "password": cast.alice.password}
    submit(browser, page, fields)
    answer = submit(browser, page, fields)
    assert answer.status_code == 400 and "Step 2 of 4" in answer.text
    onward = submit(browser, answer, {"code": cast.code(cast.alice)}).location
    assert (
        onward is not None
        and onward.endswith(f"?interaction={parked}")
        and stage.parked(parked).prompted.keys() == {"login", "mfa"}
    )


@pytest.mark.parametrize("path", ["/login/mfa", "/login/recovery"])
def test_the_form_of_the_second_step_comes_back_after_the_password_in_another_tab(
    browser: FlaskClient, cast: Cast, stage: Stage, path: str
) -> None:
    stage.password(browser, cast.alice, path="/login?next=/account/password")
    page = browser.get(f"{path}?next=/account/password")
    stage.password(browser, cast.alice)
    again = submit(browser, page, {"code": "123456"}, action=path)
    assert again.status_code == 400 and "open for too long" in again.text and "123456" not in again.text
    assert stage.events("user.sign_in_refused") == []
    code = cast.code(cast.alice) if path == "/login/mfa" else stage.recovery_codes(cast.alice)[0]
    assert submit(browser, again, {"code": code}, action=path).location == "/account/password"
    assert "You are signed in already" in submit(browser, again, {"code": code}, action=path).text


def test_a_code_that_comes_too_late_leads_back_to_the_first_step(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    page = browser.get(stage.password(browser, cast.alice, path="/login?next=/account/password").location)
    stage.clock.advance(days=1)
    assert submit(browser, page, {"code": "123456"}).location == "/login?next=/account/password"
    assert "the second step took too long" in browser.get("/login").text


def test_who_should_confirm_that_it_is_them_begins_anew(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.open_session(browser, cast.dana)
    page = browser.get(CONFIRM)
    stage.password(browser, cast.dana, path=CONFIRM)
    answer = submit(browser, page, {"password": cast.dana.password})
    assert answer.status_code == 400 and "open for too long" in answer.text and "signed in already" not in answer.text


# signed in no longer


def test_what_is_clicked_after_the_session_has_ended_is_not_done_and_says_so(
    browser: FlaskClient, cast: Cast, stage: Stage
) -> None:
    cast.open_session(browser, cast.alice)
    page = browser.get("/account/password")
    stage.clock.advance(days=1)
    answer = submit(browser, page, {"current": cast.alice.password, "new": "another password", "again": "another password"})
    assert (answer.status_code, answer.location) == (303, "/login")
    assert "Your session has ended, so nothing was changed." in browser.get("/login").text
    assert stage.events("user.password_changed") == []


def test_what_is_clicked_in_a_part_of_a_page_leads_back_to_that_page(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.add_consent(cast.alice)
    cast.open_session(browser, cast.alice)
    address = f"/business/{cast.acme.id}/access?q=led"
    page = browser.get(address)
    stage.clock.advance(days=1)
    headers = {**HTMX, "HX-Current-URL": f"http://127.0.0.1:5000{address}"}
    answer = submit(browser, page, action="/ledgerly/revoke", headers=headers)
    assert answer.status_code == 200
    told = browser.get(answer.headers["HX-Redirect"])
    assert form_in(told, having=["password"]).data()["next"] == [address] and "nothing was changed" in told.text


@pytest.mark.parametrize(
    "url", ["", "http://[", "https://evil.example//evil.example", "javascript:alert(1)", "/nowhere", "/\\evil"]
)
def test_no_address_leads_anywhere_else_after_signing_in(browser: FlaskClient, url: str) -> None:
    answer = browser.get("/account", headers={**HTMX, "HX-Current-URL": url})
    assert answer.headers["HX-Redirect"] == "/login"


def test_a_decision_after_the_session_has_ended_says_that_nothing_was_shared(
    browser: FlaskClient, cast: Cast, stage: Stage
) -> None:
    session_id = cast.open_session(browser, cast.alice)
    parked = stage.park(browser, session_id=session_id)
    page = browser.get(f"/login?interaction={parked}")
    stage.clock.advance(days=1)
    answer = submit(browser, page, action="/login/switch")
    assert (answer.status_code, answer.location) == (303, "/login")
    assert "Nothing was shared" in browser.get("/login").text


def test_signing_out_after_the_session_has_ended_finds_it_done(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.open_session(browser, cast.alice)
    page = browser.get("/account")
    stage.clock.advance(days=1)
    assert submit(browser, page, action="/logout").location == "/login"
    assert "You are signed out." in browser.get("/login").text


def test_nobody_is_signed_out_by_a_form_of_elsewhere(browser: FlaskClient, cast: Cast) -> None:
    foreign = form_in(browser.application.test_client().get("/login"), having=["password"]).data()["csrf_token"][0]
    cast.open_session(browser, cast.alice)
    for data in ({}, {"csrf_token": foreign}):
        answer = browser.post("/logout", data=data)
        assert answer.status_code == 400 and "open for too long" in answer.text
    assert browser.get("/account").status_code == 200
