"""The cookies of a browser, what they open, and when that ends."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.accounts.conftest import DOMAIN, Stage
from tests.support.forms import submit
from tests.support.signin import Cast


def test_the_cookie_changes_at_each_step_and_the_old_ones_open_nothing(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    browser.get("/login")
    cookies = [stage.cookie(browser)]
    answer = stage.password(browser, cast.alice)
    cookies.append(stage.cookie(browser))
    submit(browser, browser.get(answer.location), {"code": cast.code(cast.alice)})
    assert browser.get("/account").status_code == 200
    assert len({*cookies, stage.cookie(browser)}) == 3
    for planted in cookies:
        thief = browser.application.test_client()
        thief.set_cookie("session", planted, domain=DOMAIN)
        assert thief.get("/account").status_code == 303


def test_a_late_answer_to_the_cookie_before_does_not_take_the_new_one_away(
    browser: FlaskClient, cast: Cast, stage: Stage
) -> None:
    browser.get("/login")
    late = browser.application.test_client()
    late.set_cookie("session", stage.cookie(browser), domain=DOMAIN)
    stage.password(browser, cast.dana)
    answer = late.get("/businesses")
    assert answer.status_code == 303 and "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("step", ["the password", "the code"])
def test_a_visit_that_begins_in_another_tab_meanwhile_takes_no_sign_in_away(
    browser: FlaskClient, cast: Cast, stage: Stage, step: str
) -> None:
    """The other tab asked with the cookie of before; its answer, with a form and so with a session of its own, comes last."""
    browser.get("/login")
    tab = browser.application.test_client()
    if step == "the code":
        stage.password(browser, cast.alice)
    for name, secret in stage.cookies(browser).items():
        tab.set_cookie(name, secret, domain=DOMAIN)
    if step == "the code":
        submit(browser, browser.get("/login/mfa"), {"code": cast.code(cast.alice)})
    else:
        stage.password(browser, cast.dana)
    assert tab.get("/login").headers["Set-Cookie"].startswith("visit=")
    browser.set_cookie("visit", stage.cookies(tab)["visit"], domain=DOMAIN)
    assert browser.get("/account").status_code == 200


def test_the_cookie_of_a_visit_opens_nobodys_account(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    thief = browser.application.test_client()
    cast.open_session(thief, cast.dana)
    browser.set_cookie("visit", stage.cookie(thief), domain=DOMAIN)
    assert browser.get("/account").status_code == 303


def test_a_visitor_and_who_signed_in_have_one_cookie_each_and_leave_none_behind(
    browser: FlaskClient, cast: Cast, stage: Stage
) -> None:
    browser.get("/login")
    assert list(stage.cookies(browser)) == ["visit"]
    stage.password(browser, cast.alice)
    assert list(stage.cookies(browser)) == ["session"]
    submit(browser, browser.get("/login/mfa"), {"code": cast.code(cast.alice)})
    assert list(stage.cookies(browser)) == ["session"]
    submit(browser, browser.get("/account"), action="/logout")
    assert list(stage.cookies(browser)) == ["visit"]


def test_a_cookie_planted_before_signing_in_gains_nothing(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    thief = browser.application.test_client()
    thief.get("/login")
    browser.set_cookie("session", stage.cookie(thief), domain=DOMAIN)
    assert stage.password(browser, cast.dana).status_code == 303
    assert browser.get("/account").status_code == 200
    assert thief.get("/account").status_code == 303


@pytest.mark.parametrize("name", ["session", "visit"])
def test_an_invented_cookie_opens_nothing(browser: FlaskClient, cast: Cast, stage: Stage, name: str) -> None:
    browser.set_cookie(name, "invented", domain=DOMAIN)
    assert browser.get("/login").status_code == 200
    assert stage.cookies(browser)["visit"] != "invented"
    stage.password(browser, cast.dana)
    assert stage.cookies(browser).keys() == {"session"} and browser.get("/account").status_code == 200


def test_the_form_of_an_earlier_step_is_out_of_date_after_signing_in(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    page = browser.get("/login")
    stage.password(browser, cast.dana)
    assert submit(browser, page, {"email": cast.dana.email, "password": cast.dana.password}).status_code == 400


def test_a_session_ends_when_nobody_uses_it(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.open_session(browser, cast.alice)
    stage.clock.advance(minutes=29)
    assert browser.get("/account").status_code == 200
    stage.clock.advance(minutes=29)
    assert browser.get("/account").status_code == 200
    stage.clock.advance(minutes=31)
    assert browser.get("/account").status_code == 303


def test_a_session_ends_by_age_though_used(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.open_session(browser, cast.alice)
    for _ in range(12 * 60 // 25):
        assert browser.get("/account").status_code == 200
        stage.clock.advance(minutes=25)
    stage.clock.advance(minutes=15)
    assert browser.get("/account").status_code == 303


def test_a_disabled_person_is_out_at_once(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.open_session(browser, cast.alice)
    stage.change_user(cast.alice, disabled_at=stage.clock.now())
    assert browser.get("/account").status_code == 303


def test_signing_in_again_as_the_same_person_keeps_the_session(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    cast.sign_in(browser, cast.alice)
    before = stage.row(browser)
    stage.clock.advance(minutes=12)
    answer = stage.password(browser, cast.alice, path="/login?confirm=1&next=/account")
    submit(browser, browser.get(answer.location), {"code": cast.code(cast.alice)})
    after = stage.row(browser)
    assert after.id == before.id and after.digest != before.digest
    assert after.auth_time is not None and before.auth_time is not None and after.auth_time > before.auth_time


def test_who_confirms_that_it_is_them_types_the_password_alone_and_may_cancel(
    browser: FlaskClient, cast: Cast, stage: Stage
) -> None:
    cast.open_session(browser, cast.dana)
    page = browser.get("/login?confirm=1&next=/account/mfa")
    for answer in (page, submit(browser, page, {"password": "wrong"})):
        assert "<h1>Confirm it is you</h1>" in answer.text and 'href="/account">Cancel</a>' in answer.text
        assert f"<dd>{cast.dana.email}</dd>" in answer.text and "Sign in</button>" not in answer.text
    assert submit(browser, page, {"password": cast.dana.password}).location == "/account/mfa"


def test_signing_in_as_somebody_else_ends_the_session(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    old = cast.open_session(browser, cast.alice)
    assert stage.password(browser, cast.dana, path="/login?confirm=1").location == "/businesses"
    assert stage.session_row(old).end_reason == "switched_user"
    assert (stage.row(browser).id != old, stage.row(browser).user_id) == (True, cast.dana.id)
    assert [event.detail["reason"] for event in stage.events("user.signed_out")] == ["switched_user"]
