"""Forms that were open for longer than their session, or that another tab or click overtook: refused, and nothing is lost."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from markupsafe import escape
from sqlalchemy.exc import OperationalError

from portal.accounts import pages
from tests.accounts.conftest import DOMAIN, Stage
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
    browser.get("/login")
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


def test_two_clicks_at_once_lose_no_request_of_a_partner(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    """The second came with the cookie of before; its answer, the last to arrive, is the page that the person sees."""
    parked = stage.park(browser)
    page, second = browser.get(f"/login?interaction={parked}"), browser.application.test_client()
    second.set_cookie("visit", stage.cookie(browser), domain=DOMAIN)
    submit(browser, page, typed(cast), action="/login")
    seen = submit(second, page, typed(cast), action="/login")
    assert seen.status_code == 400 and "Nothing was shared" not in seen.text
    browser.set_cookie("visit", stage.cookie(second), domain=DOMAIN)
    answer = submit(browser, seen, typed(cast))
    assert "You are signed in already" in answer.text and f"interaction={parked}" in answer.text


@pytest.mark.parametrize("action", ["/login/leave", "/login/switch", "/logout"])
def test_what_another_tab_asks_while_a_code_is_awaited_is_answered_by_asking_for_it(
    browser: FlaskClient, cast: Cast, stage: Stage, action: str
) -> None:
    parked = stage.park(browser)
    page = browser.get(f"/login?interaction={parked}")
    token = form_in(page, having=["password"]).data()["csrf_token"]
    stage.password(browser, cast.alice, path=f"/login?interaction={parked}")
    answer = browser.post(action, data={"csrf_token": token, "interaction": parked})
    assert answer.status_code == 400 and "Step 2 of 4" in answer.text and "open for too long" in answer.text
    assert submit(browser, answer, {"code": cast.code(cast.alice)}).status_code == 303


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


def test_who_should_confirm_that_it_is_them_opens_the_page_again(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.open_session(browser, cast.dana)
    page = browser.get(CONFIRM)
    stage.password(browser, cast.dana, path=CONFIRM)
    answer = submit(browser, page, {"password": cast.dana.password})
    assert answer.status_code == 400 and f'<a href="{escape(CONFIRM)}">Open the page again</a>' in answer.text
    stage.clock.advance(days=1)
    again = submit(browser, page, {"password": cast.dana.password})
    assert form_in(again, having=["password"]).data()["next"] == ["/account"] and "open for too long" in again.text


def test_a_decision_that_another_tab_overtook_leads_back_to_the_request(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    parked = stage.park(browser, session_id=cast.open_session(browser, cast.dana))
    for path in ("/connect/business", "/connect/consent"):
        answer = browser.post(path, data={"csrf_token": "of before", "interaction": parked})
        assert answer.status_code == 400 and f'interaction={parked}">Open the page again</a>' in answer.text


# forms of elsewhere


@pytest.mark.parametrize("path", ["/login", "/login/mfa", "/login/leave", "/logout", "/account/password", "/connect/consent"])
def test_the_form_of_another_site_leaves_no_cookie_behind(browser: FlaskClient, cast: Cast, path: str) -> None:
    """The browser sends it without any of ours (SameSite)."""
    answer = browser.post(path, data={"csrf_token": "invented", "email": "mallory@evil.example", "next": "/account"})
    assert answer.status_code == 400 and "open for too long" in answer.text and "mallory" not in answer.text
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("failure", "status"), [(OperationalError("select", {}, Exception("gone")), 503), (RuntimeError("a bug"), 500)]
)
def test_what_fails_on_the_way_is_told_as_on_any_page(
    browser: FlaskClient, cast: Cast, monkeypatch: pytest.MonkeyPatch, failure: Exception, status: int
) -> None:
    page = browser.get("/login")

    def fail(*_given: object, **_named: object) -> None:
        raise failure

    monkeypatch.setattr(pages, "sign_in_page", fail)
    browser.application.config["PROPAGATE_EXCEPTIONS"] = False
    answer = browser.post("/login", data={**form_in(page, having=["password"]).data(), "csrf_token": "of before"})
    assert answer.status_code == status and "Reference" in answer.text


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


def test_a_button_without_javascript_leads_back_to_its_page(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.add_consent(cast.alice)
    cast.open_session(browser, cast.alice)
    page = browser.get(f"/business/{cast.acme.id}/access?q=led")
    stage.clock.advance(days=1)
    told = browser.get(str(submit(browser, page, action="/ledgerly/revoke").location))
    assert form_in(told, having=["password"]).data()["next"] == [f"/business/{cast.acme.id}/access?q=led"]
    assert "nothing was changed" in told.text


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
